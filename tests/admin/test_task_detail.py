"""The page of one task: its life, what refreshes, hidden values, and comparing before a requeue."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone

from django_taskstore import enqueue, requeue
from django_taskstore.admin.live import ENDED
from django_taskstore.admin.timeline import steps
from django_taskstore.claims import claim_next
from django_taskstore.models import QueuedTask, TaskAttempt
from django_taskstore.outcomes import fail, succeed
from tests.admin_pages import (
    SCHEDULES,
    TASKS,
    act_url,
    client_of,
    task_with_status,
    url,
    use,
    user_with,
)
from tests.helpers import add_worker, captured_sql, fresh
from tests.schedules import add_schedule

pytestmark = pytest.mark.django_db


def life_of(task):
    """Return the titles of a task's steps; those ahead in brackets."""
    found = steps(fresh(task), timezone.now())
    return [f"({step.title})" if step.is_ahead else step.title for step in found]


def test_a_waiting_task_waits():
    assert life_of(enqueue("Noop")) == ["Created", "(Waits for a worker)"]
    later = enqueue("Noop", run_after=timedelta(hours=1))
    assert life_of(later) == ["Created", "(Scheduled)"]
    later.pause()
    assert life_of(later)[-1] == "(Paused until somebody resumes it)"


def test_each_attempt_has_its_step_and_its_error():
    task = enqueue("Failing", max_attempts=3)
    for number in (1, 2, 3):
        QueuedTask.objects.update(status="queued")
        fail(claim_next("default"), ValueError(f"no {number}"))
        if number == 1:
            assert life_of(task) == ["Created", "Attempt 1: Retried", "(Next attempt)"]

    found = steps(fresh(task), timezone.now())
    assert [step.title for step in found] == [
        "Created",
        "Attempt 1: Retried",
        "Attempt 2: Retried",
        "Attempt 3: Failed",
    ]
    assert [step.detail[-4:] for step in found[1:]] == ["no 1", "no 2", "no 3"]


def test_a_running_task_says_who_runs_it_and_until_when():
    task = enqueue("Noop")
    claim_next("default")
    assert life_of(task) == [
        "Created",
        "Attempt 1 runs",
        "(Lease ends unless its worker renews it)",
    ]
    fresh(task).cancel()
    assert "Asked to stop" in life_of(task)


def test_a_success_leaves_no_record_and_yet_a_step():
    task = enqueue("Noop")
    succeed(claim_next("default"))

    assert life_of(task) == ["Created", "Success"]
    fresh(task).soft_delete()
    assert life_of(task) == ["Created", "Success", "Deleted"]


def test_very_many_attempts_are_cut():
    task = task_with_status("scheduled", attempts=40, claim_seq=40)
    TaskAttempt.objects.bulk_create(
        TaskAttempt(queued_task=task, claim_seq=n, number=n, outcome="retried")
        for n in range(1, 41)
    )

    titles = life_of(task)
    assert titles[1] == "Earlier attempts are not shown"
    assert titles[2] == "Attempt 21: Retried"
    assert len(titles) == 23


def test_a_running_task_refreshes_and_a_finished_one_does_not(client):
    task = task_with_status(
        "running", details="[x] INFO: one", progress={"done": 1, "total": 4, "message": "rows"}
    )

    page = client.get(url(f"{TASKS}_change", task.pk)).content.decode()
    assert f'data-ts-url="{url(f"{TASKS}_live", task.pk)}"' in page
    assert "django_taskstore/live.js" in page
    part = client.get(url(f"{TASKS}_live", task.pk))
    assert "INFO: one" in part.content.decode()
    assert "1 / 4 rows" in part.content.decode()
    assert ENDED not in part

    QueuedTask.objects.update(status="success", details="[x] INFO: two")
    part = client.get(url(f"{TASKS}_live", task.pk), headers={"If-None-Match": part["ETag"]})
    assert "INFO: two" in part.content.decode()
    assert part[ENDED] == "yes"
    page = client.get(url(f"{TASKS}_change", task.pk)).content.decode()
    assert "data-ts-url" not in page


def test_nothing_new_is_not_sent_again(client):
    task = task_with_status("success", completed_at=timezone.now())
    first = client.get(url(f"{TASKS}_live", task.pk))

    again = client.get(url(f"{TASKS}_live", task.pk), headers={"If-None-Match": first["ETag"]})

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("page", ["live", "raw"])
def test_pages_of_a_missing_task_are_missing(client, page):
    assert client.get(url(f"{TASKS}_{page}", 999)).status_code == 404
    assert client.get(url(f"{TASKS}_{page}", 10**30)).status_code == 404


def test_hidden_values_need_their_permission():
    task = task_with_status("failed", parameters={"password": "hunter2"}, output={"token": "abc"})
    viewer = client_of(user_with("view_queuedtask"))
    auditor = client_of(user_with("view_queuedtask", "view_payload_queuedtask", name="eve"))
    blind = client_of(user_with("view_payload_queuedtask", name="bob"))

    for client in (viewer, auditor):
        page = client.get(url(f"{TASKS}_change", task.pk)).content.decode()
        assert "hunter2" not in page
        assert (url(f"{TASKS}_raw", task.pk) in page) is (client is auditor)
    shown = auditor.get(url(f"{TASKS}_raw", task.pk)).content.decode()
    assert "hunter2" in shown
    assert "abc" in shown
    assert viewer.get(url(f"{TASKS}_raw", task.pk)).status_code == 403
    assert blind.get(url(f"{TASKS}_raw", task.pk)).status_code == 403


def test_the_difference_is_shown_before_anything_is_done(client):
    task = task_with_status("failed", parameters={"name": "Tom", "password": "hunter2"})
    edited = {"name": "Ann", "password": "••••••••"}
    data = {"pk": task.pk, "parameters": json.dumps(edited), "queue_name": "default"}

    page = client.post(act_url(TASKS, "requeue"), {**data, "_compare": "yes"}).content.decode()

    assert '<span class="ts-removed">-   &quot;name&quot;: &quot;Tom&quot;' in page
    assert '<span class="ts-added">+   &quot;name&quot;: &quot;Ann&quot;' in page
    assert "hunter2" not in page
    assert QueuedTask.objects.count() == 1
    client.post(act_url(TASKS, "requeue"), data)
    new = QueuedTask.objects.get(requeued_from=task)
    assert new.parameters == {"name": "Ann", "password": "hunter2"}
    lines = LogEntry.objects.filter(object_id=str(task.pk)).values_list("change_message", flat=True)
    assert list(lines) == [f"Requeued as new: #{new.pk}, with another name."]


def test_comparing_what_is_no_json_shows_the_error(client):
    task = task_with_status("failed")
    data = {"pk": task.pk, "parameters": "{", "queue_name": "default", "_compare": "yes"}

    page = client.post(act_url(TASKS, "requeue"), data).content.decode()

    assert "Line 1, column 2" in page
    assert "ts-added" not in page


def test_an_unchanged_requeue_says_only_so(client):
    task = task_with_status("failed", parameters={"name": "Tom"})
    use(client, "requeue", task, parameters='{"name": "Tom"}', queue_name="default")

    new = QueuedTask.objects.get(requeued_from=task)
    line = LogEntry.objects.get(object_id=str(task.pk)).change_message
    assert line == f"Requeued as new: #{new.pk}."


def unfit(client, task):
    """Return the verbs that the task's page says are not possible, with the reasons."""
    found = client.get(url(f"{TASKS}_change", task.pk)).context["unfit"]
    return {str(label): str(reason) for label, reason in found}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            "failed",
            {
                "Cancel": "already ended, or already asked to stop",
                "Pause": "not waiting",
                "Change queue or priority": "not waiting",
            },
        ),
        (
            "queued",
            {
                "Requeue as new": "not ended",
                "Restart": "has not ended, or is deleted",
                "Purge": "not ended",
            },
        ),
        (
            "running",
            {
                "Requeue as new": "not ended",
                "Restart": "has not ended, or is deleted",
                "Pause": "not waiting",
                "Change queue or priority": "not waiting",
                "Delete": "running, or already deleted",
                "Purge": "not ended",
            },
        ),
    ],
)
def test_a_verb_that_does_not_fit_says_why(client, status, expected):
    task = task_with_status(status)

    assert unfit(client, task) == expected
    page = client.get(url(f"{TASKS}_change", task.pk)).content.decode()
    for label, reason in expected.items():
        assert f'<span class="ts-button">{label}</span> {reason}' in page


def test_no_reason_is_given_for_what_the_user_may_not_do_anyway():
    client = client_of(user_with("view_queuedtask", "pause_queuedtask"))

    assert unfit(client, task_with_status("failed")) == {"Pause": "not waiting"}


def created_by(task):
    """Return what the first step says of where the task came from."""
    return steps(fresh(task), timezone.now())[0].detail


def test_a_task_says_who_created_it_in_the_admin(client):
    old = task_with_status("failed")
    use(client, "requeue", old, parameters="{}", queue_name="default")
    new = QueuedTask.objects.get(requeued_from=old)

    assert created_by(old) == ""
    assert created_by(new) == f"requeued from #{old.pk}, by root in the admin"


def test_a_task_of_a_schedule_says_so_and_leads_to_it(client):
    schedule = add_schedule("0 9 * * *", name="Every morning")
    at = timezone.now()
    planned = task_with_status(schedule_id=schedule.pk, occurrence_at=at)
    by_hand = task_with_status(schedule_id=schedule.pk)

    assert created_by(planned) == "by its schedule"
    assert created_by(by_hand) == "by hand, from its schedule"
    page = client.get(url(f"{TASKS}_change", planned.pk)).content.decode()
    assert f'<a href="{url(f"{SCHEDULES}_change", schedule.pk)}">Every morning</a>' in page
    schedule.delete()
    page = client.get(url(f"{TASKS}_change", planned.pk)).content.decode()
    assert "a schedule that is gone" in page


def test_the_page_of_a_task_with_everything_is_twelve_statements(client):
    worker = add_worker("default")
    old = task_with_status("failed")
    task = enqueue("Failing", max_attempts=1)
    fail(claim_next("default"), ValueError("no"))
    row = QueuedTask.objects.filter(pk=task.pk)
    row.update(requeued_from=old.pk, claimed_by=worker.pk)
    requeue(fresh(task))
    ContentType.objects.clear_cache()

    with captured_sql() as statements:
        page = client.get(url(f"{TASKS}_change", task.pk)).content.decode()

    assert str(worker) in page
    assert len(statements) <= 12, [sql for sql, _params in statements]
