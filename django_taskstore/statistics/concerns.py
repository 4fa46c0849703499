"""What an operator should look at, read off a snapshot's values.

Owns the warnings, their codes and their words. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_taskstore.conf import settings
from django_taskstore.statistics.states import QueueState, StatusWarning, Tally, WorkerState

#: Names in one sentence; who wants all looks at the list.
MOST_NAMED = 5


def queue_warnings(states: Iterable[QueueState]) -> Iterator[StatusWarning]:
    """Yield what is wrong with queues."""
    for state in states:
        if state.backlog:
            yield from backlog_warnings(state)
        if state.expired:
            text = ngettext(
                "%(count)s running task of %(queue)s has an expired lease: its worker died or is "
                "cut off. The next worker rescues it.",
                "%(count)s running tasks of %(queue)s have an expired lease: their workers died or "
                "are cut off. The next worker rescues them.",
                state.expired,
            )
            facts = {"count": f"{state.expired:,}", "queue": state.name}
            yield StatusWarning("expired_leases", text % facts, state.name)


def backlog_warnings(state: QueueState) -> Iterator[StatusWarning]:
    """Yield why nobody works a backlog, or that it is worked too slowly."""
    facts: dict[str, Any] = {"count": f"{state.backlog:,}", "queue": state.name}
    if state.paused_at is not None:
        text = ngettext(
            "%(count)s task waits on %(queue)s, which is paused%(by)s%(reason)s. "
            "`manage.py taskqueue_resume %(queue)s` lets it run.",
            "%(count)s tasks wait on %(queue)s, which is paused%(by)s%(reason)s. "
            "`manage.py taskqueue_resume %(queue)s` lets them run.",
            state.backlog,
        )
        facts["by"] = _(" by %(who)s") % {"who": state.paused_by} if state.paused_by else ""
        facts["reason"] = f": {state.pause_reason}" if state.pause_reason else ""
        yield StatusWarning("paused_with_backlog", text % facts, state.name, state.paused_at)
    elif not state.workers:
        text = ngettext(
            "%(count)s task waits on %(queue)s and no worker serves it. "
            "`manage.py taskqueue_run %(queue)s` starts one.",
            "%(count)s tasks wait on %(queue)s and no worker serves it. "
            "`manage.py taskqueue_run %(queue)s` starts one.",
            state.backlog,
        )
        yield StatusWarning("no_worker", text % facts, state.name, state.oldest_since)
    elif (state.oldest_wait_seconds or 0) > settings.QUEUE_AGE_WARNING_SECONDS:
        facts["minutes"] = f"{(state.oldest_wait_seconds or 0) / 60:,.0f}"
        text = _(
            "The oldest task on %(queue)s has waited %(minutes)s minutes: its workers do not keep "
            "up with the %(count)s that wait."
        )
        yield StatusWarning("queue_age", text % facts, state.name, state.oldest_since)


def stranger_warnings(strangers: Mapping[str, Tally]) -> Iterator[StatusWarning]:
    """Yield the aliases of waiting tasks that have no handler in this process."""
    for alias, tally in strangers.items():
        text = ngettext(
            "%(count)s waiting task of %(alias)s has no handler in this process: register it, or "
            "run a worker that has it.",
            "%(count)s waiting tasks of %(alias)s have no handler in this process: register it, or "
            "run a worker that has it.",
            tally.n,
        )
        yield StatusWarning("no_handler", text % {"count": tally, "alias": alias})


def skew_warnings(workers: Collection[WorkerState]) -> Iterator[StatusWarning]:
    """Yield which workers run other code than the one that started last, as a deploy may leave."""
    if not workers:
        return
    newest = max(workers, key=lambda worker: worker.started_at)
    names = [worker.name for worker in workers if worker.code != newest.code]
    if not names:
        return
    text = ngettext(
        "%(count)s worker runs other code than the newest, %(newest)s (%(code)s): %(names)s. "
        "Restart it, or finish the deploy.",
        "%(count)s workers run other code than the newest, %(newest)s (%(code)s): %(names)s. "
        "Restart them, or finish the deploy.",
        len(names),
    )
    more = ", …" if len(names) > MOST_NAMED else ""
    shown = ", ".join(names[:MOST_NAMED]) + more
    facts = {
        "count": f"{len(names):,}",
        "newest": newest.name,
        "code": newest.code,
        "names": shown,
    }
    yield StatusWarning("version_skew", text % facts, since=newest.started_at)
