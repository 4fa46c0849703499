"""A suite that cannot fail proves nothing: without a guard, a named case fails.

Each test here runs a case of another file against workers that lack one guard, and looks whether
the case, or the judgement after it, accuses them. The cases themselves show that workers with
all their guards pass.
"""

from __future__ import annotations

import contextlib

import pytest
from django.db import connection

from django_taskstore.models import ScheduleRun
from tests.faults import test_death, test_network, test_outages, test_schedules
from tests.faults.harness import invariants
from tests.faults.harness.audit import audited
from tests.faults.harness.case import Case, Facts
from tests.faults.harness.mutations import MUTATIONS

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def mutate(monkeypatch):
    """Return a function that leaves a guard out of all workers that start from then on."""

    def without(guard):
        assert guard in MUTATIONS
        monkeypatch.setenv("TASKSTORE_TEST_MUTATION", guard)

    return without


@pytest.fixture
def unjudged(ledger, tmp_path):
    """A case whose judgement is left to the test."""
    with audited() as read_changes:
        case = Case(ledger, tmp_path, read_changes)
        yield case
        case.end()


def accused(case, named, *needs):
    """Run a named case, whether it holds or not; return the invariants that it violates."""
    with contextlib.suppress(AssertionError):
        named(case, *needs)
    case.stop()
    return {line.partition(" ")[0] for line in invariants.violations(Facts(case))}


def test_without_the_claim_number_a_run_ends_with_the_outcome_of_another(mutate, unjudged):
    mutate("claim_seq")
    named = test_network.test_a_worker_that_claims_again_what_it_lost_keeps_its_runs_apart
    assert "I6" in accused(unjudged, named)


def test_without_the_status_a_claim_takes_what_runs(mutate, unjudged):
    mutate("claim_status")
    assert "I3" in accused(unjudged, test_death.test_what_runs_is_nobody_elses)


@test_network.over_a_network
def test_without_the_status_an_outcome_is_written_twice(mutate, unjudged):
    """SQLite has no COMMIT whose answer a network could lose, so nothing is written again."""
    mutate("outcome_status")
    named = test_network.test_the_lost_answer_to_an_outcome_is_no_second_outcome
    assert {"I3", "I4", "I5"} <= accused(unjudged, named, unjudged.proxy())


@test_outages.locks_rows
def test_without_skip_locked_one_locked_row_holds_up_everybody(mutate, unjudged):
    """What is lost is liveness, which no invariant judges: the case itself waits in vain."""
    mutate("skip_locked")
    with pytest.raises(AssertionError, match="in vain for the others"):
        test_outages.test_a_locked_row_holds_up_nobody_else(unjudged)


@contextlib.contextmanager
def without_occurrence_key():
    """Leave the database without the key that allows one record an occurrence."""
    options, keys = ScheduleRun._meta, ScheduleRun._meta.constraints
    [key] = [one for one in keys if one.name == "taskstore_one_occurrence"]
    options.constraints = [one for one in keys if one is not key]
    with connection.schema_editor() as editor:
        editor.remove_constraint(ScheduleRun, key)
    try:
        yield
    finally:
        ScheduleRun.objects.all().delete()
        options.constraints = keys
        with connection.schema_editor() as editor:
            editor.add_constraint(ScheduleRun, key)


def test_without_its_key_an_occurrence_runs_twice():
    with without_occurrence_key(), pytest.raises(AssertionError):
        test_schedules.test_a_plan_that_was_set_back_repeats_no_occurrence()
