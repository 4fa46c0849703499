"""Hearing of writes to a SQLite file: from the kernel, and by looking where nothing tells."""

from __future__ import annotations

import sqlite3
import sys
import threading

import pytest

from django_taskstore.database import file_events
from django_taskstore.database.file_events import Inotify, Looks, best_watch, last_write
from tests.helpers import wait_until

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
WATCHES = [pytest.param(Inotify, marks=linux_only), Looks]


@pytest.fixture
def database(tmp_path):
    """Return the path of a database in WAL mode, and keep a connection to it open."""
    path = tmp_path / "queue.sqlite3"
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE task (number)")
    yield path, connection
    connection.close()


def heard(watch, write):
    """Return whether a watch hears of what is written while it waits."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(watch.wait(60)))
    thread.start()
    try:
        # Whoever is late to the wait hears of a later one.
        wait_until(lambda: write() and not thread.is_alive(), seconds=30)
    finally:
        thread.join(60)
        watch.close()
    return answers == [True]


@pytest.mark.parametrize("kind", WATCHES)
def test_a_commit_is_heard(kind, database):
    path, connection = database
    assert heard(kind(path), lambda: connection.execute("INSERT INTO task VALUES (1)"))


@pytest.mark.parametrize("kind", WATCHES)
def test_a_commit_is_heard_after_the_log_was_deleted_and_made_anew(kind, database):
    path, connection = database
    watch = kind(path)
    connection.close()
    assert last_write(path.with_name("queue.sqlite3-wal")) is None
    again = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    assert heard(watch, lambda: again.execute("INSERT INTO task VALUES (1)"))
    again.close()


@pytest.mark.parametrize("kind", WATCHES)
def test_nothing_is_heard_while_nothing_is_written(kind, database):
    watch = kind(database[0])
    watch.wait(0.1)
    assert not watch.wait(0.1)
    watch.close()


@linux_only
def test_other_files_of_the_directory_are_not_ours(database):
    path, _ = database
    watch = Inotify(path)
    path.with_name("notes.txt").write_text("something else")
    assert not watch.wait(30)
    watch.close()


@linux_only
def test_a_directory_that_cannot_be_watched_is_an_error_that_says_so(tmp_path):
    with pytest.raises(OSError, match="inotify refuses to watch"):
        Inotify(tmp_path / "missing" / "queue.sqlite3")


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_without_inotify_the_files_are_looked_at(monkeypatch, database, error):
    def refuse(_):
        raise error

    monkeypatch.setattr(file_events, "Inotify", refuse)
    assert isinstance(best_watch(database[0]), Looks)
