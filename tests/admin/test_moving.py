"""Moving and purging tasks by the admin's pages."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import DELETION, LogEntry

from django_taskstore.models import QueuedTask, TaskAttempt
from tests.admin_pages import (
    LIST,
    TASKS,
    act_url,
    history,
    said,
    task_with_status,
    url,
    use,
)
from tests.helpers import fresh

pytestmark = pytest.mark.django_db


def test_selected_tasks_are_moved_and_those_that_do_not_wait_are_skipped(client):
    waiting = [task_with_status("queued", priority=2), task_with_status("paused")]
    running = task_with_status("running")
    data = {"queue_name": "letters", "priority": "", "list_query": ""}

    response = use(client, "move", *waiting, running, **data)

    assert said(response) == "2 moved, 1 skipped: not waiting, or already there"
    assert [fresh(task).queue_name for task in waiting] == ["letters", "letters"]
    assert fresh(waiting[0]).priority == 2
    assert fresh(running).queue_name == "default"
    assert history(waiting[0]) == ["Now on queue letters with priority 2."]
    assert history(running) == []


def test_one_task_is_moved_from_its_page_where_the_form_says_where_it_is(client):
    task = task_with_status("queued", queue_name="emails", priority=4)
    assert act_url(TASKS, "move") in client.get(url(f"{TASKS}_change", task.pk)).content.decode()

    page = client.get(f"{act_url(TASKS, 'move')}?pk={task.pk}").content.decode()
    assert 'value="emails"' in page
    assert 'value="4"' in page
    response = use(client, "move", task, queue_name="emails", priority="9")

    assert said(response) == "1 moved"
    assert (fresh(task).queue_name, fresh(task).priority) == ("emails", 9)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"queue_name": "", "priority": ""}, "Give a queue, a priority, or both."),
        ({"queue_name": "a,b", "priority": ""}, "errorlist"),
        ({"queue_name": "", "priority": "101"}, "errorlist"),
    ],
)
def test_a_wrong_place_is_shown_again_with_what_is_wrong(client, data, error):
    tasks = [task_with_status("queued", priority=3), task_with_status("queued")]

    response = use(client, "move", *tasks, list_query="", **data)

    assert error in response.content.decode()
    assert (fresh(tasks[0]).queue_name, fresh(tasks[0]).priority) == ("default", 3)


def test_a_purge_removes_what_has_ended_with_its_attempts(client):
    ended, deleted = task_with_status("failed"), task_with_status("success")
    QueuedTask.objects.filter(pk=deleted.pk).update(soft_deleted_at=deleted.created_at)
    waiting, running = task_with_status("queued"), task_with_status("running")
    TaskAttempt.objects.create(queued_task=ended, claim_seq=1, number=1, outcome="failed")

    response = use(client, "purge", ended, deleted, waiting, running, list_query="")

    assert said(response) == "2 purged, 2 skipped: has not ended, or is held by somebody"
    left = QueuedTask.all_objects.order_by("pk").values_list("pk", flat=True)
    assert list(left) == [waiting.pk, running.pk]
    assert not TaskAttempt.objects.exists()
    gone = LogEntry.objects.filter(action_flag=DELETION, content_type__model="queuedtask")
    assert sorted(gone.values_list("object_id", flat=True)) == [str(ended.pk), str(deleted.pk)]


def test_a_purge_from_the_tasks_page_leads_to_the_list(client):
    ended, running = task_with_status("failed"), task_with_status("running")

    assert use(client, "purge", ended).redirect_chain[-1][0] == url(LIST)
    page = url(f"{TASKS}_change", running.pk)
    assert use(client, "purge", running).redirect_chain[-1][0] == page
