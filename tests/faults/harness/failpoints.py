"""Ending a worker at a commit: before it, after it and before anything else, or on the way.

Owns the points. They are found by what a transaction writes, in Django's cursor and
connection, so that they stay where they are however the product is arranged. Used only in
a process that `entry` started.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

QUEUE = re.compile(
    r"(INSERT INTO|UPDATE|STRAIGHT_JOIN)\s+[`\"]?django_taskstore_queuedtask\b", re.IGNORECASE
)
RAISES_CLAIM = re.compile(r"claim_seq[`\"]?\s*=\s*\(?[\w.`\"]*claim_seq[`\"]?\s*\+")

#: What each kind of transaction writes: the first that fits gives a statement its kind.
KINDS: dict[str, Callable[[str], bool]] = {
    "enqueue": lambda sql: sql.lstrip("( ").upper().startswith("INSERT"),
    "claim": lambda sql: bool(RAISES_CLAIM.search(sql)),
    "rescue": lambda sql: bool(re.search(r"lost_count[`\"]?\s*=\s*\(?[\w.`\"]*lost_count", sql)),
    "outcome": lambda sql: "completed_at" in sql,
    "release": lambda sql: bool(re.search(r"attempts[`\"]?\s*=\s*\(?[\w.`\"]*attempts", sql)),
    "retry": lambda sql: "run_after" in sql.partition("WHERE")[0],
    "renew": lambda sql: "lease_expires_at" in sql.partition("WHERE")[0],
    "promote": lambda sql: "run_after" in sql.partition("WHERE")[2],
}


def kind_of(sql):
    """Return what a statement does to the queue's table, or None."""
    text = str(sql)
    if not QUEUE.search(text):
        return None
    return next((kind for kind, fits in KINDS.items() if fits(text)), None)


def arm(point):
    """Kill this process at a point.

    Args:
        point: "claim.before", "claim.after" and so on, for each of `KINDS`: before or after
            the commit; "claim.inside" dies in the open transaction, behind the statement; ":3"
            behind it waits for the third time.
    """
    name, _, nth = point.partition(":")
    kind, moment = name.split(".")
    assert kind in KINDS, point
    assert moment in ("before", "inside", "after"), point
    left = [int(nth or 1)]

    def reached(seen, now):
        if kind in seen and moment == now:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    watch_statements(reached)
    watch_commits(reached)


def watch_statements(reached):
    """Tell of each statement that commits by itself; remember those that wait for a COMMIT."""

    def watched(original):
        def execute(self, sql, *args, **options):
            kind = kind_of(sql)
            if kind is None:
                return original(self, sql, *args, **options)
            if self.db.in_atomic_block:
                self.db.__dict__.setdefault("_fault_kinds", set()).add(kind)
                result = original(self, sql, *args, **options)
                reached({kind}, "inside")
                return result
            reached({kind}, "before")
            result = original(self, sql, *args, **options)
            # SQLite commits a statement with RETURNING once its rows have been read.
            self.__dict__["_fault_kind"] = kind
            if "RETURNING" not in sql:
                reached({self.__dict__.pop("_fault_kind")}, "after")
            return result

        return execute

    def leave(self, *error):
        left(self, *error)
        if kind := self.__dict__.pop("_fault_kind", None):
            reached({kind}, "after")

    left = CursorWrapper.__exit__
    CursorWrapper.__exit__ = leave
    CursorWrapper.execute = watched(CursorWrapper.execute)
    CursorWrapper.executemany = watched(CursorWrapper.executemany)


def watch_commits(reached):
    """Tell of each COMMIT with the kinds of what its transaction wrote."""

    def watched(original, *, commits):
        def end(self):
            kinds = self.__dict__.pop("_fault_kinds", set())
            if commits:
                reached(kinds, "before")
            original(self)
            if commits:
                reached(kinds, "after")

        return end

    BaseDatabaseWrapper.commit = watched(BaseDatabaseWrapper.commit, commits=True)
    BaseDatabaseWrapper.rollback = watched(BaseDatabaseWrapper.rollback, commits=False)
