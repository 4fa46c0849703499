"""The definition of a kind of work, as a row that people can see and switch off.

Owns `TaskDefinition` and its queryset. A definition is only ever soft-deleted, so that the
tasks of its past keep their name.
"""

from __future__ import annotations

from typing import Any, NoReturn, Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_taskstore.database.fields import ByteText
from django_taskstore.exceptions import TaskStoreError
from django_taskstore.signals import definitions_changed
from django_taskstore.statuses import DefinitionStatus
from django_taskstore.validation import LONGEST_ALIAS


def told(rows: models.QuerySet[Any], **columns: Any) -> int:
    """Update definitions and say so, since an UPDATE of many sends no signal by itself."""
    changed = rows.update(updated_at=timezone.now(), **columns)
    definitions_changed.send(TaskDefinition)
    return changed


class TaskDefinitionQuerySet(models.QuerySet["TaskDefinition"]):
    """Verbs for sets of definitions."""

    def by_alias(self, alias: str) -> TaskDefinition | None:
        """Return the definition with exactly this alias, or None."""
        return self.filter(alias=alias).first()

    def active(self) -> Self:
        """Narrow to definitions that take new work."""
        return self.filter(status=DefinitionStatus.ACTIVE, soft_deleted_at=None)

    def soft_delete(self) -> int:
        """Hide the definitions and refuse new work for them; return how many changed."""
        return told(self.filter(soft_deleted_at=None), soft_deleted_at=timezone.now())

    def restore(self) -> int:
        """Show soft-deleted definitions again; return how many changed."""
        return told(self.filter(soft_deleted_at__isnull=False), soft_deleted_at=None)

    def cancel(self) -> int:
        """Refuse new work; waiting tasks end as canceled when they are claimed."""
        active = self.filter(status=DefinitionStatus.ACTIVE)
        return told(active, status=DefinitionStatus.CANCELED)

    def activate(self) -> int:
        """Take new work again; return how many changed."""
        canceled = self.filter(status=DefinitionStatus.CANCELED)
        return told(canceled, status=DefinitionStatus.ACTIVE)

    def delete(self) -> NoReturn:
        """Refuse: queued tasks keep their definition."""
        raise TaskStoreError(
            "A task definition is never deleted, because its queued tasks point to it; use "
            "soft_delete()."
        )


class LiveDefinitions(models.Manager.from_queryset(TaskDefinitionQuerySet)):  # type: ignore[misc]
    """Hides soft-deleted definitions."""

    def get_queryset(self) -> TaskDefinitionQuerySet:
        rows: TaskDefinitionQuerySet = super().get_queryset()
        return rows.filter(soft_deleted_at=None)


class TaskDefinition(models.Model):
    """A kind of work: what its handler is called and what it does, in words for people."""

    alias = ByteText(_("alias"), max_length=LONGEST_ALIAS, unique=True)
    title = models.CharField(_("title"), max_length=255, blank=True)
    description = models.TextField(_("description"), blank=True)
    memo = models.TextField(_("memo"), blank=True)
    status = models.CharField(
        _("status"),
        max_length=16,
        choices=DefinitionStatus.choices,
        default=DefinitionStatus.ACTIVE,
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)
    soft_deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True, editable=False)

    objects = LiveDefinitions()
    all_objects = TaskDefinitionQuerySet.as_manager()

    class Meta:
        verbose_name = _("task definition")
        verbose_name_plural = _("task definitions")
        ordering = ["alias"]

    def __str__(self) -> str:
        return self.title or self.alias

    @property
    def takes_work(self) -> bool:
        """Whether tasks may be enqueued."""
        return self.status == DefinitionStatus.ACTIVE and self.soft_deleted_at is None

    def soft_delete(self) -> bool:
        """Hide the definition and refuse new work for it; return whether that changed it."""
        return self._changed(self._row().soft_delete())

    def restore(self) -> bool:
        """Show the definition again; return whether that changed it."""
        return self._changed(self._row().restore())

    def cancel(self) -> bool:
        """Refuse new work; return whether that changed it."""
        return self._changed(self._row().cancel())

    def activate(self) -> bool:
        """Take new work again; return whether that changed it."""
        return self._changed(self._row().activate())

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        """Refuse: see `TaskDefinitionQuerySet.delete`."""
        self._row().delete()

    def _row(self) -> TaskDefinitionQuerySet:
        return TaskDefinitionQuerySet(type(self), using=self._state.db).filter(pk=self.pk)

    def _changed(self, rows: int) -> bool:
        self.refresh_from_db()
        return rows > 0
