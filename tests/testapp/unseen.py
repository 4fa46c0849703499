"""A module that no process imports by itself: only a signed row may."""

from __future__ import annotations

from django_taskstore.backends import task


@task()
def wanted():
    """Return a word."""
    return "wanted"


def helper():
    """Be no task."""
    raise AssertionError("This was never a task.")
