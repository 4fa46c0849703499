"""Which queued tasks a person means: the filters of a list as one value that can be stored.

Owns `Selection`, so that a page and the worker that acts on "all matching" later mean the
same rows. It may not run a query.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.utils.dateparse import parse_datetime

from django_taskstore.database.expressions import Literal
from django_taskstore.models import TaskAttempt
from django_taskstore.models.querysets import QueuedTaskQuerySet
from django_taskstore.statuses import FAILURES, Status

FAILED_ATTEMPTS = TaskAttempt.objects.filter(queued_task=OuterRef("pk"), outcome__in=FAILURES)

#: The columns that JSON holds as text.
TIMES = {"created_since", "created_before"}


@dataclass(frozen=True, slots=True)
class Selection:
    """A set of queued tasks, named by what they have in common.

    Attributes:
        status: one status, or "" for any.
        queue_name: one queue, or "" for any.
        definition_id: one definition.
        created_since: an aware datetime; tasks created then or later.
        created_before: an aware datetime; tasks created earlier.
        worker: the id of the worker that claimed last.
        schedule_id: one schedule.
        retried: only tasks that took more than one attempt.
        has_error: only tasks an attempt of which failed or was lost.
        deleted: "no", "yes" or "all".
        ids: exactly these rows, beside the rest.
    """

    status: str = ""
    queue_name: str = ""
    definition_id: int | None = None
    created_since: datetime | None = None
    created_before: datetime | None = None
    worker: UUID | None = None
    schedule_id: int | None = None
    retried: bool = False
    has_error: bool = False
    deleted: str = "no"
    ids: tuple[int, ...] | None = None

    def narrow(self, rows: Any) -> Any:
        """Narrow a queryset of tasks to those that are meant."""
        found: QueuedTaskQuerySet = rows.filter(self._conditions())
        return found

    def _conditions(self) -> Q:
        wanted: dict[str, Any] = {
            "queue_name": self.queue_name or None,
            "definition_id": self.definition_id,
            "created_at__gte": self.created_since,
            "created_at__lt": self.created_before,
            "claimed_by": self.worker,
            "schedule_id": self.schedule_id,
            "attempts__gt": 1 if self.retried else None,
            "soft_deleted_at__isnull": {"no": True, "yes": False}.get(self.deleted),
            "pk__in": self.ids,
        }
        found = Q(**{name: value for name, value in wanted.items() if value is not None})
        if self.has_error:
            found &= Q(Exists(FAILED_ATTEMPTS))
        if not self.status:
            return found
        is_known = self.status in Status.values
        return found & (Q(status=Literal(self.status)) if is_known else Q(pk__in=()))

    def without_status(self) -> Selection:
        """Return the same selection with any status."""
        return replace(self, status="")

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` reads again."""
        default = Selection()
        values = {k: v for k, v in asdict(self).items() if v != getattr(default, k)}
        for name in TIMES & values.keys():
            values[name] = values[name].isoformat()
        if self.worker is not None:
            values["worker"] = str(self.worker)
        if self.ids is not None:
            values["ids"] = list(self.ids)
        return values

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Read what `as_json` wrote.

        Raises:
            ValueError: it names a filter that this version does not know; acting on more
                rows than were meant would be worse than not acting.
        """
        values = dict(stored)
        unknown = values.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"Unknown filter {', '.join(sorted(unknown))} in a stored selection.")
        for name in TIMES & values.keys():
            values[name] = parse_datetime(values[name])
        if "worker" in values:
            values["worker"] = UUID(values["worker"])
        if "ids" in values:
            values["ids"] = tuple(values["ids"])
        return cls(**values)
