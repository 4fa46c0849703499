"""Finding schedules, and every UPDATE of a schedule's status.

Owns `ScheduleQuerySet`. The verbs of one schedule and the scheduler call it; each statement
names the statuses it fits, so that a lost race changes nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.db import models

from django_taskstore.database.clock import DatabaseNow, DueNow
from django_taskstore.database.expressions import Literal
from django_taskstore.database.servers import skips_locked
from django_taskstore.statuses import ScheduleStatus

if TYPE_CHECKING:
    from django_taskstore.models.schedules import Schedule  # noqa: F401 - the base names it


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    """Finding and moving schedules."""

    def active(self) -> Self:
        """Narrow to schedules that put tasks on their queues."""
        return self.filter(status=Literal(ScheduleStatus.ACTIVE))

    def due(self) -> Self:
        """Narrow to active schedules whose time has come, by the database's clock."""
        return self.active().filter(next_run_at__lte=DueNow())

    def unplanned(self) -> Self:
        """Narrow to active schedules whose next run nobody has worked out."""
        return self.active().filter(next_run_at=None)

    def locked(self) -> models.QuerySet[Any]:
        """Lock the rows, and read the database's time as ``database_now``.

        Rows that another transaction has locked are left out where the database can do that.
        """
        rows = self.select_for_update(skip_locked=skips_locked(self.db))
        return rows.annotate(database_now=DueNow())

    def pause(self) -> int:
        """Active schedules become inactive."""
        return self.active().update(
            status=ScheduleStatus.INACTIVE, next_run_at=None, updated_at=DatabaseNow()
        )

    def start(self, *statuses: str, next_run_at: datetime) -> int:
        """Schedules in one of the statuses become active."""
        return self.filter(status__in=statuses).update(
            status=ScheduleStatus.ACTIVE,
            next_run_at=next_run_at,
            error="",
            updated_at=DatabaseNow(),
        )

    def plan(self, next_run_at: datetime | None, **columns: Any) -> int:
        """Active schedules get their next run; without one they are completed.

        Args:
            next_run_at: an aware datetime, or None when no occurrence is left.
            **columns: what else to write.
        """
        if next_run_at is None:
            columns.setdefault("status", ScheduleStatus.COMPLETED)
        return self.active().update(next_run_at=next_run_at, updated_at=DatabaseNow(), **columns)
