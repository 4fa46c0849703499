"""Reading DATABASE_URL, so that one variable moves the example to another database."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgresql": "django.db.backends.postgresql",
    "postgres": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
    "mariadb": "django.db.backends.mysql",
}
#: Readers and the one writer of the file do not wait for each other; a writer waits its turn.
SQLITE_OPTIONS = {
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
}


def database(url: str, *, base: Path) -> dict[str, Any]:
    """Return the DATABASES entry of a URL.

    Args:
        url: such as ``sqlite:///db.sqlite3``, ``postgresql://user:secret@host:5432/name`` or
            ``mysql://root@127.0.0.1/name?charset=utf8mb4``; the query becomes OPTIONS.
        base: where a relative SQLite file lies.

    Raises:
        ValueError: the scheme is unknown.
    """
    parts = urlsplit(url)
    if parts.scheme not in ENGINES:
        raise ValueError(
            f"DATABASE_URL begins with {parts.scheme!r}, expected one of {', '.join(ENGINES)}, "
            "such as postgresql://postgres@127.0.0.1/newsletter."
        )
    entry: dict[str, Any] = {
        "ENGINE": ENGINES[parts.scheme],
        "NAME": unquote(parts.path[1:]),
        "OPTIONS": dict(parse_qsl(parts.query)),
    }
    if parts.scheme == "sqlite":
        return {**entry, "NAME": str(base / entry["NAME"]), "OPTIONS": dict(SQLITE_OPTIONS)}
    return {
        **entry,
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
    }
