"""procrastinate in Django, with async tasks."""

from __future__ import annotations

from django.core.management import call_command
from procrastinate.contrib.django import app

from bench.peers.driver import called
from bench.stamps import stamp


@app.task
async def noop(number: int) -> None:
    """Do nothing."""
    called()


@app.task
async def stamping(path: str) -> None:
    """Write down when it began."""
    stamp(path)


def install() -> None:
    """Make the tables."""
    call_command("migrate", verbosity=0)


def one() -> None:
    """Enqueue one."""
    noop.defer(number=1)


def many(count: int) -> None:
    """Enqueue many."""
    noop.batch_defer(*({"number": number} for number in range(count)))


def stamped(path: str) -> None:
    """Enqueue one that stamps."""
    stamping.defer(path=path)
