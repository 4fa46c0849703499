"""What was measured, for people and for programs: a table, JSON, a plot."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import plot
from bench.contest import Result, Table, plain


def as_text(table: Table) -> str:
    """Return a table in Markdown: medians, and how each compares with its rival."""
    names = list(dict.fromkeys(name for one in table.results for name in one.figures))
    head = ["database", "contestant", *names, "compared"]
    lines = [f"### {table.title}", "", row(head), row(["---"] * len(head))]
    for result in table.results:
        figures = [number(result.figures.get(name)) for name in names]
        cells = [result.entry.database, result.entry.label, *figures, compared(table, result)]
        lines.append(row(cells))
    return "\n".join(lines) + "\n"


def compared(table: Table, result: Result) -> str:
    """Return a result's ratio to its rival, with the rival's name."""
    ratio = table.ratio(result)
    rival = result.entry.against
    return "" if ratio is None or rival is None else f"{ratio:.2f} of {rival.label}"


def row(cells: Sequence[str]) -> str:
    """Return one row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def number(value: float | None) -> str:
    """Return a figure, or nothing where a contestant has none."""
    return "" if value is None else plain(value)


def as_data(tables: Sequence[Table]) -> dict[str, Any]:
    """Return all rounds of all tables, with the machine they were measured on."""
    return {
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.processor() or platform.machine(),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "measures": [
            {
                "title": table.title,
                "results": [
                    {
                        "database": one.entry.database,
                        "contestant": one.entry.label,
                        "medians": one.figures,
                        "rounds": one.rounds,
                        "against": one.entry.against and one.entry.against.label,
                        "ratio": table.ratio(one),
                    }
                    for one in table.results
                ],
            }
            for table in tables
        ],
    }


def save(tables: Sequence[Table], folder: Path) -> None:
    """Write results.json, results.md and a picture of each table into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    data = json.dumps(as_data(tables), indent=2, ensure_ascii=False)
    (folder / "results.json").write_text(data + "\n")
    (folder / "results.md").write_text("\n".join(as_text(table) for table in tables))
    for number, table in enumerate(tables, 1):
        if plot.can_draw():
            plot.draw(table, folder / f"plot-{number}.svg")
