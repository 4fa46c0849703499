"""Several worker processes under one parent: what dies is replaced, nothing is orphaned."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from django_taskstore import enqueue
from django_taskstore.models import QueuedTask, Worker
from tests.helpers import wait_until, workers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]


def living():
    """Return the process ids of the worker rows."""
    return sorted(Worker.objects.values_list("pid", flat=True))


def is_alive(pid):
    """Tell whether a process exists and is not a zombie, which its parent can wait for.

    The first thread of a killed process may be one before the others are gone.
    """
    folder = Path(f"/proc/{pid}")
    try:
        status = (folder / "stat").read_text()
        threads = len(list((folder / "task").iterdir()))
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z" or threads > 1


def test_a_killed_child_is_replaced_and_its_task_is_finished(ledger):
    with workers(
        1, "--processes", "2", "--unstuck-minutes", "0.05", "--interval", "0.2", ledger=ledger
    ) as (parent,):
        before = wait_until(lambda: len(living()) == 2 and living(), what="two children")
        task = enqueue("Ledger", {"seconds": 1.5})
        wait_until(lambda: task.pk in ledger.starts(), what="the start")
        victim = next(line.pid for line in ledger.lines() if line.task_id == task.pk)
        assert victim in before
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: set(living()) - set(before), what="a new child")
        wait_until(lambda: QueuedTask.objects.filter(pk=task.pk, status="success").exists())
        code, output = parent.stop()
    assert code == 0
    assert f"Worker process {victim} ended with signal 9" in output
    assert QueuedTask.objects.get(pk=task.pk).lost_count == 1


def test_children_stop_when_their_parent_is_killed(ledger):
    with workers(1, "--processes", "2", ledger=ledger) as (parent,):
        children = wait_until(lambda: len(living()) == 2 and living(), what="two children")
        parent.send(signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, children)), what="the children's end")
    assert living() == []


def test_sigterm_reaches_all_children(ledger):
    tasks = [enqueue("Ledger", {"seconds": 1}) for _ in range(2)]
    with workers(1, "--processes", "2", "--serial", ledger=ledger) as (parent,):
        wait_until(lambda: len(ledger.starts()) == 2, what="both starts")
        code, _ = parent.stop()
    assert code == 0
    assert ledger.ends() == {task.pk: 1 for task in tasks}
    assert living() == []


def test_wrong_usage_ends_the_parent_with_its_code(ledger):
    with workers(1, "no spaces please", "--processes", "2", ledger=ledger) as (parent,):
        code, output = parent.wait()
    assert code == 2
    assert "Queue name" in output


def test_a_child_that_a_handler_ended_with_0_is_replaced(case):
    """It has not taken leave, so it has died: of two children each is replaced."""
    poison = case.enqueue("Poison", {"how": "exit"})
    parent = case.start("--processes", "2")
    row = case.ended(poison)
    assert (row.status, row.lost_count) == ("failed", 3)
    assert case.ended(case.enqueue("LedgerOutput")).status == "success"
    assert parent.stop() == 0


def test_a_stop_that_meets_starting_children_is_a_stop_in_order(case):
    """They have claimed nothing yet, so the parent must not say that tasks were given back."""
    parent = case.start("--processes", "2")
    started = wait_until(lambda: children_of(parent), what="the children")
    assert parent.stop() == 0
    assert not any(map(is_alive, started))
    assert living() == []


def test_a_child_that_died_before_the_stop_has_died(case):
    """Its parent may only see it after the signal: the stop of the other is in order."""
    parent = case.start("--processes", "2", "--unstuck-minutes", "0.05")
    wait_until(lambda: len(living()) == 2, what="two working children")
    parent.send(signal.SIGSTOP)
    victim = children_of(parent)[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not is_alive(victim), what="the child's death")
    parent.send(signal.SIGTERM)
    parent.send(signal.SIGCONT)
    assert parent.wait() == 0


def children_of(worker):
    """Return the process ids of a parent's children."""
    return [child.pid for child in psutil.Process(worker.pid).children()]
