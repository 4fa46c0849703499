"""Keeping what was claimed: the renewal of leases, and news of tasks while they run.

Owns `renew`. A lease is counted by the database's clock alone. It may not claim or end a
task.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django_taskstore import transitions
from django_taskstore.claims.fence import Claim, by_claim_seq, held_group, rows, still_held
from django_taskstore.database.expressions import OneOf


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a heartbeat learned: claims that no longer hold, and tasks asked to cancel."""

    lost: frozenset[int]
    canceled: frozenset[int]


def renew(claims: Collection[Claim], *, lease_seconds: float) -> Renewal:
    """Extend the leases of claims whose tasks still run.

    Named one by one: renewing "all rows of this worker" would keep alive a task whose claim
    was committed while its answer was lost, which nobody runs.

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
    renewed = sum(transitions.renew(held_group(group), lease=lease) for group in groups)
    held = claims if renewed == len(claims) else still_held(claims)
    lost = {claim.id for claim in claims} - {claim.id for claim in held}
    return Renewal(frozenset(lost), canceled(held))


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
