"""The dispatcher: rounds that record what finished and claim what can start.

Owns `Dispatcher`, whose statements all run on one connection. A fault of the database is
waited out; no fault of a task, a row or a receiver ends the loop.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.db import DatabaseError, connections

from django_taskstore import maintenance
from django_taskstore.context import Reason
from django_taskstore.database.clock import read_now
from django_taskstore.database.errors import is_conflict, is_outage
from django_taskstore.database.hygiene import drop
from django_taskstore.definitions import mirror
from django_taskstore.executor import Execution
from django_taskstore.notifier import ANYTHING
from django_taskstore.outcomes import Outcome
from django_taskstore.rollups import Recorder
from django_taskstore.runner.exchange import Exchange
from django_taskstore.runner.heartbeat import Identity, Orders
from django_taskstore.runner.in_flight import InFlight
from django_taskstore.runner.mailbox import Mailbox
from django_taskstore.runner.pace import Pace
from django_taskstore.runner.pool import HURRY_SECONDS, InlinePool, Pool
from django_taskstore.runner.vigil import Vigil
from django_taskstore.statuses import Ending

logger = logging.getLogger("django_taskstore.worker")

#: How long a handler that was told to stop may take before its task is given back.
GRACE_SECONDS = 1.5
#: What was claimed ahead and has not started after this goes back to its queue.
GIVE_BACK_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
#: What sends a task back to wait for its time.
POSTPONED = frozenset({Ending.RETRIED, Ending.SNOOZED})


class Dispatcher:
    """The rounds of one started runner.

    Args:
        identity: the worker.
        lease_seconds: how long its claims hold without a heartbeat.
        poll_seconds: the longest sleep when there is nothing to do.
        max_tasks: start no more than so many tasks; None for no limit.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        lease_seconds: float,
        poll_seconds: float,
        max_tasks: int | None,
    ) -> None:
        self.identity = identity
        self.using = identity.using
        self.vigil = Vigil(poll_seconds)
        self.max_tasks = max_tasks
        self.in_flight = InFlight()
        self.released = 0
        self.pool: Pool = InlinePool(self.finished)
        self.is_prepared = False
        self._mailbox = Mailbox()
        self._refill_at = 0
        self._measured_at = 0.0
        self._exchange = Exchange(identity, lease_seconds=lease_seconds)
        self._pace = Pace()
        self._taken = 0
        self._promote_at = 0.0
        self._promoted = 0
        self._pause_seconds = 0.0
        self._stopping = False
        self._is_quiet = False
        self._deadline: float | None = None
        self._grace_seconds = GRACE_SECONDS

    # From other threads and from signal handlers.

    def hear(self, queue_name: str) -> None:
        """Take a wake-up for a queue, or for ANYTHING.

        With a backlog it changes nothing: the next round comes when there is room for one.
        """
        if queue_name == ANYTHING or self._exchange.serves(queue_name):
            self.vigil.woken(fully=queue_name == ANYTHING)
            if not self._exchange.has_more:
                self._mailbox.ring()

    def wake(self) -> None:
        """End the current sleep."""
        self._mailbox.ring()

    def finished(self, execution: Execution, outcome: Outcome) -> None:
        """Take an outcome from a handler's thread.

        The round is called when there is room for another batch, not for each tiny task;
        what is not told of is collected HURRY_SECONDS later.
        """
        self._pace.ran(execution.run_seconds)
        self._mailbox.put(outcome, ring=self.pool.waiting <= self._refill_at)

    def request_stop(self, *, timeout_seconds: float | None) -> None:
        """Claim nothing more; give back what still runs after the timeout, if there is one."""
        if timeout_seconds is not None:
            self._deadline = time.monotonic() + timeout_seconds
        self._stopping = True
        self.wake()

    def obey(self, orders: Orders) -> None:
        """Do what operators asked of this worker: claim nothing more, or end."""
        self._is_quiet = orders.be_quiet
        if orders.stop and not self._stopping:
            self.request_stop(timeout_seconds=None)

    def abandon(self) -> None:
        """Give back at once what still runs."""
        self._grace_seconds = 0.1
        self.request_stop(timeout_seconds=0.0)

    def usual_seconds(self) -> float | None:
        """Return how long a task usually runs; None until that is known."""
        return self._pace.usual_seconds

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop, after which it claims nothing."""
        return self._stopping

    @property
    def recorder(self) -> Recorder:
        """What counts the outcomes of its rounds."""
        return self._exchange.recorder

    # The loop.

    def work(self, *, until_empty: bool = False) -> None:
        """Do rounds until asked to stop, or until nothing is due and nothing runs."""
        while not self._should_stop(until_empty=until_empty):
            if not self.guarded(self.round):
                self._wait(self._pause_seconds)
            elif not self._has_work():
                self._wait(self._nap_seconds())

    def round(self, *, promote: bool = False) -> int:
        """Record what finished, claim what can start, start it; return how many tasks moved.

        Args:
            promote: look for due tasks now, not only when the last look is a poll ago.
        """
        if self.vigil.begin():
            self._exchange.forget_switches()
            self._promote_at = 0.0
        if not self.is_prepared:
            self._prepare()
        if promote or time.monotonic() >= self._promote_at:
            self._promote()
        self._collect()
        moved = self._trade(self._room())
        self.vigil.learn(found=moved > 0)
        return moved

    def settle(self) -> int:
        """Record what has finished and claim nothing; return how many tasks ended."""
        return self._trade(0)

    def drain(self) -> None:
        """Give back what has not started, wait for what runs, then give that back too."""
        self._stopping = True
        self._give_back()
        while self._is_busy() and self._remaining_seconds() > 0:
            if self.guarded(self.settle):
                self._wait(min(self._remaining_seconds(), LONGEST_PAUSE_SECONDS))
            else:
                self._wait(min(self._remaining_seconds(), self._pause_seconds))
        if self._is_busy():
            self._interrupt()

    def _should_stop(self, *, until_empty: bool) -> bool:
        if self._stopping or self._exchange.has_left_all:
            return True
        if self.max_tasks is not None and self._taken >= self.max_tasks:
            return not self._is_busy()
        if not until_empty or self._is_busy() or not self._exchange.found_nothing:
            return False
        return self.guarded(self._promote) and self._promoted == 0

    def _prepare(self) -> None:
        """Note when this runner started and bring the definitions up to date."""
        # First: a stop that is requested while this runner mirrors must count as later.
        self._exchange.started_at = read_now(self.using)
        mirror(self.using)
        self.is_prepared = True

    def _promote(self) -> None:
        due_in = maintenance.due_in_seconds(self.using)
        is_due = due_in is not None and due_in <= 0
        self._promoted = maintenance.promote(self.using) if is_due else 0
        nap_seconds = 0.0 if self._promoted else self.vigil.due_nap_seconds(due_in)
        self._promote_at = time.monotonic() + nap_seconds

    def _room(self) -> int:
        """Return how many tasks to claim: the free slots, and what will start very soon."""
        if self._stopping or self._is_quiet:
            return 0
        if self.pool.waiting_seconds() > GIVE_BACK_SECONDS:
            self._give_back()
            self._pace.stalled()
        room = max(0, self._capacity() - self._busy())
        return room if self.max_tasks is None else min(room, self.max_tasks - self._taken)

    def _capacity(self) -> int:
        return self.identity.concurrency + self._pace.ahead

    def _busy(self) -> int:
        # The transaction that records an outcome may give its slot to another task.
        return len(self.in_flight) - self.in_flight.count(self._exchange.pending_claims())

    def _has_work(self) -> bool:
        """Tell whether the next round should follow at once: it would claim a batch, not a few."""
        if self._exchange.pending:
            return True
        return self._exchange.has_more and 2 * self._room() >= self._capacity()

    def _trade(self, room: int) -> int:
        """Exchange outcomes for claims in one transaction, then start what was claimed."""
        self._collect()
        ended, claims = self._exchange.trade(room)
        self.in_flight.remove(outcome.claim for outcome in ended)
        self._plan(ended)
        executions = list(self._exchange.executions(claims))
        self._taken += len(executions)
        self.in_flight.add(executions)
        self._refill_at = self._pace.ahead // 2
        self.pool.submit(executions)
        return len(ended) + len(claims)

    def _plan(self, ended: list[Outcome]) -> None:
        """Look at due times when the first of these tasks is due again."""
        waits = [one.wait_seconds for one in ended if one.ending in POSTPONED]
        if waits:
            self._promote_at = min(self._promote_at, time.monotonic() + min(waits))

    def _collect(self) -> None:
        """Hand finished outcomes to the exchange, and learn how fast they come."""
        finished, now = self._mailbox.collect(), time.monotonic()
        if self.in_flight:
            self._pace.ended(len(finished), seconds=now - self._measured_at)
        self._measured_at = now
        self._exchange.pending += finished

    def _wait(self, longest_seconds: float) -> None:
        """Sleep until something finishes, somebody wakes this runner, or the time is over."""
        until = time.monotonic() + longest_seconds
        while True:
            left = until - time.monotonic()
            if self._mailbox.wait(min(left, HURRY_SECONDS) if self.pool.waiting else left):
                return
            self.pool.hurry()
            if self._mailbox or time.monotonic() >= until:
                return

    def _nap_seconds(self) -> float:
        """Return how long to sleep when there is nothing to do."""
        return min(self.vigil.nap_seconds(), max(0.0, self._promote_at - time.monotonic()))

    def guarded(self, work: Callable[[], object]) -> bool:
        """Do some work; after a fault wait longer each time instead of ending."""
        try:
            work()
        except Exception as error:
            self._pause_seconds = min(LONGEST_PAUSE_SECONDS, self._pause_seconds * 2 or 0.1)
            self._explain(error)
            drop(connections[self.using])
            return False
        self._pause_seconds = 0.0
        return True

    def _explain(self, error: Exception) -> None:
        if is_outage(error) or is_conflict(error):
            logger.warning(
                "The database does not answer (%s); trying again in %.1f s. Outcomes are kept.",
                str(error).strip().partition("\n")[0],
                self._pause_seconds,
            )
            return
        text = "A round failed; the next one follows in %.1f s."
        logger.error(text, self._pause_seconds, exc_info=error)
        if isinstance(error, DatabaseError):
            self._exchange.separate()

    # The end.

    def _interrupt(self) -> None:
        """Tell what still runs to stop, give it a moment, and release the rest."""
        for execution in self.in_flight.all():
            execution.context.cancel(Reason.SHUTDOWN)
        until = time.monotonic() + self._grace_seconds
        while self._is_busy() and time.monotonic() < until:
            self._wait(max(0.0, until - time.monotonic()))
            self.guarded(self.settle)
        left = self.in_flight.all()
        self.released = len(left)
        for execution in left:
            line = "The worker stopped before the task had ended, so it was given back."
            self._exchange.pending.append(execution.release(line))
        self.guarded(self.settle)

    def _give_back(self) -> None:
        for execution in self.pool.take_back():
            self._exchange.pending.append(execution.release(""))
            self._taken -= 1

    def _is_busy(self) -> bool:
        return bool(self.in_flight or self._exchange.pending or self._mailbox)

    def _remaining_seconds(self) -> float:
        if self._deadline is None:
            return LONGEST_PAUSE_SECONDS
        return max(0.0, self._deadline - time.monotonic())
