"""Working queues: one process's loop, its handler threads, its heartbeat.

`runner` is the public face, `dispatcher` its loop, `exchange` the one transaction of a round,
`pool` runs handlers on threads and on an event loop, `heartbeat`
keeps leases, `in_flight` is the table of what this process holds, `pace` decides how much
to claim ahead.
"""

from __future__ import annotations

from django_taskstore.runner.runner import TaskQueueRunner

__all__ = ["TaskQueueRunner"]
