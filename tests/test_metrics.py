"""The metrics: who may read them, what they say, their format, and what a look costs."""

from __future__ import annotations

import math
import re
from collections import Counter
from datetime import timedelta

import pytest
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

import django_taskstore
from django_taskstore import metrics, switchboard
from django_taskstore.metrics.exposition import Family, Sample, as_text
from django_taskstore.metrics.families import families
from django_taskstore.models import Queue, Schedule, TaskDefinition, TaskStat
from django_taskstore.rollups.recording import write
from tests.admin_pages import client_of, superuser, user_with
from tests.helpers import ROOT, add_task, add_worker, captured_sql, expire, work_until_empty
from tests.plans import TABLE, fill, learn, plans_by_word

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a token of 16 letters or more"
WITH_TOKEN = override_settings(TASKSTORE={"METRICS_TOKEN": TOKEN})


def told():
    """Return the numbers by name and labels, as Prometheus' own parser reads them."""
    text = as_text(families("default"))
    return {
        (sample.name.removeprefix("taskstore_"), *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(name, **labels):
    """Return the key of a number."""
    return (name, *sorted(labels.items()))


def get(token=None, client=None, **headers):
    """Ask for the page."""
    if token is not None:
        headers["Authorization"] = token
    return (client or Client()).get("/metrics", headers=headers)


def count(ending="succeeded", *, n=1, wait=2, run=3, queue="emails", at=None):
    """Count attempts as a worker does."""
    definition, _ = TaskDefinition.all_objects.get_or_create(alias="Noop")
    counts = Counter({(queue, definition.pk, ending, wait, run): n})
    write(counts, at or timezone.now(), "default")


@WITH_TOKEN
def test_the_token_opens_the_page():
    response = get(f"Bearer {TOKEN}")
    assert response.status_code == 200
    assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response["Cache-Control"] == "no-store"
    assert "taskstore_workers 0\n" in response.content.decode()
    assert get(f"bearer  {TOKEN} ").status_code == 200


@WITH_TOKEN
@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer x", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "é"],
)
def test_any_other_header_is_refused_and_tells_nothing(header):
    response = get(header)
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert b"taskstore_" not in response.content


@pytest.mark.parametrize("wrong", [None, "", "short", True, 7])
def test_a_missing_or_wrong_setting_opens_nothing(wrong):
    with override_settings(TASKSTORE={"METRICS_TOKEN": wrong}):
        for sent in (wrong, "", "None"):
            assert get(f"Bearer {sent}").status_code == 401


def test_staff_who_may_see_the_dashboard_may_read():
    assert get(client=client_of(superuser())).status_code == 200
    assert get(client=client_of(user_with("view_dashboard"))).status_code == 200


def test_nobody_else_who_is_signed_in_may():
    assert get(client=client_of(user_with("view_queuedtask"))).status_code == 403
    visitor = user_with("view_dashboard", name="bob")
    visitor.is_staff = False
    visitor.save()
    assert get(client=client_of(visitor)).status_code == 403


@WITH_TOKEN
def test_it_works_where_nobody_can_sign_in():
    ask = RequestFactory().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert metrics.view(ask).status_code == 200
    assert metrics.view(RequestFactory().get("/metrics")).status_code == 401


@WITH_TOKEN
@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_it_can_only_be_read(method):
    response = getattr(Client(), method)("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == 405


def test_how_queues_and_workers_stand():
    for name in ("emails", "reports"):
        switchboard.ensure(name, "default")
    Queue.objects.get(name="reports").pause()
    then = timezone.now() - timedelta(minutes=4)
    for _ in range(3):
        add_task(queue_name="emails", run_after=then)
    add_task(queue_name="emails", status="scheduled", run_after=then)
    add_task(queue_name="emails", status="paused")
    expire(add_task(queue_name="emails", status="running"))
    add_worker("emails", running=2)
    seen = told()
    assert seen[of("info", version=django_taskstore.__version__)] == 1
    statuses = {"queued": 3, "scheduled": 1, "running": 1, "paused": 1, "failed": 0}
    for status, n in statuses.items():
        assert seen[of("tasks", queue="emails", status=status)] == n
    assert seen[of("backlog", queue="emails")] == 4
    assert 239 < seen[of("oldest_wait_seconds", queue="emails")] < 300
    assert seen[of("oldest_wait_seconds", queue="reports")] == 0
    assert seen[of("expired_leases", queue="emails")] == 1
    assert [seen[of("queue_paused", queue=name)] for name in ("emails", "reports")] == [0, 1]
    assert [seen[of("queue_workers", queue=name)] for name in ("emails", "reports")] == [1, 0]
    assert (seen[of("workers")], seen[of("slots")], seen[of("slots_taken")]) == (1, 8, 2)


def test_attempts_are_counted_by_queue_task_and_outcome():
    count(n=5)
    count("failed", n=2)
    count("retried", queue="reports")
    seen = told()
    by_outcome = {"succeeded": 5, "failed": 2, "canceled": 0, "retried": 0}
    for outcome, n in by_outcome.items():
        assert seen[of("attempts_total", queue="emails", task="Noop", outcome=outcome)] == n
    assert seen[of("attempts_total", queue="reports", task="Noop", outcome="retried")] == 1


def test_durations_are_cumulative_buckets():
    count(n=5, wait=0, run=2)
    count(n=2, wait=4, run=14)
    seen = told()
    waits = {"0.01": 5, "0.3": 5, "1": 7, "30000": 7, "+Inf": 7}
    for le, n in waits.items():
        assert seen[of("wait_seconds_bucket", queue="emails", le=le)] == n
    runs = {"0.03": 0, "0.1": 5, "30000": 5, "+Inf": 7}
    for le, n in runs.items():
        assert seen[of("run_seconds_bucket", queue="emails", le=le)] == n
    assert seen[of("run_seconds_count", queue="emails")] == 7


def test_counters_begin_at_zero_on_a_new_day():
    count(n=5, at=timezone.now() - timedelta(days=1))
    count(n=9, at=timezone.now() - timedelta(days=2), queue="old")
    seen = told()
    assert seen[of("attempts_total", queue="emails", task="Noop", outcome="succeeded")] == 0
    assert seen[of("run_seconds_count", queue="emails")] == 0
    assert of("run_seconds_count", queue="old") not in seen
    count(n=2)
    assert told()[of("run_seconds_count", queue="emails")] == 2


def test_what_a_worker_did_is_told():
    for _ in range(3):
        django_taskstore.enqueue("Noop", {})
    work_until_empty()
    seen = told()
    assert seen[of("attempts_total", queue="default", task="Noop", outcome="succeeded")] == 3
    assert seen[of("wait_seconds_bucket", queue="default", le="+Inf")] == 3


def test_a_schedule_that_nobody_runs_is_late():
    assert told()[of("schedule_late_seconds")] == 0
    definition = TaskDefinition.objects.create(alias="Nightly")
    schedule = Schedule.objects.create(
        name="nightly", definition=definition, recurrence_rule="0 9 * * *", status="active"
    )
    due = timezone.now() - timedelta(minutes=5)
    Schedule.objects.filter(pk=schedule.pk).update(status="active", next_run_at=due)
    assert 299 < told()[of("schedule_late_seconds")] < 360


def test_names_are_escaped():
    nasty = 'a "quoted" \\ back\nline'
    family = Family("tasks", "gauge", "Meaning.", (Sample(1.5, {"queue": nasty}),))
    (read,) = text_string_to_metric_families(as_text([family]))
    assert (read.samples[0].labels, read.samples[0].value) == ({"queue": nasty}, 1.5)


@pytest.mark.parametrize("value", [0, 1, True, 0.25, 1e-6, 123456789012, math.inf])
def test_numbers_are_read_as_they_were(value):
    (read,) = text_string_to_metric_families(
        as_text([Family("x", "gauge", "X.", (Sample(value),))])
    )
    assert read.samples[0].value == value


def test_each_family_has_a_meaning_a_kind_and_one_place():
    count()
    switchboard.ensure("emails", "default")
    found = families("default")
    assert len({family.name for family in found}) == len(found)
    for family in found:
        assert family.kind in ("gauge", "counter", "histogram")
        assert family.meaning.endswith(".")
        assert (family.kind == "counter") == family.name.endswith("_total")


def test_the_reference_names_each_family():
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)` \| (\w+)", page, flags=re.MULTILINE)
    assert sorted(table) == sorted((one.name, one.kind) for one in families("default"))


def statements_of_a_look():
    """Return the SQL of one look."""
    with captured_sql() as statements:
        families("default")
    return statements


def test_the_number_of_statements_does_not_grow():
    switchboard.ensure("q0", "default")
    count(queue="q0")
    few = len(statements_of_a_look())
    for number in range(1, 20):
        switchboard.ensure(f"q{number}", "default")
        add_task(queue_name=f"q{number}", alias="Noop")
        count(queue=f"q{number}")
    assert len(statements_of_a_look()) <= few == 7


def test_beside_many_finished_tasks_and_old_counts_the_indexes_serve():
    for name in ("default", "emails"):
        switchboard.ensure(name, "default")
    fill("success", 20_000)
    for status in ("queued", "scheduled", "running"):
        add_task(queue_name="emails", status=status)
    for days in range(40):
        for place in range(14):
            at = timezone.now() - timedelta(days=days)
            count(wait=place, run=place, at=at)
    learn(TABLE, TaskStat._meta.db_table)
    indexes = {
        "'queued'": "taskstore_claim",
        "'scheduled'": "taskstore_",
        "'running'": "taskstore_",
        # SQLite gives the index of a constraint a name of its own.
        "SUM(": "taskstore_one_count|sqlite_autoindex_django_taskstore_taskstat",
    }
    plans = plans_by_word(statements_of_a_look(), indexes)
    assert plans.keys() == indexes.keys()
    for word, index in indexes.items():
        assert re.search(index, plans[word]), plans[word]


def test_no_statement_counts_finished_tasks():
    switchboard.ensure("emails", "default")
    count()
    for sql, _ in statements_of_a_look():
        assert "DISTINCT" not in sql
        assert "'success'" not in sql
