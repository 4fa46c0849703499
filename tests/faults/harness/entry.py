"""The worker process of the fault cases: ``manage.py`` after the test's patches.

TASKSTORE_TEST_FAILPOINT names a commit to die at, TASKSTORE_TEST_MUTATION a guard to leave
out, TASKSTORE_TEST_SKEW the hours by which this machine's clock is wrong,
TASKSTORE_TEST_STEP the seconds by which it jumps to and fro each second,
TASKSTORE_TEST_ISOLATION a level that the project asks of its database, and
TASKSTORE_TEST_SETTINGS holds keys of TASKSTORE as JSON. The product knows none of them.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import time

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.utils import timezone

from tests.faults.harness import failpoints, mutations


def main():
    """Patch what the environment names, then run the command line."""
    settings.TASKSTORE = {
        **getattr(settings, "TASKSTORE", {}),
        **json.loads(os.environ.get("TASKSTORE_TEST_SETTINGS", "{}")),
    }
    if level := os.environ.get("TASKSTORE_TEST_ISOLATION"):
        settings.DATABASES["default"].setdefault("OPTIONS", {})["isolation_level"] = level
    django.setup()
    if point := os.environ.get("TASKSTORE_TEST_FAILPOINT"):
        failpoints.arm(point)
    if name := os.environ.get("TASKSTORE_TEST_MUTATION"):
        mutations.MUTATIONS[name]()
    if hours := os.environ.get("TASKSTORE_TEST_SKEW"):
        skew(datetime.timedelta(hours=float(hours)))
    if seconds := os.environ.get("TASKSTORE_TEST_STEP"):
        step(float(seconds))
    execute_from_command_line(["manage.py", *sys.argv[1:]])


def skew(wrong_by):
    """Set the clock that Python code of this process reads; the system's stays as it is."""
    real = timezone.now
    timezone.now = lambda: real() + wrong_by


def step(seconds):
    """Let the wall clock that Python code of this process reads jump each second."""
    real_now, real_time = timezone.now, time.time

    def jump():
        return seconds if int(time.monotonic()) % 2 else -seconds

    timezone.now = lambda: real_now() + datetime.timedelta(seconds=jump())
    time.time = lambda: real_time() + jump()


if __name__ == "__main__":
    main()
