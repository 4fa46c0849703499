"""How long to wait before the next attempt."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_taskstore.backoff import LONGEST_DELAY_SECONDS, delay_seconds, exponential
from django_taskstore.exceptions import Retry, Snooze


@pytest.mark.parametrize(
    ("backoff", "attempt", "expected"),
    [
        (5, 1, 5.0),
        (0, 3, 0.0),
        (-5, 1, 0.0),
        (timedelta(minutes=2), 9, 120.0),
        ([1, 2, 3], 1, 1.0),
        ([1, 2, 3], 3, 3.0),
        ([1, 2, 3], 99, 3.0),
        ((timedelta(seconds=4),), 2, 4.0),
        (lambda attempt: attempt * 10, 3, 30.0),
        (lambda attempt: timedelta(seconds=attempt), 3, 3.0),
    ],
)
def test_each_form_of_backoff(backoff, attempt, expected):
    assert delay_seconds(backoff, attempt) == expected


def test_an_empty_sequence_is_refused():
    with pytest.raises(ValueError, match="empty sequence; give at least one delay"):
        delay_seconds([], 1)


@pytest.mark.parametrize("backoff", ["soon", object(), [None]])
def test_what_is_no_delay_is_refused(backoff):
    with pytest.raises((TypeError, ValueError)):
        delay_seconds(backoff, 1)


@given(st.integers(min_value=1, max_value=10**9))
def test_the_default_doubles_and_never_exceeds_a_day(attempt):
    wait = delay_seconds(None, attempt)
    assert min(15.0 * 2.0 ** min(attempt - 1, 32), LONGEST_DELAY_SECONDS) <= wait
    assert wait <= LONGEST_DELAY_SECONDS


def test_the_default_has_jitter():
    assert len({exponential(1) for _ in range(20)}) > 1
    assert all(15.0 <= exponential(1) <= 16.5 for _ in range(100))


def test_delays_of_retry_and_snooze_are_seconds_or_timedeltas():
    assert Retry(timedelta(minutes=1)).delay_seconds == 60.0
    assert Retry().delay_seconds is None
    assert Snooze(-3).delay_seconds == 0.0
    assert str(Retry(1, "the gateway is busy")) == "the gateway is busy"
