"""The four things an operator can do with task definitions.

Owns their words. Each calls a verb of the model; none writes a column.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy, ngettext

from django_taskstore.admin.deactivating import WaitingForm
from django_taskstore.admin.verbs import Verb
from django_taskstore.statuses import DefinitionStatus

CANCEL = Verb(
    name="cancel",
    permission="change",
    label=gettext_lazy("Cancel"),
    explanation=gettext_lazy("Nothing more can be enqueued until the definition is activated."),
    fits=lambda row: row.status == DefinitionStatus.ACTIVE,
    run=lambda row, _data: row.cancel(),
    done=lambda _row: lambda count: ngettext("%d canceled", "%d canceled", count) % count,
    left=gettext_lazy("already canceled"),
    recorded=gettext_lazy("Canceled."),
    form_for=lambda _rows, data: WaitingForm(data),
    is_dangerous=True,
)
ACTIVATE = Verb(
    name="activate",
    permission="change",
    label=gettext_lazy("Activate"),
    explanation=gettext_lazy("Tasks can be enqueued again."),
    fits=lambda row: row.status == DefinitionStatus.CANCELED,
    run=lambda row, _data: row.activate(),
    done=lambda _row: lambda count: ngettext("%d activated", "%d activated", count) % count,
    left=gettext_lazy("already active"),
    recorded=gettext_lazy("Activated."),
    undoes=True,
)
DELETE = Verb(
    name="delete",
    permission="delete",
    label=gettext_lazy("Delete"),
    explanation=gettext_lazy(
        "The definitions are hidden and take no more work; they can be restored. Their tasks "
        "stay; those that wait end as canceled when a worker claims them."
    ),
    fits=lambda row: row.soft_deleted_at is None,
    run=lambda row, _data: row.soft_delete(),
    done=lambda _row: lambda count: ngettext("%d deleted", "%d deleted", count) % count,
    left=gettext_lazy("already deleted"),
    recorded=gettext_lazy("Deleted."),
    is_dangerous=True,
)
RESTORE = Verb(
    name="restore",
    permission="delete",
    label=gettext_lazy("Restore"),
    explanation=gettext_lazy("The definitions are shown again, with the status they had."),
    fits=lambda row: row.soft_deleted_at is not None,
    run=lambda row, _data: row.restore(),
    done=lambda _row: lambda count: ngettext("%d restored", "%d restored", count) % count,
    left=gettext_lazy("not deleted"),
    recorded=gettext_lazy("Restored."),
    undoes=True,
)

DEFINITION_VERBS = (CANCEL, ACTIVATE, DELETE, RESTORE)
