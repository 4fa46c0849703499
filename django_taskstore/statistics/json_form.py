"""A snapshot for programs: the stable JSON of `taskqueue_status --json` and of the dashboard.

Owns its shape. Pure.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django_taskstore.statistics.states import QueueState, Snapshot, Tally, WorkerState

#: Raised when a key of the JSON changes its meaning or goes; new keys may come at any time.
JSON_VERSION = 1


def as_json(seen: Snapshot) -> dict[str, Any]:
    """Return the stable form for programs."""
    return {
        "version": JSON_VERSION,
        "time": iso(seen.time),
        "ok": not seen.warnings,
        "warnings": [
            {
                "code": warning.code,
                "queue": warning.queue,
                "since": iso(warning.since),
                "text": warning.text,
            }
            for warning in seen.warnings
        ],
        "totals": {name: tally_json(tally) for name, tally in seen.totals.items()},
        "queues": [queue_json(state) for state in seen.queues],
        "workers": [worker_json(worker) for worker in seen.workers],
    }


def queue_json(state: QueueState) -> dict[str, Any]:
    """Return one queue for programs."""
    wait = state.oldest_wait_seconds
    return {
        "name": state.name,
        "paused": state.is_paused,
        "paused_at": iso(state.paused_at),
        "paused_by": state.paused_by,
        "pause_reason": state.pause_reason,
        "stop_requested_at": iso(state.stop_requested_at),
        "queued": state.queued,
        "scheduled": state.scheduled,
        "due": state.due,
        "waiting_exact": state.is_exact,
        "paused_tasks": tally_json(state.paused),
        "running": state.running,
        "expired_leases": state.expired,
        "failed": tally_json(state.failed),
        "oldest_wait_s": None if wait is None else round(wait, 3),
        "workers": state.workers,
    }


def worker_json(worker: WorkerState) -> dict[str, Any]:
    """Return one worker for programs."""
    return {
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "queues": list(worker.queues),
        "started_at": iso(worker.started_at),
        "heartbeat_age_s": round(worker.heartbeat_age_seconds, 3),
        "running": worker.running,
        "concurrency": worker.concurrency,
        "state": "running",
        "version": worker.version,
        "revision": worker.revision,
        "succeeded": worker.succeeded,
        "failed": worker.failed,
        "memory_bytes": worker.memory_bytes,
    }


def tally_json(tally: Tally) -> dict[str, Any]:
    """Return a count for programs."""
    return {"n": tally.n, "exact": tally.exact}


def iso(moment: datetime | None) -> str | None:
    """Return an aware datetime as ISO text, or None."""
    return None if moment is None else moment.isoformat()
