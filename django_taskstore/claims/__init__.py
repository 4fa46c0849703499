"""Taking tasks so that nobody else has them, and keeping them.

`line` is what waits, `fence` the right to end a task; `taking` gets it, `lease` keeps it.
"""

from __future__ import annotations

from django_taskstore.claims.fence import (
    COLUMNS,
    Claim,
    by_claim_seq,
    held_group,
    lock,
    rows,
    still_held,
)
from django_taskstore.claims.lease import Renewal, canceled, renew, report
from django_taskstore.claims.line import has_waiting, seeking
from django_taskstore.claims.taking import (
    PROCESS_WORKER,
    claim,
    claim_expired,
    claim_next,
    claim_orphaned,
    looks_freely,
)

__all__ = [
    "COLUMNS",
    "PROCESS_WORKER",
    "Claim",
    "Renewal",
    "by_claim_seq",
    "canceled",
    "claim",
    "claim_expired",
    "claim_next",
    "claim_orphaned",
    "has_waiting",
    "held_group",
    "lock",
    "looks_freely",
    "renew",
    "report",
    "rows",
    "seeking",
    "still_held",
]
