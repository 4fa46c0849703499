"""Help for the tests of a project that enqueues tasks.

Owns `drain`. It runs in the test's own thread and transaction, so a plain `TestCase` serves.
"""

from __future__ import annotations

from django_taskstore.runner import TaskQueueRunner

MOST_ROUNDS = 1_000


def drain(*queues: str) -> int:
    """Run what is due on these queues, and what that enqueues, until nothing is.

    Args:
        *queues: names, or "*" for all; ``default`` when there is none.

    Returns:
        The number of rounds that had work.

    Raises:
        RuntimeError: tasks enqueue each other without end.
    """
    runner = TaskQueueRunner(*queues)
    for rounds in range(MOST_ROUNDS):
        if not runner.run_once():
            return rounds
    raise RuntimeError(
        f"Work was still due after {MOST_ROUNDS} rounds: do tasks enqueue each other without end?"
    )
