"""Workers that die: at each commit, by a signal, by a task that takes them along."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest

from django_taskstore.models import QueuedTask
from tests.faults.harness.kills import one_at_work
from tests.faults.harness.workers import surroundings
from tests.helpers import ROOT

pytestmark = [pytest.mark.faults]

#: Each commit has two sides; the full run, `make faults`, looks at both.
moments = pytest.mark.parametrize(
    "moment", [pytest.param("before", marks=pytest.mark.long), "after"]
)
KILLS = 4
#: What a task must be for its worker to reach a commit of each kind.
REACHES = {
    "claim": ("LedgerOutput", {}),
    "outcome": ("LedgerOutput", {}),
    "retry": ("LedgerRetry", {}),
    "renew": ("LedgerOutput", {"seconds": 1.5}),
}


def test_a_worker_may_die_before_and_after_each_of_its_commits(case):
    """F3, F4, F5: one worker and one queue a point; a successor finishes what they left."""
    points = [f"{kind}.{moment}" for kind in REACHES for moment in ("before", "after")]
    tasks, doomed = {}, []
    for point in points:
        alias, parameters = REACHES[point.partition(".")[0]]
        tasks[point] = case.enqueue(alias, parameters, queue_name=point)
        doomed.append(case.launch(point, failpoint=point))
    for worker in doomed:
        assert worker.wait(seconds=60) == -9, worker.output
    case.start("*", "--concurrency", "4")
    case.drained()
    rows = {point: QueuedTask.objects.get(pk=task.pk) for point, task in tasks.items()}
    assert {row.status for row in rows.values()} == {"success"}
    starts = case.ledger.starts()
    # Nothing that was committed is done again, and nothing that was not is skipped.
    assert starts[tasks["outcome.after"].pk] == 1
    assert starts[tasks["outcome.before"].pk] == 2
    assert starts[tasks["claim.after"].pk] == 1
    assert rows["claim.before"].lost_count == 0
    assert rows["claim.after"].lost_count == 1
    assert rows["claim.after"].attempts == 1


@moments
def test_a_rescuer_may_die_at_its_commit(case, moment):
    task = case.enqueue("LedgerOutput")
    case.launch(failpoint="claim.after").wait()
    assert case.launch("elsewhere", failpoint=f"rescue.{moment}").wait() == -9
    case.start()
    row = case.ended(task)
    assert (row.status, row.attempts, row.lost_count) == ("success", 1, 1)


@moments
def test_a_worker_may_die_while_it_promotes(case, moment):
    task = case.enqueue("LedgerOutput", run_after=timedelta(seconds=0.2))
    assert case.launch(failpoint=f"promote.{moment}").wait() == -9
    case.start()
    row = case.ended(task)
    assert (row.status, row.attempts, row.lost_count) == ("success", 1, 0)


@moments
def test_a_worker_may_die_while_it_gives_back(case, moment):
    task = case.enqueue("DeafForever", {"how": "sleep", "seconds": 600})
    worker = case.start("--shutdown-timeout", "0", failpoint=f"release.{moment}")
    case.started(task)
    assert worker.stop() == -9
    given_back = moment == "after"
    row = QueuedTask.objects.get(pk=task.pk)
    assert (row.status == "queued") is given_back
    row.cancel()
    case.start("elsewhere")
    assert case.ended(task).lost_count == (0 if given_back else 1)


@moments
def test_a_producer_may_die_at_its_commit(case, moment):
    """The task is there exactly when the commit was."""
    command = [sys.executable, "-m", "tests.faults.harness.entry", "task", "LedgerOutput"]
    environment = {**os.environ, **surroundings(case.ledger, None)}
    environment["TASKSTORE_TEST_FAILPOINT"] = f"enqueue.{moment}"
    died = subprocess.run([*command, "--enqueue=yes"], check=False, cwd=ROOT, env=environment)
    assert died.returncode == -9
    case.unknown = set(QueuedTask.objects.values_list("pk", flat=True))
    assert len(case.unknown) == (1 if moment == "after" else 0)
    case.start("--once").wait()
    assert len(case.ledger.ends()) == len(case.unknown)


def test_what_runs_is_nobody_elses(case):
    """F44: neither another worker nor a free slot of the same one takes it again."""
    task = case.enqueue("LedgerOutput", {"seconds": 1})
    for _ in range(2):
        case.start("--concurrency", "2")
    row = case.ended(task, seconds=10)
    assert (row.status, row.claim_seq) == ("success", 1)
    assert case.ledger.starts() == {task.pk: 1}


def test_a_kill_each_second_loses_nothing(case):
    """F2 in its short form: respawned workers finish what killed ones began."""
    ids = case.enqueue_many(400, "LedgerOutput", {"seconds": 0.2})
    crew = [case.launch("--concurrency", "4", settings={"MAX_LOSSES": 50}) for _ in range(2)]
    for _ in range(KILLS):
        victim = one_at_work(case.ledger, crew)
        crew[victim].kill()
        crew[victim] = case.launch("--concurrency", "4", settings={"MAX_LOSSES": 50})
    case.drained()
    assert set(case.ledger.starts()) == ids
    assert QueuedTask.objects.with_status("success").count() == len(ids)
    assert 1 <= case.ledger.interrupted() <= 4 * KILLS
