"""django-tasks-db, the database backend of Django's own tasks."""

from __future__ import annotations

from django.core.management import call_command
from django.db import transaction
from django.tasks import task

from bench.peers.driver import called
from bench.stamps import stamp


@task
def noop(number: int) -> None:
    """Do nothing."""
    called()


@task
def stamping(path: str) -> None:
    """Write down when it began."""
    stamp(path)


def install() -> None:
    """Make the tables."""
    call_command("migrate", verbosity=0)


def one() -> None:
    """Enqueue one."""
    noop.enqueue(number=1)


def many(count: int) -> None:
    """Enqueue many: one by one in one transaction, for it has no bulk form."""
    with transaction.atomic():
        for number in range(count):
            noop.enqueue(number=number)


def stamped(path: str) -> None:
    """Enqueue one that stamps."""
    stamping.enqueue(path=path)
