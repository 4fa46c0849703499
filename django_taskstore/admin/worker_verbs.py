"""What an operator can ask of a worker: be quiet, stop; and forgetting one that is lost.

Owns their words, and when a worker counts as lost. Each calls a verb of the model.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy, ngettext

from django_taskstore.admin.verbs import Verb
from django_taskstore.conf import settings
from django_taskstore.models import Worker

#: Heartbeats that may be missed before a worker is called lost.
MISSED = 3


def lost_before() -> datetime:
    """Return the moment before which the last heartbeat of a lost worker was."""
    return timezone.now() - timedelta(seconds=MISSED * settings.HEARTBEAT_SECONDS)


def is_lost(worker: Worker) -> bool:
    """Tell whether a worker has missed several heartbeats."""
    return bool(worker.heartbeat_at < lost_before())


def forget(worker: Worker, _data: dict[str, Any]) -> bool:
    """Remove a worker's row, unless it was heard of since the page was shown."""
    return worker.forget(silent_since=lost_before())


QUIET = Verb(
    name="quiet",
    permission="switch",
    label=gettext_lazy("Quiet"),
    explanation=gettext_lazy(
        "The worker finishes what it runs, claims nothing more and stays. It hears of it with its "
        "next heartbeat."
    ),
    fits=lambda worker: worker.quiet_requested_at is None and worker.stop_requested_at is None,
    run=lambda worker, _data: worker.request_quiet(),
    done=lambda _row: (
        lambda count: ngettext("%d asked to be quiet", "%d asked to be quiet", count) % count
    ),
    left=gettext_lazy("already asked"),
    recorded=gettext_lazy("Asked to be quiet."),
)
STOP = Verb(
    name="stop",
    permission="switch",
    label=gettext_lazy("Stop"),
    explanation=gettext_lazy(
        "The worker claims nothing more, finishes what it runs and ends. It hears of it with its "
        "next heartbeat; whatever keeps it running may start it again."
    ),
    fits=lambda worker: worker.stop_requested_at is None,
    run=lambda worker, _data: worker.request_stop(),
    done=lambda _row: lambda count: ngettext("%d asked to stop", "%d asked to stop", count) % count,
    left=gettext_lazy("already asked to stop"),
    recorded=gettext_lazy("Asked to stop."),
    is_dangerous=True,
)
FORGET = Verb(
    name="forget",
    permission="forget",
    label=gettext_lazy("Forget"),
    explanation=gettext_lazy(
        "The rows of lost workers are removed. It changes nothing for their tasks, which are taken "
        "over when their leases end; a worker that lives after all writes its row again."
    ),
    fits=is_lost,
    run=forget,
    done=lambda _row: lambda count: ngettext("%d forgotten", "%d forgotten", count) % count,
    left=gettext_lazy("not lost"),
    recorded=gettext_lazy("Forgotten."),
    is_dangerous=True,
)

WORKER_VERBS = (QUIET, STOP, FORGET)
