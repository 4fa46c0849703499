"""Rows that another session holds: what names others does not wait for them."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test import skipUnlessDBFeature

from django_taskstore import claims, enqueue_many
from django_taskstore.database.transactions import writing
from django_taskstore.models import QueuedTask
from django_taskstore.outcomes import Outcome, record
from django_taskstore.purging import purge
from django_taskstore.statuses import Ending
from tests.faults.harness.servers import lock

pytestmark = [pytest.mark.django_db(transaction=True)]

#: Who waits for a lock gives up soon, so that a wait is a failure and not a long test.
IMPATIENT = {
    "postgresql": "SET lock_timeout = '300ms'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
}
#: The planner of a small table takes other ways than that of a large one.
sizes = pytest.mark.parametrize("size", [4, 6, 60])


def taken(size):
    """Claim some tasks, on a connection that will not wait for locks."""
    enqueue_many("Noop", [{} for _ in range(size)])
    with writing("default"):
        mine = claims.claim(
            "default", limit=size, worker=uuid.uuid4(), lease_seconds=60, using="default"
        )
    with connection.cursor() as cursor:
        cursor.execute(IMPATIENT[connection.vendor])
    return mine


def locked(claim):
    """Hold a task's row from another session."""
    return lock(f"SELECT id FROM django_taskstore_queuedtask WHERE id = {claim.id} FOR UPDATE")


@skipUnlessDBFeature("has_select_for_update_skip_locked")
@pytest.mark.parametrize("texts", [{}, {"output": 1}, {"details": "text"}], ids=str)
@sizes
def test_outcomes_wait_for_no_row_that_they_do_not_name(size, texts):
    first, *others = taken(size)
    with locked(first), writing("default"):
        outcomes = [Outcome(claim, Ending.SUCCEEDED, **texts) for claim in others[:3]]
        assert record(outcomes, "default") == outcomes


@skipUnlessDBFeature("has_select_for_update_skip_locked")
@sizes
def test_what_is_released_waits_for_no_row_that_it_does_not_name(size):
    first, *others = taken(size)
    with locked(first), writing("default"):
        outcomes = [Outcome(claim, Ending.RELEASED) for claim in others[:3]]
        assert record(outcomes, "default") == outcomes


@skipUnlessDBFeature("has_select_for_update_skip_locked")
@sizes
def test_a_renewal_steps_over_a_locked_row_and_calls_nothing_lost(size):
    mine = taken(size)
    rows = QueuedTask.objects.in_bulk()
    with locked(mine[0]):
        renewal = claims.renew(mine, lease_seconds=600)
        assert renewal.lost == frozenset()
        for claim in mine:
            later = fresh_lease(claim) - rows[claim.id].lease_expires_at
            assert later > timedelta(seconds=500) or claim is mine[0]
            assert later == timedelta() or claim is not mine[0]


@skipUnlessDBFeature("has_select_for_update_skip_locked")
def test_locking_tells_what_is_locked_from_what_is_gone():
    mine = taken(4)
    QueuedTask.objects.filter(pk=mine[1].id).update(status="success")
    QueuedTask.all_objects.filter(pk=mine[1].id).delete()
    with locked(mine[0]), writing("default"):
        assert claims.lock(mine) == [mine[0]]


def fresh_lease(claim):
    """Read when a task's lease ends."""
    return QueuedTask.objects.values_list("lease_expires_at", flat=True).get(pk=claim.id)


@skipUnlessDBFeature("has_select_for_update_skip_locked")
def test_a_purge_steps_over_a_locked_row():
    finished = taken(60)[:6]
    with writing("default"):
        record([Outcome(claim, Ending.SUCCEEDED) for claim in finished], "default")
    with locked(finished[0]):
        removed = list(purge("default", status="success", older_than=timedelta(days=-1)))
    assert removed == [5]
    assert QueuedTask.all_objects.with_status("success").get().pk == finished[0].id
