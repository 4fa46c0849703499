"""A disk that is full: what ended meanwhile is recorded once there is room again."""

from __future__ import annotations

import contextlib
import time

import pytest
from django.conf import settings
from django.db import connection

from django_taskstore.models import QueuedTask
from tests.faults.conftest import judged, prepared
from tests.faults.harness.disks import connected_to_file, small_disk
from tests.faults.harness.servers import SERVERS, connected_to
from tests.faults.harness.workers import LEASE_SECONDS
from tests.helpers import wait_until

pytestmark = [pytest.mark.faults]

#: Room for an empty database of each kind, and little more.
MEGABYTES = {"sqlite": 8, "postgresql": 128, "mysql": 192}
#: What each says when it has no room.
WORDS = ("No space left", "is full", "disk is full")


@pytest.fixture
def disk():
    """A small disk."""
    with small_disk(MEGABYTES[settings.BACKEND]) as one:
        yield one


@pytest.fixture
def full_case(transactional_db, disk, ledger, tmp_path, request):
    """As ``case``, with the database on the small disk; knows its server."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(placed_on(disk))
        prepared()
        for one in judged(ledger, tmp_path, request):
            one.server = server
            yield one
            disk.free()


@contextlib.contextmanager
def placed_on(disk):
    """Point Django's default connection at a database on a disk; give its server, if any."""
    kind = SERVERS.get(settings.BACKEND)
    if kind is None:
        with connected_to_file(disk.folder / "database.sqlite3"):
            yield None
        return
    if not kind.is_installed():
        pytest.skip(f"{' and '.join(kind.programs)} are not installed")
    server = kind(disk.folder / "server")
    try:
        with connected_to(server):
            yield server
    finally:
        server.remove()


def test_a_full_disk_only_delays(full_case, disk, tmp_path):
    """F25: outcomes that found no room are kept, and no worker ends."""
    gate = tmp_path / "gate"
    full_case.enqueue_many(12, "Bulky", {"seconds": 0.3, "bytes": 400_000, "gate": str(gate)})
    worker = full_case.start("--concurrency", "2")
    wait_until(full_case.ledger.starts, what="the first start")
    disk.fill()
    filled_at = time.monotonic()
    gate.touch()
    wait_until(lambda: has_no_room(worker, full_case.server), seconds=60, what="a word of the disk")
    wait_until(lambda: time.monotonic() > filled_at + 1.5 * LEASE_SECONDS, what="a lease to pass")
    lines = len(worker.output.splitlines())
    assert lines < 5 * (time.monotonic() - worker.started_at), worker.output
    assert worker.is_alive
    disk.free()
    start_again(full_case.server)
    full_case.drained()
    assert worker.is_alive
    assert QueuedTask.objects.with_status("success").count() == 12


def has_no_room(worker, server):
    """Tell whether the worker speaks of the disk, or the server has ended over it."""
    return any(word in worker.output for word in WORDS) or has_ended(server)


def has_ended(server):
    """Tell whether a server, if there is one, runs no more."""
    return server is not None and server.process.poll() is not None


def start_again(server):
    """Start a server that has ended because it had no room, as an operator would."""
    if has_ended(server):
        connection.close()
        server.start()
