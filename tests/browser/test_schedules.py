"""Schedules in a real browser: the form's preview, the verbs, and pages that are readable."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from django_taskstore.models import QueuedTask, Schedule, ScheduleRun, TaskDefinition
from django_taskstore.scheduler import run_due
from tests.admin_pages import SCHEDULES, url
from tests.browser.marks import one_is_enough
from tests.browser.test_pages import CUT_OFF, OPTIONS, OURS, SCREENSHOTS, SERIOUS
from tests.schedules import add_schedule, ago, fresh_schedule, make_due

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def press(page, verb):
    """Press a verb's button and confirm it; return the message."""
    page.get_by_role("link", name=verb, exact=True).click()
    page.click("input[type=submit][value^=Yes]")
    return page.locator(".messagelist")


def test_a_schedule_is_made_with_a_preview_and_its_verbs_work(signed_in, live_server):
    page = signed_in
    page.goto(live_server.url + url(f"{SCHEDULES}_add"))
    page.fill("#id_name", "Morning report")
    page.select_option("#id_definition", str(TaskDefinition.objects.get(alias="Noop").pk))
    page.select_option("#id_frequency", "weekly")
    page.get_by_label("Monday").check()
    page.fill("#id_at", "09:00:00")
    page.select_option("#id_time_zone", "Europe/Sofia")
    preview = page.locator("#ts-preview")
    expect(preview).to_contain_text("Every Monday at 09:00, Europe/Sofia")
    expect(preview.locator("li")).to_have_count(5)
    assert not Schedule.objects.exists()

    page.fill("#id_recurrence_rule", "FREQ=DAILY;INTERVAL=0")
    expect(preview).to_contain_text("not both")
    page.fill("#id_recurrence_rule", "")
    expect(preview.locator("li")).to_have_count(5)
    page.click("input[name=_save]")
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")

    schedule = Schedule.objects.get()
    page.goto(live_server.url + url(f"{SCHEDULES}_change", schedule.pk))
    expect(press(page, "Run now")).to_contain_text("1 run")
    assert QueuedTask.objects.get().schedule_id == schedule.pk
    planned = fresh_schedule(schedule).next_run_at
    for verb, says, status in (
        ("Skip next", "skipped", "active"),
        ("Pause", "paused", "inactive"),
        ("Resume", "resumed", "active"),
    ):
        page.goto(live_server.url + url(f"{SCHEDULES}_change", schedule.pk))
        expect(press(page, verb)).to_contain_text(f"1 {says}")
        assert fresh_schedule(schedule).status == status
    assert ScheduleRun.objects.get(result="skipped").occurrence_at == planned


def test_a_schedule_is_changed_from_the_list(signed_in, live_server):
    page, rule = signed_in, "FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0"
    schedule = add_schedule(rule, name="Backup", time_zone="UTC")
    page.goto(live_server.url + url(f"{SCHEDULES}_changelist"))
    page.click("text=Backup")
    preview = page.locator("#ts-preview")
    expect(preview).to_contain_text("Every day at 09:00, UTC")
    page.fill("#id_at", "10:30:00")
    expect(preview).to_contain_text("Every day at 10:30, UTC")
    page.click("input[name=_save]")
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    row = fresh_schedule(schedule)
    assert (row.next_run_at.hour, row.next_run_at.minute) == (10, 30)


@pytest.fixture
def pages():
    """Make schedules of every kind; return the address of each page by the name of its picture."""
    zone = {"time_zone": "Europe/Sofia"}
    weekday = add_schedule("0 9 * * 1-5", name="Morning report", **zone, max_execution_count=250)
    make_due(weekday, ago(timedelta(seconds=5)))
    run_due("default")
    QueuedTask.objects.update(status="success")
    add_schedule("FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR=18", name="Month's end", **zone).pause()
    make_due(add_schedule("FREQ=HOURLY", name="Import of prices"), ago(timedelta(minutes=25)))
    broken = add_schedule("FREQ=DAILY", name="Old rule")
    error = "InvalidRecurrence: FREQ=NEVER is none of the frequencies."
    Schedule.objects.filter(pk=broken.pk).update(status="inactive", error=error)
    code = add_schedule("FREQ=WEEKLY;BYDAY=SU;BYHOUR=3", name="Clean up", **zone)
    Schedule.objects.filter(pk=code.pk).update(declared_by="Noop")
    return {
        "schedules-none": url(f"{SCHEDULES}_changelist") + "?q=nothing",
        "schedules": url(f"{SCHEDULES}_changelist"),
        "schedule": url(f"{SCHEDULES}_change", weekday.pk),
        "schedule-add": url(f"{SCHEDULES}_add"),
        "schedule-in-code": url(f"{SCHEDULES}_change", code.pk),
    }


def ready(page, name):
    """Wait for what a script shows; fill in the form of a new schedule."""
    if name == "schedule-add":
        page.fill("#id_name", "Weekly digest")
        page.select_option("#id_frequency", "weekly")
        page.get_by_label("Monday").check()
        page.fill("#id_at", "08:30:00")
    if name in ("schedule", "schedule-add"):
        expect(page.locator("#ts-preview li")).to_have_count(5)


def faults_of(page):
    """Return what keeps somebody from reading a page."""
    violations = Axe().run(page, OURS, OPTIONS).response["violations"]
    found = [
        f"{one['id']}: {node['html'][:160]}"
        for one in violations
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
    if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
        found.append("wider than the window")
    return found + (["its list is cut off"] if page.evaluate(CUT_OFF) else [])


@one_is_enough
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_schedules_are_readable_and_fit(signed_in, live_server, pages, scheme):
    page, problems = signed_in, {}
    page.emulate_media(color_scheme=scheme)
    for name, address in pages.items():
        page.goto(live_server.url + address)
        ready(page, name)
        if found := faults_of(page):
            problems[name] = found
        if SCREENSHOTS:
            tall = page.evaluate("document.documentElement.scrollHeight")
            clip = {"x": 0, "y": 0, "width": 1280, "height": min(tall, 2400)}
            target = Path(SCREENSHOTS) / f"{name}-{scheme}.png"
            page.screenshot(path=str(target), full_page=True, clip=clip)
    assert problems == {}


@one_is_enough
def test_the_pages_of_schedules_fit_a_telephone(signed_in, live_server, pages):
    page = signed_in
    page.set_viewport_size({"width": 390, "height": 844})
    for name, address in pages.items():
        page.goto(live_server.url + address)
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, name
