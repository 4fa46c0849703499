"""Guards taken away, to see that a case notices: a suite that cannot fail proves nothing.

Owns the mutations, each a patch of one guard in a worker process. `test_mutations` names the
case that must fail under each.
"""

from __future__ import annotations

from django.db.models import QuerySet

from django_taskstore import transitions
from django_taskstore.database.expressions import Literal
from django_taskstore.statuses import Status


def without_claim_seq():
    """Let an outcome pass by status and worker alone."""

    def held(rows, *, claim_seq, worker):
        return rows.filter(status=Literal(Status.RUNNING), claimed_by=worker)

    transitions.held = held


def without_claim_status():
    """Let a claim take rows of any status."""
    transitions.queued = lambda rows: rows


def without_outcome_status():
    """Let an outcome pass by claim number and worker alone."""

    def held(rows, *, claim_seq, worker):
        return rows.filter(claim_seq=claim_seq, claimed_by=worker)

    transitions.held = held


def without_skip_locked():
    """Let a claim wait for rows that another transaction has locked."""
    original = QuerySet.select_for_update

    def select_for_update(self, *args, skip_locked=False, **options):
        return original(self, *args, **options)

    QuerySet.select_for_update = select_for_update


MUTATIONS = {
    "claim_seq": without_claim_seq,
    "claim_status": without_claim_status,
    "outcome_status": without_outcome_status,
    "skip_locked": without_skip_locked,
}
