"""The databases that are measured: making one, filling it, looking into it, dropping it.

Owns a `Store` for each server. It speaks plain SQL over the plain driver, on purpose: what is
measured must not also do the measuring. The servers are those of the tests.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TABLE = "django_taskstore_queuedtask"
TEMPLATES = "bench_templates"
QUEUE = "bench"
numbers = itertools.count(1)


class Store(ABC):
    """One database of its own on one server, made by `made` and gone afterwards."""

    name: str
    #: What a filled table needs before its statements are planned well; autovacuum does it.
    after_filling: str | None = None
    #: How a transaction begins that is going to write.
    begin = "BEGIN"
    #: Where a value goes in a statement.
    mark = "%s"

    def __init__(self) -> None:
        self.database = f"taskstore_bench_{os.getpid()}_{next(numbers)}"

    @contextlib.contextmanager
    def made(self) -> Iterator[Store]:
        """Make the database, and drop it at the end."""
        self.make()
        try:
            yield self
        finally:
            self.drop()

    @abstractmethod
    def make(self) -> None:
        """Make the database."""

    @abstractmethod
    def drop(self) -> None:
        """Drop the database."""

    @abstractmethod
    def connect(self) -> Any:
        """Return a new connection of the driver, in autocommit."""

    @property
    @abstractmethod
    def entry(self) -> dict[str, Any]:
        """The entry of DATABASES."""

    @abstractmethod
    def url(self) -> str:
        """Return the address in the form that DATABASE_URL has."""

    @abstractmethod
    def empty(self) -> None:
        """Remove all tasks and what they left behind on the disk."""

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement on the connection that looks on; return its rows."""
        cursor = self.onlooker.cursor()
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []

    @property
    def onlooker(self) -> Any:
        """The connection of this process."""
        if "_onlooker" not in vars(self):
            self._onlooker = self.connect()
        return self._onlooker

    def keep_templates(self) -> None:
        """Put aside the tasks that were enqueued, as the pattern of all that will be filled in."""
        self.run(f"CREATE TABLE {TEMPLATES} AS SELECT * FROM {TABLE}")
        self.columns = [
            row[0] for row in self.described(f"SELECT * FROM {TABLE} LIMIT 1") if row[0] != "id"
        ]

    def described(self, sql: str) -> Any:
        """Return the description of a query's columns."""
        cursor = self.onlooker.cursor()
        cursor.execute(sql)
        cursor.fetchall()
        return cursor.description

    def fill(self, alias: str, count: int, *, queue: str = QUEUE, **columns: str) -> None:
        """Insert tasks that look exactly as enqueue leaves them.

        Args:
            alias: of their handler.
            count: how many.
            queue: where they go.
            **columns: SQL of columns that differ, such as ``status="'success'"``.
        """
        names = ", ".join(self.columns)
        changed = {"queue_name": f"'{queue}'", **columns}
        values = ", ".join(changed.get(name, name) for name in self.columns)
        insert = f"INSERT INTO {TABLE} ({names}) SELECT {values} FROM"
        self.run(f"{insert} {TEMPLATES} WHERE queue_name = '{alias}' LIMIT 1")
        before = self.scalar(f"SELECT MAX(id) FROM {TABLE}") - 1
        made = 1
        while made < count:
            more = min(made, count - made, 50_000)
            self.run(f"{insert} {TABLE} WHERE id > {before} ORDER BY id LIMIT {more}")
            made += more
        if self.after_filling:
            self.run(self.after_filling)

    def scalar(self, sql: str) -> Any:
        """Return the one value of a query."""
        return self.run(sql)[0][0]

    def count(self, status: str) -> int:
        """Return how many tasks of the measured queue have a status."""
        where = f"queue_name = '{QUEUE}' AND status = '{status}'"
        return int(self.scalar(f"SELECT COUNT(*) FROM {TABLE} WHERE {where}"))

    def is_unfinished(self) -> bool:
        """Tell whether a task of the measured queue waits or runs; index lookups only."""
        return any(
            self.run(f"SELECT 1 FROM {TABLE} WHERE {where} LIMIT 1")
            for where in (
                f"queue_name = '{QUEUE}' AND status = 'queued'",
                "status = 'running'",
                "status = 'scheduled'",
            )
        )


class PostgreSQL(Store):
    """A database on the PostgreSQL server of PGHOST and PGPORT."""

    name = "postgresql"
    after_filling = f"ANALYZE {TABLE}"

    @property
    def entry(self) -> dict[str, Any]:
        """The entry of DATABASES."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": self.database,
            "HOST": os.environ.get("PGHOST", "127.0.0.1"),
            "PORT": os.environ.get("PGPORT", "5432"),
            "USER": os.environ.get("PGUSER", "postgres"),
            "PASSWORD": os.environ.get("PGPASSWORD", ""),
        }

    def url(self, database: str | None = None) -> str:
        """Return the address of a database, this one by default."""
        entry = self.entry
        login = ":".join(filter(None, (entry["USER"], entry["PASSWORD"])))
        place = f"{entry['HOST']}:{entry['PORT']}"
        return f"postgresql://{login}@{place}/{database or self.database}"

    def connect(self, database: str | None = None) -> Any:
        """Return a new connection in autocommit."""
        import psycopg

        return psycopg.connect(self.url(database), autocommit=True)

    def make(self) -> None:
        """Make the database."""
        with self.connect("postgres") as server:
            server.execute(f"CREATE DATABASE {self.database}")

    def drop(self) -> None:
        """Drop the database, whoever is still connected."""
        self.onlooker.close()
        with self.connect("postgres") as server:
            server.execute(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")

    def empty(self) -> None:
        """Remove all tasks."""
        self.run(f"TRUNCATE {TABLE}")


class MariaDB(Store):
    """A database on the MySQL or MariaDB server of MYSQL_HOST and MYSQL_PORT."""

    name = "mariadb"
    after_filling = f"ANALYZE TABLE {TABLE}"

    @property
    def entry(self) -> dict[str, Any]:
        """The entry of DATABASES."""
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": self.database,
            "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
            "PORT": os.environ.get("MYSQL_PORT", "3306"),
            "USER": os.environ.get("MYSQL_USER", "root"),
            "PASSWORD": os.environ.get("MYSQL_PASSWORD", ""),
            "OPTIONS": {"charset": "utf8mb4"},
        }

    def url(self) -> str:
        """Return the address in the form that DATABASE_URL has."""
        entry = self.entry
        login = ":".join(filter(None, (entry["USER"], entry["PASSWORD"])))
        return f"mysql://{login}@{entry['HOST']}:{entry['PORT']}/{self.database}?charset=utf8mb4"

    def connect(self, database: str | None = None) -> Any:
        """Return a new connection in autocommit, at READ COMMITTED as Django's is."""
        import MySQLdb

        entry = self.entry
        connection = MySQLdb.connect(
            host=entry["HOST"],
            port=int(entry["PORT"]),
            user=entry["USER"],
            password=entry["PASSWORD"],
            database=self.database if database is None else database,
            charset="utf8mb4",
        )
        connection.autocommit(True)
        connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        return connection

    def make(self) -> None:
        """Make the database."""
        server = self.connect("")
        server.query(f"CREATE DATABASE {self.database} CHARACTER SET utf8mb4")
        server.close()

    def drop(self) -> None:
        """Drop the database."""
        self.onlooker.cursor().execute(f"DROP DATABASE IF EXISTS {self.database}")
        self.onlooker.close()

    def empty(self) -> None:
        """Remove all tasks."""
        self.run(f"TRUNCATE TABLE {TABLE}")


class SQLite(Store):
    """A file in the temporary folder, in WAL mode as docs/howto/databases.md asks for."""

    name = "sqlite"
    begin = "BEGIN IMMEDIATE"
    mark = "?"

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return Path(tempfile.gettempdir()) / f"{self.database}.sqlite3"

    @property
    def entry(self) -> dict[str, Any]:
        """The entry of DATABASES."""
        start = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(self.path),
            "OPTIONS": {"timeout": 20, "init_command": start},
        }

    def url(self) -> str:
        """Return the address in the form that DATABASE_URL has."""
        return f"sqlite:///{self.path}"

    def connect(self) -> Any:
        """Return a new connection in autocommit."""
        connection = sqlite3.connect(self.path, timeout=20, isolation_level=None)
        connection.executescript(self.entry["OPTIONS"]["init_command"])
        return connection

    def make(self) -> None:
        """Make the file."""
        self.onlooker.execute("SELECT 1")

    def drop(self) -> None:
        """Remove the file and its companions."""
        self.onlooker.close()
        for path in self.path.parent.glob(f"{self.path.name}*"):
            path.unlink()

    def empty(self) -> None:
        """Remove all tasks, and the log that their removal wrote."""
        self.run(f"DELETE FROM {TABLE}")
        self.run("PRAGMA wal_checkpoint(TRUNCATE)")


STORES: dict[str, type[Store]] = {one.name: one for one in (SQLite, PostgreSQL, MariaDB)}
