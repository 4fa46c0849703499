"""What was measured, for people and for programs: a table, JSON, a plot."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.contest import Table


def as_text(table: Table) -> str:
    """Return a table in Markdown: medians, and the ratio to the reference."""
    names = list(dict.fromkeys(name for one in table.results for name in one.figures))
    with_ratio = any(one.entry.reference for one in table.results)
    head = ["database", "contestant", *names, *(["of the reference"] if with_ratio else [])]
    lines = [f"### {table.title}", "", row(head), row(["---"] * len(head))]
    for result in table.results:
        figures = [number(result.figures.get(name)) for name in names]
        ratio = [number(table.ratio(result))] if with_ratio else []
        lines.append(row([result.entry.database, result.entry.label, *figures, *ratio]))
    return "\n".join(lines) + "\n"


def row(cells: Sequence[str]) -> str:
    """Return one row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def number(value: float | None) -> str:
    """Return a figure with the digits that it deserves."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


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
                        "of_reference": table.ratio(one),
                    }
                    for one in table.results
                ],
            }
            for table in tables
        ],
    }


def save(tables: Sequence[Table], folder: Path) -> None:
    """Write results.json and results.md into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    data = json.dumps(as_data(tables), indent=2, ensure_ascii=False)
    (folder / "results.json").write_text(data + "\n")
    (folder / "results.md").write_text("\n".join(as_text(table) for table in tables))
