"""The fixture for pytest, for those who ask for it.

In a project's ``conftest.py``: ``pytest_plugins = ["django_taskstore.testing.pytest_plugin"]``.
It needs pytest-django.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from django_taskstore import testing


@pytest.fixture
def taskstore(db: None) -> SimpleNamespace:  # noqa: ARG001 - what is queued is in the database
    """Return ``run``, ``run_schedules``, ``assert_enqueued``, ``captured_enqueues``, ``travel``."""
    return SimpleNamespace(
        run=testing.run_queued_tasks,
        run_schedules=testing.run_schedules,
        assert_enqueued=testing.assert_enqueued,
        captured_enqueues=testing.captured_enqueues,
        travel=testing.travel,
    )
