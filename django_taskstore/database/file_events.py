"""Hearing that the files of a SQLite database were written.

Owns `watching`: Linux tells of it by inotify; elsewhere the times of the files are looked at. It
reads no row: that something was written is all it knows.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import Protocol

from django.db import connections

#: Without inotify the files are looked at so often; a look takes some 10 µs.
LOOK_SECONDS = 0.02
#: A write is heard of before its commit can be read, which waits for the disk in between.
SETTLING_SECONDS = 0.004
# From inotify(7) and <sys/inotify.h>: a file in the directory was written or made.
IN_MODIFY, IN_CREATE, IN_NONBLOCK, IN_CLOEXEC = 0x2, 0x100, 0o4000, 0o2000000
HEADER = Struct("iIII")


class Watch(Protocol):
    """What hears of writes."""

    def wait(self, seconds: float) -> bool:
        """Sleep until something was written, or the time is over; return whether it was."""

    def close(self) -> None:
        """Hear no more."""


class Inotify:
    """Hears of writes from the kernel, and costs nothing until then.

    Args:
        database: the database's file. Its directory is watched: SQLite deletes the log beside
            it with the last connection, and makes it anew.

    Raises:
        OSError: the kernel gives no watch; each user has a limited number.
        AttributeError: this system has no inotify.
    """

    def __init__(self, database: Path) -> None:
        self.name = os.fsencode(database.name)
        libc = ctypes.CDLL(None, use_errno=True)
        self._file = libc.inotify_init1(IN_NONBLOCK | IN_CLOEXEC)
        directory = os.fsencode(database.parent)
        mask = IN_MODIFY | IN_CREATE
        if self._file < 0 or libc.inotify_add_watch(self._file, directory, mask) < 0:
            self.close()
            raise OSError(ctypes.get_errno(), f"inotify refuses to watch {database.parent}")
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)

    def wait(self, seconds: float) -> bool:
        """Sleep until something was written, or the time is over; return whether it was."""
        if not self._poll.poll(seconds * 1_000):
            return False
        was_ours = any(name.startswith(self.name) for name in self._names())
        time.sleep(SETTLING_SECONDS)
        return was_ours

    def _names(self) -> Iterator[bytes]:
        """Yield the names of the files that the kernel tells of."""
        events = os.read(self._file, 65_536)
        while events:
            *_, length = HEADER.unpack_from(events)
            end = HEADER.size + length
            yield events[HEADER.size : end].rstrip(b"\0")
            events = events[end:]

    def close(self) -> None:
        """Hear no more."""
        if self._file >= 0:
            os.close(self._file)


class Looks:
    """Looks at the times of the files, where nothing tells of writes.

    The clock of files ticks every few milliseconds, so the second of two commits within a tick
    may not show.

    Args:
        database: the database's file. In WAL mode a commit is appended to the log beside it
            (SQLite, WAL-mode File Format §4.1).
    """

    def __init__(self, database: Path) -> None:
        self._paths = [database, database.with_name(f"{database.name}-wal")]
        self._seen = self._look()

    def wait(self, seconds: float) -> bool:
        """Sleep until something was written, or the time is over; return whether it was."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            # Not an event's wait, which costs several times as much.
            time.sleep(LOOK_SECONDS)
            seen, self._seen = self._seen, self._look()
            if self._seen != seen:
                return True
        return False

    def _look(self) -> list[tuple[int, int] | None]:
        return [last_write(path) for path in self._paths]

    def close(self) -> None:
        """There is nothing to let go of."""


def last_write(path: Path) -> tuple[int, int] | None:
    """Return a file's time, in nanoseconds, and size in bytes; None where it does not exist."""
    with contextlib.suppress(FileNotFoundError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size
    return None


@contextlib.contextmanager
def watching(using: str) -> Iterator[Watch]:
    """Hear of writes to a SQLite database until the block ends."""
    watch = best_watch(path_of(using))
    try:
        yield watch
    finally:
        watch.close()


def best_watch(database: Path) -> Watch:
    """Return the best watch that this system has."""
    try:
        return Inotify(database)
    except (OSError, AttributeError):
        return Looks(database)


def path_of(using: str) -> Path:
    """Ask SQLite for the path of a database's file; its name in the settings may be a URI."""
    with connections[using].cursor() as cursor:
        cursor.execute("PRAGMA database_list")
        (path,) = (row[2] for row in cursor.fetchall() if row[1] == "main")
    return Path(path)
