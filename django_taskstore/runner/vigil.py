"""When an idle runner looks again.

Owns `Vigil`: how long to sleep, shortened by wake-ups. It sleeps and looks at nothing
itself.
"""

from __future__ import annotations

import time

from django_taskstore.notifier import WINDOW_SECONDS
from django_taskstore.watchers import Sought, Watcher

#: Without a watcher the looks grow rarer from the first to the second of these, so that work
#: that follows on work starts soon and an idle worker costs little.
SHORTEST_SECONDS = 0.01
LONGEST_SECONDS = 0.1
#: How late a delayed task may be that another process enqueued, and how late a pause is seen,
#: where nobody tells of it.
UNTOLD_SECONDS = 1.0


class Vigil:
    """The rhythm of one runner's looks.

    Args:
        poll_seconds: the longest sleep.
    """

    def __init__(self, poll_seconds: float) -> None:
        self.poll_seconds = poll_seconds
        self.watcher: Watcher | None = None
        self._short_seconds = SHORTEST_SECONDS
        self._looked_at = 0.0
        self._again_at = 0.0
        self._is_full = False

    def woken(self, *, fully: bool) -> None:
        """Take a wake-up, and plan one more look for when the senders' window is over.

        A wake-up within WINDOW_SECONDS of another is not sent: what it would have told of
        was committed before that second look.

        Args:
            fully: whether anything may have changed, not only a queue that got work.
        """
        self._again_at = time.monotonic() + WINDOW_SECONDS
        self._is_full = self._is_full or fully

    def begin(self) -> bool:
        """Note that a look begins; return whether it should read everything afresh."""
        self._looked_at = time.monotonic()
        is_full = self._is_full
        if self._looked_at >= self._again_at:
            self._is_full = False
        return is_full

    def learn(self, *, found: bool, sought: Sought | None) -> None:
        """Note whether a look found work, and what it would have claimed if it found nothing."""
        longer = min(LONGEST_SECONDS, self._short_seconds * 2)
        self._short_seconds = SHORTEST_SECONDS if found else longer
        if self.watcher is not None:
            self.watcher.seek(sought)

    @property
    def is_watched(self) -> bool:
        """Whether somebody will wake this runner when there is something new."""
        return self.watcher is not None and self.watcher.is_watching

    @property
    def is_told_all(self) -> bool:
        """Whether it will be woken for pauses and due times too."""
        return self.watcher is not None and self.is_watched and self.watcher.hears_all

    @property
    def _longest_seconds(self) -> float:
        return self.poll_seconds if self.is_told_all else min(self.poll_seconds, UNTOLD_SECONDS)

    def nap_seconds(self) -> float:
        """Return how long to sleep when there is nothing to do."""
        longest = self._longest_seconds
        if not self.is_watched:
            longest = min(longest, self._short_seconds)
        if self._looked_at >= self._again_at:
            return longest
        return min(longest, max(0.0, self._again_at - time.monotonic()))

    def due_nap_seconds(self, due_in_seconds: float | None) -> float:
        """Return when to look at due times again.

        Args:
            due_in_seconds: until the next known one; None when there is none.
        """
        longest = self._longest_seconds
        return longest if due_in_seconds is None else min(longest, max(due_in_seconds, 0.01))
