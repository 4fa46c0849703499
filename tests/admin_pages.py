"""Users, tasks and addresses for the tests of the admin."""

from __future__ import annotations

import html
import json
import re

from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_taskstore import enqueue
from django_taskstore.models import QueuedTask, TaskDefinition

TASKS = "django_taskstore_queuedtask"
DEFINITIONS = "django_taskstore_taskdefinition"
QUEUES = "django_taskstore_queue"
WORKERS = "django_taskstore_worker"
SCHEDULES = "django_taskstore_schedule"
BULK = "django_taskstore_bulkoperation"
DASHBOARD = "django_taskstore_dashboard"
LIST = f"{TASKS}_changelist"
HOME, LIVE, STATS = f"{DASHBOARD}_changelist", f"{DASHBOARD}_live", f"{DASHBOARD}_stats"
VIEW_ALL = (
    "view_queuedtask",
    "view_taskdefinition",
    "view_queue",
    "view_worker",
    "view_bulkoperation",
    "view_schedule",
    "view_dashboard",
)


def url(page, *args):
    """Return an admin page's address."""
    return reverse(f"admin:{page}", args=args)


def act_url(model, verb):
    """Return the address of a verb's page."""
    return url(f"{model}_act", verb)


def user_with(*codenames, name="ann", **options):
    """Make a staff user who has exactly these permissions of the app."""
    user = get_user_model().objects.create_user(name, password=name, is_staff=True, **options)
    permissions = Permission.objects.filter(
        content_type__app_label="django_taskstore", codename__in=codenames
    )
    assert permissions.count() == len(codenames), codenames
    user.user_permissions.set(permissions)
    return user


def client_of(user=None):
    """Return a client who is signed in as the user, or as nobody."""
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


def superuser():
    """Make a superuser."""
    return get_user_model().objects.create_superuser("root", password="root")


def task_with_status(status="queued", alias="HelloWorldTask", parameters=None, **columns):
    """Make a task and put it into a status as its rows would look."""
    task = enqueue(alias, parameters if parameters is not None else {"name": "Tom"})
    QueuedTask.all_objects.filter(pk=task.pk).update(status=status, **columns)
    return QueuedTask.all_objects.get(pk=task.pk)


def definition(alias="HelloWorldTask"):
    """Return a definition, whether deleted or not."""
    return TaskDefinition.all_objects.get(alias=alias)


def status_of(task):
    """Return what the database says now."""
    return QueuedTask.all_objects.values_list("status", flat=True).get(pk=task.pk)


def use(client, verb, *rows, model=TASKS, **data):
    """POST a verb's page for rows, as its form does, from the first row's own page."""
    keys = ",".join(str(row.pk) for row in rows)
    return client.post(act_url(model, verb), {"pk": keys, **data}, follow=True)


def said(response):
    """Return the messages on a page."""
    items = re.findall(r'<ul class="messagelist">(.*?)</ul>', response.content.decode(), re.DOTALL)
    text = " ".join(items)
    return html.unescape(re.sub(r"<[^>]+>", " ", text)).strip()


def text_of(response):
    """Return what a page or a file says."""
    return response.getvalue().decode()


def history(task):
    """Return the lines of a row's history, oldest first."""
    entries = LogEntry.objects.filter(object_id=str(task.pk), content_type__model="queuedtask")
    return [entry.change_message for entry in entries.order_by("pk")]


def page_of(client, query=""):
    """Return the list of tasks as its page has it."""
    response = client.get(url(LIST) + query)
    assert response.status_code == 200
    return response.context["cl"]


def listed(client, query=""):
    """Return the ids of the tasks that the list shows."""
    return [task.pk for task in page_of(client, query).result_list]


def tabs(client, query=""):
    """Return what the tabs count, by status."""
    return {tab.kind: str(tab.count) for tab in page_of(client, query).tabs if tab.count}


def edit(client, task, **changes):
    """POST a task's change page as the browser would, with some fields changed."""
    local = timezone.localtime(task.run_after)
    data = {
        "queue_name": task.queue_name,
        "priority": task.priority,
        "run_after_0": f"{local:%Y-%m-%d}",
        "run_after_1": f"{local:%H:%M:%S}",
        "parameters": json.dumps(task.parameters),
        "attempt_records-TOTAL_FORMS": "0",
        "attempt_records-INITIAL_FORMS": "0",
        **changes,
    }
    return client.post(url(f"{TASKS}_change", task.pk), data, follow=True)
