"""Celery with Redis as its broker, and no results."""

from __future__ import annotations

import os

from celery import Celery
from redis import Redis

from bench.peers.driver import called
from bench.stamps import stamp

app = Celery("bench", broker=os.environ["BENCH_REDIS"])
app.conf.task_ignore_result = True


@app.task
def noop(number: int) -> None:
    """Do nothing."""
    called()


@app.task
def stamping(path: str) -> None:
    """Write down when it began."""
    stamp(path)


def install() -> None:
    """Empty the store."""
    Redis.from_url(os.environ["BENCH_REDIS"]).flushdb()


def one() -> None:
    """Enqueue one."""
    noop.delay(1)


def many(count: int) -> None:
    """Enqueue many: one by one, for it has no bulk form."""
    for number in range(count):
        noop.delay(number)


def stamped(path: str) -> None:
    """Enqueue one that stamps."""
    stamping.delay(path)
