"""Exported tasks as CSV and as lines of JSON.

Owns the formats. It gets values that are already redacted, and asks the database nothing.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

Record = dict[str, Any]

#: Spreadsheets take a cell that begins so for a formula, full-width signs and a tab before it too.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write records.

    Attributes:
        suffix: the end of the file's name.
        content_type: what the browser is told.
        head: the text before all records, from the names of their values.
        body: the text of some records.
        note: a last line for people, from its text.
    """

    suffix: str
    content_type: str
    head: Callable[[Iterable[str]], str]
    body: Callable[[Iterable[Record]], str]
    note: Callable[[str], str]


def as_csv(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()


def cell(value: Any) -> Any:
    """Return a value for a spreadsheet: texts that it would take for formulas begin with a quote.

    Numbers stay numbers. Lists and objects are JSON, which begins with a sign of its own.
    """
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False)
    text = plain(value)
    return f"'{text}" if isinstance(text, str) and text.startswith(FORMULA) else text


def plain(value: Any) -> Any:
    """Return times and ids as texts, anything else as it is."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def as_json_line(record: Record) -> str:
    """Return one record as JSON on a line of its own."""
    values = {name: plain(value) for name, value in record.items()}
    return json.dumps(values, ensure_ascii=False) + "\n"


CSV = Format(
    suffix="csv",
    content_type="text/csv; charset=utf-8",
    # Without the mark, Excel reads UTF-8 as the system's old encoding.
    head=lambda names: "\ufeff" + as_csv([names]),
    body=lambda records: as_csv(record.values() for record in records),
    note=lambda text: as_csv([[text]]),
)
JSON = Format(
    suffix="jsonl",
    content_type="application/x-ndjson; charset=utf-8",
    head=lambda _names: "",
    body=lambda records: "".join(map(as_json_line, records)),
    note=lambda text: as_json_line({"note": text}),
)
FORMATS = {"csv": CSV, "json": JSON}
