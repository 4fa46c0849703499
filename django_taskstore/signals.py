"""The signals of a task's life, sent after the fact has been committed.

Owns the signal objects. Every receiver gets ``task_id``, ``alias``, ``queue_name`` and
``attempt``; ``task_retried``, ``task_failed`` and ``task_rescued`` also get ``exception``.
``task_enqueued`` is sent once a call and gets ``task_ids``, a list. The sender is always
the `QueuedTask` class. A receiver that raises is logged by Django and changes nothing.
"""

from __future__ import annotations

from django.dispatch import Signal

#: Definitions were canceled, activated, deleted or restored; sent inside the transaction.
definitions_changed = Signal()
task_enqueued = Signal()
#: People have moved tasks or queues; sent in their transaction, with `using`.
queues_changed = Signal()
#: A runner starts in this process; sent with `worker`, its id, and `queues`.
worker_started = Signal()
#: The two that every task sends; their receivers are looked up once.
task_started = Signal(use_caching=True)
task_succeeded = Signal(use_caching=True)
task_retried = Signal()
task_failed = Signal()
task_canceled = Signal()
task_released = Signal()
task_rescued = Signal()
#: A schedule could not do what was due; gets ``schedule_id``, ``name`` and ``exception``.
schedule_failed = Signal()
#: Somebody takes tasks along as a file; sent in the web process with ``user``, ``form``, such as
#: "csv", and ``query``, the filters and the search as the list's address has them.
export_started = Signal()
#: A bulk operation was done or stopped; gets ``operation``.
bulk_operation_ended = Signal()
