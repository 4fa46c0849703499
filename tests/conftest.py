"""Fixtures, and the rule for a database server that is not there."""

from __future__ import annotations

import os

import pytest
from django.conf import settings
from django.db import OperationalError, connections

from django_taskstore import definitions, switchboard
from tests.helpers import Ledger


def pytest_report_header(config):
    """Say which database this run uses."""
    return f"database: {settings.BACKEND}"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_blocker):
    """Skip every test that needs the database when its server is missing; fail where CI is set."""
    if settings.BACKEND == "sqlite":
        return
    try:
        with django_db_blocker.unblock(), connections["default"]._nodb_cursor():
            pass
    except OperationalError as error:
        reason = f"no {settings.BACKEND} server answers: {error}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(autouse=True)
def _fresh_caches():
    """Forget what earlier tests' rows were called: their tables were emptied."""
    definitions.forget()
    switchboard.known_queues.clear()


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """A file where handlers, in this process or in workers, say what they did."""
    path = tmp_path / "ledger"
    monkeypatch.setenv("TASKSTORE_TEST_LEDGER", str(path))
    return Ledger(path)
