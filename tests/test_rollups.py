"""Counts for charts: what is counted, how it adds up, and what an upsert does when many write."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from django_taskstore import rollups
from django_taskstore.claims import Claim
from django_taskstore.models import TaskStat
from django_taskstore.outcomes import Outcome
from django_taskstore.rollups import BOUNDS_SECONDS, Counts, Histogram, Recorder, recording
from django_taskstore.statuses import Ending
from tests.helpers import in_threads

pytestmark = pytest.mark.django_db(transaction=True)

NOW = timezone.now()


def outcome(
    ending=Ending.SUCCEEDED, *, queue_name="emails", definition_id=1, waited=0.2, ran=0.02, **facts
):
    """Return an outcome of a task that waited and ran for so many seconds."""
    claim = Claim(
        id=1,
        claim_seq=1,
        worker=uuid.uuid4(),
        using="default",
        attempts=1,
        definition_id=definition_id,
        max_attempts=1,
        lost_count=0,
        priority=0,
        details="",
        parameters={},
        metadata={},
        run_after=NOW,
        created_at=NOW,
        queue_name=queue_name,
        waited_seconds=waited,
    )
    return Outcome(claim, ending, run_seconds=ran, **{"started_at": NOW, **facts})


def recorded(*outcomes):
    """Count outcomes and add them to the database."""
    recorder = Recorder("default")
    recorder.count(outcomes)
    recorder.flush()


def minute(**options):
    """Return everything of the current minute, or the one before it."""
    since = {"minute": timezone.now() - timedelta(minutes=2)}
    return rollups.read("default", since, **options).get((), Counts())


def test_outcomes_are_counted_by_how_they_ended():
    recorded(
        *[outcome()] * 3,
        outcome(Ending.FAILED),
        outcome(Ending.RETRIED),
        outcome(Ending.CANCELED),
        outcome(Ending.SNOOZED),
        outcome(Ending.RELEASED),
        outcome(Ending.CANCELED, started_at=None),
    )

    counts = minute()
    assert (counts.succeeded, counts.failed, counts.retried, counts.canceled) == (3, 1, 1, 1)
    assert counts.ended == 5
    assert counts.failed_share == pytest.approx(0.2)
    assert counts.wait.total == counts.run.total == 6


def test_what_ended_since_the_start_outlives_a_flush():
    recorder = Recorder("default")
    recorder.count([outcome(), outcome(Ending.RETRIED)])
    recorder.flush()
    recorder.count([outcome(), outcome(Ending.RELEASED)])

    assert recorder.ended == {Ending.SUCCEEDED: 2, Ending.RETRIED: 1}


def test_minute_hour_and_day_get_the_same():
    recorded(outcome(), outcome())

    for span in TaskStat.Span:
        found = rollups.read("default", {span: NOW - timedelta(days=1)}, "span")
        assert found[span,].succeeded == 2


def test_adding_again_adds():
    for _ in range(3):
        recorded(outcome(), outcome(queue_name="other"))

    assert minute().succeeded == 6
    by_queue = rollups.read("default", {"day": NOW - timedelta(days=2)}, "queue_name")
    assert {key: one.succeeded for key, one in by_queue.items()} == {("emails",): 3, ("other",): 3}


def test_many_writers_lose_nothing():
    def write():
        for number in range(20):
            recorded(*(outcome(queue_name=f"q{n}") for n in range(number % 5, 5)))
        connection.close()

    in_threads(write, write, write)

    expected = 3 * sum(5 - number % 5 for number in range(20))
    assert rollups.read("default", {"day": NOW - timedelta(days=2)})[()].succeeded == expected


def test_queues_that_differ_in_case_are_counted_apart():
    recorded(outcome(queue_name="emails"), outcome(queue_name="Emails"))

    assert len(rollups.read("default", {"day": NOW - timedelta(days=2)}, "queue_name")) == 2


def test_a_definition_can_be_read_alone():
    recorded(outcome(definition_id=1), outcome(definition_id=2), outcome(definition_id=2))

    assert minute(definition_id=2).succeeded == 2
    assert minute(definition_id=3).succeeded == 0


def test_what_the_database_did_not_take_is_kept(monkeypatch):
    def refuse(*_args):
        raise DatabaseError("away")

    recorder = Recorder("default")
    recorder.count([outcome()])
    with monkeypatch.context() as broken:
        broken.setattr(recording, "write", refuse)
        with pytest.raises(DatabaseError):
            recorder.flush()
    recorder.count([outcome()])
    recorder.flush()

    assert minute().succeeded == 2


def test_nothing_to_say_costs_nothing(django_assert_num_queries):
    recorder = Recorder("default")
    recorder.count([])
    with django_assert_num_queries(0):
        recorder.flush()


def test_a_flush_is_one_statement_for_many_queues(django_assert_max_num_queries):
    recorder = Recorder("default")
    recorder.count([outcome(queue_name=f"q{n}") for n in range(50)])
    with django_assert_max_num_queries(4) as queries:
        recorder.flush()
    assert sum("INSERT" in query["sql"] for query in queries) == 1


def test_flushing_waits_for_its_time():
    recorder = Recorder("default")
    recorder.count([outcome()])
    recorder.flush_when_due()
    assert not TaskStat.objects.exists()
    recorder._flush_at = 0.0
    recorder.flush_when_due()
    assert TaskStat.objects.exists()


@pytest.mark.parametrize(
    ("durations", "half", "most"),
    [
        ([], None, None),
        ([0.0], 0.01, 0.01),
        ([0.01], 0.01, 0.01),
        ([0.02] * 19 + [500], 0.03, 0.03),
        ([0.02] * 9 + [500], 0.03, 1_000),
        ([1e9], float("inf"), float("inf")),
        ([-5], 0.01, 0.01),
    ],
)
def test_quantiles_are_bounds_of_buckets(durations, half, most):
    counts = {}
    for seconds in durations:
        number = rollups.buckets.bucket(seconds)
        counts[number] = counts.get(number, 0) + 1
    histogram = Histogram(counts)

    assert (histogram.quantile(0.5), histogram.quantile(0.95)) == (half, most)


def test_histograms_of_two_times_add_up():
    whole = Histogram({0: 1, 3: 2}) + Histogram({3: 4, len(BOUNDS_SECONDS): 1})

    assert whole == Histogram({0: 1, 3: 6, len(BOUNDS_SECONDS): 1})


def test_old_minutes_go_and_days_stay():
    recorded(outcome())
    TaskStat.objects.update(starts_at=NOW - timedelta(days=3))

    assert rollups.purge("default") == 3
    assert set(TaskStat.objects.values_list("span", flat=True)) == {"hour", "day"}


def test_the_start_of_a_span_is_in_utc():
    moment = timezone.datetime(2026, 3, 29, 3, 30, 12, 5, tzinfo=timezone.get_fixed_timezone(180))

    starts = [rollups.start_of(span, moment).isoformat() for span in TaskStat.Span]

    assert starts == [
        "2026-03-29T00:30:00+00:00",
        "2026-03-29T00:00:00+00:00",
        "2026-03-29T00:00:00+00:00",
    ]
