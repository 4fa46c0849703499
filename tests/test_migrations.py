"""Migrations: complete, silent, and reversible on each database."""

from __future__ import annotations

import io
import warnings

import pytest
from django.core.management import call_command
from django.db import connection

from django_taskstore import enqueue
from django_taskstore.models import QueuedTask, TaskDefinition

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments, **options):
    out, err = io.StringIO(), io.StringIO()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        call_command(*arguments, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue(), [str(warning.message) for warning in warned]


def tables():
    return {
        name
        for name in connection.introspection.table_names()
        if name.startswith("django_taskstore_")
    }


def test_the_models_have_no_change_without_a_migration():
    out, _, _ = run("makemigrations", "django_taskstore", check=True, dry_run=True)
    assert "No changes detected" in out


def test_migrating_to_zero_and_back_prints_no_warning_and_leaves_a_working_store():
    try:
        _, err, warned = run("migrate", "django_taskstore", "zero", skip_checks=False)
        assert (err, warned, tables()) == ("", [], set())
    finally:
        out, err, warned = run("migrate", "django_taskstore", skip_checks=False)
    assert (err, warned) == ("", [])
    assert "WARNING" not in out
    assert QueuedTask._meta.db_table in tables()
    assert TaskDefinition.objects.filter(alias="HelloWorldTask").exists()
    assert enqueue("HelloWorldTask").pk


def test_the_database_checks_print_nothing():
    out, err, warned = run("check", databases=["default"])
    assert (err, warned) == ("", [])
    assert "no issues" in out


def test_the_hot_table_has_only_the_indexes_that_a_query_needs():
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, QueuedTask._meta.db_table)
    indexes = {name for name, one in found.items() if one["index"] and not one["primary_key"]}
    assert indexes == {"taskstore_claim", "taskstore_due", "taskstore_lease"}
    assert not [name for name, one in found.items() if one["foreign_key"]]
    claim = found["taskstore_claim"]
    assert claim["columns"] == ["queue_name", "status", "priority", "run_after", "id"]
    assert claim["orders"] == ["ASC", "ASC", "DESC", "ASC", "ASC"]


@pytest.mark.parametrize("name", ["taskstore_claim", "taskstore_due", "taskstore_lease"])
def test_an_index_holds_only_its_rows_where_the_database_can(name):
    if not connection.features.supports_partial_indexes:
        pytest.skip("this database has no partial indexes; the full index serves")
    query = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE name = %s",
        "postgresql": "SELECT indexdef FROM pg_indexes WHERE indexname = %s",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(query, [name])
        (sql,) = cursor.fetchone()
    assert "WHERE" in sql
