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
from tests.command_line import finish, start
from tests.faults.harness.kills import each_second
from tests.helpers import wait_until
from tests.schedules import add_schedule, ago, fresh_schedule, make_due, plans, rows_of, tasks_of

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
        for _ in each_second(lambda: read_now("default") < end):
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


def test_a_plan_that_was_set_back_repeats_no_occurrence():
    """The record of an occurrence is unique: not even a plan that is wrong runs it twice."""
    begin = ago(timedelta(seconds=10))
    schedule = add_schedule("FREQ=HOURLY", start_at=begin)
    for _ in range(2):
        make_due(schedule, begin)
        assert finish(start("schedule_run", "--once")).code == 0
    assert tasks_of(schedule) == [begin]


@pytest.mark.parametrize("moment", ["before", "inside", "after"])
def test_a_runner_that_dies_while_it_enqueues_leaves_both_or_neither(case, moment):
    """F33: the task, the record of its occurrence and the next run are one commit."""
    begin = ago(timedelta(seconds=5))
    schedule = add_schedule("FREQ=HOURLY", "LedgerOutput", start_at=begin)
    make_due(schedule, begin)
    doomed = case.launch(failpoint=f"enqueue.{moment}")
    wait_until(
        lambda: not doomed.is_alive, seconds=60, what=lambda: f"its death: {doomed.output}{plans()}"
    )
    assert doomed.wait() == -9, doomed.output
    committed = [begin] if moment == "after" else []
    assert tasks_of(schedule) == committed
    assert [when for when, _, _ in rows_of(schedule)] == committed
    assert (fresh_schedule(schedule).next_run_at > begin) is bool(committed)
    case.start()
    wait_until(lambda: tasks_of(schedule), what="the occurrence's task")
    case.drained()
    assert tasks_of(schedule) == [begin]
    assert fresh_schedule(schedule).execution_count == 1
    case.unknown = set(QueuedTask.objects.values_list("pk", flat=True))
    assert case.ledger.ends() == dict.fromkeys(case.unknown, 1)


#: How people write them.
RULES = (
    "FREQ=HOURLY",
    "FREQ=DAILY;BYHOUR=9",
    "*/5 * * * *",
    "0 9 * * 1-5",
    "FREQ=WEEKLY;BYDAY=MO,FR",
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=YEARLY",
)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_ten_thousand_due_schedules_are_worked_off_by_one_runner():
    since = ago(timedelta(seconds=10))
    first = add_schedule("FREQ=HOURLY", start_at=since)
    Schedule.objects.bulk_create(
        [
            Schedule(
                name=f"many {number}",
                definition_id=first.definition_id,
                recurrence_rule=RULES[number % len(RULES)],
                start_at=since,
                status="active",
                next_run_at=since,
            )
            for number in range(10_000)
        ],
        batch_size=500,
    )
    began = time.thread_time()
    assert run_due("default") == 10_000
    seconds = time.thread_time() - began
    # Other work on the machine does not count here; `bench schedules` takes the time of day.
    assert seconds < 60, f"{seconds:.1f} s on the processor"
    assert Counter(QueuedTask.objects.values_list("schedule", flat=True)).most_common(1)[0][1] == 1
    assert ScheduleRun.objects.count() == 10_000
