"""What handlers did, in a file that another process reads while they run.

Owns `Tally` and `Tallies`. Standard library only: the environments of all contestants import
it. Each process writes a file of its own, so that nothing is shared and nothing is lost.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from pathlib import Path

#: Calls of handlers, when the first and the last began, sessions opened, statements sent.
FIELDS = ("calls", "first_ns", "last_ns", "sessions", "statements")
LAYOUT = struct.Struct(f"{len(FIELDS)}Q")
CALLS, FIRST, LAST, SESSIONS, STATEMENTS = range(len(FIELDS))


class Tally:
    """The counts of this process; a forked child begins a file of its own.

    Args:
        folder: where the files lie.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._open()
        os.register_at_fork(after_in_child=self._open)

    def _open(self) -> None:
        self._lock = threading.Lock()
        path = self.folder / str(os.getpid())
        path.write_bytes(bytes(LAYOUT.size))
        with path.open("r+b") as file:
            self._numbers = memoryview(mmap.mmap(file.fileno(), LAYOUT.size)).cast("Q")

    def called(self) -> None:
        """Count one call of a handler."""
        now = time.time_ns()
        with self._lock:
            if not self._numbers[CALLS]:
                self._numbers[FIRST] = now
            self._numbers[CALLS] += 1
            self._numbers[LAST] = now

    def count(self, field: int) -> None:
        """Add one to a field."""
        with self._lock:
            self._numbers[field] += 1


class Tallies:
    """The counts of all processes together.

    Args:
        folder: where they write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self) -> list[tuple[int, ...]]:
        """Return the numbers of each process, in the order of FIELDS."""
        contents = [path.read_bytes() for path in self.folder.iterdir()]
        return [LAYOUT.unpack(content) for content in contents if len(content) == LAYOUT.size]

    def total(self, field: int) -> int:
        """Return the sum of one field."""
        return sum(numbers[field] for numbers in self.read())

    @property
    def first_ns(self) -> int:
        """When the first handler began, by the clock's nanoseconds; 0 when none has."""
        return min((numbers[FIRST] for numbers in self.read() if numbers[CALLS]), default=0)

    @property
    def last_ns(self) -> int:
        """When the last handler began."""
        return max(numbers[LAST] for numbers in self.read())
