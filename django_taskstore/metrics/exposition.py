"""Prometheus' text format, version 0.0.4.

Owns its words, numbers and escapes (Prometheus, Exposition formats). Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "taskstore_"
LABEL_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True, slots=True)
class Sample:
    """One number.

    Attributes:
        value: the number.
        labels: what it is of.
        suffix: what the family's name ends with here, such as ``_bucket``.
    """

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """What is told under one name.

    Attributes:
        name: without the package's prefix.
        kind: gauge, counter or histogram.
        meaning: one line in English, as names are.
        samples: the numbers.
    """

    name: str
    kind: str
    meaning: str
    samples: tuple[Sample, ...]


def as_text(families: Iterable[Family]) -> str:
    """Return families in the text format."""
    lines: list[str] = []
    for family in families:
        name = PREFIX + family.name
        lines += [f"# HELP {name} {family.meaning}", f"# TYPE {name} {family.kind}"]
        lines += [
            f"{name}{one.suffix}{labels_text(one.labels)} {number_text(one.value)}"
            for one in family.samples
        ]
    return "\n".join([*lines, ""])


def labels_text(labels: Mapping[str, str]) -> str:
    """Return labels in braces, or "" without any."""
    pairs = (f'{name}="{value.translate(LABEL_ESCAPES)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}" if labels else ""


def number_text(value: float) -> str:
    """Return a number as Go reads it."""
    return "+Inf" if value == math.inf else f"{value:.15g}"
