"""Every page that a link leads to: it opens, changes nothing, costs little and runs nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from urllib.parse import urljoin

import pytest
from django.contrib.admin.models import LogEntry
from django.core.cache import cache
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_taskstore import enqueue
from django_taskstore.claims import claim_next
from django_taskstore.models import (
    BulkOperation,
    Queue,
    QueuedTask,
    TaskAttempt,
    TaskDefinition,
    TaskStat,
    Worker,
)
from django_taskstore.outcomes import fail
from django_taskstore.rollups import start_of
from tests.admin.test_safety import assert_harmless
from tests.admin_pages import client_of, superuser, task_with_status, text_of, url

pytestmark = pytest.mark.django_db

#: Pages that are not ours, or that end the crawl.
ELSEWHERE = re.compile(
    r"/admin/(logout|password_change|jsi18n|auth|django_taskstore/\w+/autocomplete)"
)
MOST_PAGES = 250
MOST_QUERIES = 12


def a_bit_of_everything():
    """Make rows of each kind and status."""
    for error in (ValueError("no"), KeyError("yes")):
        enqueue("Failing", {"message": "no", "password": "hunter2"}, queue_name="emails")
        fail(claim_next("emails"), error)
    for status in ("queued", "scheduled", "running", "success", "canceled", "paused"):
        task_with_status(status, started_at=timezone.now(), max_attempts=3, attempts=2)
    task_with_status("success", soft_deleted_at=timezone.now())
    Queue.objects.get(name="emails").pause(by="ann", reason="SMTP is down")
    now = timezone.now()
    for age in (timedelta(0), timedelta(hours=3)):
        Worker.objects.create(
            host="web01",
            pid=1,
            queues=["default"],
            concurrency=4,
            started_at=now - age,
            heartbeat_at=now - age,
        )
    BulkOperation.objects.create(verb="restart", last_id=3, selection={"status": "failed"})
    for span in TaskStat.Span:
        TaskStat.objects.create(
            span=span,
            starts_at=start_of(span, now),
            queue_name="default",
            definition_id=1,
            measure="succeeded",
            n=5,
        )


def everything():
    """Return all rows of the app and the history."""
    managers = (
        QueuedTask.all_objects,
        TaskDefinition.all_objects,
        TaskAttempt.objects,
        Queue.objects,
        Worker.objects,
        BulkOperation.objects,
        TaskStat.objects,
        LogEntry.objects,
    )
    return [list(manager.order_by("pk").values()) for manager in managers]


def links_of(address, text):
    """Return the addresses that a page leads to, forms with GET included."""
    found = re.findall(r'(?:href|data-ts-url)="([^"]+)"', text)
    whole = (urljoin(address, unescape(one)).partition("#")[0] for one in found)
    return {one for one in whole if one.startswith("/admin/") and not ELSEWHERE.match(one)}


def crawl(client):
    """Yield (address, response, statements) of each page that links lead to from the first one."""
    waiting, seen = [url("index")], set()
    while waiting and len(seen) < MOST_PAGES:
        address = waiting.pop(0)
        if address in seen:
            continue
        seen.add(address)
        cache.clear()
        with CaptureQueriesContext(connection) as queries:
            response = client.get(address)
            text = text_of(response)
        yield address, response, [query["sql"] for query in queries]
        if response.status_code == 200 and "html" in response["Content-Type"]:
            waiting += sorted(links_of(address, text) - seen)


def test_every_link_opens_costs_little_and_changes_nothing():
    a_bit_of_everything()
    client = client_of(superuser())
    before, dear, pages = everything(), {}, 0

    for address, response, statements in crawl(client):
        assert response.status_code in (200, 302), (address, response.status_code)
        assert_harmless_page(response)
        pages += 1
        if len(statements) > MOST_QUERIES and "/django_taskstore/" in address:
            dear[address] = len(statements)
        assert not [sql for sql in statements if sql.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert pages > 60
    assert dear == {}
    assert everything() == before


def assert_harmless_page(response):
    """Check that a page has nothing inline."""
    text = text_of(response)
    if response.status_code == 200 and "html" in response["Content-Type"]:
        assert_harmless(text)


@override_settings(ROOT_URLCONF="tests.other_site_urls")
def test_a_custom_site_leads_to_its_own_pages_only():
    a_bit_of_everything()
    client = client_of(superuser())

    waiting, seen = ["/desk/"], set()
    while waiting:
        address = waiting.pop()
        seen.add(address)
        response = client.get(address)
        assert response.status_code in (200, 302), address
        text = text_of(response)
        found = re.findall(r'(?:href|action|data-ts-url)="(/[^"]*)"', text)
        for one in (unescape(link).partition("#")[0] for link in found):
            assert one == "/" or one.startswith(("/desk/", "/static/")), (address, one)
            is_ours = one.startswith("/desk/django_taskstore/") and "?" not in one
            if is_ours and one not in seen and one not in waiting and len(seen) < 60:
                waiting.append(one)
    assert len(seen) > 20
