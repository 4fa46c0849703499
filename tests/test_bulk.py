"""One verb for every task that matches: what is frozen, the chunks, the stop, the death."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from django_taskstore import bulk, enqueue_many, maintenance
from django_taskstore.claims import claim_next
from django_taskstore.models import BulkOperation, QueuedTask
from django_taskstore.selection import Selection
from tests.admin_pages import TASKS, client_of, said, superuser, task_with_status, url, user_with
from tests.helpers import add_task, expire, fresh, work_until_empty

pytestmark = pytest.mark.django_db(transaction=True)

LIST = f"{TASKS}_changelist"
ALL = f"{TASKS}_act_on_all"


def many(count, **columns):
    """Insert tasks as they are told; return their ids."""
    first = add_task(**columns)
    rows = [QueuedTask(definition=first.definition, **columns) for _ in range(count - 1)]
    QueuedTask.objects.bulk_create(rows, batch_size=500)
    return list(QueuedTask.objects.order_by("pk").values_list("pk", flat=True))


def begin(verb, user=None, **selection):
    """Start an operation on all tasks that are there now."""
    return bulk.start(
        verb,
        Selection(**selection),
        last_id=bulk.newest_id("default"),
        options={},
        asked_by=user or superuser(),
        queue_name="default",
    )


def ask(client, verb, query="", **data):
    """Choose all that match in the list, confirm, and return the last response."""
    response = client.post(
        url(LIST) + query,
        {
            "action": verb,
            "select_across": "1",
            "index": "0",
            "_selected_action": list(QueuedTask.objects.values_list("pk", flat=True)[:1]),
        },
        follow=True,
    )
    page = response.context
    assert page["row_count"], said(response)
    data = {"list_query": page["list_query"], "shown": page["shown"], **data}
    return client.post(url(ALL, verb), data, follow=True)


def test_all_matching_are_requeued_by_a_worker():
    failed = many(1_200, status="failed", parameters={"name": "Tom"})
    succeeded = add_task(status="success")
    user = superuser()
    client = client_of(user)

    began = time.monotonic()
    response = ask(client, "requeue", "?status=failed", queue_name="", number="1,200")
    assert time.monotonic() - began < 10
    operation = BulkOperation.objects.get()
    assert response.redirect_chain[-1][0] == url(
        "django_taskstore_bulkoperation_change", operation.pk
    )
    assert "Waiting for a worker" in response.content.decode()
    later = add_task(status="failed")
    work_until_empty()

    operation.refresh_from_db()
    assert (operation.changed, operation.skipped, operation.refused) == (1_200, 0, 0)
    assert operation.is_over
    sources = QueuedTask.objects.filter(requeued_from__isnull=False)
    assert sorted(sources.values_list("requeued_from_id", flat=True)) == failed
    assert fresh(later).status == "failed"
    assert not sources.filter(requeued_from__in=[later, succeeded]).exists()
    lines = LogEntry.objects.filter(content_type__model="bulkoperation", user=user)
    assert [line.change_message for line in lines.order_by("pk")] == [
        "Asked for: Requeue as new.",
        "Ended: 1200 changed, 0 skipped, 0 refused.",
    ]
    assert "Done" in client.get(url("django_taskstore_bulkoperation_changelist")).content.decode()


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        ("restart", "failed", "queued"),
        ("cancel", "queued", "canceled"),
        ("pause", "queued", "paused"),
        ("resume", "paused", "queued"),
        ("delete", "success", "success"),
        ("purge", "failed", None),
    ],
)
def test_each_verb_moves_all_that_fit(verb, before, after):
    many(30, status=before, queue_name="emails")
    running = add_task(status="running", queue_name="emails")
    other = add_task(status=before, queue_name="other")
    operation = begin(verb, queue_name="emails")

    work_until_empty()

    operation.refresh_from_db()
    asked = verb == "cancel"
    assert (operation.changed, operation.skipped) == (30 + asked, 1 - asked)
    moved = QueuedTask.all_objects.filter(queue_name="emails").exclude(pk=running.pk)
    assert set(moved.values_list("status", flat=True)) == ({after} if after else set())
    assert moved.filter(soft_deleted_at__isnull=False).count() == (30 if verb == "delete" else 0)
    assert fresh(other).status == before


def test_all_matching_are_moved_to_another_queue():
    waiting = many(201, status="queued", queue_name="emails")
    running = add_task(status="running", queue_name="emails")
    client = client_of(superuser())

    ask(client, "move", "?queue=emails", queue_name="letters", priority="7")
    operation = BulkOperation.objects.get()
    assert bulk.advance(operation.pk, "default").is_over

    operation.refresh_from_db()
    assert (operation.changed, operation.skipped) == (201, 1)
    moved = QueuedTask.objects.filter(queue_name="letters", priority=7)
    assert sorted(moved.values_list("pk", flat=True)) == waiting
    assert fresh(running).queue_name == "emails"
    page = client.get(url("django_taskstore_bulkoperation_change", operation.pk))
    assert "letters" in page.content.decode()


def test_a_frozen_filter_survives_storing():
    selection = Selection(
        status="failed",
        queue_name="emails",
        definition_id=3,
        created_since=timezone.now(),
        created_before=timezone.now(),
        worker=None,
        retried=True,
        deleted="all",
        ids=(1, 2),
    )

    assert Selection.from_json(selection.as_json()) == selection
    assert Selection().as_json() == {}


def test_a_filter_of_another_version_is_refused_rather_than_widened():
    with pytest.raises(ValueError, match="Unknown filter colour"):
        Selection.from_json({"colour": "red"})


def test_a_refusal_is_counted_and_the_rest_goes_on():
    tasks = many(3, status="failed")
    canceled = add_task(alias="Canceled", status="failed")
    canceled.definition.cancel()
    operation = begin("requeue")

    work_until_empty()

    operation.refresh_from_db()
    assert (operation.changed, operation.refused) == (3, 1)
    assert operation.first_refusal.startswith(f"#{canceled.pk}: ")
    assert QueuedTask.objects.filter(requeued_from__in=tasks).count() == 3


def test_a_stop_ends_it_after_its_chunk(monkeypatch):
    monkeypatch.setattr(bulk, "CHUNK", 10)
    many(30, status="failed")
    operation = begin("restart")
    client = client_of(user_with("view_bulkoperation", "change_bulkoperation"))

    bulk.advance(operation.pk, "default")
    stop = url("django_taskstore_bulkoperation_act", "stop")
    assert said(client.post(stop, {"pk": operation.pk}, follow=True)) == "1 asked to stop"
    work_until_empty()

    operation.refresh_from_db()
    assert operation.changed == 10
    assert operation.was_stopped
    assert QueuedTask.objects.filter(status="failed").count() == 20


def test_a_successor_goes_on_behind_the_last_chunk(monkeypatch):
    monkeypatch.setattr(bulk, "CHUNK", 10)
    tasks = many(25, status="failed")
    operation = begin("requeue")
    bulk.advance(operation.pk, "default")
    assert claim_next("default").id == operation.queued_task_id
    expire(operation.queued_task)

    assert len(maintenance.rescue("default")) == 1
    work_until_empty()

    new = QueuedTask.objects.filter(requeued_from__in=tasks)
    assert sorted(new.values_list("requeued_from_id", flat=True)) == tasks


def test_few_matches_in_a_long_table_take_short_steps(monkeypatch):
    monkeypatch.setattr(bulk, "REACH", 50)
    enqueue_many("Noop", [{}] * 130)
    last = add_task(status="failed")
    operation = begin("restart", status="failed")

    steps = 0
    while not bulk.advance(operation.pk, "default").is_over:
        steps += 1

    assert steps >= 2
    assert fresh(last).status == "queued"


def test_a_search_means_what_it_found():
    tom = task_with_status("failed", parameters={"name": "Tom"})
    many(201, status="failed", parameters={"name": "Tom"})
    ann = task_with_status("failed", parameters={"name": "Ann"})
    client = client_of(superuser())

    ask(client, "restart", "?q=Tom")
    operation = BulkOperation.objects.get()

    assert set(operation.selection) == {"ids"}
    assert tom.pk in operation.selection["ids"]
    assert ann.pk not in operation.selection["ids"]


def test_it_needs_the_verb_and_the_right_to_ask_for_many():
    many(201, status="failed")
    page = url(ALL, "restart")
    data = {"list_query": ""}

    for codenames in (["restart_queuedtask"], ["add_bulkoperation"]):
        user = user_with("view_queuedtask", *codenames, name=codenames[0])
        assert client_of(user).get(page).status_code == 403
        assert client_of(user).post(page, data).status_code == 403
    assert not BulkOperation.objects.exists()
    both = user_with("view_queuedtask", "restart_queuedtask", "add_bulkoperation", name="both")
    assert client_of(both).get(page).status_code == 200
    assert not BulkOperation.objects.exists()


@pytest.mark.parametrize("list_query", ["colour=red", "definition__alias=x"])
def test_a_filter_that_no_worker_knows_is_refused(list_query):
    client = client_of(superuser())

    response = client.post(url(ALL, "restart"), {"list_query": list_query})

    assert response.status_code == 403
    assert not BulkOperation.objects.exists()


def test_created_since_is_frozen_when_it_is_asked_for():
    old = add_task(status="failed", created_at=timezone.now() - timedelta(hours=2))
    many(201, status="failed")
    client = client_of(superuser())

    ask(client, "restart", "?created=1h&status=failed")
    work_until_empty()

    assert fresh(old).status == "failed"
    assert BulkOperation.objects.get().changed == 201
