"""Keeping what was claimed: the renewal of leases, and news of tasks while they run.

Owns `renew`. A lease is counted by the database's clock alone. It may not claim or end a
task.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django_taskstore import transitions
from django_taskstore.claims.fence import Claim, by_claim_seq, held_group, lock, rows, still_held
from django_taskstore.database.expressions import OneOf
from django_taskstore.database.servers import skips_locked
from django_taskstore.database.transactions import writing


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a heartbeat learned: claims that no longer hold, and tasks asked to cancel."""

    lost: frozenset[int]
    canceled: frozenset[int]


def renew(claims: Collection[Claim], *, lease_seconds: float) -> Renewal:
    """Extend the leases of claims whose tasks still run.

    Named one by one: renewing "all rows of this worker" would keep alive a task whose claim
    was committed while its answer was lost, which nobody runs. A row that another session
    has locked is stepped over: waiting for it would cost the other claims their leases, and
    no rescue can take it meanwhile.

    Args:
        claims: the claims; all of one database.
        lease_seconds: the new lease, counted from now by the database's clock.

    Returns:
        The ids whose claims no longer hold, and those asked to cancel.
    """
    if not claims:
        return Renewal(frozenset(), frozenset())
    lease = timedelta(seconds=lease_seconds)
    groups = by_claim_seq(claims).values()
    renewed = sum(extend(group, lease) for group in groups)
    held = claims if renewed == len(claims) else still_held(claims)
    lost = {claim.id for claim in claims} - {claim.id for claim in held}
    return Renewal(frozenset(lost), canceled(held))


def extend(claims: Sequence[Claim], lease: timedelta) -> int:
    """Give a new lease to claims that share a number; return how many got it."""
    using = claims[0].using
    if not skips_locked(using):
        return transitions.renew(held_group(claims), lease=lease)
    with writing(using):
        locked = {claim.id for claim in lock(claims)}
        # What is held now stays so, for its row is locked. The UPDATE names ids alone: given
        # the guard too, MariaDB may walk, and so wait for, all running rows.
        held = still_held([claim for claim in claims if claim.id not in locked])
        if not held:
            return 0
        mine = rows(using).filter(OneOf("id", [claim.id for claim in held]))
        return transitions.renew(mine, lease=lease)


def report(claim: Claim, *, details: str | None, progress: dict[str, Any] | None) -> None:
    """Save what a running task has logged and how far it is, while its claim holds.

    Args:
        claim: the claim.
        details: the whole log, or None when it has not changed.
        progress: the progress, or None.
    """
    news = {"details": details, "progress": progress}
    columns = {name: value for name, value in news.items() if value is not None}
    if columns:
        claim.rows().update(**columns)


def canceled(claims: Collection[Claim]) -> frozenset[int]:
    """Return the ids of running tasks that somebody asked to cancel."""
    if not claims:
        return frozenset()
    using = next(iter(claims)).using
    asked = rows(using).filter(OneOf("id", [claim.id for claim in claims]))
    return frozenset(asked.filter(cancel_requested_at__isnull=False).values_list("pk", flat=True))
