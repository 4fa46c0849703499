"""How the queues stand right now, for `taskqueue_status` and the admin.

`states` holds the values, `counts` the statements, `concerns` the warnings, and `snapshot`
puts them together; `health` answers probes. Pure reads.
"""

from __future__ import annotations

from django_taskstore.statistics.health import Demands, Health, Problem, health
from django_taskstore.statistics.json_form import as_json
from django_taskstore.statistics.snapshot import live_workers_of, snapshot
from django_taskstore.statistics.states import (
    AtLeast,
    QueueState,
    Snapshot,
    StatusWarning,
    Tally,
    WorkerState,
)

__all__ = [
    "AtLeast",
    "Demands",
    "Health",
    "Problem",
    "QueueState",
    "Snapshot",
    "StatusWarning",
    "Tally",
    "WorkerState",
    "as_json",
    "health",
    "live_workers_of",
    "snapshot",
]
