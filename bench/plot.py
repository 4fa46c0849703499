"""The results as pictures, where matplotlib is installed.

Owns `draw`: one bar a contestant, the median of its first figure, and a line from the slowest
of its rounds to the fastest.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from bench.contest import Result, Table, plain

COLOURS = {"sqlite": "#7a9e7e", "postgresql": "#33658a", "mariadb": "#c98b4e", "redis": "#a23b3b"}


def can_draw() -> bool:
    """Tell whether the library is there."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(table: Table, path: Path) -> None:
    """Write a table's picture as SVG."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "taskstore"  # The same results give the same file.
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.34 * len(table.results) + 1.2))
    for place, result in enumerate(table.results):
        add_bar(axes, place, result)
    axes.set_yticks(range(len(table.results)), [name_of(result) for result in table.results])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda value, _: plain(value))
    axes.set_xlabel(first_figure(table.results[0]))
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def add_bar(axes: Any, place: int, result: Result) -> None:
    """Draw one contestant."""
    name = first_figure(result)
    values = [figures[name] for figures in result.rounds]
    middle = result.median(name)
    reach = [[middle - min(values)], [max(values) - middle]]
    colour = COLOURS.get(result.entry.database, "#888888")
    axes.barh(place, middle, xerr=reach, color=colour, ecolor="#555555", height=0.7)
    axes.text(max(values), place, f"  {plain(middle)}", va="center", fontsize=8)


def first_figure(result: Result) -> str:
    """Return the name of the figure that is drawn."""
    return next(iter(result.rounds[0]))


def name_of(result: Result) -> str:
    """Return a contestant's name with its database."""
    return f"{result.entry.label} ({result.entry.database})"
