"""What wakes a worker, whatever its database.

Owns `Watcher`: a thread that watches, and comes back after each fault. How it watches is said
by the others here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from django.db import connections


@dataclass(frozen=True, slots=True)
class Sought:
    """What a worker without work would claim.

    Attributes:
        queues: names, sorted.
        without: ids of definitions that it has no handler for.
    """

    queues: tuple[str, ...]
    without: frozenset[int]

    @classmethod
    def among(cls, queues: Collection[str], without: Collection[int]) -> Sought:
        """Return what is sought, equal for the same queues in any order."""
        return cls(tuple(sorted(queues)), frozenset(without))


class Watcher(threading.Thread):
    """Calls back when the database says that something is new.

    It watches on a connection of its own. When that breaks it comes back by itself; until
    then the worker polls.

    Args:
        using: the database's alias.
        wake_up: called with a queue's name or ANYTHING, on this thread; also once after each
            connect, since what came before was missed.
        unheard: called the first time that the database takes wake-ups and brings none.

    Attributes:
        is_watching: whether news would be heard now.
        hears_all: whether it also hears of pauses, stops and due times.
    """

    hears_all = True

    def __init__(
        self,
        using: str,
        wake_up: Callable[[str], None],
        unheard: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(name=f"taskstore-{type(self).__name__.lower()}", daemon=True)
        self.using = using
        self.wake_up = wake_up
        self.unheard: Callable[[], None] | None = unheard
        self.is_watching = False
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask the thread to end; it does within half a second."""
        self._stopping.set()

    def seek(self, sought: Sought | None) -> None:
        """Take what the worker would claim now; most hear of news without it."""

    def run(self) -> None:
        """Watch until stopped, reconnecting after each fault."""
        pause_seconds = 0.5
        while not self._stopping.is_set():
            if self._has_watched():
                pause_seconds = 0.5
            else:
                self._stopping.wait(pause_seconds)
                pause_seconds = min(10.0, pause_seconds * 2)

    def _has_watched(self) -> bool:
        """Watch until stopped or until a fault; tell whether there was none."""
        try:
            self._watch()
        except Exception:
            return False
        finally:
            self.is_watching = False
            connections[self.using].close()
        return True

    def _watch(self) -> None:
        raise NotImplementedError
