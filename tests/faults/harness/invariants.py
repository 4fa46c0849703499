"""What must hold after every case, whatever was done in it.

Owns the judgements I1 to I10; connections (I11) and ends of processes (I12) are the `Case`'s.
Each reads the ledger, the audit or the rows, never the logs of the system under test, and
returns sentences about what is wrong.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict

from django_taskstore.models import QueuedTask
from django_taskstore.statuses import FINAL, PAUSABLE, UNFINISHED, WAITING, Status

QUEUED, RUNNING, SCHEDULED = Status.QUEUED, Status.RUNNING, Status.SCHEDULED

#: The arrows of docs/lifecycle.md, an INSERT and the purge of a final row included.
ARROWS = {
    *((None, status) for status in PAUSABLE),
    (SCHEDULED, QUEUED),
    (QUEUED, RUNNING),
    *((RUNNING, status) for status in (*FINAL, SCHEDULED, QUEUED)),
    *((status, Status.CANCELED) for status in WAITING),
    *((status, Status.PAUSED) for status in PAUSABLE),
    *((Status.PAUSED, status) for status in PAUSABLE),
    *((status, QUEUED) for status in FINAL),
    *((status, None) for status in FINAL),
}


def nothing_is_lost(facts):
    """I1: every task whose enqueue was acknowledged ended, or visibly waits."""
    found = dict(QueuedTask.all_objects.values_list("pk", "status"))
    for pk in facts.acknowledged:
        if pk not in found:
            yield f"task {pk} was acknowledged and is gone"
        elif found[pk] in UNFINISHED and pk not in facts.may_wait:
            yield f"task {pk} was acknowledged and is {found[pk]}"


def nothing_is_invented(facts):
    """I2: no task that nobody enqueued, or whose transaction was rolled back."""
    known = facts.acknowledged | facts.unknown
    for pk in QueuedTask.all_objects.values_list("pk", flat=True):
        if pk not in known:
            yield f"task {pk} was never enqueued"


def arrows_are_drawn(facts):
    """I3: every change of a status is an arrow of the diagram, with its counters."""
    for change in facts.changes:
        if change.arrow not in ARROWS:
            yield f"illegal arrow {change}"
        raised = change.claim_after - change.claim_before
        if raised != (1 if change.arrow == (QUEUED, RUNNING) else 0):
            yield f"claim number changed by {raised} in {change}"


def claims_end_once(facts):
    """I4: each claim has at most one start and at most one outcome."""
    starts = Counter((line.task_id, line.claim_seq) for line in facts.starts)
    outcomes = Counter(
        (change.task_id, change.claim_before)
        for change in facts.changes
        if change.was == RUNNING or (change.was in FINAL and change.became in FINAL)
    )
    for what, counts in (("starts", starts), ("outcomes", outcomes)):
        for (task, claim), times in counts.items():
            if times > 1:
                yield f"claim {claim} of task {task} has {times} {what}"


def tasks_end_once(facts):
    """I5: a task comes to its end once for each time it was queued by somebody."""
    ends, queued = Counter(), Counter()
    for change in facts.changes:
        ends[change.task_id] += change.became in FINAL
        queued[change.task_id] += change.was is None or (
            change.was in FINAL and change.became == QUEUED
        )
    for task, times in ends.items():
        if times > queued[task]:
            yield f"task {task} was queued {queued[task]} times and ended {times} times"


def success_was_earned(facts):
    """I6: a success has the end of a handler behind it, under the same claim."""
    ended = {(line.task_id, line.claim_seq) for line in facts.ends}
    started = {line.task_id for line in facts.starts}
    for change in facts.changes:
        unearned = (change.task_id, change.claim_after) not in ended
        if change.became == Status.SUCCESS and change.task_id in started and unearned:
            yield f"task {change.task_id} succeeded as claim {change.claim_after}: no end"
    rows = QueuedTask.all_objects.filter(status=Status.SUCCESS, output__isnull=False)
    for pk, claim_seq, output in rows.values_list("pk", "claim_seq", "output"):
        if isinstance(output, dict) and output.get("claim_seq", claim_seq) != claim_seq:
            yield f"task {pk} has the output of claim {output['claim_seq']} under {claim_seq}"


def attempts_are_counted(facts):
    """I7: no more starts than claims, and no attempt beyond what the task may have."""
    claims = Counter(change.task_id for change in facts.changes if change.became == RUNNING)
    starts = Counter(line.task_id for line in facts.starts)
    for task, times in starts.items():
        if times > claims[task]:
            yield f"task {task} was claimed {claims[task]} times and started {times} times"
    rows = QueuedTask.all_objects.values_list("pk", "attempts", "max_attempts", "lost_count")
    for pk, attempts, most, losses in rows:
        if not 0 <= attempts <= most:
            yield f"task {pk} has {attempts} of {most} attempts"
        rescues = sum(change.task_id == pk for change in facts.rescues)
        if rescues != losses:
            yield f"task {pk} was rescued {rescues} times and counts {losses} losses"


def rescues_were_due(facts):
    """I8: only a lease that had run out was taken from a worker, so only then may runs overlap."""
    for change in facts.rescues:
        if not change.was_expired:
            yield f"a live lease was taken: {change}"
    runs = defaultdict(list)
    for line in facts.starts:
        runs[line.task_id].append(line)
    ends = {(line.task_id, line.claim_seq): line.at_ns for line in facts.ends}
    lost = {(change.task_id, change.claim_before) for change in facts.rescues}
    for task, starts in runs.items():
        for earlier, later in itertools.pairwise(starts):
            key = (task, earlier.claim_seq)
            overlap = ends.get(key, 0) > later.at_ns
            if overlap and key not in lost and not facts.may_overlap:
                yield f"claims {earlier.claim_seq} and {later.claim_seq} of {task} ran together"


def nothing_is_stuck(facts):
    """I9: no row is left running once the workers are gone."""
    left = QueuedTask.all_objects.filter(status=RUNNING).exclude(pk__in=facts.may_wait)
    for pk, claim_seq in left.values_list("pk", "claim_seq"):
        yield f"task {pk} is still running as claim {claim_seq}"


def claim_numbers_rise(facts):
    """I10: the claim number of a task never falls."""
    latest = {}
    for change in facts.changes:
        if change.claim_after < latest.get(change.task_id, 0):
            yield f"claim number fell in {change}"
        latest[change.task_id] = change.claim_after


JUDGEMENTS = (
    nothing_is_lost,
    nothing_is_invented,
    arrows_are_drawn,
    claims_end_once,
    tasks_end_once,
    success_was_earned,
    attempts_are_counted,
    rescues_were_due,
    nothing_is_stuck,
    claim_numbers_rise,
)


def violations(facts):
    """Return all that is wrong, as lines that begin with the number of the invariant."""
    return [
        f"{(judge.__doc__ or '').partition(':')[0]} {sentence}"
        for judge in JUDGEMENTS
        for sentence in judge(facts)
    ]
