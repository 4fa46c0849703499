"""When an idle runner looks again: long sleeps where it is woken, short ones where it is not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from django_taskstore.notifier import WINDOW_SECONDS
from django_taskstore.runner.vigil import (
    LONGEST_SECONDS,
    SHORTEST_SECONDS,
    UNTOLD_SECONDS,
    Vigil,
)
from django_taskstore.watchers import Sought


def watcher(*, is_watching, hears_all=True):
    """Stand for a watcher, and keep what it was told to seek."""
    told = []
    return SimpleNamespace(
        is_watching=is_watching, hears_all=hears_all, seek=told.append, told=told
    )


def watched(**facts):
    vigil = Vigil(5.0)
    vigil.watcher = watcher(**facts)
    vigil.begin()
    return vigil


def test_a_watched_runner_sleeps_as_long_as_it_may():
    assert watched(is_watching=True).nap_seconds() == 5.0


def test_a_runner_that_hears_of_work_only_looks_each_second_for_the_rest():
    vigil = watched(is_watching=True, hears_all=False)
    assert vigil.nap_seconds() == vigil.due_nap_seconds(None) == UNTOLD_SECONDS


def test_the_watcher_is_told_what_is_sought():
    vigil = watched(is_watching=True)
    sought = Sought.among(["emails"], [])
    vigil.learn(found=False, sought=sought)
    vigil.learn(found=True, sought=None)
    assert vigil.watcher.told == [sought, None]


@pytest.mark.parametrize("watching", [None, watcher(is_watching=False)])
def test_an_unwatched_runner_looks_less_and_less_often(watching):
    vigil = Vigil(5.0)
    vigil.watcher = watching
    naps = []
    for _ in range(6):
        vigil.begin()
        naps.append(vigil.nap_seconds())
        vigil.learn(found=False, sought=None)
    assert naps == sorted(naps)
    assert (naps[0], naps[-1]) == (SHORTEST_SECONDS, LONGEST_SECONDS)
    vigil.learn(found=True, sought=None)
    assert vigil.nap_seconds() == SHORTEST_SECONDS


def test_it_never_sleeps_longer_than_it_was_told():
    vigil = Vigil(0.005)
    vigil.begin()
    assert vigil.nap_seconds() == 0.005


def test_a_woken_runner_looks_once_more_when_the_window_is_over():
    vigil = watched(is_watching=True)
    vigil.woken(fully=False)
    vigil.begin()
    assert 0 <= vigil.nap_seconds() <= WINDOW_SECONDS


def test_both_looks_after_a_wake_up_for_anything_are_full():
    vigil = watched(is_watching=True)
    assert not vigil.begin()
    vigil.woken(fully=True)
    vigil.woken(fully=False)
    assert vigil.begin()
    assert vigil.begin(), "the window is not over"
    vigil._again_at = 0.0
    assert vigil.begin()
    assert not vigil.begin()


@pytest.mark.parametrize(
    ("is_watching", "due_in_seconds", "nap_seconds"),
    [(True, None, 5.0), (True, 2.0, 2.0), (True, 9.0, 5.0), (False, None, 1.0), (False, 0.5, 0.5),
     (True, -1.0, 0.01)],
)  # fmt: skip
def test_it_sleeps_until_something_is_due(is_watching, due_in_seconds, nap_seconds):
    assert watched(is_watching=is_watching).due_nap_seconds(due_in_seconds) == nap_seconds
