"""What a worker says about itself when it starts.

Owns the lines and the warnings; it reads the database and changes nothing.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator

import django
from django.conf import settings as django_settings

import django_taskstore
from django_taskstore import switchboard
from django_taskstore.conf import settings
from django_taskstore.database.servers import (
    describe,
    is_postgresql,
    isolation_warning,
    journal_warning,
    skips_locked,
)
from django_taskstore.models import Schedule
from django_taskstore.registry import registry
from django_taskstore.runner import TaskQueueRunner
from django_taskstore.statistics.counts import strangers, unserved

SHOWN_HANDLERS = 5


def banner(
    runner: TaskQueueRunner,
    *,
    processes: int,
    shutdown_timeout_seconds: float,
    with_schedules: bool,
) -> str:
    """Return the lines that say version, database, queues, concurrency, handlers and warnings.

    Args:
        runner: the runner that is about to start, or one like the children's.
        processes: worker processes.
        shutdown_timeout_seconds: how long a stop waits for running tasks.
        with_schedules: whether schedules are looked after here too.
    """
    using = runner.identity.using
    wakes = is_postgresql(using) and settings.NOTIFY
    rows = {
        "database": f"{using}: {describe(using)} · skip locked: {yes(skips_locked(using))} · "
        f"notify: {yes(wakes)}",
        "queues": queues_line(runner.queues, using),
        "concurrency": f"{runner.concurrency} at a time · {processes} process(es) · poll "
        f"{runner.poll_seconds:g} s · lease {runner.lease_seconds:g} s · shutdown timeout "
        f"{shutdown_timeout_seconds:g} s",
        "schedules": schedules_line(using) if with_schedules else "left to others",
        "handlers": handlers_line(),
    }
    head = (
        f"django_taskstore {django_taskstore.__version__} · Django {django.get_version()} · "
        f"Python {platform.python_version()}"
    )
    lines = [head, *(f"  {name:<12} {text}" for name, text in rows.items())]
    return "\n".join([*lines, *(f"  ! {text}" for text in warnings(using))])


def yes(truth: bool) -> str:  # noqa: FBT001 - the truth itself is the argument
    """Return the word for a truth."""
    return "yes" if truth else "no"


def queues_line(queues: tuple[str, ...], using: str) -> str:
    """Return the queues that are served, and which of them are paused."""
    switches = switchboard.read(using)
    served = switches.names if "*" in queues else queues
    paused = [name for name in served if name in switches.paused]
    shown = "* (all)" if "*" in queues else ", ".join(queues)
    return f"{shown} · paused: {', '.join(paused) or 'none'}"


def schedules_line(using: str) -> str:
    """Return how many schedules enqueue tasks by themselves."""
    return f"{Schedule.objects.using(using).active().count()} active, looked after here"


def handlers_line() -> str:
    """Return how many handlers are registered, and the first of them."""
    aliases = [handler.alias for handler in registry]
    more = ", …" if len(aliases) > SHOWN_HANDLERS else ""
    return f"{len(aliases)} registered ({', '.join(aliases[:SHOWN_HANDLERS])}{more})"


def warnings(using: str) -> Iterator[str]:
    """Yield what an operator should know before relying on this worker."""
    if django_settings.DEBUG:
        yield "DEBUG is on: Django keeps every SQL statement in memory. Turn it off for workers."
    for text in (isolation_warning(using), journal_warning(using)):
        if text:
            yield text
    if not len(registry):
        yield "No handler is registered: does an app in INSTALLED_APPS have a tasks.py?"
    if not unserved(using).exists():
        return
    if aliases := ", ".join(strangers(switchboard.read(using).names, using)):
        yield (
            f"Tasks wait for handlers that this process does not have: {aliases}. "
            "They stay on their queues."
        )
