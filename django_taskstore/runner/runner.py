"""The runner as its users see it: start, stop, is_running, run_once.

Owns `TaskQueueRunner`, which puts a dispatcher, a pool of threads, a heartbeat and, on
PostgreSQL, a listener together, and takes them apart again.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence

from django.db import connections

from django_taskstore.conf import settings
from django_taskstore.database.limits import LONGEST_ANSWER_SECONDS, Limits
from django_taskstore.definitions import queue_database
from django_taskstore.runner.dispatcher import Dispatcher
from django_taskstore.runner.exchange import ALL_QUEUES
from django_taskstore.runner.heartbeat import Heartbeat, appear, withdraw
from django_taskstore.runner.identity import Identity
from django_taskstore.runner.notices import say_unheard
from django_taskstore.runner.pool import HandlerThreads
from django_taskstore.runner.warden import Warden
from django_taskstore.signals import worker_started
from django_taskstore.validation import validate_queue_name
from django_taskstore.watchers import Watcher, watch

#: A helper thread that the database holds up longer than this is left behind.
HELPERS_SECONDS = 1.0


class TaskQueueRunner:
    """Works queues: claims their tasks, runs them on threads, and records what came of them.

    Args:
        *queues: names, or "*" for all; ``default`` when there is none.
        concurrency: tasks at the same time; MAX_CONCURRENCY by default.
        poll_seconds: the longest sleep when there is nothing to do; POLL_SECONDS by default.
        lease_seconds: how long a claim holds without a heartbeat; LEASE_SECONDS by default.
        max_tasks: stop after so many tasks, to give memory back; None for no limit.

    Raises:
        InvalidQueueName: a name is not valid.
        ValueError: a number is not above 0.
    """

    def __init__(
        self,
        *queues: str,
        concurrency: int | None = None,
        poll_seconds: float | None = None,
        lease_seconds: float | None = None,
        max_tasks: int | None = None,
    ) -> None:
        self.queues = tuple(
            name if name == ALL_QUEUES else validate_queue_name(name)
            for name in queues or ("default",)
        )
        self.concurrency = int(positive("concurrency", concurrency, settings.MAX_CONCURRENCY))
        self.poll_seconds = positive("poll_seconds", poll_seconds, settings.POLL_SECONDS)
        self.lease_seconds = positive("lease_seconds", lease_seconds, settings.LEASE_SECONDS)
        self.max_tasks = max_tasks
        self._thread: threading.Thread | None = None
        self._dispatcher = self._make_dispatcher()

    @property
    def is_running(self) -> bool:
        """Whether the loop runs, also while it stops."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def released(self) -> int:
        """How many running tasks the last stop gave back because its time was over."""
        return self._dispatcher.released

    @property
    def held(self) -> int:
        """How many threads are held by tasks that ignore their timeout or cancel."""
        return len(self._dispatcher.held)

    @property
    def is_held_up(self) -> bool:
        """Whether half of its threads are held by tasks that ignore everything."""
        return 2 * self.held >= self.concurrency

    @property
    def held_at(self) -> float | None:
        """When a running task will have ignored its timeout, by the monotonic clock, or None."""
        moments = [one.held_at for one in self._dispatcher.in_flight.all()]
        return min((moment for moment in moments if moment is not None), default=None)

    @property
    def identity(self) -> Identity:
        """Who this runner is in the rows it claims."""
        return self._dispatcher.identity

    def start(self, *, until_empty: bool = False) -> None:
        """Start the loop on a thread of its own and return.

        Args:
            until_empty: stop by itself once nothing is due and nothing runs.

        Raises:
            RuntimeError: it runs already.
        """
        if self.is_running:
            raise RuntimeError("This runner runs already; stop() it first, or make another one.")
        self._dispatcher = self._make_dispatcher()
        self._thread = threading.Thread(
            target=self._run,
            args=(self._dispatcher, until_empty),
            name="taskstore-dispatcher",
            daemon=True,
        )
        self._thread.start()

    def stop(self, *, timeout_seconds: float | None = None) -> None:
        """Claim nothing more, and return once all running tasks have ended.

        Args:
            timeout_seconds: give back what still runs after so long; None waits for all.
        """
        self.request_stop(timeout_seconds=timeout_seconds)
        self.join()

    def request_stop(self, *, timeout_seconds: float | None = None) -> None:
        """Ask the loop to stop and return at once; safe in a signal handler."""
        self._dispatcher.request_stop(timeout_seconds=timeout_seconds)

    def abandon(self) -> None:
        """Give back at once what still runs; safe in a signal handler."""
        self._dispatcher.abandon()

    def join(self, timeout_seconds: float | None = None) -> None:
        """Wait for the loop's end."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def run_once(self) -> int:
        """Do one round here and now, running what is claimed on this thread.

        Returns:
            The number of tasks claimed or ended; 0 means there was nothing to do.

        Raises:
            RuntimeError: the loop runs, and does its own rounds.
        """
        if self.is_running:
            raise RuntimeError("This runner's loop runs and does its own rounds; stop() it first.")
        if self._dispatcher.is_stopping:
            self._dispatcher = self._make_dispatcher()
        tell_started(self.identity)
        heartbeat = self._heartbeat(self._dispatcher)
        heartbeat.start()
        try:
            moved = self._dispatcher.round(promote=True) + self._dispatcher.settle()
            while self._dispatcher.is_busy:  # A task that runs alone came after the others.
                moved += self._dispatcher.settle()
            self._dispatcher.recorder.flush_when_due()
            return moved
        finally:
            end([heartbeat])

    def _make_dispatcher(self) -> Dispatcher:
        return Dispatcher(
            Identity(
                uuid.uuid4(),
                self.queues,
                self.concurrency,
                queue_database(),
                lease_seconds=self.lease_seconds,
                poll_seconds=self.poll_seconds,
            ),
            lease_seconds=self.lease_seconds,
            poll_seconds=self.poll_seconds,
            max_tasks=self.max_tasks,
            limits=self._limits(),
        )

    def _limits(self) -> Limits:
        """Return the patience of one of the runner's own connections."""
        answer_seconds = min(LONGEST_ANSWER_SECONDS, self.lease_seconds / 3)
        return Limits(queue_database(), answer_seconds=answer_seconds)

    def _heartbeat(self, dispatcher: Dispatcher) -> Heartbeat:
        return Heartbeat(
            dispatcher.identity,
            dispatcher.in_flight,
            lease_seconds=self.lease_seconds,
            limits=self._limits(),
            wake=dispatcher.wake,
            obey=dispatcher.obey,
            recorder=dispatcher.recorder,
        )

    def _run(self, dispatcher: Dispatcher, until_empty: bool) -> None:  # noqa: FBT001 - a thread's target
        watcher = watch(dispatcher.using, dispatcher.hear, say_unheard)
        helpers = self._helpers(dispatcher)
        dispatcher.vigil.watcher = watcher
        dispatcher.pool = HandlerThreads(
            self.concurrency, dispatcher.finished, lambda: dispatcher.slots.pace.usual_seconds
        )
        try:
            for helper in helpers:
                helper.start()
            tell_started(dispatcher.identity)
            with dispatcher.limits.applied():
                dispatcher.guarded(lambda: appear(dispatcher.identity))
                dispatcher.work(until_empty=until_empty)
                dispatcher.drain()
                dispatcher.guarded(dispatcher.recorder.flush)
                # First: a beat after the farewell would write the worker's row again.
                end(helpers[:1])
                dispatcher.guarded(lambda: withdraw(dispatcher.identity))
        finally:
            dispatcher.pool.stop()
            end(helpers if watcher is None else [*helpers, watcher])
            connections.close_all()

    def _helpers(self, dispatcher: Dispatcher) -> list[Heartbeat | Warden]:
        """Return the threads beside the dispatcher's, the heartbeat first; none has started."""
        heartbeat = self._heartbeat(dispatcher)
        dispatcher.is_in_touch = lambda: heartbeat.is_in_touch
        warden = Warden(
            dispatcher.in_flight, is_in_touch=dispatcher.is_in_touch, held=dispatcher.hold
        )
        return [heartbeat, warden]


def tell_started(identity: Identity) -> None:
    """Send the signal that a runner starts."""
    queues = list(identity.queues)
    worker_started.send_robust(TaskQueueRunner, worker=identity.id, queues=queues)


def end(threads: Sequence[Heartbeat | Warden | Watcher]) -> None:
    """End helper threads and give them a moment to close their connections."""
    for thread in threads:
        thread.stop()
    for thread in threads:
        if thread.is_alive():
            thread.join(HELPERS_SECONDS)


def positive(name: str, given: float | None, default: float) -> float:
    """Return the given number or the default.

    Raises:
        ValueError: it is not above 0.
    """
    value = default if given is None else given
    if value <= 0:
        raise ValueError(f"{name} is {value!r}, expected a number above 0.")
    return value
