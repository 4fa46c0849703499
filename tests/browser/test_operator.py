"""An operator at three in the morning, with a real browser and a real worker."""

from __future__ import annotations

import json

import pytest
from django.core.cache import cache
from django.test import override_settings
from playwright.sync_api import expect

from django_taskstore import enqueue, enqueue_many
from django_taskstore.models import Queue, QueuedTask, TaskDefinition
from tests.admin_pages import DASHBOARD, QUEUES, TASKS, status_of, task_with_status, url
from tests.browser.marks import one_is_enough
from tests.helpers import fresh, wait_until, workers
from tests.plans import multiply

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

OFTEN = override_settings(TASKSTORE={"ADMIN_CACHE_SECONDS": 0.2})


@pytest.fixture
def home(signed_in, live_server):
    """Open the dashboard with its shortest interval."""
    cache.clear()
    signed_in.goto(live_server.url + url(f"{DASHBOARD}_changelist"))
    signed_in.select_option("[data-ts-interval]", "2")
    return signed_in


def tile(page, name):
    """Return the number of a tile."""
    return page.locator(".ts-tile", has_text=name).locator(".ts-number")


@OFTEN
def test_the_dashboard_follows_a_real_worker(home):
    enqueue_many("Noop", [{}] * 30)
    expect(tile(home, "Queued")).to_have_text("30", timeout=15_000)
    expect(home.locator(".ts-warning")).to_contain_text("no worker serves it", timeout=15_000)

    with workers(1):
        expect(tile(home, "Queued")).to_have_text("0", timeout=30_000)
        expect(tile(home, "Workers")).to_have_text("1", timeout=30_000)
        expect(home.locator(".ts-warning")).to_have_count(0, timeout=30_000)
        expect(tile(home, "Succeeded in 24 h")).to_have_text("30", timeout=30_000)


@OFTEN
def test_a_running_task_is_watched_and_canceled(signed_in, live_server, ledger):
    page, task = signed_in, enqueue("PatientLedger", {"seconds": 120})
    with workers(1, ledger=ledger):
        wait_until(lambda: status_of(task) == "running", what="the task to start")
        page.goto(live_server.url + url(f"{TASKS}_change", task.pk))
        page.select_option("[data-ts-interval]", "2")
        expect(page.locator(".ts-timeline")).to_contain_text("Attempt 1 runs")
        page.click("text=Cancel")
        page.click("input[type=submit][value^=Yes]")
        expect(page.locator(".messagelist")).to_contain_text("1 asked to stop")
        # The page refreshes itself, unless the task has ended before it was shown.
        expect(page.locator("#content .ts-pill.ts-canceled").first).to_be_visible(timeout=30_000)
    assert fresh(task).status == "canceled"


def test_a_requeue_is_compared_first(signed_in, live_server):
    page, old = signed_in, task_with_status("failed", parameters={"name": "Tom", "token": "s3cret"})
    page.goto(live_server.url + url(f"{TASKS}_change", old.pk))
    page.click("text=Requeue as new")
    editor = page.locator("textarea[name=parameters]")
    parameters = json.loads(editor.input_value())
    editor.fill(json.dumps({**parameters, "name": "Ann"}))
    page.click("text=Show the difference")
    expect(page.locator(".ts-added")).to_contain_text("Ann")
    expect(page.locator(".ts-removed")).to_contain_text("Tom")
    page.click("input[type=submit][value^=Yes]")

    expect(page.locator(".messagelist")).to_contain_text("1 requeued")
    new = QueuedTask.objects.get(requeued_from=old)
    assert new.parameters == {"name": "Ann", "token": "s3cret"}


def test_a_queue_is_paused_with_a_reason(home, live_server):
    enqueue("Noop", queue_name="emails")
    home.reload()
    home.locator("tr", has_text="emails").get_by_role("link", name="Pause").click()
    home.fill("input[name=reason]", "The mail server is being moved")
    home.click("input[type=submit][value^=Yes]")

    queue = Queue.objects.get(name="emails")
    assert (queue.paused_by, queue.pause_reason) == ("root", "The mail server is being moved")
    cache.clear()
    home.goto(live_server.url + url(f"{QUEUES}_changelist"))
    expect(home.locator("#result_list")).to_contain_text("The mail server is being moved")


def test_a_task_is_enqueued_by_its_form(signed_in, live_server):
    page = signed_in
    definition = TaskDefinition.objects.get(alias="Invite")
    page.goto(live_server.url + url(f"{TASKS}_add"))
    page.select_option("select[name=definition]", str(definition.pk))
    page.click("input[type=submit][value=Continue]")
    page.fill("input[name=parameters-email]", "ann@example.com")
    page.click("input[type=submit][value=Enqueue]")

    expect(page.locator(".messagelist")).to_contain_text("was put on the queue")
    assert QueuedTask.objects.get(definition=definition).parameters["email"] == "ann@example.com"


@one_is_enough
@OFTEN
def test_refreshing_rests_while_somebody_works_and_says_so(home):
    state = home.locator("[data-ts-age]")
    expect(state).to_contain_text("Updated")
    home.locator(".ts-panel h2").first.select_text()
    expect(state).to_have_text("Paused while you work here")
    enqueue("Noop", {})
    expect(tile(home, "Queued")).to_have_text("0")
    home.evaluate("document.getSelection().removeAllRanges()")
    expect(tile(home, "Queued")).to_have_text("1", timeout=15_000)


@one_is_enough
@OFTEN
def test_an_open_table_stays_open_over_a_refresh(home):
    home.locator("#ts-throughput-table summary").click()
    enqueue("Noop", {})
    expect(tile(home, "Queued")).to_have_text("1", timeout=15_000)
    expect(home.locator("#ts-throughput-table table")).to_be_visible()


@one_is_enough
@OFTEN
def test_a_lost_connection_is_said_and_found_again(home, expected_problems):
    expected_problems.append("net::ERR_FAILED")
    home.route("**/live/**", lambda route: route.abort())
    news = home.locator("[data-ts-news]")
    expect(news).to_have_text("Connection lost, trying again", timeout=15_000)
    home.unroute("**/live/**")
    enqueue("Noop", {})
    expect(tile(home, "Queued")).to_have_text("1", timeout=30_000)
    expect(news).to_have_text("")


@one_is_enough
@OFTEN
def test_a_signed_out_operator_is_told(home, live_server):
    home.context.clear_cookies()
    expect(home.locator("[data-ts-news]")).to_have_text(
        "You were signed out: reload the page", timeout=15_000
    )


@one_is_enough
@OFTEN
def test_a_hidden_tab_asks_for_nothing_until_it_is_seen(home):
    show(home, hidden="true")
    enqueue("Noop", {})
    # Two intervals have passed without a refresh.
    expect(home.locator("[data-ts-age]")).to_have_text("Updated 5 s ago", timeout=15_000)
    expect(tile(home, "Queued")).to_have_text("0")
    show(home, hidden="false")
    expect(tile(home, "Queued")).to_have_text("1", timeout=15_000)


def show(page, *, hidden):
    """Let the page believe that its tab is hidden, or seen again."""
    page.evaluate(
        f"Object.defineProperty(document, 'hidden', {{value: {hidden}, configurable: true}});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )


@one_is_enough
@OFTEN
def test_what_is_typed_into_a_form_survives_a_refresh(signed_in, live_server):
    page, task = signed_in, task_with_status("queued")
    page.goto(live_server.url + url(f"{TASKS}_change", task.pk))
    page.select_option("[data-ts-interval]", "2")
    page.fill("#id_priority", "7")
    assert task.pause()

    expect(page.locator("[data-ts-live]")).to_contain_text("Paused", timeout=15_000)
    assert page.input_value("#id_priority") == "7"


@OFTEN
def test_a_bulk_operation_is_watched_to_its_end(signed_in, live_server):
    task_with_status("failed")
    multiply("failed", 3_000)
    page = signed_in
    page.goto(live_server.url + url(f"{TASKS}_changelist") + "?status=failed")
    page.check("#action-toggle")
    page.click(".actions .question a")
    page.select_option("select[name=action]", "requeue")
    page.click("button[name=index]")
    page.fill("input[name=number]", "3,000")
    page.click("input[type=submit][value^=Yes]")
    expect(page.locator("[data-ts-live]")).to_contain_text("Waiting for a worker")
    page.select_option("[data-ts-interval]", "2")

    with workers(1):
        expect(page.locator("[data-ts-live]")).to_contain_text("Done", timeout=60_000)
    expect(page.locator(".ts-facts")).to_contain_text("3,000")
