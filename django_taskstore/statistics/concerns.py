"""What an operator should look at, read off a snapshot's values.

Owns the warnings, their codes and their words. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from django_taskstore.statistics.states import QueueState, StatusWarning, Tally


def queue_warnings(states: Iterable[QueueState]) -> Iterator[StatusWarning]:
    """Yield what is wrong with queues."""
    for state in states:
        if state.backlog:
            yield from backlog_warnings(state)
        if state.expired:
            text = (
                f"{state.expired:,} running task(s) of {state.name} have an expired lease: their "
                "worker died or is cut off. The next worker rescues them."
            )
            yield StatusWarning("expired_leases", text, state.name)


def backlog_warnings(state: QueueState) -> Iterator[StatusWarning]:
    """Yield why nobody works a backlog."""
    if state.paused_at is not None:
        by = f" by {state.paused_by}" if state.paused_by else ""
        reason = f": {state.pause_reason}" if state.pause_reason else ""
        text = (
            f"{state.backlog:,} task(s) wait on {state.name}, which is paused{by}{reason}. "
            f"`manage.py taskqueue_resume {state.name}` lets them run."
        )
        yield StatusWarning("paused_with_backlog", text, state.name, state.paused_at)
    elif not state.workers:
        text = (
            f"{state.backlog:,} task(s) wait on {state.name} and no worker serves it. "
            f"`manage.py taskqueue_run {state.name}` starts one."
        )
        yield StatusWarning("no_worker", text, state.name, state.oldest_since)


def stranger_warnings(strangers: Mapping[str, Tally]) -> Iterator[StatusWarning]:
    """Yield the aliases of waiting tasks that have no handler in this process."""
    for alias, tally in strangers.items():
        text = (
            f"{tally} waiting task(s) of {alias} have no handler in this process: register it, or "
            "run a worker that has it."
        )
        yield StatusWarning("no_handler", text)
