"""What an operator can do with schedules.

Owns their words. Each calls a verb of the model or `scheduler.run_now`; none writes a column.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from django_taskstore.admin.verbs import Verb
from django_taskstore.models import Schedule
from django_taskstore.scheduler import run_now
from django_taskstore.statuses import ScheduleStatus


def deleted(schedule: Schedule, _data: dict[str, Any]) -> int:
    """Remove a schedule that is not defined in code; return how many rows that was."""
    rows, _by_model = Schedule.objects.filter(pk=schedule.pk, declared_by="").delete()
    return rows


RUN = Verb(
    name="run",
    permission="run",
    label=_("Run now"),
    explanation=_(
        "A task of each schedule is put on its queue now. The plan stays as it is, and the run "
        "does not count as one of its occurrences."
    ),
    fits=lambda _row: True,
    run=lambda row, data: run_now(row, by=data["user"]),
    done=lambda _row: lambda count: ngettext("%d run", "%d run", count) % count,
    left="",
    recorded=_("Run by hand."),
    is_dangerous=True,
)
PAUSE = Verb(
    name="pause",
    permission="pause",
    label=_("Pause"),
    explanation=_("Nothing is enqueued until the schedules are resumed."),
    fits=lambda row: row.status == ScheduleStatus.ACTIVE,
    run=lambda row, _data: row.pause(),
    done=lambda _row: lambda count: ngettext("%d paused", "%d paused", count) % count,
    left=_("not active"),
    recorded=_("Paused."),
)
RESUME = Verb(
    name="resume",
    permission="pause",
    label=_("Resume"),
    explanation=_("The schedules go on with their next occurrence; what was missed is left out."),
    fits=lambda row: row.status == ScheduleStatus.INACTIVE,
    run=lambda row, _data: row.resume(),
    done=lambda _row: lambda count: ngettext("%d resumed", "%d resumed", count) % count,
    left=_("not paused"),
    recorded=_("Resumed."),
    undoes=True,
)
SKIP = Verb(
    name="skip",
    permission="pause",
    label=_("Skip next"),
    explanation=_("The next occurrence of each schedule is left out."),
    fits=lambda row: row.status == ScheduleStatus.ACTIVE and row.next_run_at is not None,
    run=lambda row, _data: row.skip_next(),
    done=lambda _row: lambda count: ngettext("%d skipped once", "%d skipped once", count) % count,
    left=_("no next occurrence"),
    recorded=_("Skipped the next occurrence."),
)
ACTIVATE = Verb(
    name="activate",
    permission="change",
    label=_("Activate"),
    explanation=_("The schedules start with their next occurrence."),
    fits=lambda row: row.status in (ScheduleStatus.DRAFT, ScheduleStatus.COMPLETED),
    run=lambda row, _data: row.activate(),
    done=lambda _row: lambda count: ngettext("%d activated", "%d activated", count) % count,
    left=_("already active"),
    recorded=_("Activated."),
    undoes=True,
)
DELETE = Verb(
    name="delete",
    permission="delete",
    label=_("Delete"),
    explanation=_(
        "The schedules and the records of their occurrences are removed for good; their tasks "
        "stay. A schedule that is defined in code is paused or taken out of the code instead."
    ),
    fits=lambda row: not row.declared_by,
    run=deleted,
    done=lambda _row: lambda count: ngettext("%d deleted", "%d deleted", count) % count,
    left=_("defined in code"),
    recorded=_("Deleted."),
    is_dangerous=True,
)

SCHEDULE_VERBS = (RUN, PAUSE, RESUME, SKIP, ACTIVATE, DELETE)
