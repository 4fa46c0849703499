"""An operator in the admin, with a real browser."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from django_taskstore.claims import claim_next
from django_taskstore.models import QueuedTask
from django_taskstore.outcomes import fail
from django_taskstore.queue import enqueue
from tests.admin_pages import TASKS, status_of, url

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_requeue_a_failed_task_with_other_parameters(signed_in, live_server):
    page, old = signed_in, enqueue("Failing", {"message": "no", "password": "hunter2"})
    fail(claim_next("default"), ValueError("no"))

    page.goto(live_server.url + url(f"{TASKS}_changelist") + "?status=failed")
    page.click("#result_list .field-id a")
    expect(page.locator(".ts-attempts")).to_contain_text("ValueError")
    page.click("text=Requeue as new")
    editor = page.locator("textarea[name=parameters]")
    parameters = json.loads(editor.input_value())
    assert "hunter2" not in page.content()
    editor.fill('{"message": "yes",}')
    page.click("input[type=submit][value^=Yes]")
    expect(page.locator(".errorlist")).to_contain_text("Line 1, column")
    page.locator("textarea[name=parameters]").fill(json.dumps({**parameters, "message": "yes"}))
    page.click("input[type=submit][value^=Yes]")

    expect(page.locator(".messagelist")).to_contain_text("1 requeued")
    new = QueuedTask.objects.get(requeued_from=old)
    assert page.url.endswith(url(f"{TASKS}_change", new.pk))
    assert new.parameters == {"message": "yes", "password": "hunter2"}
    page.goto(live_server.url + url(f"{TASKS}_changelist"))
    expect(page.locator("#result_list")).to_contain_text("Queued")


def test_cancel_a_waiting_task_from_the_list(signed_in, live_server):
    page, task = signed_in, enqueue("HelloWorldTask", {"name": "Tom"})

    page.goto(live_server.url + url(f"{TASKS}_changelist"))
    page.check(f"input.action-select[value='{task.pk}']")
    page.select_option("select[name=action]", "cancel")
    page.click("button[name=index]")
    expect(page.locator("h1", has_text="Cancel")).to_be_visible()
    assert status_of(task) == "queued"
    page.click("input[type=submit][value^=Yes]")

    expect(page.locator(".messagelist")).to_contain_text("1 canceled")
    expect(page.locator("#result_list .ts-canceled")).to_be_visible()
    assert status_of(task) == "canceled"
