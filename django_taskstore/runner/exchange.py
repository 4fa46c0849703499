"""One transaction a round: outcomes in, claims out.

Owns `Exchange`: the outcomes that still have to land, the queues to ask, and what claims of
canceled or unknown definitions come to. An outcome stays until it has landed or its claim
is lost; it survives any number of failed rounds.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator
from datetime import datetime

from django.core.exceptions import SuspiciousOperation
from django.db import DatabaseError

from django_taskstore import claims as claiming
from django_taskstore import switchboard
from django_taskstore.claims import Claim
from django_taskstore.database.errors import is_conflict, is_outage
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.definitions import known
from django_taskstore.exceptions import Cancel, HandlerImportFailed, InvalidOutput
from django_taskstore.executor import Execution
from django_taskstore.outcomes import Outcome, announce, record
from django_taskstore.registry import registry
from django_taskstore.rollups import Recorder
from django_taskstore.runner.identity import Identity
from django_taskstore.runner.locked import Locked, divide
from django_taskstore.runner.notices import say_left, say_lost
from django_taskstore.statuses import Ending
from django_taskstore.watchers import Sought

ALL_QUEUES = "*"
SWITCHES_SECONDS = 1.0


class Exchange:
    """Trades outcomes for claims.

    Args:
        identity: the worker that claims.
        lease_seconds: how long its claims hold without a heartbeat.
    """

    def __init__(self, identity: Identity, *, lease_seconds: float) -> None:
        self.identity = identity
        self.lease_seconds = lease_seconds
        self.using = identity.using
        self.recorder = Recorder(identity.using)
        self.pending: list[Outcome] = []
        self.locked = Locked()
        self.started_at: datetime | None = None
        self.found_nothing = False
        self.has_more = False
        self.may_have_orphans = False
        self._turn = 0
        self._asked: list[str] = []
        self._without: set[int] = set()
        self._alone = self._is_wary = False
        self._switches = switchboard.Switches([], frozenset(), {})
        self._switches_at = float("-inf")

    def trade(self, room: int) -> tuple[list[Outcome], list[Claim]]:
        """Record what is pending and claim up to ``room`` tasks, in one transaction.

        Returns:
            The outcomes that are done with, landed or not, and the new claims.
        """
        self._asked = queues = self._open_queues() if room > 0 else []
        if held_up := self.locked.due():
            # Before the others: what a stop appends to them comes second.
            self.pending = held_up + self.pending
        if not self.pending and not queues:
            self.found_nothing, self.has_more = room > 0, False
            return [], []
        if self._alone:
            return self._record_alone(), []
        if self.found_nothing and not self.pending and self._is_idle_still(queues):
            return [], []
        fresh = [outcome for outcome in self.pending if not outcome.landed]

        self._is_wary = self._is_wary or bool(held_up)

        def transact() -> tuple[list[Outcome], list[Outcome], list[Claim]]:
            # A second try may owe itself to a locked row; the usual first one does not ask.
            was_wary, self._is_wary = self._is_wary, True
            with self._transaction(fresh, queues):
                free, locked = divide(fresh) if was_wary else (fresh, [])
                landed = record(free, self.using) if free else []
                return locked, landed, self._claim(queues, room)

        locked, landed, claims = repeat_on_conflict(self.using, transact)
        self._is_wary = False
        self._set_apart(locked)
        self.found_nothing = room > 0 and not claims
        self.has_more = 0 < room == len(claims)
        return self._settle(landed), claims

    def _set_apart(self, locked: list[Outcome]) -> None:
        """Keep outcomes whose rows somebody has locked, and let the others be settled."""
        self.locked.keep(locked)
        if locked:
            apart = set(self.locked.claims())
            self.pending = [one for one in self.pending if one.claim not in apart]

    def executions(self, claims: list[Claim]) -> Iterator[Execution]:
        """Yield what can run; a claim that cannot gets its outcome at once."""
        for claim in claims:
            if not claim.takes_work:
                reason = Cancel("The task definition is canceled or deleted.")
                self.pending.append(Outcome(claim, Ending.CANCELED, exception=reason))
            elif (refusal := self._refusal(claim)) is not None:
                self.pending.append(refusal)
            else:
                yield Execution(claim)
        self.has_more = self.has_more or bool(self.pending)

    def _refusal(self, claim: Claim) -> Outcome | None:
        """Return the outcome of a claim that this process cannot or must not run, else None."""
        try:
            if registry.serves(claim.alias, claim.parameters, claim.metadata):
                return None
            reason = registry.not_found(claim.alias)
        except SuspiciousOperation as error:
            return Outcome(claim, Ending.FAILED, exception=error)
        except HandlerImportFailed as error:
            reason = str(error)
        self._without.add(claim.definition_id)
        say_left(claim, reason)
        return Outcome(claim, Ending.RELEASED)

    def give_back_orphans(self, held: Collection[tuple[int, int]]) -> None:
        """Release what was claimed in a transaction whose answer never came.

        Args:
            held: id and claim number of what this process knows to hold.
        """
        owed = self.pending_claims() + self.locked.claims()
        known = {*held, *((claim.id, claim.claim_seq) for claim in owed)}
        orphans = claiming.claim_orphaned(self.identity.id, known=known, using=self.using)
        self.pending += [Outcome(claim, Ending.RELEASED) for claim in orphans]
        self.may_have_orphans = False

    def pending_claims(self) -> list[Claim]:
        """Return the claims whose outcomes have still to land."""
        return [outcome.claim for outcome in self.pending]

    @property
    def owes(self) -> bool:
        """Whether any outcome has still to land."""
        return bool(self.pending or self.locked.claims())

    def doubt(self, one_is_bad: bool) -> None:  # noqa: FBT001 - what the guard says
        """Think of what a failed round may have left or met.

        Claims nobody knows of, and locked rows; or one outcome that the database refuses, which
        spoils the transaction: then they are recorded one by one.
        """
        self.may_have_orphans = self._is_wary = True
        self._alone = self._alone or (one_is_bad and bool(self.pending))

    @property
    def has_left_all(self) -> bool:
        """Whether operators asked this runner to leave every queue it serves."""
        served = self._served()
        return bool(served) and not set(served) - self._switches.left_by(self.started_at)

    @property
    def sought(self) -> Sought | None:
        """What the last look would have claimed; None if it claimed, or had no room."""
        if not (self.found_nothing and self._asked):
            return None
        return Sought.among(self._asked, self._without)

    def _served(self) -> list[str]:
        names = self.identity.queues
        return self._switches.names if ALL_QUEUES in names else list(dict.fromkeys(names))

    def _open_queues(self) -> list[str]:
        """Return the queues to ask, the first one in turn so that none starves the others."""
        if time.monotonic() - self._switches_at > SWITCHES_SECONDS:
            self._switches = switchboard.read(self.using)
            self._switches_at = time.monotonic()
        closed = self._switches.paused | self._switches.left_by(self.started_at)
        queues = [name for name in self._served() if name not in closed]
        self._turn += 1
        first = self._turn % len(queues) if queues else 0
        return queues[first:] + queues[:first]

    def forget_switches(self) -> None:
        """Read at the next claim what operators asked of queues."""
        self._switches_at = float("-inf")

    def _transaction(
        self, fresh: list[Outcome], queues: list[str]
    ) -> contextlib.AbstractContextManager[None]:
        """Open a transaction, unless a statement that commits by itself is all there is.

        On SQLite even that takes its turn among the writers, which `writing` keeps fair.
        """
        if not fresh and len(queues) == 1 and claiming.looks_freely(self.using):
            return contextlib.nullcontext()
        return writing(self.using)

    def _is_idle_still(self, queues: list[str]) -> bool:
        """Look without a lock whether there is work; where a claim takes none to look, claim."""
        if len(queues) == 1 and claiming.looks_freely(self.using):
            return False
        return not any(
            claiming.has_waiting(name, using=self.using, without=self._without) for name in queues
        )

    def serves(self, queue_name: str) -> bool:
        """Tell whether this runner takes tasks of a queue."""
        return ALL_QUEUES in self.identity.queues or queue_name in self.identity.queues

    def _claim(self, queues: list[str], room: int) -> list[Claim]:
        claimed: list[Claim] = []
        for name in queues:
            if len(claimed) < room:
                claimed += claiming.claim(
                    name,
                    limit=room - len(claimed),
                    worker=self.identity.id,
                    lease_seconds=self.lease_seconds,
                    using=self.using,
                    without=self._without,
                )
        definitions = known({claim.definition_id for claim in claimed}, self.using)
        for claim in claimed:
            definition = definitions.get(claim.definition_id)
            claim.alias = definition.alias if definition else ""
            claim.takes_work = definition is not None and definition.takes_work
        return claimed

    def _settle(self, landed: list[Outcome]) -> list[Outcome]:
        """Announce what landed, say what was lost, and forget both."""
        done, self.pending = self.pending, []
        landed = landed + [outcome for outcome in done if outcome.landed]
        announce(landed)
        self.recorder.count(landed)
        kept = {id(outcome.claim) for outcome in landed}
        for outcome in done:
            if id(outcome.claim) not in kept:
                say_lost(outcome)
        return done

    def _record_alone(self) -> list[Outcome]:
        """Record each outcome in a transaction of its own; replace the one that cannot be."""
        self._alone, outcomes, self.pending = False, self.pending, []
        done: list[Outcome] = []
        kept: list[Outcome] = []
        for outcome in outcomes:
            try:
                done += self._land(outcome)
            except DatabaseError:
                kept.append(outcome)  # The next round tries again, and says why it cannot.
        self.pending = kept
        return done

    def _land(self, outcome: Outcome) -> list[Outcome]:
        """Record one outcome, or the failure that stands for one that the database refuses."""
        try:
            landed = [] if outcome.landed else self._record_one(outcome)
        except DatabaseError as error:
            if is_outage(error) or is_conflict(error):
                raise
            return self._replace(outcome, error)
        self.pending = [outcome]
        return self._settle(landed)

    def _record_one(self, outcome: Outcome) -> list[Outcome]:
        with writing(self.using):
            return record([outcome], self.using)

    def _replace(self, outcome: Outcome, error: DatabaseError) -> list[Outcome]:
        """End a task whose outcome the database refuses with a failure that says so."""
        refused = InvalidOutput(f"The database refused the task's outcome: {error}")
        bare = Outcome(
            outcome.claim, Ending.FAILED, exception=refused, started_at=outcome.started_at
        )
        landed = self._record_one(bare)
        self.pending = [bare]
        self._settle(landed)
        return [outcome]
