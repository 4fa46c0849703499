"""What a broken network, or a worker that slept, may not do to a task."""

from __future__ import annotations

import signal
import time

import pytest
from django.conf import settings
from django.db import DatabaseError, transaction

from django_taskstore import enqueue
from django_taskstore.models import QueuedTask
from tests.faults.harness.servers import connected_through
from tests.faults.harness.workers import LEASE_SECONDS, MARGIN_SECONDS
from tests.helpers import wait_until
from tests.testapp.models import Effect

pytestmark = [pytest.mark.faults]

over_a_network = pytest.mark.skipif(
    settings.BACKEND == "sqlite", reason="no network lies between a worker and a file"
)

#: What only the transaction of a claim, and what only that of an outcome, writes.
CLAIM = rb"claim_seq[\"`]? = \(?[\w.\"`]*claim_seq[\"`]? \+"
OUTCOME = rb"(UPDATE|STRAIGHT_JOIN) [\"`]?django_taskstore_queuedtask[^;]*completed_at"
#: What only the heartbeat's connection says.
HEARTBEAT = rb"heartbeat_at"


def test_a_zombies_outcome_is_rejected(case, tmp_path):
    """F9: a stopped worker wakes up after another one has run its task."""
    gate = tmp_path / "gate"
    task = case.enqueue("StubbornLedger", {"gate": str(gate)})
    zombie = case.start()
    case.started(task)
    zombie.send(signal.SIGSTOP)
    gate.touch()
    case.start()
    row = case.ended(task)
    zombie.send(signal.SIGCONT)
    wait_until(lambda: case.ledger.ends().get(task.pk, 0) == 2, what="the zombie's late end")
    assert zombie.stop() == 0
    assert "lease_lost" in zombie.output
    assert case.ended(task).updated_at == row.updated_at


@pytest.mark.long
def test_a_frozen_tree_of_processes_loses_its_tasks_and_nothing_else(case, tmp_path):
    """F11: parent and children stop, as a frozen container does, for more than three leases.

    SIGSTOP for each of them stands for the freezer of a cgroup, which not every machine lets a
    test write.
    """
    frozen = case.start("--processes", "2", "--concurrency", "1")
    gate = tmp_path / "gate"
    tasks = [case.enqueue("StubbornLedger", {"gate": str(gate)}) for _ in range(2)]
    for task in tasks:
        case.started(task)
    frozen.freeze()
    frozen_at = time.monotonic()
    gate.touch()
    helper = case.start()
    for task in tasks:
        assert case.ended(task).lost_count == 1
    assert helper.stop() == 0
    wait_until(lambda: time.monotonic() > frozen_at + 10, what="ten seconds in the ice")
    frozen.thaw()
    for task in tasks:
        wait_until(lambda pk=task.pk: case.ledger.ends().get(pk, 0) == 2, what="the late ends")
    after = [case.enqueue("LedgerOutput") for _ in range(4)]
    for task in after:
        row = case.ended(task)
        assert (row.status, row.claim_seq) == ("success", 1)
    assert frozen.stop() == 0
    for task in tasks:
        row = QueuedTask.objects.get(pk=task.pk)
        assert (row.status, row.output, row.claim_seq) == ("success", {"claim_seq": 2}, 2)
    assert "lease_lost" in frozen.output


def test_a_worker_that_claims_again_what_it_lost_keeps_its_runs_apart(case):
    """F9: the fence is the claim, not the worker: the same worker may hold the task twice."""
    task = case.enqueue("LedgerOutput", {"seconds": 8})
    worker = case.start("--concurrency", "8")
    case.started(task)
    worker.send(signal.SIGSTOP)
    case.start("elsewhere")  # It rescues, but does not claim.
    wait_until(lambda: QueuedTask.objects.get().status == "queued", seconds=60)
    worker.send(signal.SIGCONT)
    case.started(task, times=2)
    assert not case.ledger.ends()
    row = case.ended(task)
    assert row.output == {"claim_seq": 2}
    assert (row.status, row.claim_seq, row.lost_count) == ("success", 2, 1)
    case.stop()
    assert case.ledger.ends()[task.pk] >= 1


@over_a_network
def test_the_lost_answer_to_a_claim_leaves_no_orphan(case, proxy):
    """F15: the claim was committed, its worker was not told, and nobody ran the task."""
    worker = case.start(port=proxy.port)
    proxy.cut_answer(CLAIM)
    task = case.enqueue("LedgerOutput")
    wait_until(lambda: proxy.cuts, what="the cut")
    cut_at = time.monotonic()
    row = case.ended(task)
    assert (row.status, row.attempts, row.lost_count, row.claim_seq) == ("success", 1, 0, 2)
    assert time.monotonic() - cut_at < LEASE_SECONDS + MARGIN_SECONDS
    assert worker.stop() == 0


@over_a_network
def test_the_lost_answer_to_an_outcome_is_no_second_outcome(case, proxy):
    """F5: the outcome was committed and its worker was not told."""
    case.start(port=proxy.port)
    proxy.cut_answer(OUTCOME)
    task = case.enqueue("LedgerOutput")
    wait_until(lambda: proxy.cuts, what="the cut")
    row = case.ended(task)
    assert (row.status, row.attempts, row.claim_seq) == ("success", 1, 1)
    case.enqueue("LedgerOutput")
    case.drained()
    assert "lease_lost" not in case.output()
    assert len(case.ledger.ends()) == 2


@over_a_network
def test_the_lost_answer_to_a_retry_is_no_second_attempt(case, proxy):
    worker = case.start(port=proxy.port)
    proxy.cut_answer(rb"UPDATE [\"`]?django_taskstore_queuedtask[^;]*scheduled")
    task = case.enqueue("LedgerRetry")
    wait_until(lambda: proxy.cuts, what="the cut")
    row = case.ended(task)
    assert (row.status, row.attempts, row.claim_seq) == ("success", 2, 2)
    assert worker.stop() == 0


@over_a_network
def test_the_lost_answer_to_an_atomic_outcome_is_no_second_effect(case, proxy):
    case.start(port=proxy.port)
    proxy.cut_answer(rb"testapp_effect")
    task = case.enqueue("AtomicLedger")
    wait_until(lambda: proxy.cuts, what="the cut")
    assert case.ended(task).status == "success"
    assert Effect.objects.filter(task_id=task.pk).count() == 1


@over_a_network
def test_a_worker_outlives_resets(case, proxy):
    case.start("--concurrency", "4", port=proxy.port)
    for _ in range(5):
        ids = case.enqueue_many(20, "LedgerOutput", {"seconds": 0.02})
        proxy.reset()
        wait_until(lambda ids=ids: ids <= set(case.ledger.ends()), seconds=60)
    case.drained()
    assert "Traceback" not in case.output()


@over_a_network
@pytest.mark.long
def test_a_slow_network_only_slows(case, proxy):
    proxy.delay_seconds = 0.05
    case.start("--concurrency", "4", port=proxy.port)
    case.enqueue_many(20, "LedgerOutput")
    case.drained()
    assert set(QueuedTask.objects.values_list("status", "attempts")) == {("success", 1)}


@over_a_network
def test_a_worker_in_a_black_hole_runs_on_when_it_heals(case, proxy):
    """F12: nothing is refused, nothing is answered; then the network is back."""
    task = case.enqueue("LedgerOutput", {"seconds": 2})
    worker = case.start(port=proxy.port)
    case.started(task)
    proxy.silence()
    case.start()
    assert case.ended(task).status == "success"
    proxy.heal()
    [one.stop() for one in case.crew if one is not worker]
    after = case.enqueue("LedgerOutput")
    assert case.ended(after, seconds=LEASE_SECONDS + MARGIN_SECONDS).claim_seq == 1


@over_a_network
def test_a_worker_leaves_a_black_hole_by_itself(case, proxy):
    """F12: connections that no answer comes on are given up, though nobody closes them."""
    worker = case.start(port=proxy.port)
    proxy.swallow()
    task = case.enqueue("LedgerOutput")
    row = case.ended(task, seconds=LEASE_SECONDS + MARGIN_SECONDS)
    assert (row.status, row.lost_count) == ("success", 0)
    assert worker.stop() == 0


@over_a_network
@pytest.mark.long
def test_a_heartbeat_in_a_half_open_connection_gets_another(case, proxy):
    """F13: nothing is taken from a worker whose heartbeat lost its peer."""
    worker = case.start(port=proxy.port)
    task = case.enqueue("LedgerOutput", {"seconds": 3 * LEASE_SECONDS})
    case.started(task)
    proxy.half_open(HEARTBEAT)
    case.start("elsewhere")
    row = case.ended(task)
    assert (row.status, row.attempts, row.lost_count) == ("success", 1, 0)
    assert worker.stop() == 0


@over_a_network
def test_enqueue_after_a_lost_answer_is_there_once_or_not_at_all(case, proxy):
    """F17: the producer does not know, and the table is right either way."""
    with connected_through(proxy):
        proxy.cut_answer(rb"INSERT INTO [\"`]?django_taskstore_queuedtask")
        with pytest.raises(DatabaseError), transaction.atomic():
            enqueue("LedgerOutput")
    assert proxy.cuts == 1
    case.unknown = set(QueuedTask.objects.values_list("pk", flat=True))
    assert len(case.unknown) == 1
    case.start("--once").wait()
    assert all(times == 1 for times in case.ledger.starts().values())
