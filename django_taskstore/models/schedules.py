"""Schedules, and the record of each of their occurrences.

Owns `Schedule` and `ScheduleRun`. `scheduler` decides what an occurrence comes to.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import models, router
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_taskstore.database.clock import read_now
from django_taskstore.database.fields import ByteText
from django_taskstore.database.indexes import PartialIndex
from django_taskstore.database.transactions import will_write, writing
from django_taskstore.exceptions import ScheduleEnded
from django_taskstore.models.definitions import TaskDefinition
from django_taskstore.models.schedule_querysets import ScheduleQuerySet
from django_taskstore.recurrence import Timetable, sentence
from django_taskstore.recurrence.bounds import LONGEST_TEXT, LONGEST_ZONE
from django_taskstore.statuses import MisfirePolicy, OverlapPolicy, RunResult, ScheduleStatus
from django_taskstore.validation import LONGEST_QUEUE_NAME, validate_queue_name

#: Columns that only verbs and the scheduler may change once the row exists.
GUARDED = frozenset({"status", "execution_count", "last_run_at", "next_run_at", "error"})
#: Columns that say when; changing one plans the next run anew.
TIMES = ("recurrence_rule", "time_zone", "start_at", "end_at")


class Schedule(models.Model):
    """Work that is put on a queue again and again."""

    name = ByteText(_("name"), max_length=255, unique=True)
    description = models.TextField(_("description"), blank=True)
    status = models.CharField(
        _("status"),
        max_length=16,
        choices=ScheduleStatus.choices,
        default=ScheduleStatus.DRAFT,
    )
    definition = models.ForeignKey(
        TaskDefinition,
        models.DO_NOTHING,
        verbose_name=_("definition"),
        related_name="schedules",
        db_constraint=False,
        db_index=False,
    )
    queue_name = ByteText(_("queue"), max_length=LONGEST_QUEUE_NAME, blank=True, default="")
    parameters = models.JSONField(_("parameters"), default=dict, blank=True)
    recurrence_rule = models.CharField(_("rule"), max_length=LONGEST_TEXT, blank=True)
    time_zone = models.CharField(
        _("time zone"), max_length=LONGEST_ZONE, default=timezone.get_default_timezone_name
    )
    start_at = models.DateTimeField(_("start"), null=True, blank=True)
    end_at = models.DateTimeField(_("end"), null=True, blank=True)
    execution_count = models.PositiveIntegerField(_("runs"), default=0, editable=False)
    max_execution_count = models.PositiveIntegerField(_("most runs"), default=0)
    last_run_at = models.DateTimeField(_("last run"), null=True, blank=True, editable=False)
    next_run_at = models.DateTimeField(_("next run"), null=True, blank=True, editable=False)
    misfire_policy = models.CharField(
        _("when missed"),
        max_length=16,
        choices=MisfirePolicy.choices,
        default=MisfirePolicy.COALESCE,
    )
    overlap_policy = models.CharField(
        _("when the last has not ended"),
        max_length=16,
        choices=OverlapPolicy.choices,
        default=OverlapPolicy.ALLOW,
    )
    error = models.TextField(_("error"), blank=True, editable=False)
    declared_by = ByteText(_("defined in code by"), max_length=255, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        ordering = ["name"]
        permissions = [
            ("run_schedule", _("Can run a schedule now")),
            ("pause_schedule", _("Can pause and resume a schedule, and skip its next run")),
        ]
        indexes = [
            PartialIndex(
                fields=["status", "next_run_at", "id"],
                name="taskstore_due_schedule",
                only=ScheduleStatus.ACTIVE.value,
            )
        ]

    def __str__(self) -> str:
        return str(self.name)

    def save(  # type: ignore[override]
        self, *args: Any, update_fields: Collection[str] | None = None, **options: Any
    ) -> None:
        """Save the row; where it says when has changed, plan the next run.

        On an existing row the columns that verbs and the scheduler write are left alone: a
        form or a stale object would otherwise undo a pause, or a run.

        Raises:
            InvalidRecurrence: the rule, the zone or the window is not valid, or never happens.
            InvalidQueueName: the queue's name is not valid.
        """
        if self.queue_name:
            validate_queue_name(self.queue_name)
        using = options.get("using") or self.row.db
        will_write(using)
        is_new = self._state.adding
        if not is_new:
            update_fields = self._unguarded(update_fields)
        if self._times_differ(using, update_fields):
            timetable = self.timetable.check()
            if not is_new or (self.status == ScheduleStatus.ACTIVE and self.next_run_at is None):
                self.next_run_at = timetable.next(read_now(using))
            if update_fields is not None:
                update_fields = {*update_fields, "next_run_at"}
        super().save(*args, update_fields=update_fields, **options)

    def _times_differ(self, using: str, update_fields: Collection[str] | None) -> bool:
        """Tell whether what says when is new, or not what the row says."""
        if self._state.adding:
            return True
        names = [name for name in TIMES if name in (update_fields or ())]
        stored = Schedule.objects.using(using).filter(pk=self.pk).values_list(*names).first()
        return bool(names) and stored != tuple(getattr(self, name) for name in names)

    def _unguarded(self, update_fields: Collection[str] | None) -> set[str]:
        """Return the columns to write: those given, or all, without the guarded ones."""
        deferred = self.get_deferred_fields()
        fields = [f for f in self._meta.concrete_fields if f.attname not in deferred]
        wanted = {f.name for f in fields if not f.primary_key}
        return (
            (wanted if update_fields is None else set(update_fields)) | {"updated_at"}
        ) - GUARDED

    @property
    def timetable(self) -> Timetable:
        """When it happens.

        Raises:
            InvalidRecurrence: the rule, the zone or the window is not valid.
        """
        return Timetable(self.recurrence_rule, self.time_zone, self.start_at, self.end_at)

    @property
    def sentence(self) -> str:
        """When it happens, in words.

        Raises:
            InvalidRecurrence: as `timetable`.
        """
        return sentence(self.timetable)

    def is_due(self, now: datetime) -> bool:
        """Tell whether it is active and its time has come."""
        is_active = self.status == ScheduleStatus.ACTIVE
        return is_active and self.next_run_at is not None and self.next_run_at <= now

    @property
    def runs_left(self) -> int | None:
        """How many more runs are allowed; None for no limit."""
        if not self.max_execution_count:
            return None
        return max(0, self.max_execution_count - self.execution_count)

    def next_occurrences(self, limit: int) -> list[datetime]:
        """Return the next occurrences of an active schedule, from the planned one on.

        Args:
            limit: how many at most.
        """
        if self.status != ScheduleStatus.ACTIVE or self.next_run_at is None:
            return []
        most = limit if self.runs_left is None else min(limit, self.runs_left)
        found = [self.next_run_at]
        for occurrence in self.timetable.after(self.next_run_at):
            if len(found) >= most:
                break
            found.append(occurrence)
        return found[:most]

    def activate(self) -> bool:
        """Start a draft, a paused or a completed schedule; return whether it changed.

        Raises:
            ScheduleEnded: it has no occurrence left.
            InvalidRecurrence: its rule is not valid.
        """
        statuses = (ScheduleStatus.DRAFT, ScheduleStatus.INACTIVE, ScheduleStatus.COMPLETED)
        return self._start(*statuses)

    def resume(self) -> bool:
        """Start a paused schedule; what it missed meanwhile is not made up.

        Raises:
            As `activate`.
        """
        return self._start(ScheduleStatus.INACTIVE)

    def pause(self) -> bool:
        """Stop an active schedule until it is resumed; return whether it changed."""
        return self._changed(self.row.pause())

    def skip_next(self) -> bool:
        """Leave out the next occurrence of an active schedule; return whether it had one."""
        with writing(self.row.db):
            row = self.row.active().locked().filter(next_run_at__isnull=False).first()
            if row is not None:
                row.record(row.next_run_at, RunResult.SKIPPED, note=gettext("Skipped by hand."))
                row.row.plan(row.timetable.next(row.next_run_at))
        return self._changed(row is not None)

    def record(self, occurrence_at: datetime, result: str, *, note: str = "") -> None:
        """Write what came of an occurrence, unless that has been written."""
        run = ScheduleRun(schedule=self, occurrence_at=occurrence_at, result=result, note=note)
        ScheduleRun.objects.using(self.row.db).bulk_create([run], ignore_conflicts=True)

    @property
    def row(self) -> ScheduleQuerySet:
        """This row as a set, in the database that is written."""
        using = router.db_for_write(type(self), instance=self)
        return ScheduleQuerySet(type(self), using=using).filter(pk=self.pk)

    def _start(self, *statuses: str) -> bool:
        will_write(self.row.db)
        self.refresh_from_db()
        over = self.runs_left == 0
        next_run_at = None if over else self.timetable.next(read_now(self.row.db))
        if next_run_at is None:
            raise ScheduleEnded(
                f"Schedule {self.name!r} has no occurrence left: change its rule, its end or its "
                f"most runs ({self.execution_count} of {self.max_execution_count or 'any number'})."
            )
        return self._changed(self.row.start(*statuses, next_run_at=next_run_at))

    def _changed(self, rows: int) -> bool:
        self.refresh_from_db()
        return rows > 0


class ScheduleRun(models.Model):
    """What came of one occurrence of a schedule; it outlives the purge of its task."""

    schedule = models.ForeignKey(
        Schedule,
        models.CASCADE,
        verbose_name=_("schedule"),
        related_name="runs",
        db_constraint=False,
        db_index=False,
    )
    occurrence_at = models.DateTimeField(_("occurrence"))
    queued_task = models.ForeignKey(
        "QueuedTask",
        models.DO_NOTHING,
        verbose_name=_("queued task"),
        related_name="+",
        null=True,
        db_constraint=False,
        db_index=False,
    )
    result = models.CharField(_("result"), max_length=16, choices=RunResult.choices)
    note = models.TextField(_("note"), blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("run of a schedule")
        verbose_name_plural = _("runs of schedules")
        ordering = ["-occurrence_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "occurrence_at"], name="taskstore_one_occurrence"
            )
        ]

    def __str__(self) -> str:
        return f"{self.schedule_id} {self.occurrence_at}: {self.get_result_display()}"
