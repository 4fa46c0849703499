"""A long run under kills and restarts, and the figures that come of it.

Owns `Soak`: it keeps a crew at work, kills one of them each second, restarts the database now
and then, and measures. `test_soak` judges the figures; ``make soak`` prints them.
"""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from django.db import connection

from django_taskstore.models import QueuedTask
from django_taskstore.statuses import FINAL
from tests.faults.harness import invariants
from tests.faults.harness.case import Facts
from tests.faults.harness.kills import each_second
from tests.helpers import wait_until

#: Bad luck alone must fail no task.
MANY_LOSSES = {"MAX_LOSSES": 1_000_000}
#: More is a hang.
LONGEST_DRAIN_SECONDS = 3_600.0
#: After how many kills a soak says how far it is.
TELL_KILLS = 30


@dataclass(frozen=True)
class Plan:
    """How long and how rough.

    Attributes:
        tasks: how many tasks.
        task_seconds: how long each sleeps.
        workers, threads: the crew.
        kills: how many workers are killed, one each second.
        restart_seconds: the time between two restarts of the database; None for no restart.
    """

    tasks: int
    task_seconds: float
    workers: int
    threads: int
    kills: int
    restart_seconds: float | None


@dataclass
class Figures:
    """What a soak found."""

    lost: int
    double_outcomes: int
    illegal_transitions: int
    other_violations: int
    kills: int
    restarts: int
    duplicate_starts: int
    duplicate_bound: int
    recovery_p50_seconds: float
    recovery_p95_seconds: float
    drain_seconds: float
    calm_drain_seconds: float
    rss_growth_percent: float
    violations: list[str] = field(repr=False)

    def __str__(self):
        return "\n".join(
            (
                f"lost                 {self.lost}",
                f"double outcomes      {self.double_outcomes}",
                f"illegal transitions  {self.illegal_transitions}",
                f"other violations     {self.other_violations}",
                f"kills, restarts      {self.kills}, {self.restarts}",
                f"duplicate starts     {self.duplicate_starts} (bound {self.duplicate_bound})",
                f"recovery p50         {self.recovery_p50_seconds:.2f} s",
                f"recovery p95         {self.recovery_p95_seconds:.2f} s",
                f"drained in           {self.drain_seconds:.1f} s",
                f"without faults in    {self.calm_drain_seconds:.1f} s",
                f"RSS of a calm worker {self.rss_growth_percent:+.1f} %",
            )
        )


class Soak:
    """One run of a plan.

    Args:
        case: the case, on a server of its own where there are restarts.
        server: the server to restart, or None.
        plan: how long and how rough.
    """

    def __init__(self, case, server, plan):
        self.case, self.server, self.plan = case, server, plan
        self.crew = []
        self.killed_at_ns = {}
        self.restarts = 0
        self.running_at_restarts = 0

    def run(self):
        """Drain the tasks twice, without faults and with them; return the figures."""
        calm_drain_seconds, growth = self._calm()
        ids = self._enqueue()
        began = time.monotonic()
        self._launch()
        self._hurt()
        self._wait()
        drain_seconds = time.monotonic() - began
        self.case.stop()
        return self._figures(ids, drain_seconds, calm_drain_seconds, growth)

    def _enqueue(self):
        parameters = {"seconds": self.plan.task_seconds}
        return self.case.enqueue_many(self.plan.tasks, "LedgerOutput", parameters)

    def _launch(self):
        self.crew = [self._worker() for _ in range(self.plan.workers)]

    def _worker(self):
        return self.case.launch("--concurrency", str(self.plan.threads), settings=MANY_LOSSES)

    def _calm(self):
        """Measure a run without faults: how long it took, and how one worker's memory grew."""
        self._enqueue()
        began = time.monotonic()
        self._launch()
        self._wait(down_to=0.9 * self.plan.tasks)
        rss_early = rss_bytes(self.crew[0].pid)
        if not unfinished():
            raise AssertionError("The plan has too few tasks: they ended before a first look.")
        self._wait()
        drain_seconds = time.monotonic() - began
        rss_late = rss_bytes(self.crew[0].pid)
        self.case.stop()
        return drain_seconds, 100 * (rss_late / rss_early - 1)

    def _hurt(self):
        """Kill and restart on time until the plan's kills are done or nothing is left."""
        restart_at = time.monotonic() + (self.plan.restart_seconds or float("inf"))
        for _ in each_second(self._goes_on):
            self._kill_one()
            if time.monotonic() >= restart_at:
                self._restart()
                restart_at += self.plan.restart_seconds

    def _goes_on(self):
        """Tell whether to hurt once more; say now and then how far it is."""
        kills, left = len(self.killed_at_ns), unfinished()
        if kills % TELL_KILLS == 0:
            print(f"{kills} kills, {self.restarts} restarts, {left} tasks left", flush=True)
        return kills < self.plan.kills and left > 0

    def _kill_one(self):
        place = random.randrange(len(self.crew))
        victim = self.crew[place]
        victim.kill()
        self.killed_at_ns[victim.pid] = time.monotonic_ns()
        self.crew[place] = self._worker()

    def _restart(self):
        self.running_at_restarts += QueuedTask.objects.with_status("running").count()
        connection.close()
        self.server.kill()
        self.server.start()
        self.restarts += 1

    def _wait(self, *, down_to=0):
        """Wait until no more tasks than these are unfinished; a count is dear, so look seldom."""
        wait_until(
            lambda: unfinished() <= down_to,
            seconds=LONGEST_DRAIN_SECONDS,
            look_seconds=0.5,
            what=f"no more than {down_to:g} tasks to be left",
        )

    def _figures(self, ids, drain_seconds, calm_drain_seconds, growth):
        facts, named = Facts(self.case), ("I1 ", "I3 ", "I4 ", "I5 ")
        violations = invariants.violations(facts)
        starts = [line for line in facts.starts if line.task_id in ids]
        recoveries = sorted(self._recoveries(starts, facts.ends))
        if not recoveries:
            raise AssertionError("No kill met a task that ran: nothing was recovered.")
        kills = len(self.killed_at_ns)
        return Figures(
            lost=count(violations, "I1"),
            double_outcomes=count(violations, "I4") + count(violations, "I5"),
            illegal_transitions=count(violations, "I3"),
            other_violations=sum(not one.startswith(named) for one in violations),
            kills=kills,
            restarts=self.restarts,
            duplicate_starts=len(starts) - len(ids),
            duplicate_bound=self.plan.threads * kills + self.running_at_restarts,
            recovery_p50_seconds=statistics.median(recoveries),
            recovery_p95_seconds=recoveries[int(0.95 * (len(recoveries) - 1))],
            drain_seconds=drain_seconds,
            calm_drain_seconds=calm_drain_seconds,
            rss_growth_percent=growth,
            violations=violations,
        )

    def _recoveries(self, starts, ends):
        """Yield the seconds from each kill to the next start of each task that it interrupted."""
        ended = {(line.task_id, line.claim_seq) for line in ends}
        next_start = {}
        for line in reversed(starts):
            interrupted = (line.task_id, line.claim_seq) not in ended
            killed_at_ns = self.killed_at_ns.get(line.pid)
            if interrupted and killed_at_ns and line.task_id in next_start:
                yield (next_start[line.task_id] - killed_at_ns) / 1e9
            next_start[line.task_id] = line.at_ns


def unfinished():
    """Return how many tasks have not ended."""
    return QueuedTask.objects.exclude(status__in=FINAL).count()


def count(violations, invariant):
    """Return how many violations there are of one invariant."""
    return sum(one.startswith(f"{invariant} ") for one in violations)


def rss_bytes(pid):
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096
