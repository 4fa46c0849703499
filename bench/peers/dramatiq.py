"""dramatiq with Redis as its broker."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.peers.driver import called
from bench.stamps import stamp

broker = RedisBroker(url=os.environ["BENCH_REDIS"])
dramatiq.set_broker(broker)


@dramatiq.actor
def noop(number: int) -> None:
    """Do nothing."""
    called()


@dramatiq.actor
def stamping(path: str) -> None:
    """Write down when it began."""
    stamp(path)


def install() -> None:
    """Empty the store."""
    broker.client.flushdb()


def one() -> None:
    """Enqueue one."""
    noop.send(1)


def many(count: int) -> None:
    """Enqueue many: one by one, for it has no bulk form."""
    for number in range(count):
        noop.send(number)


def stamped(path: str) -> None:
    """Enqueue one that stamps."""
    stamping.send(path)
