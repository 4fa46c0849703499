"""Schedules in the admin: the form and its preview, the list, the verbs, who may do what."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import override_settings
from django.utils import timezone

from django_taskstore.admin.schedule_timing import fields_of
from django_taskstore.models import QueuedTask, Schedule, TaskDefinition
from django_taskstore.scheduler import run_due
from tests.admin_pages import act_url, client_of, definition, said, superuser, url, use, user_with
from tests.schedules import add_schedule, ago, fresh_schedule, make_due

pytestmark = pytest.mark.django_db

SCHEDULES = "django_taskstore_schedule"
VERBS = ("run", "pause", "resume", "skip", "activate", "delete")


@pytest.fixture
def client():
    """Return a client signed in as a superuser."""
    return client_of(superuser())


def entered(**changes):
    """Return what the form sends for a daily schedule, with some fields changed."""
    return {
        "name": "Report",
        "description": "",
        "definition": definition("Noop").pk,
        "queue_name": "",
        "parameters": "{}",
        "starts_now": "on",
        "frequency": "daily",
        "interval": "1",
        "at": "09:00:00",
        "days_of_month": "",
        "recurrence_rule": "",
        "time_zone": "Europe/Sofia",
        "start_at_0": "",
        "start_at_1": "",
        "end_at_0": "",
        "end_at_1": "",
        "max_execution_count": "0",
        "misfire_policy": "coalesce",
        "overlap_policy": "allow",
        **changes,
    }


def add(client, **changes):
    """POST the page that adds a schedule."""
    return client.post(url(f"{SCHEDULES}_add"), entered(**changes), follow=True)


def edit(client, schedule, **changes):
    """POST the page of a schedule."""
    data = entered(name=schedule.name, **changes)
    return client.post(url(f"{SCHEDULES}_change", schedule.pk), data, follow=True)


def test_a_schedule_is_made_from_fields(client):
    response = add(
        client, frequency="weekly", days_of_week=["MO", "TH"], parameters='{"name": "Ann"}'
    )
    assert "was added successfully" in said(response)
    row = Schedule.objects.get()
    assert row.sentence == "Every Monday and Thursday at 09:00, Europe/Sofia"
    assert (row.status, row.parameters, row.next_run_at is None) == (
        "active",
        {"name": "Ann"},
        False,
    )


def test_a_schedule_is_made_from_a_rule_as_a_draft(client):
    data = {"frequency": "", "at": "", "recurrence_rule": "0 9 * * 1-5"}
    client.post(url(f"{SCHEDULES}_add"), {**entered(**data), "starts_now": ""})
    row = Schedule.objects.get()
    assert (row.recurrence_rule, row.status, row.next_run_at) == ("0 9 * * 1-5", "draft", None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"recurrence_rule": "0 9 * * *"}, "but not both"),
        ({"frequency": "", "at": ""}, "Choose how often"),
        ({"frequency": "", "at": "", "recurrence_rule": "FREQ=DAILY;INTERVAL=0"}, "INTERVAL is 0"),
        ({"frequency": "monthly", "days_of_month": "1, x"}, "x is no day"),
        ({"frequency": "monthly", "days_of_month": "32"}, "BYMONTHDAY has 32"),
        ({"frequency": "yearly", "days_of_month": "30", "months_of_year": ["2"]}, "never happens"),
        ({"frequency": "weekly", "days_of_month": "1"}, "BYMONTHDAY has no meaning"),
        ({"frequency": "none", "at": ""}, "needs a start"),
        ({"interval": "-2"}, "INTERVAL is -2"),
        ({"time_zone": "Mars/Olympus"}, "Select a valid choice"),
        ({"queue_name": "two words"}, "two words"),
        ({"parameters": "[1]"}, "Expected a JSON object"),
        ({"end_at_0": "2020-01-01", "end_at_1": "00:00"}, "are over"),
        ({"end_at_0": "1999-01-01", "end_at_1": "00:00"}, "never happens"),
        ({"max_execution_count": "-1"}, "greater than or equal to 0"),
        ({"name": ""}, "This field is required"),
    ],
)
def test_what_cannot_be_is_said_beside_the_field(client, changes, says):
    response = add(client, **changes)
    assert says in response.content.decode()
    assert not Schedule.objects.exists()


def test_the_handlers_form_checks_the_parameters(client):
    add(client, definition=definition("Invite").pk, parameters='{"email": "nobody"}')
    assert not Schedule.objects.exists()
    add(client, definition=definition("Invite").pk, parameters='{"email": "ann@example.com"}')
    assert Schedule.objects.get().parameters == {"email": "ann@example.com"}


def test_the_preview_button_shows_the_next_five_and_saves_nothing(client):
    response = add(client, frequency="weekly", days_of_week=["MO"], _preview="Preview")
    page = response.content.decode()
    assert "Every Monday at 09:00, Europe/Sofia" in page
    assert page.count("<li>Monday 20") == 5
    assert "Please correct" not in page
    assert not Schedule.objects.exists()


def preview(client, **changes):
    """Return the part of the page that shows what an unsaved form comes to."""
    response = client.post(url(f"{SCHEDULES}_preview"), entered(**changes))
    assert response.status_code == 200
    return response.content.decode()


def test_the_preview_of_an_unsaved_form(client):
    tomorrow = timezone.localtime() + timedelta(days=1)
    dates = {"start_at_0": f"{tomorrow:%Y-%m-%d}", "start_at_1": "00:00:00"}
    assert preview(client, **dates).count("<li>") == 5
    twice = preview(client, **dates, max_execution_count="2")
    assert (twice.count("<li>"), "Nothing after that" in twice) == (2, True)
    often = preview(client, frequency="", at="", recurrence_rule="FREQ=SECONDLY;INTERVAL=30")
    assert "less than a minute apart" in often
    assert "INTERVAL is 0" in preview(
        client, frequency="", at="", recurrence_rule="FREQ=DAILY;INTERVAL=0"
    )
    assert not Schedule.objects.exists()


def test_the_preview_shows_a_change_of_the_clock(client):
    rule = "DTSTART;TZID=America/New_York:20260101T023000 RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU"
    page = preview(client, frequency="", at="", recurrence_rule=rule)
    assert "03:30:00 EDT" in page


def test_an_edit_keeps_a_rule_that_says_the_same_and_its_plan(client):
    schedule = add_schedule("FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0", time_zone="Europe/Sofia")
    overdue = ago(timedelta(hours=3))
    make_due(schedule, overdue)
    response = edit(client, schedule, description="For the board.")
    assert "was changed successfully" in said(response)
    row = fresh_schedule(schedule)
    assert (row.description, row.next_run_at) == ("For the board.", overdue)
    assert row.recurrence_rule == "FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0"


def test_an_edit_of_the_rule_plans_anew(client):
    schedule = add_schedule("FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0", time_zone="Europe/Sofia")
    edit(client, schedule, at="10:15:00")
    row = fresh_schedule(schedule)
    assert row.sentence == "Every day at 10:15, Europe/Sofia"
    assert row.next_run_at.minute == 15


def test_a_stale_edit_does_not_undo_a_pause(client, monkeypatch):
    schedule = add_schedule("FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0", time_zone="Europe/Sofia")
    real = Schedule.save

    def paused_just_before(self, *args, **options):
        fresh_schedule(schedule).pause()
        return real(self, *args, **options)

    monkeypatch.setattr(Schedule, "save", paused_just_before)
    edit(client, schedule, description="new")
    assert (fresh_schedule(schedule).status, fresh_schedule(schedule).description) == (
        "inactive",
        "new",
    )


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ("RRULE:FREQ=DAILY;BYSECOND=0;BYMINUTE=0;BYHOUR=9", True),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR", True),
        ("FREQ=MONTHLY;BYMONTHDAY=-1;BYMONTH=1,6", True),
        ("FREQ=HOURLY;BYMINUTE=15;BYSECOND=0", True),
        ("", True),
        ("0 9 * * *", False),
        ("FREQ=SECONDLY", False),
        ("FREQ=DAILY;BYHOUR=9,17", False),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1", False),
        ("DTSTART:20300101T090000Z RRULE:FREQ=DAILY", False),
    ],
)
def test_a_rule_is_shown_in_fields_only_where_they_say_all_of_it(rule, fits):
    assert bool(fields_of(rule, "UTC")) is fits


def test_the_form_of_a_rule_that_was_broken_opens_and_mends_it(client):
    schedule = add_schedule("FREQ=DAILY")
    Schedule.objects.filter(pk=schedule.pk).update(
        recurrence_rule="FREQ=NEVER", status="inactive", error="InvalidRecurrence: NEVER"
    )
    page = client.get(url(f"{SCHEDULES}_change", schedule.pk)).content.decode()
    assert "FREQ=NEVER" in page
    assert "Cannot run" in client.get(url(f"{SCHEDULES}_changelist")).content.decode()
    edit(client, schedule)
    use(client, "resume", schedule, model=SCHEDULES)
    assert (fresh_schedule(schedule).status, fresh_schedule(schedule).error) == ("active", "")


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
