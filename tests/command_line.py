"""Running a command as a shell would: in this process, or as a process of its own."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from dataclasses import dataclass

from django.core.management import ManagementUtility
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from tests.helpers import ROOT, environment_of_a_process


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


def manage(*words):
    """Run ``manage.py`` with these words in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            ManagementUtility(["manage.py", *words]).execute()
        except SystemExit as end:
            code = end.code or 0
    return Ran(code, out.getvalue(), err.getvalue())


def start(*words, environment=None):
    """Start ``manage.py`` with these words as a process of its own, on the test's database."""
    return subprocess.Popen(
        [sys.executable, "-m", "django", *words],
        cwd=ROOT,
        env=environment_of_a_process(environment or {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, *, answer=None):
    """Wait for the end of a started command."""
    out, err = process.communicate(answer, timeout=60)
    return Ran(process.returncode, out, err)


@contextlib.contextmanager
def without_migrations():
    """Let the database look as it does before this app's first ``migrate``."""
    recorder = MigrationRecorder(connection)
    names = [name for app, name in recorder.applied_migrations() if app == "django_taskstore"]
    for name in names:
        recorder.record_unapplied("django_taskstore", name)
    try:
        yield
    finally:
        for name in names:
            recorder.record_applied("django_taskstore", name)


#: A database that is not there, whatever the server.
NO_DATABASE = {"TASKSTORE_TEST_DB_NAME": "/nowhere/no_such_database"}
