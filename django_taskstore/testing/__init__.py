"""Help for the tests of a project that enqueues tasks.

Owns running what is queued and what is due of schedules inside a test, looking at what was
enqueued, and travel in time. All of it works in the test's own thread and transaction, so a
plain `TestCase` serves. The fixture for pytest is in `pytest_plugin`.
"""

from __future__ import annotations

from django_taskstore.testing.clocks import travel
from django_taskstore.testing.enqueues import assert_enqueued, captured_enqueues
from django_taskstore.testing.working import drain, run_queued_tasks, run_schedules

__all__ = [
    "assert_enqueued",
    "captured_enqueues",
    "drain",
    "run_queued_tasks",
    "run_schedules",
    "travel",
]
