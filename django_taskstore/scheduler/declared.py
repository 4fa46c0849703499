"""The schedules that handlers declare in code, mirrored to rows.

Owns the mirror. Code decides when and how; whether a schedule is paused stays people's
choice. A declaration that is gone completes its row, and brings it back when it returns.
"""

from __future__ import annotations

import contextlib
from typing import Any

from django.apps import apps as global_apps
from django.apps.registry import Apps
from django.db import IntegrityError
from django.utils import timezone
from django.utils.translation import gettext as _

from django_taskstore.database.transactions import writing
from django_taskstore.declarations import DeclaredSchedule
from django_taskstore.definitions import find_or_make, queue_database
from django_taskstore.exceptions import HandlerNotFound, ScheduleEnded
from django_taskstore.models import Schedule
from django_taskstore.registry import registry
from django_taskstore.scheduler.rows import schedules
from django_taskstore.statuses import ScheduleStatus


def mirror(using: str) -> None:
    """Bring the rows up to date with what the registered handlers declare.

    Args:
        using: the database's alias.
    """
    rows = {row.name: row for row in schedules(using)}
    for handler in registry:
        names = set()
        for declared in registry.schedules(handler.alias):
            names.add(declared.name)
            mirror_one(handler.alias, declared, rows.get(declared.name), using)
        for row in rows.values():
            if row.declared_by == handler.alias and row.name not in names:
                withdraw(row)


def mirror_one(alias: str, declared: DeclaredSchedule, row: Schedule | None, using: str) -> None:
    """Make or update the row of one declaration."""
    if row is not None and not row.declared_by:
        text = _("%(alias)s declares a schedule of this name in code too: rename this one.")
        row.row.update(error=text % {"alias": alias})
        return
    try:
        definition = find_or_make(alias, using)
    except HandlerNotFound:
        return  # Its definition is left to people, and nobody has made it yet.
    wanted = {"definition_id": definition.pk, "declared_by": alias, **columns(declared)}
    if row is None:
        make(declared.name, wanted, using)
    else:
        update(row, wanted, using)


def make(name: str, wanted: dict[str, Any], using: str) -> None:
    """Make the row of a declaration; another process may be faster."""
    row = Schedule(name=name, status=ScheduleStatus.ACTIVE, **wanted)
    with contextlib.suppress(IntegrityError), writing(using):
        row.save(using=using, force_insert=True)


def update(row: Schedule, wanted: dict[str, Any], using: str) -> None:
    """Write what differs, and bring a completed schedule back where it has a future again."""
    changed = [name for name, value in wanted.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, wanted[name])
    if changed:
        row.save(using=using, update_fields=changed)
    if row.status == ScheduleStatus.COMPLETED:
        with contextlib.suppress(ScheduleEnded):
            row.activate()


def withdraw(row: Schedule) -> None:
    """Complete a schedule that is no longer declared."""
    row.row.plan(None)


def columns(declared: DeclaredSchedule) -> dict[str, Any]:
    """Return what code decides of a row."""
    return {
        "description": declared.description,
        "queue_name": declared.queue_name,
        "parameters": declared.parameters,
        "recurrence_rule": declared.rule_text,
        "time_zone": declared.time_zone or timezone.get_default_timezone_name(),
        "start_at": declared.start_at,
        "end_at": declared.end_at,
        "max_execution_count": declared.max_execution_count,
        "misfire_policy": declared.misfire_policy,
        "overlap_policy": declared.overlap_policy,
    }


def mirror_after_migrate(*, using: str, apps: Apps = global_apps, **_: Any) -> None:
    """Mirror after ``migrate`` where the queue's tables live."""
    has_table = Schedule._meta.model_name in apps.all_models[Schedule._meta.app_label]
    if has_table and using == queue_database():
        mirror(using)
