"""The table of fault cases names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers import ROOT

PAGE = Path(ROOT, "docs/fault_cases.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


def test_the_table_names_tests():
    cases = {int(number) for number in re.findall(r"\bF(\d+)\b", PAGE)}
    assert len(cases) > 40
    assert len(NAMED) > 40


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_holds_a_case_exists(path, name):
    text = Path(ROOT, path).read_text()
    assert not name or f"\ndef {name}(" in text
