"""The work of one process: its signals, whenever they come, and its exit code."""

from __future__ import annotations

import gc
import signal

import pytest

from django_taskstore import ScheduleRunner, TaskQueueRunner
from django_taskstore.management.working import Work
from tests.helpers import wait_for_threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def work():
    yield Work(TaskQueueRunner(), ScheduleRunner(), patience_seconds=60, leash=None)
    gc.unfreeze()
    wait_for_threads()


@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_before_the_loop_has_begun_is_not_lost(work, times):
    for _ in range(times):
        work.stop()
    assert work.run(until_empty=False) == 0
    assert not work.runner.is_running
    assert not work.schedules.is_running


def test_a_signal_while_the_loop_is_being_made_is_not_lost(work, monkeypatch):
    make = work.runner._make_dispatcher

    def make_slowly():
        signal.raise_signal(signal.SIGTERM)
        return make()

    monkeypatch.setattr(work.runner, "_make_dispatcher", make_slowly)
    assert work.run(until_empty=False) == 0


def test_the_signals_are_given_back(work):
    before = signal.getsignal(signal.SIGTERM)
    work.stop()
    work.run(until_empty=False)
    assert signal.getsignal(signal.SIGTERM) is before
