"""The house rules that a machine can hold: floors, vendors, who writes a status."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.helpers import ROOT

PACKAGE = ROOT / "django_taskstore"
SOURCES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if "migrations" not in path.parts and "__pycache__" not in path.parts
)


def lines_with(pattern, *, outside):
    """Return where a pattern stands outside the places that may use it."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        if not path.relative_to(PACKAGE).as_posix().startswith(outside)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_a_module_imports_only_from_lower_floors():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kept, 0 broken" in done.stdout


def test_only_the_database_package_names_a_vendor():
    assert lines_with(r"\.vendor\b|\.features\b", outside="database/") == []
    assert lines_with(r"as_(mysql|sqlite|postgresql|oracle)\b", outside="database/") == []


def test_only_transitions_writes_a_status():
    written = lines_with(r"\.update\([^)]*\bstatus=", outside=("transitions.py",))
    not_of_tasks = ("models/definitions.py", "models/schedule_querysets.py")
    others = tuple(f"django_taskstore/{name}" for name in not_of_tasks)
    assert [line for line in written if not line.startswith(others)] == []
    assert lines_with(r"bulk_update\(", outside="nowhere") == []


def test_only_claims_makes_a_claim():
    assert lines_with(r"(?<!def )\bClaim\(", outside="claims/") == []


@pytest.mark.parametrize("module", ["pickle", "marshal", "yaml", "shelve"])
def test_nothing_is_read_that_could_be_code(module):
    assert lines_with(rf"\b(import|from) {module}\b", outside="nowhere") == []
    assert lines_with(r"(?<![\w.])(eval|exec)\(", outside="nowhere") == []


def test_no_module_imports_the_packages_root():
    assert lines_with(r"from django_taskstore import (enqueue|TaskHandler|register)\b",
                      outside="__init__.py") == []  # fmt: skip


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_says_what_it_owns_and_stays_small(path):
    text = path.read_text()
    if not text:
        return
    assert text.startswith('"""')
    assert len(text.splitlines()) <= 350


def test_no_rows_status_is_read_from_pythons_clock():
    """Leases and due times are judged by the database's clock alone."""
    judged = r"(lease_expires_at|run_after)__\w+=\s*(timezone\.now|now\b)"
    found = lines_with(judged, outside=("database/", "admin/", "statistics/"))
    assert [line for line in found if "transitions.py" not in line] == []
