"""pgqueuer over asyncpg, with async tasks.

``python -m bench.peers.pgqueuer BATCH`` is its worker, started by `pgqueuer.run` as its command
line does, which ends in an error of its own in this version.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import sys
from collections.abc import AsyncIterator

import asyncpg
import pgqueuer
import uvloop
from pgqueuer import AsyncpgDriver, Job, PgQueuer, Queries

from bench.gate import wait_at_gate
from bench.peers.driver import called
from bench.stamps import stamp

ROWS_A_CALL = 10_000


@contextlib.asynccontextmanager
async def worker() -> AsyncIterator[PgQueuer]:
    """Yield the worker, with its tasks."""
    queue = PgQueuer(AsyncpgDriver(await asyncpg.connect(os.environ["BENCH_URL"])))

    @queue.entrypoint("noop")
    async def noop(job: Job) -> None:
        called()

    @queue.entrypoint("stamping")
    async def stamping(job: Job) -> None:
        stamp(job.payload.decode())

    wait_at_gate()
    yield queue


@functools.cache
def runner() -> asyncio.Runner:
    """Return the event loop of this process."""
    return asyncio.Runner()


@functools.cache
def queries() -> Queries:
    """Return the producer of this process."""
    connection = runner().run(asyncpg.connect(os.environ["BENCH_URL"]))
    return Queries(AsyncpgDriver(connection))


def install() -> None:
    """Make the tables."""
    runner().run(queries().install())


def one() -> None:
    """Enqueue one."""
    runner().run(queries().enqueue("noop", b"{}"))


def many(count: int) -> None:
    """Enqueue many."""
    for start in range(0, count, ROWS_A_CALL):
        size = min(ROWS_A_CALL, count - start)
        call = queries().enqueue(["noop"] * size, [b"{}"] * size, [0] * size)
        runner().run(call)


def stamped(path: str) -> None:
    """Enqueue one that stamps."""
    runner().run(queries().enqueue("stamping", path.encode()))


if __name__ == "__main__":
    logging.getLogger("pgqueuer").setLevel(logging.WARNING)
    uvloop.run(pgqueuer.run(worker, batch_size=int(sys.argv[1])))
