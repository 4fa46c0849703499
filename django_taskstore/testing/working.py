"""Running what is queued and what is due of schedules, on the test's own thread.

Owns `run_queued_tasks`, `run_schedules` and `drain`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django_taskstore import signals
from django_taskstore.definitions import queue_database
from django_taskstore.models import QueuedTask
from django_taskstore.runner import TaskQueueRunner
from django_taskstore.scheduler import ScheduleRunner
from django_taskstore.testing.enqueues import captured_enqueues

MOST_ROUNDS = 1_000
#: What is sent when an attempt has ended.
ENDS = (
    signals.task_succeeded,
    signals.task_failed,
    signals.task_retried,
    signals.task_canceled,
)


def run_queued_tasks(*queues: str, raising: bool = False) -> list[QueuedTask]:
    """Run what is due, and what that enqueues, until nothing is; return the tasks that ran.

    Args:
        *queues: names; all queues when there is none.
        raising: raise what a task raised when it fails for good, as if it had been called.

    Returns:
        The rows as they are now, in the order in which they first ended.

    Raises:
        RuntimeError: tasks enqueue each other without end.
    """
    ended: list[int] = []
    failures: list[BaseException] = []
    with listening(ended, failures):
        drain(*(queues or ("*",)))
    if raising and failures:
        raise failures[0]
    rows = QueuedTask.all_objects.using(queue_database()).in_bulk(ended)
    return [rows[task_id] for task_id in dict.fromkeys(ended) if task_id in rows]


def run_schedules() -> list[QueuedTask]:
    """Put the tasks of due schedules on their queues; return them, oldest first.

    They wait there: `run_queued_tasks` runs them. An occurrence that `travel` has left behind
    by more than MISFIRE_GRACE_SECONDS is treated as one that was missed.
    """
    runner = ScheduleRunner()
    with captured_enqueues() as tasks:
        runner.set_initial_runs()
        runner.run_once()
    return tasks


@contextmanager
def listening(ended: list[int], failures: list[BaseException]) -> Iterator[None]:
    """Collect the ids of tasks whose attempts end, and the exceptions of those that fail."""

    def note(
        *, signal: Any, task_id: int, exception: BaseException | None = None, **_: Any
    ) -> None:
        ended.append(task_id)
        if signal is signals.task_failed and exception is not None:
            failures.append(exception)

    for signal in ENDS:
        signal.connect(note)
    try:
        yield
    finally:
        for signal in ENDS:
            signal.disconnect(note)


def drain(*queues: str) -> int:
    """Run what is due on these queues, and what that enqueues, until nothing is.

    Args:
        *queues: names, or "*" for all; ``default`` when there is none.

    Returns:
        The number of rounds that had work.

    Raises:
        RuntimeError: tasks enqueue each other without end.
    """
    rounds = 0
    # A fresh runner each time: one knows the queues' names for a second, and a task may have
    # enqueued on a new one.
    while worked := work(TaskQueueRunner(*queues), most=MOST_ROUNDS - rounds):
        rounds += worked
    return rounds


def work(runner: TaskQueueRunner, *, most: int) -> int:
    """Do rounds until one has nothing to do; return how many had."""
    for rounds in range(most):
        if not runner.run_once():
            return rounds
    raise RuntimeError(
        f"Work was still due after {MOST_ROUNDS} rounds: do tasks enqueue each other without end?"
    )
