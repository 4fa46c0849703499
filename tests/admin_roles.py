"""Every page of the admin, by the least that opens it."""

from __future__ import annotations

from django.utils import timezone

from django_taskstore.models import (
    BulkOperation,
    Dashboard,
    Queue,
    QueuedTask,
    Schedule,
    TaskDefinition,
    Worker,
)
from tests.admin_pages import (
    BULK,
    DASHBOARD,
    DEFINITIONS,
    QUEUES,
    SCHEDULES,
    TASKS,
    WORKERS,
    act_url,
    url,
)
from tests.schedules import add_schedule

TASK_VERBS = (
    "requeue",
    "restart",
    "cancel",
    "pause",
    "resume",
    "move",
    "delete",
    "restore",
    "purge",
)
MODELS = (QueuedTask, TaskDefinition, Schedule, Queue, Worker, BulkOperation, Dashboard)


def pages(task):
    """Return the address of each page, by the least that opens it."""
    queue = Queue.objects.get(name="default")
    now = timezone.now()
    worker = Worker.objects.get_or_create(
        host="web01",
        defaults={"pid": 1, "concurrency": 1, "started_at": now, "heartbeat_at": now},
    )[0]
    operation = BulkOperation.objects.get_or_create(verb="restart", last_id=task.pk)[0]
    schedule = Schedule.objects.first() or add_schedule("0 9 * * *")
    return {
        "view": [
            url(f"{DASHBOARD}_changelist"),
            url(f"{DASHBOARD}_live"),
            url(f"{DASHBOARD}_stats"),
            url(f"{BULK}_changelist"),
            url(f"{BULK}_change", operation.pk),
            url(f"{BULK}_live", operation.pk),
            url(f"{SCHEDULES}_changelist"),
            url(f"{SCHEDULES}_change", schedule.pk),
            url(f"{SCHEDULES}_history", schedule.pk),
            url(f"{WORKERS}_change", worker.pk),
            url(f"{TASKS}_live", task.pk),
            url(f"{TASKS}_changelist"),
            url(f"{TASKS}_change", task.pk),
            url(f"{TASKS}_history", task.pk),
            url(f"{DEFINITIONS}_changelist"),
            url(f"{DEFINITIONS}_change", task.definition_id),
            url(f"{QUEUES}_changelist"),
            url(f"{QUEUES}_change", queue.pk),
            url(f"{WORKERS}_changelist"),
        ],
        "requeue": [f"{act_url(TASKS, 'requeue')}?pk={task.pk}"],
        "operate": [
            *(f"{act_url(TASKS, verb)}?pk={task.pk}" for verb in TASK_VERBS if verb != "requeue"),
            *(f"{act_url(QUEUES, verb)}?pk={queue.pk}" for verb in ("pause", "resume", "stop")),
            *(
                f"{act_url(DEFINITIONS, verb)}?pk={task.definition_id}"
                for verb in ("cancel", "activate", "delete", "restore")
            ),
            *(f"{url(f'{TASKS}_act_on_all', verb)}?list_query=" for verb in TASK_VERBS),
            *(f"{act_url(WORKERS, verb)}?pk={worker.pk}" for verb in ("quiet", "stop", "forget")),
            f"{act_url(BULK, 'stop')}?pk={operation.pk}",
            *(
                f"{act_url(SCHEDULES, verb)}?pk={schedule.pk}"
                for verb in ("run", "pause", "resume", "skip", "activate", "delete")
            ),
            url(f"{SCHEDULES}_add"),
            url(f"{TASKS}_add"),
            f"{url(f'{TASKS}_add')}?definition={task.definition_id}",
            url(f"{DEFINITIONS}_add"),
        ],
        "payload": [url(f"{TASKS}_raw", task.pk)],
        "export": [url(f"{TASKS}_export", form) for form in ("csv", "json")],
        "nobody": [
            url(f"{QUEUES}_add"),
            url(f"{WORKERS}_add"),
            url(f"{BULK}_add"),
            url(f"{QUEUES}_delete", queue.pk),
            url(f"{WORKERS}_delete", worker.pk),
            url(f"{BULK}_delete", operation.pk),
        ],
    }
