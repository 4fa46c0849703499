"""Nothing a task or a definition says can run in an operator's browser."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.utils import timezone

import django_taskstore
from django_taskstore.models import (
    BulkOperation,
    Queue,
    QueuedTask,
    TaskAttempt,
    TaskDefinition,
    Worker,
)
from tests.admin_pages import (
    BULK,
    DASHBOARD,
    DEFINITIONS,
    QUEUES,
    TASKS,
    WORKERS,
    act_url,
    client_of,
    superuser,
    url,
)

TEMPLATES = Path(django_taskstore.__file__).parent / "templates"
MARK = "ts-attack"
CORPUS = [
    f"<script>alert('{MARK}')</script>",
    f"\"><img src=x onerror=alert('{MARK}')>",
    f"'><svg/onload=alert('{MARK}')>",
    f"</pre></textarea></title><script id={MARK}></script>",
    f"javascript:alert('{MARK}')",
    f"{{{{ {MARK} }}}}{{% debug %}}%(x)s {{0}}",
    f"&lt;script id={MARK}&gt;",
    f"\u202e<a href=javascript:{MARK}>\u0085",
]


def poisoned(text):
    """Make one row of each kind that says the text wherever a text may be."""
    row = TaskDefinition.objects.create(alias=text, title=text, description=text, memo=text)
    values = {text: text, "list": [text, {text: text}]}
    task = QueuedTask.objects.create(
        definition=row,
        parameters=values,
        status="failed",
        attempts=1,
        output=values,
        details=text,
        progress={"done": text, "total": text, "message": text},
        metadata=values,
    )
    QueuedTask.objects.filter(pk=task.pk).update(queue_name=text)
    TaskAttempt.objects.create(
        queued_task=task,
        claim_seq=1,
        number=1,
        outcome="failed",
        exception_class=text,
        message=text,
        traceback=text,
    )
    queue = Queue.objects.create(
        name=text, paused_at=timezone.now(), paused_by=text, pause_reason=text
    )
    now = timezone.now()
    worker = Worker.objects.create(
        host=text, pid=1, queues=[text], concurrency=1, started_at=now, heartbeat_at=now
    )
    operation = BulkOperation.objects.create(
        verb=text[:16],
        selection={text: text},
        options={text: text},
        asked_by=text,
        last_id=1,
        first_refusal=text,
    )
    LogEntry.objects.create(
        user=get_user_model().objects.get_or_create(username=text)[0],
        content_type=ContentType.objects.get_for_model(queue),
        object_id=str(queue.pk),
        object_repr=text,
        action_flag=CHANGE,
        change_message=text,
    )
    return row, task, queue, worker, operation


def pages_of(row, task, queue, worker, operation):
    """Return each page that shows one of the rows."""
    found = urlencode({"q": row.alias})
    return [
        url("index"),
        url(f"{DASHBOARD}_changelist"),
        f"{url(f'{DASHBOARD}_changelist')}?{urlencode({'queue': row.alias, 'period': row.alias})}",
        url(f"{DASHBOARD}_live"),
        url(f"{TASKS}_changelist"),
        f"{url(f'{TASKS}_changelist')}?{found}",
        f"{url(f'{TASKS}_changelist')}?{urlencode({'queue': row.alias, 'status': row.alias})}",
        f"{url(f'{TASKS}_act_on_all', 'restart')}?{urlencode({'list_query': found})}",
        url(f"{TASKS}_live", task.pk),
        url(f"{TASKS}_raw", task.pk),
        url(f"{BULK}_changelist"),
        url(f"{BULK}_change", operation.pk),
        url(f"{BULK}_live", operation.pk),
        url(f"{QUEUES}_history", queue.pk),
        url(f"{TASKS}_change", task.pk),
        url(f"{TASKS}_history", task.pk),
        url(f"{TASKS}_add"),
        f"{url(f'{TASKS}_add')}?definition={row.pk}",
        f"{act_url(TASKS, 'requeue')}?pk={task.pk}",
        f"{act_url(TASKS, 'restart')}?pk={task.pk}",
        url(f"{DEFINITIONS}_changelist"),
        url(f"{DEFINITIONS}_change", row.pk),
        f"{act_url(DEFINITIONS, 'cancel')}?pk={row.pk}",
        url(f"{QUEUES}_changelist"),
        url(f"{QUEUES}_change", queue.pk),
        f"{act_url(QUEUES, 'resume')}?pk={queue.pk}",
        url(f"{WORKERS}_changelist"),
        url(f"{WORKERS}_change", worker.pk),
    ]


class Elements(HTMLParser):
    """Every element of a page, and the text inside its scripts."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.in_script = ""
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag):
        self._open = ""

    def handle_data(self, data):
        if self._open == "script":
            self.in_script += data


def assert_harmless(text):
    """Check that a page has no element, handler or link that came out of a row."""
    page = Elements(text)
    assert len(page.found) > 3
    for tag, attributes in page.found:
        assert not [name for name in attributes if name.startswith("on")], attributes
        for name in ("href", "src", "action"):
            address = (attributes.get(name) or "").strip().lower()
            assert not address.startswith("javascript:"), attributes
        assert attributes.get("id") != MARK
        if tag == "script":
            assert attributes.get("src") or attributes.get("type") == "application/json"
    assert MARK not in page.in_script


@pytest.mark.django_db
@pytest.mark.parametrize("text", CORPUS)
def test_no_text_becomes_markup(text):
    cache.clear()
    rows = poisoned(text)
    client = client_of(superuser())
    task = rows[1]

    for address in pages_of(*rows):
        response = client.get(address)
        assert response.status_code == 200, address
        assert_harmless(response.content.decode())
    QueuedTask.objects.filter(pk=task.pk).update(status="queued")
    response = client.get(url(f"{TASKS}_change", task.pk))
    assert_harmless(response.content.decode())
    response = client.post(
        f"{url(f'{TASKS}_add')}?definition={rows[0].pk}",
        {"parameters": json.dumps({"a": text}), "queue_name": text, "priority": "0"},
    )
    assert_harmless(response.content.decode())
    response = client.post(
        act_url(TASKS, "requeue"), {"pk": task.pk, "parameters": text, "queue_name": text}
    )
    assert_harmless(response.content.decode())
    response = client.post(act_url(TASKS, "cancel"), {"pk": task.pk, "list_query": text})
    assert response["Location"].startswith(url(f"{TASKS}_changelist"))


@pytest.mark.django_db
def test_the_message_of_an_enqueue_is_escaped():
    row = TaskDefinition.objects.create(alias="a", title=CORPUS[1])
    client = client_of(superuser())

    response = client.post(
        f"{url(f'{TASKS}_add')}?definition={row.pk}",
        {"parameters": "{}", "queue_name": "emails", "priority": "0"},
        follow=True,
    )

    assert QueuedTask.objects.exists()
    assert_harmless(response.content.decode())


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_templates_are_clean_under_a_strict_policy(path):
    text = path.read_text()

    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"\son[a-z]+\s*=", text)
    assert not re.search(r"<style\b", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert "|safe" not in text
    assert "autoescape off" not in text


@pytest.mark.django_db
def test_pages_have_no_inline_style_of_ours():
    rows = poisoned("plain")
    client = client_of(superuser())

    for address in pages_of(*rows):
        page = client.get(address).content.decode()
        elements = Elements(page.rpartition('id="content"')[2]).found
        assert elements
        assert not [one for one in elements if "style" in one[1] or one[0] == "style"], address


def test_the_package_marks_nothing_safe():
    folder = Path(django_taskstore.__file__).parent / "admin"

    assert not [path for path in folder.rglob("*.py") if "mark_safe" in path.read_text()]
