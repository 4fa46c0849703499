"""What Django's checks say about this app before anything runs.

Owns the ids. Checks that ask a database touch only the aliases they are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.utils.module_loading import import_string

from django_taskstore.conf import problems, settings, tasks_api
from django_taskstore.database.servers import driver_warning, isolation_warning, too_old
from django_taskstore.definitions import queue_database
from django_taskstore.exceptions import InvalidSetting


@register("django_taskstore")
def check_settings(**_: Any) -> list[CheckMessage]:
    """Report wrong TASKSTORE values and a project without time zones."""
    messages: list[CheckMessage] = []
    try:
        messages += [Error(text, id="django_taskstore.E001") for text in problems()]
    except InvalidSetting as error:
        return [Error(str(error), id="django_taskstore.E001")]
    if not django_settings.USE_TZ:
        messages.append(
            Error(
                "django_taskstore needs USE_TZ = True.",
                hint="Leases and due times are instants; without time zones DST moves them.",
                id="django_taskstore.E002",
            )
        )
    return messages + error_handler_messages() + panel_messages() + tasks_messages()


def tasks_messages() -> list[CheckMessage]:
    """Report a TASKS setting that names our backend where no tasks API is installed."""
    backends = getattr(django_settings, "TASKS", None) or {}
    ours = [name for name, params in backends.items() if is_ours(params)]
    if not ours or tasks_api():
        return []
    problem = f"TASKS[{ours[0]!r}] uses the task store, but this Django has no tasks."
    hint = "Install the backport: pip install 'django-taskstore[tasks]'."
    return [Error(problem, hint=hint, id="django_taskstore.E013")]


def is_ours(params: Any) -> bool:
    """Tell whether one entry of TASKS names a backend of this package."""
    backend = params.get("BACKEND") if isinstance(params, dict) else None
    return isinstance(backend, str) and backend.startswith("django_taskstore.")


def error_handler_messages() -> list[CheckMessage]:
    """Report an ERROR_HANDLER that cannot be imported or called."""
    hint = "Name a function(queue_name, task_id, exception), such as 'shop.errors.report'."
    problem = path_problem("ERROR_HANDLER", settings.ERROR_HANDLER)
    return [Error(problem, hint=hint, id="django_taskstore.E003")] if problem else []


def panel_messages() -> list[CheckMessage]:
    """Report each of ADMIN_DETAIL_PANELS that cannot be imported or called."""
    paths = settings.ADMIN_DETAIL_PANELS
    if not isinstance(paths, (list, tuple)):
        return []
    hint = "Name functions(task, request), such as 'shop.panels.sentry_link'."
    found = [path_problem("ADMIN_DETAIL_PANELS", path) for path in paths]
    return [Error(text, hint=hint, id="django_taskstore.E005") for text in found if text]


def path_problem(key: str, path: Any) -> str:
    """Return why a setting's dotted path names nothing that can be called, or ""."""
    if not isinstance(path, str):
        return ""
    try:
        if callable(import_string(path)):
            return ""
    except ImportError as error:
        return f"TASKSTORE[{key!r}] {path!r} cannot be imported: {error}"
    return f"TASKSTORE[{key!r}] {path!r} is not callable."


@register(Tags.database)
def check_database(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Report a queue's database that is too old or set up against it."""
    using = queue_database()
    if using not in (databases or ()):
        return []
    old = too_old(using)
    if old:
        return [Error(old, id="django_taskstore.E004")]
    warnings = {
        "django_taskstore.W001": isolation_warning(using),
        "django_taskstore.W002": driver_warning(using),
    }
    return [checks.Warning(text, id=name) for name, text in warnings.items() if text]
