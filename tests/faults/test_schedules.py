"""Runners of schedules that are killed: each occurrence becomes a task once, none twice."""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from datetime import timedelta

import pytest

from django_taskstore.database.clock import read_now
from django_taskstore.models import QueuedTask, Schedule, ScheduleRun
from django_taskstore.scheduler import run_due
from tests.command_line import start
from tests.helpers import wait_until
from tests.schedules import add_schedule, ago, rows_of, tasks_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

EVERY = timedelta(seconds=2)


class Crew:
    """Processes of ``schedule_run``, each replaced when it is killed."""

    def __init__(self, size):
        self.processes = [self.one() for _ in range(size)]
        self.kills = 0

    def one(self):
        """Start a process."""
        return start("schedule_run", "--interval", "0.1", "--verbosity", "0")

    def kill_one(self):
        """Kill a process, whatever it does, and start another in its place."""
        place = random.randrange(len(self.processes))
        self.end(self.processes[place])
        self.processes[place] = self.one()
        self.kills += 1

    def end(self, process):
        """Kill a process and wait until it is gone."""
        process.kill()
        process.communicate()


@contextlib.contextmanager
def crew_of(size):
    """Start a crew and make sure that none of it outlives the test."""
    crew = Crew(size)
    try:
        yield crew
    finally:
        for process in crew.processes:
            crew.end(process)


@pytest.mark.parametrize(
    ("number", "runners", "seconds"),
    [
        pytest.param(8, 3, 6, id="short"),
        pytest.param(
            20, 8, 180, id="three-minutes", marks=[pytest.mark.long, pytest.mark.timeout(600)]
        ),
    ],
)
def test_each_occurrence_runs_once_while_runners_are_killed(number, runners, seconds):
    begin = ago(-3 * EVERY)
    end = begin + timedelta(seconds=seconds)
    due = [
        add_schedule("FREQ=SECONDLY;INTERVAL=2", start_at=begin, end_at=end) for _ in range(number)
    ]
    with crew_of(runners) as crew:
        while read_now("default") < end:
            time.sleep(1)  # The case itself: a kill each second.
            crew.kill_one()
        wait_until(
            lambda: Schedule.objects.filter(status="completed").count() == number,
            seconds=90,
            what="the last occurrence of each schedule",
        )
    expected = [begin + step * EVERY for step in range(seconds // 2 + 1)]
    for schedule in due:
        assert tasks_of(schedule) == expected
        assert [(moment, result) for moment, result, _ in rows_of(schedule)] == [
            (moment, "enqueued") for moment in expected
        ]
    assert set(Schedule.objects.values_list("execution_count", flat=True)) == {len(expected)}
    assert crew.kills >= seconds // 2


@pytest.mark.long
@pytest.mark.timeout(300)
def test_ten_thousand_due_schedules_are_worked_off_by_one_runner():
    since = ago(timedelta(seconds=10))
    first = add_schedule("FREQ=HOURLY", start_at=since)
    Schedule.objects.bulk_create(
        [
            Schedule(
                name=f"many {number}",
                definition_id=first.definition_id,
                recurrence_rule="FREQ=HOURLY",
                start_at=since,
                status="active",
                next_run_at=since,
            )
            for number in range(10_000)
        ],
        batch_size=500,
    )
    began = time.monotonic()
    assert run_due("default") == 10_000
    seconds = time.monotonic() - began
    print(f"10,000 schedules in {seconds:.1f} s")
    assert seconds < 240  # A minute on an idle machine of two cores; more is a hang.
    assert Counter(QueuedTask.objects.values_list("schedule", flat=True)).most_common(1)[0][1] == 1
    assert ScheduleRun.objects.count() == 10_000
