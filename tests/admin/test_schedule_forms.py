"""The form of a schedule in the admin: its fields or a rule, its preview, its errors."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from django_taskstore.admin.schedule_timing import fields_of
from django_taskstore.models import Schedule
from tests.admin_pages import SCHEDULES, definition, said, url, use
from tests.schedule_forms import add, edit, entered
from tests.schedules import SLOW_TO_COUNT, add_schedule, ago, fresh_schedule, make_due

pytestmark = pytest.mark.django_db


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
        ({"frequency": "", "at": "", "recurrence_rule": SLOW_TO_COUNT}, "takes too long"),
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
