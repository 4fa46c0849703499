"""Fixtures of the fault cases."""

from __future__ import annotations

import os

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from django_taskstore import definitions
from tests.faults.harness.audit import audited
from tests.faults.harness.case import Case
from tests.faults.harness.servers import SERVERS, connected_to

PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Remember whether the test itself passed: a case that failed is not judged as well."""
    report = yield
    if call.when == "call":
        item.stash[PASSED] = report.passed
    return report


@pytest.fixture
def case(transactional_db, ledger, tmp_path, request):
    """A producer with a judge: the invariants are checked when the test is over."""
    yield from judged(ledger, tmp_path, request)


@pytest.fixture(scope="session")
def own_server():
    """A server that cases may stop, kill and start again; skipped where there is none."""
    kind = SERVERS.get(settings.BACKEND)
    if kind is None:
        pytest.skip("SQLite has no server to stop.")
    if not kind.is_installed():
        reason = f"{' and '.join(kind.programs)} are not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    server = kind()
    yield server
    server.remove()


@pytest.fixture
def server(transactional_db, own_server):
    """Django's default connection leads to a server of our own, with empty tables."""
    with connected_to(own_server):
        prepared()
        yield own_server
        if own_server.process is None:
            own_server.start()


@pytest.fixture
def own_case(server, ledger, tmp_path, request):
    """As ``case``, on a server of our own."""
    yield from judged(ledger, tmp_path, request)


def prepared():
    """Make empty tables where Django's default connection leads."""
    if connection.vendor != "sqlite":
        create_database()
    call_command("migrate", verbosity=0)
    call_command("flush", verbosity=0, interactive=False)
    definitions.forget()


def judged(ledger, folder, request):
    """Give a case, end what it started, and judge it if its test has passed."""
    with audited() as read_changes:
        one = Case(ledger, folder, read_changes)
        try:
            yield one
        finally:
            passed = request.node.stash.get(PASSED, False)
            if passed:
                one.stop()
            one.end()
        if passed:
            one.judge()


@pytest.fixture
def proxy(case):
    """A proxy before the database's server; the case closes it after its workers' end."""
    return case.proxy()


def create_database():
    """Create the test database on the server if it is not there."""
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection._nodb_cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4")
            return
        cursor.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [connection.settings_dict["NAME"]]
        )
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {name}")
