"""The limit of latency on PostgreSQL: two sessions of the plain driver and one wake-up.

Owns `bare_delays`. One process inserts a row and sends NOTIFY in a transaction that does not
wait for the disk, as the queue does; another hears it, claims by one UPDATE and writes down
the time: no ORM, no threads that hand work on, no checks.
"""

from __future__ import annotations

import json
import multiprocessing
from typing import Any

from bench.contest import Figures
from bench.inserts import names, row
from bench.raw import postgresql
from bench.stamps import delays, stamp
from bench.stores import TABLE, Store

CHANNEL = "bench_bare"
NOTIFY = f"SELECT pg_notify('{CHANNEL}', ''), set_config('synchronous_commit', 'off', true)"
START_SECONDS = 30
#: Processes are made afresh: a fork would share this one's sessions.
making = multiprocessing.get_context("spawn")


def bare_delays(store: Store, *, tries: int) -> Figures:
    """Enqueue when all is quiet, and return the delays until a waiting process has claimed.

    Args:
        store: a PostgreSQL database.
        tries: how often.

    Raises:
        TimeoutError: the waiting process did not start.
    """
    store.empty()
    values = row(store)
    place = store.columns.index("parameters")
    holes = ", ".join(["%s"] * len(values))
    insert = f"INSERT INTO {TABLE} ({names(store)}) VALUES ({holes}) RETURNING id"
    connection = store.connect()

    def enqueue(path: str) -> None:
        values[place] = json.dumps({"path": path})
        connection.execute(insert, values).fetchone()
        connection.execute(NOTIFY).fetchone()

    ready = making.Event()
    waiter = making.Process(target=wait_and_claim, args=(store.url(), ready), daemon=True)
    waiter.start()
    try:
        if not ready.wait(START_SECONDS):
            raise TimeoutError("The process that waits for NOTIFY did not start.")
        return delays(enqueue, tries)
    finally:
        waiter.kill()
        waiter.join()
        connection.close()


def wait_and_claim(address: str, ready: Any) -> None:
    """Claim what is there at each NOTIFY, for ever.

    Args:
        address: of the database.
        ready: set once it listens.
    """
    import psycopg

    listening, working = (psycopg.connect(address, autocommit=True) for _ in range(2))
    claim, finish = postgresql(working.cursor(), 100)
    listening.execute(f"LISTEN {CHANNEL}")
    ready.set()
    for _notice in listening.notifies():
        while rows := claim():
            for _, parameters in rows:
                stamp(parameters["path"])
            finish([key for key, _ in rows])
