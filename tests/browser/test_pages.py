"""Every page in both colour schemes: readable, without errors, no wider than its window.

TASKSTORE_SCREENSHOTS names a folder to leave pictures of them in.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache

from django_taskstore.models import Queue, QueuedTask, TaskDefinition
from tests.admin_pages import BULK, DASHBOARD, DEFINITIONS, QUEUES, TASKS, WORKERS, act_url, url
from tests.browser import scenery
from tests.browser.marks import one_is_enough

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), one_is_enough]

SCREENSHOTS = os.environ.get("TASKSTORE_SCREENSHOTS")
#: What an operator could not do without help.
SERIOUS = ("serious", "critical")
#: The part of a page that is not Django's.
OURS = "#content"
#: The search field's label is a picture of Django's. Style sheets are not read twice.
OPTIONS = {"preload": False, "rules": {"label-title-only": {"enabled": False}}}


#: Whether a list would have to be scrolled sideways.
CUT_OFF = """
Array.from(document.querySelectorAll("#changelist .results"))
    .some((one) => one.scrollWidth > one.clientWidth)
"""


@pytest.fixture
def pages(operator, add_handler):
    """Fill the store, and return the address of each page by the name of its picture."""
    for handler in scenery.HANDLERS:
        add_handler(handler)
    found = scenery.build(operator)
    cache.clear()
    letter = TaskDefinition.objects.get(alias="shop.WelcomeLetter")
    emails = Queue.objects.get(name="emails")
    failed, running = found["failed"], found["running"]
    waiting = QueuedTask.objects.filter(status="queued").last()
    return {
        "dashboard": url(f"{DASHBOARD}_changelist"),
        "dashboard-week": url(f"{DASHBOARD}_changelist") + "?period=7d",
        "tasks": url(f"{TASKS}_changelist"),
        "tasks-failed": url(f"{TASKS}_changelist") + "?status=failed&queue=emails",
        "tasks-none": url(f"{TASKS}_changelist") + "?q=nothing+like+it",
        "task-failed": url(f"{TASKS}_change", failed.pk),
        "task-running": url(f"{TASKS}_change", running.pk),
        "hidden-values": url(f"{TASKS}_raw", failed.pk),
        "requeue": f"{act_url(TASKS, 'requeue')}?pk={failed.pk}",
        "move": f"{act_url(TASKS, 'move')}?pk={waiting.pk}",
        "act-on-all": url(f"{TASKS}_act_on_all", "requeue") + "?list_query=status%3Dfailed",
        "bulk-operation": url(f"{BULK}_change", found["operation"].pk),
        "bulk-operation-here": url(f"{BULK}_change", found["lonely"].pk),
        "bulk-operations": url(f"{BULK}_changelist"),
        "enqueue": f"{url(f'{TASKS}_add')}?definition={letter.pk}",
        "enqueue-choose": url(f"{TASKS}_add"),
        "definitions": url(f"{DEFINITIONS}_changelist"),
        "definition": url(f"{DEFINITIONS}_change", letter.pk),
        "queues": url(f"{QUEUES}_changelist"),
        "queue": url(f"{QUEUES}_change", emails.pk),
        "definition-cancel": f"{act_url(DEFINITIONS, 'cancel')}?pk={letter.pk}",
        "pause": f"{act_url(QUEUES, 'pause')}?pk={Queue.objects.get(name='default').pk}",
        "workers": url(f"{WORKERS}_changelist"),
        "worker": url(f"{WORKERS}_change", found["worker"].pk),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_page_is_readable_and_fits(signed_in, live_server, pages, scheme):
    page, problems = signed_in, {}
    page.emulate_media(color_scheme=scheme)
    axe = Axe()

    for name, address in pages.items():
        page.goto(live_server.url + address)
        found = [
            f"{one['id']}: {node['html'][:160]}"
            for one in axe.run(page, OURS, OPTIONS).response["violations"]
            if one["impact"] in SERIOUS
            for node in one["nodes"]
        ]
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if wide > 0:
            found.append(f"{wide} px wider than the window")
        if page.evaluate(CUT_OFF):
            found.append("its list is wider than its place")
        if SCREENSHOTS:
            target = Path(SCREENSHOTS) / f"{name}-{scheme}.png"
            tall = page.evaluate("document.documentElement.scrollHeight")
            clip = {"x": 0, "y": 0, "width": 1280, "height": min(tall, 1400)}
            page.screenshot(path=str(target), full_page=True, clip=clip)
        if found:
            problems[name] = found

    assert problems == {}, json.dumps(problems, indent=1)


def test_each_page_fits_a_telephone(signed_in, live_server, pages):
    page, problems = signed_in, {}
    page.set_viewport_size({"width": 390, "height": 844})

    for name, address in pages.items():
        page.goto(live_server.url + address)
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if wide > 0:
            problems[name] = wide
        if SCREENSHOTS and name in ("dashboard", "tasks", "task-failed"):
            target = Path(SCREENSHOTS) / f"{name}-narrow.png"
            clip = {"x": 0, "y": 0, "width": 390, "height": 1400}
            page.screenshot(path=str(target), full_page=True, clip=clip)

    assert problems == {}


def test_a_language_from_right_to_left_fits_too(signed_in, live_server, pages, settings):
    settings.LANGUAGE_CODE = "ar"
    page = signed_in

    for name in ("dashboard", "tasks", "task-failed", "queues"):
        page.goto(live_server.url + pages[name])
        assert page.evaluate("document.documentElement.dir") == "rtl"
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, name


def test_pages_work_without_scripts(browser_without_scripts, live_server, pages):
    page = browser_without_scripts

    for address in pages.values():
        page.goto(live_server.url + address)
        assert page.locator("#content").is_visible()
        assert not page.locator("[data-ts-state]").is_visible()
