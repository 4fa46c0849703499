"""Every arrow of the state machine against every status, and random walks over it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_taskstore import transitions
from django_taskstore.models import QueuedTask
from django_taskstore.statuses import FINAL, Status
from tests.helpers import add_task, expire, fresh, row_of

pytestmark = pytest.mark.django_db

WORKER = uuid.uuid4()
MINUTE = timedelta(minutes=1)
PAST = datetime(2026, 1, 1, tzinfo=UTC)


def held(rows):
    return transitions.held(rows, claim_seq=1, worker=WORKER)


def rescue_to(status):
    return lambda rows: transitions.rescue(rows, status, claim_seq=1)


#: The arrow, from where it may start, and where it leads. None: the status stays.
ARROWS = {
    "promote": (transitions.promote, {"scheduled"}, "queued"),
    "claim": (
        lambda rows: transitions.claim(rows, worker=WORKER, lease=MINUTE), {"queued"}, "running",
    ),
    "renew": (lambda rows: transitions.renew(held(rows), lease=MINUTE), {"running"}, None),
    "succeed": (
        lambda rows: transitions.finish(held(rows), Status.SUCCESS), {"running"}, "success",
    ),
    "fail": (lambda rows: transitions.finish(held(rows), Status.FAILED), {"running"}, "failed"),
    "end as canceled": (
        lambda rows: transitions.finish(held(rows), Status.CANCELED), {"running"}, "canceled",
    ),
    "retry": (
        lambda rows: transitions.postpone(held(rows), delay=MINUTE, counted=True),
        {"running"},
        "scheduled",
    ),
    "snooze": (
        lambda rows: transitions.postpone(held(rows), delay=MINUTE, counted=False),
        {"running"},
        "scheduled",
    ),
    "release": (lambda rows: transitions.release(held(rows)), {"running"}, "queued"),
    "rescue to its queue": (rescue_to(Status.QUEUED), {"running"}, "queued"),
    "rescue as failed": (rescue_to(Status.FAILED), {"running"}, "failed"),
    "rescue as canceled": (rescue_to(Status.CANCELED), {"running"}, "canceled"),
    "cancel": (transitions.cancel, {"queued", "scheduled", "paused"}, "canceled"),
    "ask to cancel": (transitions.ask_to_cancel, {"running"}, None),
    "pause": (transitions.pause, {"queued", "scheduled"}, "paused"),
    "resume": (transitions.resume, {"paused"}, "queued"),
    "restart": (transitions.restart, {"success", "failed", "canceled"}, "queued"),
}  # fmt: skip


def in_status(status, **columns):
    """Make a row that got into this status the usual way."""
    running = {
        "attempts": 1,
        "claim_seq": 1,
        "claimed_by": WORKER,
        "lease_expires_at": PAST,
        "started_at": PAST,
    }
    usual = {
        "scheduled": {"run_after": PAST},
        "running": running,
        **dict.fromkeys(FINAL, {"completed_at": PAST, "claim_seq": 1, "attempts": 1}),
    }
    return add_task(status=status, **{**usual.get(status, {}), **columns})


@pytest.mark.parametrize("status", Status.values)
@pytest.mark.parametrize("arrow", ARROWS)
def test_an_arrow_starts_where_the_diagram_says_and_nowhere_else(arrow, status):
    move, starts, end = ARROWS[arrow]
    task, bystander = in_status(status), in_status(status)
    before, beside = row_of(task), row_of(bystander)
    changed = move(QueuedTask.all_objects.filter(pk=task.pk))
    after = row_of(task)
    assert row_of(bystander) == beside
    if status in starts:
        assert changed == 1
        assert after["status"] == (end or status)
        assert after["updated_at"] >= before["updated_at"]
    else:
        assert changed == 0
        assert after == before


HELD_ARROWS = ("renew", "succeed", "fail", "end as canceled", "retry", "snooze", "release")


@pytest.mark.parametrize("arrow", HELD_ARROWS)
@pytest.mark.parametrize("other", [{"claim_seq": 2}, {"claimed_by": uuid.uuid4()}])
def test_an_outcome_of_another_claim_changes_nothing(arrow, other):
    task = in_status("running", **other)
    before = row_of(task)
    assert ARROWS[arrow][0](QueuedTask.all_objects.filter(pk=task.pk)) == 0
    assert row_of(task) == before


def columns(task, *names):
    return tuple(row_of(task)[name] for name in names)


def move(arrow, task):
    assert ARROWS[arrow][0](QueuedTask.all_objects.filter(pk=task.pk)) == 1


def test_a_claim_counts_and_leases_by_the_databases_clock():
    task = in_status("queued")
    move("claim", task)
    assert columns(task, "attempts", "claim_seq", "claimed_by") == (1, 1, WORKER)
    started, lease = columns(task, "started_at", "lease_expires_at")
    assert abs((lease - started) - MINUTE) < timedelta(milliseconds=5)


@pytest.mark.parametrize(
    ("arrow", "attempts"),
    [("succeed", 1), ("fail", 1), ("end as canceled", 1), ("retry", 1), ("snooze", 0),
     ("release", 0)],
)  # fmt: skip
def test_what_each_outcome_does_to_the_attempt_and_the_lease(arrow, attempts):
    task = in_status("running")
    move(arrow, task)
    assert columns(task, "attempts", "claim_seq", "lease_expires_at") == (attempts, 1, None)
    ended = columns(task, "status")[0] in FINAL
    assert (columns(task, "completed_at")[0] is not None) == ended
    assert columns(task, "claimed_by") == ((WORKER,) if ended else (None,))


@pytest.mark.parametrize("arrow", ["rescue to its queue", "rescue as failed", "rescue as canceled"])
def test_a_loss_is_counted_apart_from_attempts(arrow):
    task = in_status("running")
    move(arrow, task)
    names = ("attempts", "lost_count", "claim_seq", "claimed_by", "lease_expires_at")
    assert columns(task, *names) == (0, 1, 1, None, None)


def test_a_live_lease_is_not_rescued():
    task = in_status("running", lease_expires_at=timezone.now() + timedelta(minutes=5))
    rows = QueuedTask.all_objects.filter(pk=task.pk)
    assert transitions.rescue(rows, Status.QUEUED, claim_seq=1) == 0
    assert columns(task, "status") == ("running",)


def test_a_rescue_of_a_claim_that_has_been_followed_changes_nothing():
    task = in_status("running", claim_seq=2)
    before = row_of(task)
    assert rescue_to(Status.QUEUED)(QueuedTask.all_objects.filter(pk=task.pk)) == 0
    assert row_of(task) == before


def test_a_row_whose_time_has_not_come_is_not_promoted():
    task = in_status("scheduled", run_after=timezone.now() + timedelta(hours=1))
    assert transitions.promote(QueuedTask.all_objects.filter(pk=task.pk)) == 0


def test_a_paused_row_resumes_into_the_future_as_scheduled():
    task = in_status("paused", run_after=timezone.now() + timedelta(hours=1))
    assert transitions.resume(QueuedTask.all_objects.filter(pk=task.pk)) == 1
    assert columns(task, "status") == ("scheduled",)


def test_a_running_row_is_asked_to_cancel_once():
    task = in_status("running")
    move("ask to cancel", task)
    asked = row_of(task)
    assert asked["cancel_requested_at"] is not None
    assert transitions.ask_to_cancel(QueuedTask.all_objects.filter(pk=task.pk)) == 0
    assert row_of(task) == asked


def test_a_restart_starts_anew_and_keeps_the_fence():
    task = in_status(
        "failed", attempts=3, lost_count=2, claim_seq=5, output={"a": 1}, details="old log",
        claimed_by=WORKER, progress={"done": 1}, cancel_requested_at=PAST,
    )  # fmt: skip
    move("restart", task)
    names = ("attempts", "lost_count", "claim_seq", "claimed_by", "output", "progress",
             "cancel_requested_at", "started_at", "completed_at", "details")  # fmt: skip
    assert columns(task, *names) == (0, 0, 5, None, None, None, None, None, None, "old log")


def test_a_hidden_row_is_not_restarted():
    task = in_status("failed", soft_deleted_at=PAST)
    assert transitions.restart(QueuedTask.all_objects.filter(pk=task.pk)) == 0


@pytest.mark.parametrize("status", Status.values)
def test_soft_delete_hides_all_but_running_rows_and_cancels_what_waits(status):
    task = in_status(status)
    before = row_of(task)
    changed = transitions.soft_delete(QueuedTask.all_objects.filter(pk=task.pk))
    after = row_of(task)
    if status == "running":
        assert (changed, after) == (0, before)
        return
    assert changed == 1
    assert after["status"] == (status if status in FINAL else "canceled")
    assert after["soft_deleted_at"] is not None
    assert after["completed_at"] is not None
    assert transitions.soft_delete(QueuedTask.all_objects.filter(pk=task.pk)) == 0
    assert transitions.restore(QueuedTask.all_objects.filter(pk=task.pk)) == 1
    assert columns(task, "soft_deleted_at") == (None,)
    assert transitions.restore(QueuedTask.all_objects.filter(pk=task.pk)) == 0


@pytest.mark.parametrize("status", sorted(set(Status.values) - set(FINAL)))
def test_a_task_cannot_end_as_something_that_is_no_end(status):
    with pytest.raises(ValueError, match="is not a final status"):
        transitions.finish(QueuedTask.all_objects.none(), Status(status))


LEGAL = {
    (start, end or start) for _, starts, end in ARROWS.values() for start in starts
} | {("paused", "scheduled")}  # fmt: skip
VERBS = [*ARROWS, "soft delete", "restore"]


def step(verb, task):
    """Do one verb on one row as whoever holds it now would; return how many rows changed."""
    rows = QueuedTask.all_objects.filter(pk=task.pk)
    now = fresh(task)
    if verb == "soft delete":
        return transitions.soft_delete(rows)
    if verb == "restore":
        return transitions.restore(rows)
    if verb.startswith("rescue"):
        if now.status == "running":
            expire(task)
        status = {"rescue as failed": "failed", "rescue as canceled": "canceled"}.get(verb)
        return transitions.rescue(rows, Status(status or "queued"), claim_seq=now.claim_seq)
    if verb in HELD_ARROWS:
        mine = transitions.held(rows, claim_seq=now.claim_seq, worker=WORKER)
        return {
            "renew": lambda: transitions.renew(mine, lease=MINUTE),
            "succeed": lambda: transitions.finish(mine, Status.SUCCESS),
            "fail": lambda: transitions.finish(mine, Status.FAILED),
            "end as canceled": lambda: transitions.finish(mine, Status.CANCELED),
            "retry": lambda: transitions.postpone(mine, delay=-MINUTE, counted=True),
            "snooze": lambda: transitions.postpone(mine, delay=-MINUTE, counted=False),
            "release": lambda: transitions.release(mine),
        }[verb]()
    return ARROWS[verb][0](rows)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.sampled_from([*VERBS, "claim", "claim", "restart"]), min_size=5, max_size=25))
def test_no_walk_leaves_the_diagram_or_lowers_the_fence(verbs):
    task = in_status("queued")
    before = row_of(task)
    for verb in verbs:
        changed = step(verb, task)
        after = row_of(task)
        assert changed in (0, 1)
        if verb not in ("soft delete", "restore") and changed:
            assert (before["status"], after["status"]) in LEGAL, (verb, before, after)
        assert after["claim_seq"] == before["claim_seq"] + (verb == "claim" and changed)
        assert after["attempts"] >= 0
        assert (after["status"] == "running") == (after["lease_expires_at"] is not None)
        assert (after["status"] in FINAL) == (after["completed_at"] is not None)
        assert after["soft_deleted_at"] is None or after["status"] in FINAL
        before = after
