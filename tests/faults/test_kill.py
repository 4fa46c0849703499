"""Real worker processes, really killed: nothing is lost and nothing ends twice.

Invariants, whatever is done to the workers: every task reaches a final status; each claim
has at most one outcome; a late worker's outcome changes nothing; a stop uses up no attempt.
"""

from __future__ import annotations

import signal
import time

import pytest

from django_taskstore import enqueue, enqueue_many
from django_taskstore.models import QueuedTask, TaskAttempt
from django_taskstore.statuses import FINAL
from tests.helpers import wait_until, workers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

#: A lease of three seconds is renewed each second.
LEASE_SECONDS, BEAT_SECONDS = 3.0, 1.0
SHORT_LEASE = ("--unstuck-minutes", "0.05", "--interval", "0.2")
#: What a busy machine may add to a bound: scheduling and the start of a handler.
MARGIN_SECONDS = 4.0


def finished(task):
    """Return the row once it is final."""
    row = QueuedTask.all_objects.get(pk=task.pk)
    return row if row.status in FINAL else None


def is_ready(worker):
    """Read a line of a worker's output, and tell whether it begins the banner."""
    return "django_taskstore" in worker.process.stdout.readline()


def started(ledger, task, times=1):
    """Tell whether the task has started so often."""
    return ledger.starts().get(task.pk, 0) >= times


def test_four_workers_run_two_thousand_tasks_exactly_once(ledger):
    enqueue_many("Ledger", [{} for _ in range(2_000)])
    with workers(4, "--concurrency", "4", "--once", ledger=ledger) as crew:
        endings = [worker.wait(seconds=240) for worker in crew]
    assert [code for code, _ in endings] == [0, 0, 0, 0]
    assert QueuedTask.objects.with_status("success").count() == 2_000
    assert set(ledger.starts().values()) == {1}
    assert len(ledger.ends()) == 2_000
    assert set(QueuedTask.objects.values_list("attempts", "claim_seq")) == {(1, 1)}
    output = "".join(text for _, text in endings)
    assert "eadlock" not in output
    assert "locked" not in output.replace("skip locked", "")
    assert "Traceback" not in output


def test_another_worker_finishes_the_task_of_a_killed_one(ledger):
    with workers(2, *SHORT_LEASE, ledger=ledger) as crew:
        for worker in crew:
            wait_until(lambda one=worker: is_ready(one), what="its banner")
        task = enqueue("Ledger", {"seconds": 2})
        wait_until(lambda: started(ledger, task), what="the first start")
        (start,) = ledger.lines()
        first, second = sorted(crew, key=lambda worker: worker.pid != start.pid)
        killed_ns = time.monotonic_ns()
        first.kill()
        row = wait_until(lambda: finished(task), what="the second worker's outcome")
        code, _ = second.stop()
    assert code == 0
    assert (row.status, row.attempts, row.lost_count, row.claim_seq) == ("success", 1, 1, 2)
    assert "stopped renewing its lease" in row.details
    again = [line for line in ledger.lines() if line.what == "start"][1]
    bound_seconds = LEASE_SECONDS + 2 * BEAT_SECONDS + MARGIN_SECONDS
    assert (again.at_ns - killed_ns) / 1e9 <= bound_seconds
    lost = TaskAttempt.objects.get()
    assert (lost.outcome, lost.claim_seq, lost.exception_class.rpartition(".")[2]) == (
        "lost",
        1,
        "WorkerLost",
    )


def test_a_zombies_late_outcome_is_rejected(ledger, tmp_path):
    gate = tmp_path / "gate"
    task = enqueue("StubbornLedger", {"gate": str(gate)})
    with workers(1, *SHORT_LEASE, ledger=ledger) as (zombie,):
        wait_until(lambda: started(ledger, task), what="the zombie's start")
        zombie.send(signal.SIGSTOP)
        gate.touch()  # Once awake it ends at once, before it can be stopped for its lost lease.
        with workers(1, *SHORT_LEASE, ledger=ledger) as (second,):
            row = wait_until(lambda: finished(task), what="the second worker's outcome")
            second.stop()
        zombie.send(signal.SIGCONT)
        wait_until(lambda: ledger.ends().get(task.pk, 0) == 2, what="the zombie's late end")
        code, output = zombie.stop()
    assert code == 0
    assert "lease_lost" in output
    late = QueuedTask.objects.get(pk=task.pk)
    assert (late.claim_seq, late.claimed_by, late.completed_at, late.updated_at) == (
        row.claim_seq,
        row.claimed_by,
        row.completed_at,
        row.updated_at,
    )
    assert (late.status, late.claim_seq, late.lost_count) == ("success", 2, 1)


def test_on_lost_fail_never_starts_twice(ledger):
    task = enqueue("FailWhenLost", {"seconds": 60})
    with workers(1, *SHORT_LEASE, ledger=ledger) as (first,):
        wait_until(lambda: started(ledger, task), what="the start")
        first.kill()
    with workers(1, *SHORT_LEASE, ledger=ledger) as (second,):
        row = wait_until(lambda: finished(task), what="the rescue")
        second.stop()
    assert (row.status, row.lost_count) == ("failed", 1)
    assert ledger.starts() == {task.pk: 1}


@pytest.mark.long
def test_a_task_that_kills_its_workers_fails_after_max_losses(ledger):
    task = enqueue("Ledger", {"seconds": 60})
    for losses in (1, 2, 3):
        with workers(1, *SHORT_LEASE, ledger=ledger) as (victim,):
            wait_until(lambda n=losses: started(ledger, task, n), what=f"start {losses}")
            victim.kill()
    with workers(1, *SHORT_LEASE, ledger=ledger) as (last,):
        row = wait_until(lambda: finished(task), what="the end of the loop")
        last.stop()
    assert (row.status, row.lost_count) == ("failed", 3)
    assert ledger.starts()[task.pk] == 3


def test_sigterm_waits_for_running_tasks_and_claims_no_more(ledger):
    tasks = [enqueue("Ledger", {"seconds": 1.5}) for _ in range(6)]
    with workers(1, "--concurrency", "2", ledger=ledger) as (worker,):
        wait_until(lambda: len(ledger.starts()) == 2, what="two starts")
        code, output = worker.stop()
    assert code == 0
    assert "Stopping" in output
    assert len(ledger.ends()) == 2
    waiting = QueuedTask.objects.with_status("queued")
    assert sorted(waiting.values_list("pk", "attempts", "claimed_by")) == [
        (task.pk, 0, None) for task in tasks[2:]
    ]


def test_a_stop_at_its_deadline_returns_the_attempt(ledger):
    task = enqueue("Ledger", {"seconds": 600})
    with workers(1, "--shutdown-timeout", "0.5", ledger=ledger) as (worker,):
        wait_until(lambda: started(ledger, task), what="the start")
        code, output = worker.stop(seconds=20)
    assert code == 4
    assert "given back" in output
    row = QueuedTask.objects.get(pk=task.pk)
    assert (row.status, row.attempts, row.lost_count, row.claimed_by) == ("queued", 0, 0, None)
    assert "given back" in row.details


def test_a_patient_handler_hears_of_the_stop_and_goes_back(ledger):
    task = enqueue("PatientLedger", {"seconds": 600})
    with workers(1, "--shutdown-timeout", "0.5", ledger=ledger) as (worker,):
        wait_until(lambda: started(ledger, task), what="the start")
        code, _ = worker.stop(seconds=20)
    assert code == 0
    row = QueuedTask.objects.get(pk=task.pk)
    assert (row.status, row.attempts) == ("queued", 0)


def test_a_second_signal_gives_back_at_once(ledger):
    task = enqueue("Ledger", {"seconds": 600})
    with workers(1, "--shutdown-timeout", "600", ledger=ledger) as (worker,):
        wait_until(lambda: started(ledger, task), what="the start")
        worker.send(signal.SIGTERM)
        wait_until(lambda: "Stopping" in worker.process.stdout.readline(), what="the first word")
        code, _ = worker.stop(seconds=20)
    assert code == 4
    assert QueuedTask.objects.get(pk=task.pk).status == "queued"


def test_sigint_is_a_clean_stop_too(ledger):
    with workers(1, ledger=ledger) as (worker,):
        wait_until(lambda: "handlers" in worker.process.stdout.readline(), what="the banner")
        worker.send(signal.SIGINT)
        code, output = worker.wait()
    assert code == 0
    assert "KeyboardInterrupt" not in output
