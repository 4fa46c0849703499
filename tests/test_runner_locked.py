"""Outcomes that wait for a lock: when they are tried again, and what is said of them."""

from __future__ import annotations

import pytest

from django_taskstore import claim_next, enqueue
from django_taskstore.outcomes import Outcome
from django_taskstore.runner import locked as locking
from django_taskstore.runner.locked import Locked
from django_taskstore.statuses import Ending

pytestmark = pytest.mark.django_db


@pytest.fixture
def outcome():
    """Return the outcome of a claimed task."""
    enqueue("Noop")
    return Outcome(claim_next(), Ending.SUCCEEDED)


@pytest.fixture
def locked(monkeypatch):
    """Return a place whose outcomes are due again at once."""
    monkeypatch.setattr(locking, "AGAIN_SECONDS", 0.0)
    return Locked()


def lines(caplog):
    return [record.event for record in caplog.records if hasattr(record, "event")]


def test_a_lock_of_a_moment_is_not_worth_a_line(locked, outcome, caplog):
    locked.keep([outcome])
    assert locked.due() == [outcome]
    locked.keep([])
    assert lines(caplog) == []


def test_a_lock_that_lasts_is_told_once(locked, outcome, caplog):
    for _ in range(4):
        locked.keep([outcome])
        assert locked.due() == [outcome]
    assert lines(caplog) == ["row_locked"]


def test_a_second_lock_of_a_moment_is_another_one(locked, outcome, caplog):
    for _ in range(3):
        locked.keep([outcome])
        assert locked.due() == [outcome]
        locked.keep([])
    assert lines(caplog) == []


def test_what_is_kept_is_due_later(outcome):
    kept = Locked()
    kept.keep([outcome])
    assert kept.due() == []
    assert kept.claims() == [outcome.claim]
    assert 0 < kept.pause_seconds <= locking.AGAIN_SECONDS
