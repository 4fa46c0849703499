"""The wheel: what a project gets that installs the package."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile

import pytest

import django_taskstore
from tests.helpers import ROOT

PACKAGE = ROOT / "django_taskstore"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel and return it opened; skipped where its build tool cannot be had."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), "."]
    if importlib.util.find_spec("hatchling"):
        command.insert(4, "--no-build-isolation")
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if built.returncode and not os.environ.get("CI"):
        pytest.skip(f"The wheel cannot be built here: {built.stderr.strip()[-300:]}")
    assert built.returncode == 0, built.stderr
    (path,) = folder.iterdir()
    with zipfile.ZipFile(path) as opened:
        yield opened


def files(suffixes):
    """Return the package's files with these suffixes, as the wheel names them."""
    found = (path for path in PACKAGE.rglob("*") if path.suffix in suffixes)
    return {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts}


def test_it_has_every_file_of_the_package(wheel):
    expected = files({".py", ".html", ".css", ".js", ".svg", ".mo", ".typed"}) | {
        "django_taskstore/py.typed",
        "django_taskstore/migrations/0001_initial.py",
    }
    assert expected - set(wheel.namelist()) == set()


def test_it_has_templates_and_static_files(wheel):
    names = wheel.namelist()
    for folder in ("templates", "static", "migrations", "management/commands"):
        assert any(name.startswith(f"django_taskstore/{folder}/") for name in names), folder


def test_it_has_nothing_else(wheel):
    others = {name.split("/")[0] for name in wheel.namelist()} - {"django_taskstore"}
    assert others == {f"django_taskstore-{django_taskstore.__version__}.dist-info"}
    assert not [name for name in wheel.namelist() if name.endswith((".pyc", ".sqlite3"))]


def test_its_metadata_says_what_it_needs(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = wheel.read(name).decode()
    assert f"Version: {django_taskstore.__version__}\n" in metadata
    assert "License-Expression: BSD-3-Clause\n" in metadata
    assert "Requires-Python: >=3.11\n" in metadata
    assert "requires-dist: django<6.2,>=5.2\n" in metadata.lower()
    assert "# django-taskstore\n" in metadata
