"""huey with Redis, or with SQLite where BENCH_HUEY_FILE names a file."""

from __future__ import annotations

import os

from huey import RedisHuey, SqliteHuey

from bench.peers.driver import called
from bench.stamps import stamp

if "BENCH_HUEY_FILE" in os.environ:
    queue = SqliteHuey("bench", filename=os.environ["BENCH_HUEY_FILE"])
else:
    queue = RedisHuey("bench", url=os.environ["BENCH_REDIS"])


@queue.task()
def noop(number: int) -> None:
    """Do nothing."""
    called()


@queue.task()
def stamping(path: str) -> None:
    """Write down when it began."""
    stamp(path)


def install() -> None:
    """Empty the store."""
    queue.storage.flush_all()


def one() -> None:
    """Enqueue one."""
    noop(1)


def many(count: int) -> None:
    """Enqueue many: one by one, for it has no bulk form."""
    for number in range(count):
        noop(number)


def stamped(path: str) -> None:
    """Enqueue one that stamps."""
    stamping(path)
