"""The limit: a plain loop over the plain driver on the queue's own table.

Owns `raw_drain`. It claims a batch, calls a handler that does nothing for each, and records
them by primary key: no threads, no leases renewed, no retries, no signals. What finished and
what is claimed next share one transaction, as in the queue itself. Its sister is `inserts`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from bench.contest import Figures
from bench.stores import QUEUE, TABLE, Store

WORKER = uuid.UUID(int=1)
NEXT = f"""
    SELECT {{columns}} FROM {TABLE} WHERE queue_name = '{QUEUE}' AND status = 'queued'
    ORDER BY priority DESC, run_after, id LIMIT {{limit}} {{lock}}"""
TAKE = """
    status = 'running', attempts = attempts + 1, claim_seq = claim_seq + 1, claimed_by = '{worker}',
    lease_expires_at = {lease}, updated_at = {now}"""
DONE = """
    status = 'success', lease_expires_at = NULL, completed_at = {now}, updated_at = {now}"""

Rows = Sequence[tuple[Any, ...]]


def raw_drain(store: Store, *, alias: str, count: int, batch: int) -> Figures:
    """Fill the queue, work it off in batches, and return the rate.

    Raises:
        RuntimeError: not each task was done exactly once.
    """
    store.empty()
    store.fill(alias, count)
    connection = store.connect()
    began, cpu = time.perf_counter(), time.process_time()
    calls = work_off(store, connection, batch)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    connection.close()
    if calls != count or store.count("success") != count:
        raise RuntimeError(f"The raw loop did {calls} of {count} tasks.")
    return {"tasks/s": count / seconds, "CPU µs/task": cpu_seconds / count * 1e6}


def work_off(store: Store, connection: Any, batch: int) -> int:
    """Claim, call and finish until the queue is empty; return how many were called."""
    cursor = connection.cursor()
    claim, finish = STATEMENTS[store.name](cursor, batch)
    done: list[int] = []
    calls = 0
    while True:
        cursor.execute(store.begin)
        if done:
            finish(done)
        rows = claim()
        connection.commit()
        if not rows:
            return calls
        for _ in rows:
            noop()
            calls += 1
        done = [row[0] for row in rows]


def noop() -> None:
    """Do nothing, as the handler does."""


Loop = tuple[Callable[[], Rows], Callable[[list[int]], None]]


def postgresql(cursor: Any, batch: int) -> Loop:
    """Claim by one UPDATE; an array keeps the planner from joining the table with itself."""
    take = TAKE.format(worker=WORKER, lease="now() + interval '1 minute'", now="now()")
    chosen = NEXT.format(columns="id", limit=batch, lock="FOR UPDATE SKIP LOCKED")
    claiming = f"""
        UPDATE {TABLE} SET {take} WHERE id = ANY(ARRAY({chosen})) RETURNING id, parameters"""
    finishing = f"UPDATE {TABLE} SET {DONE.format(now='now()')} WHERE id = ANY(%s)"

    def claim() -> Rows:
        return list(cursor.execute(claiming).fetchall())

    def finish(ids: list[int]) -> None:
        cursor.execute(finishing, [ids])

    return claim, finish


def mariadb(cursor: Any, batch: int) -> Loop:
    """Claim by SELECT … FOR UPDATE and one UPDATE."""
    now = "UTC_TIMESTAMP(6)"
    take = TAKE.format(worker=WORKER.hex, lease=f"{now} + INTERVAL 1 MINUTE", now=now)
    rows = NEXT.format(columns="id, parameters", limit=batch, lock="FOR UPDATE SKIP LOCKED")

    def claim() -> Rows:
        cursor.execute(rows)
        found: Rows = cursor.fetchall()
        if found:
            cursor.execute(f"UPDATE {TABLE} SET {take} WHERE id IN ({listed(found)})")
        return found

    def finish(ids: list[int]) -> None:
        named = ", ".join(map(str, ids))
        cursor.execute(f"UPDATE {TABLE} SET {DONE.format(now=now)} WHERE id IN ({named})")

    return claim, finish


def sqlite(cursor: Any, batch: int) -> Loop:
    """Claim by one UPDATE with RETURNING."""
    now = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
    lease = "strftime('%Y-%m-%d %H:%M:%f', 'now', '+1 minute')"
    take = TAKE.format(worker=WORKER.hex, lease=lease, now=now)
    chosen = NEXT.format(columns="id", limit=batch, lock="")
    claiming = f"UPDATE {TABLE} SET {take} WHERE id IN ({chosen}) RETURNING id, parameters"

    def claim() -> Rows:
        return list(cursor.execute(claiming).fetchall())

    def finish(ids: list[int]) -> None:
        named = ", ".join(map(str, ids))
        cursor.execute(f"UPDATE {TABLE} SET {DONE.format(now=now)} WHERE id IN ({named})")

    return claim, finish


def listed(rows: Rows) -> str:
    """Return the first columns of rows, separated by commas."""
    return ", ".join(str(row[0]) for row in rows)


STATEMENTS: dict[str, Callable[[Any, int], Loop]] = {
    "postgresql": postgresql,
    "mariadb": mariadb,
    "sqlite": sqlite,
}
