"""How many threads work on short tasks at once, and that none of those is lost by it."""

from __future__ import annotations

import threading
import time

import pytest

from django_taskstore.runner.pool import HURRY_SECONDS, HandlerThreads
from django_taskstore.runner.turns import (
    FEWEST,
    FULL,
    OUTSIDE,
    PATIENCE_SECONDS,
    ROOM,
    WINDOW_SECONDS,
    Turns,
)
from tests.helpers import wait_until

#: For something that another thread does at once; only a hang lasts so long.
LONG_SECONDS = 30
LITTLE_MORE = WINDOW_SECONDS * 1.001


class Machine:
    """A clock, and a processor that a share of the time is spent on."""

    def __init__(self):
        self.now = self.spent = 0.0
        self.turns = Turns(10, clock=lambda: self.now, processor=lambda: self.spent)

    def pass_by(self, share, *, windows=1, are_short=True):
        """Let windows pass in which so much of one processor is used; return the threads."""
        for _ in range(windows):
            self.now += LITTLE_MORE
            self.spent += LITTLE_MORE * share
            self.turns.learn(are_short=are_short)
        return self.turns.threads


@pytest.fixture
def machine():
    return Machine()


def test_all_threads_may_work_at_first(machine):
    assert machine.turns.threads == 10


def test_a_full_interpreter_has_fewer_and_fewer_threads(machine):
    assert machine.pass_by(FULL + 0.01) == 9
    assert machine.pass_by(FULL + 0.01, windows=50) == FEWEST


@pytest.mark.parametrize("share", [0.0, ROOM - 0.01, OUTSIDE + 0.1])
def test_one_with_room_has_more_again(machine, share):
    machine.pass_by(1.0, windows=50)
    assert machine.pass_by(share) == 2 * FEWEST
    assert machine.pass_by(share, windows=5) == 10


def test_between_full_and_room_nothing_changes(machine):
    machine.pass_by(1.0, windows=3)
    assert machine.pass_by((FULL + ROOM) / 2, windows=9) == 7


def test_long_tasks_have_all_threads(machine):
    machine.pass_by(1.0, windows=50)
    assert machine.pass_by(1.0, windows=9, are_short=False) == 10


def test_too_short_a_time_tells_nothing(machine):
    machine.now, machine.spent = WINDOW_SECONDS / 2, WINDOW_SECONDS
    machine.turns.learn(are_short=True)
    assert machine.turns.threads == 10


def test_after_something_held_the_threads_up_fewer_are_not_tried_for_a_while(machine):
    machine.pass_by(1.0, windows=50)
    machine.turns.allow_all()
    assert machine.turns.threads == 10
    patient = int(PATIENCE_SECONDS / WINDOW_SECONDS) - 1
    assert machine.pass_by(1.0, windows=patient) == 10
    assert machine.pass_by(1.0, windows=3) < 10


@pytest.mark.parametrize("most", [1, 2])
def test_one_or_two_threads_are_never_more(most):
    turns = Turns(most, clock=iter(range(99)).__next__, processor=iter(range(99)).__next__)
    for _ in range(5):
        turns.learn(are_short=True)
    assert turns.threads == most


class Work:
    """An execution that does what it is told, and counts how many do so at once."""

    is_async = False
    running = most = 0
    lock = threading.Lock()

    def __init__(self, work):
        self.work = work

    def run(self):
        with Work.lock:
            Work.running += 1
            Work.most = max(Work.most, Work.running)
        self.work()
        with Work.lock:
            Work.running -= 1


@pytest.fixture
def pool():
    """Return a pool of five threads, whose turns are set by the test alone."""
    Work.running = Work.most = 0
    done = []
    made = HandlerThreads(5, lambda execution, _: done.append(execution))
    made.turns = Turns(5, clock=lambda: 0.0, processor=lambda: 0.0)
    made.done = done
    yield made
    made.stop()


def briefly():
    """Wait as a short task does for its database."""
    time.sleep(0.001)


def test_no_more_threads_work_than_may(pool):
    pool.turns.threads = 2
    for _ in range(5):
        pool.submit([Work(briefly) for _ in range(20)])
    wait_until(lambda: len(pool.done) == 100)
    assert Work.most == 2
    assert len(pool._threads) == 2  # The others would only have found out that they may not.


def test_threads_that_work_step_aside_when_fewer_may(pool):
    together = threading.Barrier(6, timeout=LONG_SECONDS)
    pool.submit([Work(together.wait) for _ in range(5)])
    wait_until(lambda: Work.running == 5)
    pool.turns.threads, Work.most = 2, 0
    pool.submit([Work(briefly) for _ in range(100)])
    together.wait()
    wait_until(lambda: len(pool.done) == 105)
    assert Work.most == 2


def test_threads_that_stepped_aside_sleep(pool):
    """Work waits all the time, which must not keep those busy that may not take it."""
    together, gate = threading.Barrier(6, timeout=LONG_SECONDS), threading.Event()
    pool.submit([Work(together.wait) for _ in range(5)])
    wait_until(lambda: Work.running == 5)
    pool.turns.threads = 2
    pool.submit([Work(gate.wait) for _ in range(9)])
    together.wait()
    wait_until(lambda: len(pool.done) == 5 and Work.running == 2)
    spent = time.process_time()
    wait_until(lambda: pool.waiting_seconds() >= 0.5)
    assert time.process_time() - spent < 0.25
    assert pool.waiting == 7
    gate.set()
    wait_until(lambda: len(pool.done) == 14)


def test_what_waits_behind_slow_tasks_gets_the_other_threads(pool):
    pool.turns.threads = 2
    gate = threading.Event()
    pool.submit([Work(gate.wait) for _ in range(2)])
    wait_until(lambda: Work.running == 2)
    pool.submit([Work(briefly) for _ in range(20)])
    wait_until(lambda: pool.waiting_seconds() >= HURRY_SECONDS)
    assert pool.waiting == 20
    pool.hurry()
    wait_until(lambda: len(pool.done) == 20)
    gate.set()
    wait_until(lambda: len(pool.done) == 22)
