"""django-q2 with its ORM broker."""

from __future__ import annotations

from django.core.management import call_command
from django.db import transaction
from django_q.tasks import async_task

from bench.peers.driver import called
from bench.stamps import stamp


def noop(number: int) -> None:
    """Do nothing."""
    called()


def stamping(path: str) -> None:
    """Write down when it began."""
    stamp(path)


def install() -> None:
    """Make the tables."""
    call_command("migrate", verbosity=0)


def one() -> None:
    """Enqueue one."""
    async_task(noop, 1)


def many(count: int) -> None:
    """Enqueue many: one by one in one transaction, for it has no bulk form."""
    with transaction.atomic():
        for number in range(count):
            async_task(noop, number)


def stamped(path: str) -> None:
    """Enqueue one that stamps."""
    async_task(stamping, path)
