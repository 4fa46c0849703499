"""Schedules in the admin: the list, the verbs, who may do what."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import override_settings

from django_taskstore.models import QueuedTask, Schedule, TaskDefinition
from django_taskstore.scheduler import run_due
from tests.admin_pages import SCHEDULES, act_url, client_of, said, url, use, user_with
from tests.schedule_forms import add, edit, entered
from tests.schedules import add_schedule, ago, fresh_schedule, make_due

pytestmark = pytest.mark.django_db


VERBS = ("run", "pause", "resume", "skip", "activate", "delete")


def test_the_list_shows_rule_next_run_and_the_last_result(client):
    schedule = add_schedule("0 9 * * 1-5", time_zone="Europe/Sofia", max_execution_count=7)
    since = ago(timedelta(seconds=5))
    make_due(schedule, since)
    run_due("default")
    task = QueuedTask.objects.get()
    QueuedTask.objects.update(status="failed")
    page = client.get(url(f"{SCHEDULES}_changelist")).content.decode()
    assert "Every weekday at 09:00, Europe/Sofia" in page
    assert 'title="0 9 * * 1-5"' in page
    assert url("django_taskstore_queuedtask_change", task.pk) in page
    assert "Failed" in page
    assert "1/7" in page
    detail = client.get(url(f"{SCHEDULES}_change", schedule.pk)).content.decode()
    assert f"#{task.pk}" in detail
    task.delete()
    assert "purged" in client.get(url(f"{SCHEDULES}_changelist")).content.decode()


def test_the_list_costs_the_same_however_many_schedules_there_are(client):
    from tests.helpers import captured_sql

    def statements():
        with captured_sql() as seen:
            assert client.get(url(f"{SCHEDULES}_changelist")).status_code == 200
        return len(seen)

    add_schedule("FREQ=DAILY")
    first = statements()
    for _ in range(10):
        add_schedule("FREQ=HOURLY")
    assert statements() == first


def test_an_overdue_schedule_is_called_late(client):
    make_due(add_schedule("FREQ=DAILY"), ago(timedelta(minutes=10)))
    assert "ts-late" in client.get(url(f"{SCHEDULES}_changelist")).content.decode()


def test_the_verbs(client):
    schedule = add_schedule("FREQ=DAILY")
    planned = schedule.next_run_at
    assert said(use(client, "run", schedule, model=SCHEDULES)) == "1 run"
    assert QueuedTask.objects.get().schedule_id == schedule.pk
    assert said(use(client, "skip", schedule, model=SCHEDULES)) == "1 skipped once"
    assert fresh_schedule(schedule).next_run_at == planned + timedelta(days=1)
    assert said(use(client, "pause", schedule, model=SCHEDULES)) == "1 paused"
    assert "not active" in said(use(client, "pause", schedule, model=SCHEDULES))
    assert said(use(client, "resume", schedule, model=SCHEDULES)) == "1 resumed"
    assert fresh_schedule(schedule).status == "active"
    lines = LogEntry.objects.filter(object_id=str(schedule.pk)).order_by("pk")
    assert [line.change_message for line in lines] == [
        "Run by hand.",
        "Skipped the next occurrence.",
        "Paused.",
        "Resumed.",
    ]
    response = use(client, "delete", schedule, model=SCHEDULES)
    assert said(response) == "1 deleted"
    assert not Schedule.objects.exists()
    assert QueuedTask.objects.count() == 1


def test_activating_what_has_no_future_is_refused_with_the_reason(client):
    past = ago(timedelta(days=2))
    draft = add_schedule("", start_at=past, status="draft")
    assert "no occurrence left" in said(use(client, "activate", draft, model=SCHEDULES))
    assert fresh_schedule(draft).status == "draft"


def test_running_a_canceled_definition_is_refused_with_the_reason(client):
    schedule = add_schedule("FREQ=DAILY")
    TaskDefinition.objects.by_alias("Noop").cancel()
    assert "canceled or deleted" in said(use(client, "run", schedule, model=SCHEDULES))
    assert not QueuedTask.objects.exists()


@pytest.fixture
def in_code():
    """Make a schedule as the mirror of a declaration."""
    schedule = add_schedule("0 9 * * *", name="In code")
    Schedule.objects.filter(pk=schedule.pk).update(declared_by="Noop")
    return fresh_schedule(schedule)


def test_what_code_defines_is_not_edited_or_deleted_but_paused(client, in_code):
    page = client.get(url(f"{SCHEDULES}_change", in_code.pk)).content.decode()
    assert "Defined in code by Noop" in page
    assert 'name="_save"' not in page
    assert edit(client, in_code, description="x").status_code == 403
    assert "defined in code" in said(use(client, "delete", in_code, model=SCHEDULES))
    assert Schedule.objects.filter(pk=in_code.pk).exists()
    assert said(use(client, "pause", in_code, model=SCHEDULES)) == "1 paused"


def test_hidden_parameters_are_not_shown_and_survive_an_edit(client):
    schedule = add_schedule(
        "FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0",
        time_zone="Europe/Sofia",
        parameters={"api_token": "abc123", "name": "Ann"},
    )
    address = url(f"{SCHEDULES}_change", schedule.pk)
    page = client.get(address)
    assert "abc123" not in page.content.decode()
    shown = json.loads(page.context["adminform"].form["parameters"].value())
    edit(client, schedule, parameters=json.dumps({**shown, "name": "Tom"}))
    assert fresh_schedule(schedule).parameters == {"api_token": "abc123", "name": "Tom"}
    viewer = client_of(user_with("view_schedule"))
    assert "abc123" not in viewer.get(address).content.decode()


ROLES = [
    (("view_schedule",), set()),
    (("view_schedule", "run_schedule"), {"run"}),
    (("view_schedule", "pause_schedule"), {"pause", "resume", "skip"}),
    (("change_schedule",), {"activate"}),
    (("view_schedule", "delete_schedule"), {"delete"}),
    ((), set()),
]


@pytest.mark.parametrize(("permissions", "verbs"), ROLES)
def test_each_verb_has_its_permission(permissions, verbs):
    schedule = add_schedule("FREQ=DAILY")
    client = client_of(user_with(*permissions))
    for verb in VERBS:
        answer = client.get(f"{act_url(SCHEDULES, verb)}?pk={schedule.pk}").status_code
        assert answer == (200 if verb in verbs else 403), verb
    may_preview = "change_schedule" in permissions
    answer = client.post(url(f"{SCHEDULES}_preview"), entered()).status_code
    assert answer == (200 if may_preview else 403)
    assert client.get(url(f"{SCHEDULES}_changelist")).status_code == (200 if permissions else 403)


def test_nobody_who_is_not_staff_sees_anything():
    schedule = add_schedule("FREQ=DAILY")
    client = client_of()
    for address in (
        url(f"{SCHEDULES}_changelist"),
        url(f"{SCHEDULES}_change", schedule.pk),
        f"{act_url(SCHEDULES, 'run')}?pk={schedule.pk}",
    ):
        assert client.get(address).status_code == 302
    assert client.post(url(f"{SCHEDULES}_preview"), entered()).status_code == 302


@override_settings(TASKSTORE={"ADMIN_READ_ONLY": True})
def test_a_read_only_admin_shows_and_changes_nothing(client):
    schedule = add_schedule("FREQ=DAILY")
    assert client.get(url(f"{SCHEDULES}_change", schedule.pk)).status_code == 200
    assert add(client).status_code == 403
    for verb in VERBS:
        assert use(client, verb, schedule, model=SCHEDULES).status_code == 403
    assert client.post(url(f"{SCHEDULES}_preview"), entered()).status_code == 403


def test_get_changes_nothing(client):
    schedule = add_schedule("FREQ=DAILY")
    before = list(Schedule.objects.values())
    for verb in VERBS:
        client.get(f"{act_url(SCHEDULES, verb)}?pk={schedule.pk}")
    assert client.get(url(f"{SCHEDULES}_preview")).status_code == 405
    assert list(Schedule.objects.values()) == before


@pytest.mark.parametrize("payload", ["<script>alert(1)</script>", '"><img src=x onerror=y>'])
def test_what_a_row_says_is_escaped(client, payload):
    schedule = add_schedule("FREQ=DAILY", name=payload, description=payload)
    Schedule.objects.filter(pk=schedule.pk).update(error=payload, recurrence_rule=payload)
    for address in (url(f"{SCHEDULES}_changelist"), url(f"{SCHEDULES}_change", schedule.pk)):
        assert payload not in client.get(address).content.decode()
    page = client.post(
        url(f"{SCHEDULES}_preview"), entered(frequency="", at="", recurrence_rule=payload)
    )
    assert payload not in page.content.decode()
