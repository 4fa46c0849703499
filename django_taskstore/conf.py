"""The TASKSTORE setting: every key, its default and what it means, read at each access.

Owns names, defaults and ranges. Nothing is cached, so ``override_settings`` works; the
system checks in `checks` report what `problems` finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any

from django.conf import settings as django_settings

from django_taskstore.exceptions import InvalidSetting

#: The columns that the admin's list of tasks can have.
ADMIN_COLUMNS = (
    "id", "task", "alias", "queue_name", "outcome", "priority", "tries", "created", "due",
    "started", "completed", "waited", "run_time", "worker_name", "schedule_name",
)  # fmt: skip


@dataclass(frozen=True)
class Defaults:
    """Each key of TASKSTORE with its default."""

    #: Tasks one worker process runs at the same time.
    MAX_CONCURRENCY: int = 10
    #: Longest sleep of an idle worker between two looks at its queues; what wakes it ends it
    #: sooner, and where nothing can, it looks more often by itself.
    POLL_SECONDS: float = 5.0
    #: How long a claim holds without a heartbeat; after it another worker rescues the task.
    LEASE_SECONDS: float = 60.0
    #: How often a worker renews the leases of what it runs, and looks for expired ones.
    HEARTBEAT_SECONDS: float = 15.0
    #: How long a stopping worker waits for running tasks before it gives them back.
    SHUTDOWN_TIMEOUT_SECONDS: float = 30.0
    #: Attempts of a task whose handler does not say: 1 makes the first failure final.
    DEFAULT_MAX_ATTEMPTS: int = 1
    #: How often a task may lose its worker before it fails.
    MAX_LOSSES: int = 3
    #: How late an occurrence of a schedule may be before it counts as missed.
    MISFIRE_GRACE_SECONDS: float = 60.0
    #: Dotted path of a callable(queue_name, task_id, exception), or None.
    ERROR_HANDLER: str | None = None
    #: Whether PostgreSQL workers are woken by LISTEN and NOTIFY, and MariaDB looks for idle ones.
    NOTIFY: bool = True
    #: Seconds to keep finished tasks, by status: {"success": 604800}. Empty keeps all.
    RETENTION: Mapping[str, float] | None = None
    #: Largest parameters of a task, in bytes of JSON.
    MAX_PARAMETERS_BYTES: int = 65_536
    #: Largest output of a task, in bytes of JSON.
    MAX_OUTPUT_BYTES: int = 1_048_576
    #: Largest log of a task, in bytes; later lines are dropped and the log says so.
    MAX_DETAILS_BYTES: int = 65_536
    #: How old the oldest waiting task of a worked queue may be before it is warned of.
    QUEUE_AGE_WARNING_SECONDS: float = 600.0
    #: How long the dashboard shows what it has read: any number of open pages reads once.
    ADMIN_CACHE_SECONDS: float = 5.0
    #: What a collector sends to read the metrics without signing in; None: only staff may.
    METRICS_TOKEN: str | None = None
    #: Which code of the project runs, such as a commit's hash; workers say it of themselves.
    REVISION: str | None = None
    #: Dotted paths of callables(task, request), each for a panel of one's own on a task's page.
    ADMIN_DETAIL_PANELS: Sequence[str] = ()
    #: The columns of the admin's list of tasks, in their order; the first leads to the task.
    ADMIN_LIST_DISPLAY: Sequence[str] = (
        "id", "task", "queue_name", "outcome", "created", "waited", "run_time",
    )  # fmt: skip
    #: True makes every page of the admin read-only.
    ADMIN_READ_ONLY: bool = False


POSITIVE = {
    "MAX_CONCURRENCY",
    "POLL_SECONDS",
    "LEASE_SECONDS",
    "HEARTBEAT_SECONDS",
    "QUEUE_AGE_WARNING_SECONDS",
    "ADMIN_CACHE_SECONDS",
    "DEFAULT_MAX_ATTEMPTS",
    "MAX_LOSSES",
    "MAX_PARAMETERS_BYTES",
    "MAX_OUTPUT_BYTES",
    "MAX_DETAILS_BYTES",
}
SHORTEST_TOKEN = 16
LONGEST_REVISION = 100
FROM_ZERO = {"MISFIRE_GRACE_SECONDS", "SHUTDOWN_TIMEOUT_SECONDS"}
WHOLE = {key for key in POSITIVE if not key.endswith("SECONDS")}
DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Defaults)}


class Settings(Defaults):
    """Attribute access to TASKSTORE: the project's value, else the default."""

    def __getattribute__(self, name: str) -> Any:
        if name not in DEFAULTS:
            return super().__getattribute__(name)
        return given().get(name, DEFAULTS[name])


def given() -> Mapping[str, Any]:
    """Return the project's TASKSTORE dict.

    Raises:
        InvalidSetting: TASKSTORE is not a dict.
    """
    value = getattr(django_settings, "TASKSTORE", {})
    if not isinstance(value, Mapping):
        raise InvalidSetting(
            f"TASKSTORE is a {type(value).__name__}, expected a dict such as "
            '{"MAX_CONCURRENCY": 10}; see docs/reference/settings.'
        )
    return value


def tasks_api() -> str | None:
    """Return the module of Django's tasks: its own since 6.0, the backport's, or None."""
    return next((name for name in ("django.tasks", "django_tasks") if find_spec(name)), None)


def problems() -> Iterator[str]:
    """Yield a sentence for each unknown key and each wrong value."""
    for key, value in given().items():
        if key not in DEFAULTS:
            yield f"TASKSTORE has an unknown key {key!r}; known keys: {', '.join(DEFAULTS)}."
        else:
            yield from value_problems(key, value)
    yield from combination_problems()


def value_problems(key: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with one key's value by itself."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if key in POSITIVE and not (number and value > 0):
        yield f"TASKSTORE[{key!r}] is {value!r}, expected a number above 0."
    elif key in WHOLE and not isinstance(value, int):
        yield f"TASKSTORE[{key!r}] is {value!r}, expected a whole number."
    elif key in FROM_ZERO and not (number and value >= 0):
        yield f"TASKSTORE[{key!r}] is {value!r}, expected a number of seconds, 0 or more."
    elif isinstance(DEFAULTS[key], bool) and not isinstance(value, bool):
        yield f"TASKSTORE[{key!r}] is {value!r}, expected True or False."
    elif key in SPECIAL:
        yield from SPECIAL[key](value)


def error_handler_problems(value: Any) -> Iterator[str]:
    """Yield what is wrong with the ERROR_HANDLER path by itself."""
    if not (value is None or isinstance(value, str)):
        yield f"TASKSTORE['ERROR_HANDLER'] is {value!r}, expected a dotted path or None."


def revision_problems(value: Any) -> Iterator[str]:
    """Yield what is wrong with the REVISION."""
    if not (value is None or (isinstance(value, str) and len(value) <= LONGEST_REVISION)):
        yield (
            f"TASKSTORE['REVISION'] is {value!r}, expected a text of at most {LONGEST_REVISION} "
            "characters, such as a commit's hash, or None."
        )


def panels_problems(value: Any) -> Iterator[str]:
    """Yield what is wrong with the ADMIN_DETAIL_PANELS paths by themselves."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(path, str) for path in value):
        yield f"TASKSTORE['ADMIN_DETAIL_PANELS'] is {value!r}, expected a list of dotted paths."


def columns_problems(value: Any) -> Iterator[str]:
    """Yield what is wrong with the ADMIN_LIST_DISPLAY."""
    known = ", ".join(ADMIN_COLUMNS)
    if not isinstance(value, (list, tuple)) or not value:
        yield (
            f"TASKSTORE['ADMIN_LIST_DISPLAY'] is {value!r}, expected a list of one or more of the "
            f"columns {known}."
        )
        return
    for name in value:
        if name not in ADMIN_COLUMNS:
            yield (
                f"TASKSTORE['ADMIN_LIST_DISPLAY'] has an unknown column {name!r}; known columns: "
                f"{known}."
            )
    for name in ADMIN_COLUMNS:
        if value.count(name) > 1:
            yield (
                f"TASKSTORE['ADMIN_LIST_DISPLAY'] names {name!r} {value.count(name)} times, "
                "expected each column once."
            )


def token_problems(value: Any) -> Iterator[str]:
    """Yield what is wrong with the METRICS_TOKEN; the value is a secret, so nothing shows it."""
    if value is None or (isinstance(value, str) and len(value) >= SHORTEST_TOKEN):
        return
    yield (
        f"TASKSTORE['METRICS_TOKEN'] is no text of {SHORTEST_TOKEN} characters or more, nor None; "
        'python -c "import secrets; print(secrets.token_urlsafe())" makes one.'
    )


def retention_problems(value: Any) -> Iterator[str]:
    """Yield what is wrong with the RETENTION mapping."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield f"TASKSTORE['RETENTION'] is {value!r}, expected a dict of status to seconds."
        return
    for status, keep_seconds in value.items():
        if status not in ("success", "failed", "canceled"):
            yield (
                f"TASKSTORE['RETENTION'] names {status!r}; only success, failed and canceled "
                "tasks are purged."
            )
        if not isinstance(keep_seconds, (int, float)) or keep_seconds < 0:
            yield f"TASKSTORE['RETENTION'][{status!r}] is {keep_seconds!r}, expected seconds."


SPECIAL: dict[str, Callable[[Any], Iterator[str]]] = {
    "ADMIN_DETAIL_PANELS": panels_problems,
    "ADMIN_LIST_DISPLAY": columns_problems,
    "ERROR_HANDLER": error_handler_problems,
    "METRICS_TOKEN": token_problems,
    "RETENTION": retention_problems,
    "REVISION": revision_problems,
}


def combination_problems() -> Iterator[str]:
    """Yield what is wrong between keys that are well by themselves."""
    heartbeat, lease = settings.HEARTBEAT_SECONDS, settings.LEASE_SECONDS
    numbers = all(isinstance(value, (int, float)) for value in (heartbeat, lease))
    if numbers and heartbeat * 2 > lease:
        yield (
            f"TASKSTORE['HEARTBEAT_SECONDS'] is {heartbeat:g} and LEASE_SECONDS is {lease:g}: a "
            "lease must outlast two heartbeats, or one slow heartbeat loses running tasks."
        )


settings = Settings()
