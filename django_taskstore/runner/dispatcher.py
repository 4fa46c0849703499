"""The dispatcher: rounds that record what finished and claim what can start.

Owns `Dispatcher`, whose statements all run on one connection. A fault of the database is
waited out; no fault of a task, a row or a receiver ends the loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from django_taskstore.context import Reason
from django_taskstore.database.clock import read_now
from django_taskstore.database.limits import Limits
from django_taskstore.definitions import mirror
from django_taskstore.executor import Execution
from django_taskstore.notifier import ANYTHING
from django_taskstore.outcomes import Outcome
from django_taskstore.runner.exchange import Exchange
from django_taskstore.runner.guard import LONGEST_PAUSE_SECONDS, Guard
from django_taskstore.runner.heartbeat import Orders
from django_taskstore.runner.identity import Identity
from django_taskstore.runner.mailbox import Mailbox
from django_taskstore.runner.pool import HURRY_SECONDS, InlinePool, Pool
from django_taskstore.runner.promoting import Promoter
from django_taskstore.runner.slots import Slots
from django_taskstore.runner.stopping import LAST_SECONDS, Stopping, left_of
from django_taskstore.runner.suspects import Suspects
from django_taskstore.runner.vigil import Vigil

#: What was claimed ahead and has not started after this goes back to its queue.
GIVE_BACK_SECONDS = 0.5


class Dispatcher:
    """The rounds of one started runner.

    Args:
        identity: the worker.
        lease_seconds: how long its claims hold without a heartbeat.
        poll_seconds: the longest sleep when there is nothing to do.
        max_tasks: start no more than so many tasks; None for no limit.
        limits: how long a round waits for the database.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        lease_seconds: float,
        poll_seconds: float,
        max_tasks: int | None,
        limits: Limits,
    ) -> None:
        self.identity = identity
        self.using = identity.using
        self.vigil = Vigil(poll_seconds)
        self.max_tasks = max_tasks
        self.limits = limits
        self.is_in_touch: Callable[[], bool] = lambda: True
        self.slots = Slots(identity.concurrency)
        self.in_flight, self.held = self.slots.in_flight, self.slots.held
        self.released = 0
        self.pool: Pool = InlinePool(self.finished)
        self.is_prepared = False
        self._mailbox = Mailbox()
        self._suspects = Suspects()
        self._refill_at = 0
        self._exchange = Exchange(identity, lease_seconds=lease_seconds)
        self.recorder = self._exchange.recorder
        self._taken = 0
        self._promoter = Promoter(self.using, self.vigil.due_nap_seconds)
        self._guard = Guard(limits, self._exchange.doubt)
        self._stopping = Stopping()
        self._is_quiet = False

    # From other threads and from signal handlers.

    def hear(self, queue_name: str) -> None:
        """Take a wake-up for a queue, or for ANYTHING.

        With a backlog it changes nothing: the next round comes when there is room for one. Nor
        does it end the pause after a fault: on SQLite a write that fails is heard of too.
        """
        if queue_name == ANYTHING or self._exchange.serves(queue_name):
            self.vigil.woken(fully=queue_name == ANYTHING)
            if not (self._exchange.has_more or self._guard.pause_seconds):
                self._mailbox.ring()

    def wake(self) -> None:
        """End the current sleep."""
        self._mailbox.ring()

    def finished(self, execution: Execution, outcome: Outcome) -> None:
        """Take an outcome from a handler's thread.

        The round is called when there is room for another batch, not for each tiny task;
        what is not told of is collected HURRY_SECONDS later.
        """
        if self.held.let_go(execution):
            self.wake()
            return
        self.slots.pace.ran(execution.run_seconds)
        self._mailbox.put(outcome, ring=self.pool.waiting <= self._refill_at)

    def hold(self, execution: Execution) -> None:
        """Record what became of a task whose handler ignores everything; its slot stays taken."""
        if (outcome := self.held.hold(execution)) is not None:
            self._mailbox.put(outcome, ring=True)

    def request_stop(self, *, timeout_seconds: float | None) -> None:
        """Claim nothing more; give back what still runs after the timeout, if there is one."""
        self._stopping.request(timeout_seconds=timeout_seconds)
        self.wake()

    def obey(self, orders: Orders) -> None:
        """Do what operators asked of this worker: claim nothing more, or end."""
        self._is_quiet = orders.be_quiet
        if orders.stop and not self.is_stopping:
            self.request_stop(timeout_seconds=None)

    def abandon(self) -> None:
        """Give back at once what still runs."""
        self._stopping.request_now()
        self.wake()

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop, after which it claims nothing."""
        return self._stopping.is_requested

    def work(self, *, until_empty: bool = False) -> None:
        """Do rounds until asked to stop, or until nothing is due and nothing runs."""
        while not self._should_stop(until_empty=until_empty):
            if not self.guarded(self.round):
                self._wait(self._guard.pause_seconds)
            elif not (self._has_work() or (until_empty and self._is_done)):
                self._wait(self._nap_seconds())

    def round(self, *, promote: bool = False) -> int:
        """Record what finished, claim what can start, start it; return how many tasks moved.

        Args:
            promote: look for due tasks now, not only when the last look is a poll ago.
        """
        if self.vigil.begin():
            self._exchange.forget_switches()
            self._promoter.look_soon()
        if not self.is_prepared:
            self._prepare()
        if promote or not self._promoter.left_seconds:
            self._promoter.look()
        self._collect()
        moved = self._trade(self._room())
        self.vigil.learn(found=moved > 0, sought=self._exchange.sought)
        return moved

    def settle(self) -> int:
        """Record what has finished and claim nothing; return how many tasks ended."""
        return self._trade(0)

    def drain(self) -> None:
        """Give back what has not started, wait for what runs, then give that back too."""
        self._stopping.request(timeout_seconds=None)
        self._give_back()
        self._settle_while(lambda: self._stopping.remaining_seconds(LONGEST_PAUSE_SECONDS))
        if self.is_busy:
            self._interrupt()

    def _should_stop(self, *, until_empty: bool) -> bool:
        if self.is_stopping or self._exchange.has_left_all:
            return True
        if self.max_tasks is not None and self._taken >= self.max_tasks:
            return not self.is_busy
        if not (until_empty and self._is_done):
            return False
        return self.guarded(self._promoter.look) and not self._promoter.found

    @property
    def _is_done(self) -> bool:
        """Whether nothing runs, and the last look found nothing to start."""
        return self._exchange.found_nothing and not self.is_busy

    def _prepare(self) -> None:
        """Note when this runner started and bring the definitions up to date."""
        # First: a stop that is requested while this runner mirrors must count as later.
        self._exchange.started_at = read_now(self.using)
        mirror(self.using)
        self.is_prepared = True

    def _room(self) -> int:
        """Return how many tasks to claim: the free slots, and what will start very soon."""
        is_busy = self.is_stopping or self._is_quiet or self._suspects.wants_quiet
        if is_busy or not self.is_in_touch():
            return 0
        if self.pool.waiting_seconds() > GIVE_BACK_SECONDS:
            self._give_back()
            self.slots.pace.stalled()
        room = max(0, self.slots.capacity - self.slots.busy(self._exchange.pending_claims()))
        return room if self.max_tasks is None else min(room, self.max_tasks - self._taken)

    def _has_work(self) -> bool:
        """Tell whether the next round should follow at once: it would claim a batch, not a few."""
        if self._exchange.pending:
            return True
        return self._exchange.has_more and 2 * self._room() >= self.slots.capacity

    def _trade(self, room: int) -> int:
        """Exchange outcomes for claims in one transaction, then start what was claimed."""
        self._collect()
        if self._exchange.may_have_orphans:
            self._exchange.give_back_orphans(self.in_flight.keys())
        ended, claims = self._exchange.trade(room)
        self.in_flight.remove(outcome.claim for outcome in ended)
        self._promoter.expect(ended)
        executions = list(self._exchange.executions(claims))
        self.in_flight.add(executions)
        self._taken += len(executions)
        self._refill_at = self.slots.pace.ahead // 2
        self.pool.submit(self._admitted(executions))
        return len(ended) + len(claims)

    def _admitted(self, executions: list[Execution]) -> list[Execution]:
        """Return what starts now; what must not wait here goes back to its queue."""
        if self._suspects.wants_quiet:
            alone = self._suspects.next(self.in_flight)
            if not self._suspects.wants_quiet:
                self.wake()
            return alone
        if not any(one.claim.lost_count for one in executions):
            return executions
        free = self.slots.free(self._exchange.pending_claims()) + len(executions)
        now, back = self._suspects.divide(executions, free_slots=free)
        if back:
            self._release(back)
            self.slots.pace.stalled()
        return now or self._suspects.next(self.in_flight)

    def _collect(self) -> None:
        """Hand finished outcomes to the exchange, and learn how fast they come."""
        finished = self._mailbox.collect()
        self.slots.measure(len(finished))
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
        soonest = min(self.vigil.nap_seconds(), self._promoter.left_seconds)
        return min(soonest, self._exchange.locked.pause_seconds)

    def guarded(self, work: Callable[[], object]) -> bool:
        """Do some work; after a fault wait longer each time instead of ending."""
        return self._guard.run(work)

    def _interrupt(self) -> None:
        """Tell what still runs to stop, give it a moment, and release the rest."""
        for execution in self.in_flight.all():
            execution.context.cancel(Reason.SHUTDOWN)
        self._settle_while(left_of(self._stopping.grace_seconds))
        self.guarded(self.settle)
        left = self.in_flight.all()
        self.released = len(left)
        ended = set(self._exchange.locked.claims())
        for execution in [one for one in left if one.claim not in ended]:
            line = "The worker stopped before the task had ended, so it was given back."
            self._exchange.pending.append(execution.release(line))
        # Once would not be enough: a heartbeat may hold a row just now.
        self._settle_while(left_of(LAST_SECONDS))

    def _settle_while(self, left_seconds: Callable[[], float]) -> None:
        """Record what ends, until nothing is left or the time is over."""
        while self.is_busy and (left := left_seconds()):
            was_done = self.guarded(self.settle)
            if self.is_busy:
                again = self._exchange.locked if was_done else self._guard
                self._wait(min(left, again.pause_seconds))

    def _give_back(self) -> None:
        self._release(self.pool.take_back() + self._suspects.take_back())

    def _release(self, executions: Iterable[Execution]) -> None:
        for execution in executions:
            self._exchange.pending.append(execution.release(""))
            self._taken -= 1

    @property
    def is_busy(self) -> bool:
        """Whether anything is claimed whose outcome has not landed."""
        return bool(self.in_flight or self._exchange.owes or self._mailbox)
