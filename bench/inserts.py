"""The limit of enqueuing: plain inserts of the same rows over the plain driver.

Owns `insert_one_by_one`, each in a commit of its own, and `insert_many`, in the fastest form a
database has: COPY, or an INSERT of many rows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from bench.contest import Figures
from bench.stores import QUEUE, TABLE, TEMPLATES, Store

ROWS_A_STATEMENT = 1_000


def insert_one_by_one(store: Store, *, count: int) -> Figures:
    """Insert rows, each in a commit of its own; return the rate."""
    store.empty()
    values = row(store)
    mark = store.mark
    insert = f"INSERT INTO {TABLE} ({names(store)}) VALUES ({', '.join([mark] * len(values))})"
    connection = store.connect()
    cursor = connection.cursor()
    began = time.perf_counter()
    for number in range(count):
        cursor.execute(insert, numbered(store, values, number))
    seconds = time.perf_counter() - began
    connection.close()
    return {"rows/s": count / seconds}


def insert_many(store: Store, *, count: int) -> Figures:
    """Insert rows in one transaction; return the rate."""
    store.empty()
    values = row(store)
    connection = store.connect()
    began = time.perf_counter()
    rows = [numbered(store, values, number) for number in range(count)]
    connection.cursor().execute(store.begin)
    if store.name == "postgresql":
        copy_rows(store, connection, rows)
    else:
        insert_rows(store, connection, rows)
    connection.commit()
    seconds = time.perf_counter() - began
    connection.close()
    return {"rows/s": count / seconds}


def copy_rows(store: Store, connection: Any, rows: Sequence[Sequence[Any]]) -> None:
    """Insert by COPY."""
    with connection.cursor().copy(f"COPY {TABLE} ({names(store)}) FROM STDIN") as copy:
        for one in rows:
            copy.write_row(one)


def insert_rows(store: Store, connection: Any, rows: Sequence[Sequence[Any]]) -> None:
    """Insert a thousand rows a statement."""
    places = f"({', '.join([store.mark] * len(store.columns))})"
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        part = rows[start : start + ROWS_A_STATEMENT]
        values = [value for one in part for value in one]
        head = f"INSERT INTO {TABLE} ({names(store)}) VALUES "
        connection.cursor().execute(head + ", ".join([places] * len(part)), values)


def row(store: Store) -> list[Any]:
    """Return the values of a row as enqueue writes it, in the order of the store's columns."""
    (found,) = store.run(f"SELECT {names(store)} FROM {TEMPLATES} WHERE queue_name = 'Noop'")
    values = dict(zip(store.columns, found, strict=True)) | {"queue_name": QUEUE}
    return [json.dumps(one) if isinstance(one, dict) else one for one in values.values()]


def numbered(store: Store, values: Sequence[Any], number: int) -> list[Any]:
    """Return a row whose parameters hold a number, so that JSON is made for each as it must be."""
    place = store.columns.index("parameters")
    return [*values[:place], json.dumps({"number": number}), *values[place + 1 :]]


def names(store: Store) -> str:
    """Return the store's columns, separated by commas."""
    return ", ".join(store.columns)
