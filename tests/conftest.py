"""Fixtures, and the rule for a database server that is not there."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from django.conf import settings
from django.db import OperationalError, connections

from django_taskstore import definitions, signals, switchboard
from django_taskstore.registry import registry

pytest_plugins = ["django_taskstore.testing.pytest_plugin"]


def pytest_configure():
    """Let what tests start hear SIGINT, which a shell makes its background jobs ignore."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config):
    """Say which database this run uses."""
    return f"database: {settings.BACKEND}"


def pytest_collection_modifyitems(config, items):
    """Leave out what uses no database where a run on another database has run it already."""
    if "TASKSTORE_TEST_ONLY_DATABASE" not in os.environ:
        return
    repeated = [item for item in items if not uses_database(item)]
    config.hook.pytest_deselected(items=repeated)
    items[:] = [item for item in items if uses_database(item)]


def uses_database(item):
    """Tell whether a test reaches a database, in this process or in others."""
    fixtures = {"db", "transactional_db", "django_db_modify_db_settings"}
    return item.get_closest_marker("django_db") is not None or fixtures & set(item.fixturenames)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_blocker):
    """Skip every test that needs the database when its server is missing; fail where CI is set."""
    if settings.BACKEND == "sqlite":
        return
    try:
        with django_db_blocker.unblock(), connections["default"]._nodb_cursor() as cursor:
            strangers = sessions_of_others(cursor)
    except OperationalError as error:
        reason = f"no {settings.BACKEND} server answers: {error}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    if strangers:
        pytest.exit(f"Sessions of an earlier run still use the test database: {strangers}", 1)


def sessions_of_others(cursor):
    """Return who uses the test database before this run has made it.

    What a killed run has started works on, and MariaDB lets the database be dropped and made
    anew under it; PostgreSQL refuses that itself, and SQLite leaves it the removed file.
    """
    if settings.BACKEND != "mysql":
        return []
    cursor.execute(
        "SELECT id, host, info FROM information_schema.processlist WHERE db = %s",
        [f"test_{settings.NAME}"],
    )
    return list(cursor.fetchall())


@pytest.fixture(autouse=True)
def _fresh_caches():
    """Forget what earlier tests' rows were called: their tables were emptied."""
    definitions.forget()
    switchboard.known_queues.clear()


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """A file where handlers, in this process or in workers, say what they did."""
    from tests.helpers import Ledger

    path = tmp_path / "ledger"
    monkeypatch.setenv("TASKSTORE_TEST_LEDGER", str(path))
    return Ledger(path)


@pytest.fixture(scope="session", autouse=True)
def _no_thread_outlives_the_tests(request):
    """Let listeners close their connections before the test's database is dropped."""
    if settings.BACKEND == "postgresql":
        request.getfixturevalue("django_db_setup")
    yield
    from tests.helpers import wait_for_threads

    wait_for_threads("dispatcher", "heartbeat", "handler", "listener")


@pytest.fixture
def add_handler():
    """Return a function that registers a handler class for the length of one test."""
    added = []

    def add(handler, **options):
        registry.add(handler, **options)
        added.append(handler.alias)
        return handler

    yield add
    for alias in added:
        registry.remove(alias)


@pytest.fixture
def seen_signals():
    """Collect (signal's name, kwargs) of every signal of the package."""
    seen, connected = [], []
    for name in [name for name in dir(signals) if name.startswith("task_")]:

        def receive(name=name, **kwargs):
            seen.append((name, kwargs))

        signal = getattr(signals, name)
        signal.connect(receive, weak=False)
        connected.append((signal, receive))
    yield seen
    for signal, receive in connected:
        signal.disconnect(receive)


@pytest.fixture(autouse=True)
def _heartbeats_end_in_time(request):
    """Let the heartbeats of runners that have ended end while the test's database may be used."""
    reaches = {"db", "transactional_db"} & set(request.fixturenames)
    if reaches or request.node.get_closest_marker("django_db"):
        # Asked for here, so that it is cleaned up behind this fixture.
        request.getfixturevalue("db")
    yield
    for thread in threading.enumerate():
        if thread.name == "taskstore-heartbeat":
            thread.join(5)


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    """Fail a test that leaves a thread of ours behind: it would work on the next test's tables."""
    from tests.helpers import wait_until

    yield
    wait_until(lambda: not ours_alive(), seconds=10, what=f"the end of {ours_alive()}")


def ours_alive():
    """Return the names of the package's threads that still run."""
    return [one.name for one in threading.enumerate() if one.name.startswith("taskstore-")]
