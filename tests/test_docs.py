"""The documentation says what the code does: names, defaults, ids, files and versions agree."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.dispatch import Signal

import django_taskstore
from django_taskstore import exceptions, models, signals, transitions
from django_taskstore.conf import ADMIN_COLUMNS, Defaults
from django_taskstore.handlers import TaskHandler
from tests.helpers import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
TEXTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *PAGES]
LINK = re.compile(r"(?<!\!)\[[^\]]+\]\(([^)#\s]+)(?:#[^)]*)?\)")


def page(name):
    """Return a page of the documentation."""
    return (DOCS / name).read_text(encoding="utf-8")


def rows(text):
    """Return the cells of all table rows, headings and rules left out."""
    lines = re.findall(r"^\|(.+)\|$", text, flags=re.MULTILINE)
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]
    return [row for row in cells if not set("".join(row)) <= set("-: ")]


def first_names(text):
    """Return the code at the start of each table row."""
    return [found[1] for row in rows(text) if (found := re.match(r"`([^`]+)`", row[0]))]


def section(text, heading):
    """Return what stands below a heading, up to the next one."""
    return re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def python_blocks():
    """Yield every Python example with its place."""
    for path in TEXTS:
        text = path.read_text(encoding="utf-8")
        for block in re.finditer(r"```python\n(.*?)```", text, flags=re.DOTALL):
            line = text.count("\n", 0, block.start()) + 1
            yield pytest.param(block[1], id=f"{path.relative_to(ROOT)}:{line}")


def test_the_settings_table_has_each_key_and_its_default():
    table = {row[0]: row[1] for row in rows(page("reference/settings.md"))[1:]}
    expected = {f"`{field.name}`": f"`{field.default!r}`" for field in fields(Defaults)}
    assert table == expected


def test_the_columns_table_has_each_column():
    assert first_names(section(page("reference/admin.md"), "The columns")) == list(ADMIN_COLUMNS)


def test_the_checks_table_has_each_id():
    sources = (ROOT / "django_taskstore").rglob("*.py")
    source = "".join(path.read_text(encoding="utf-8") for path in sources)
    in_code = set(re.findall(r'"(django_taskstore\.[EW]\d{3})"', source))
    assert set(first_names(page("reference/checks.md"))) == in_code
    assert in_code


def test_the_exceptions_table_has_each_exception():
    text = page("reference/exceptions.md")
    assert set(first_names(text)) == set(exceptions.__all__)
    values = {
        name for name in exceptions.__all__ if issubclass(getattr(exceptions, name), ValueError)
    }
    sentence = text[text.index("those about what was passed in") : text.index("A handler raises")]
    assert set(re.findall(r"`(Invalid\w+)`", sentence)) == values


def test_the_signals_table_has_each_signal():
    in_code = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert set(first_names(page("reference/signals.md"))) == in_code


def test_the_handler_table_has_each_attribute():
    table = section(page("reference/handlers.md"), "What it declares")
    named = {name for row in rows(table)[1:] for name in re.findall(r"`(\w+)`", row[0])}
    assert named == set(inspect.get_annotations(TaskHandler))


def test_the_commands_table_has_each_command():
    text = page("reference/commands.md").split("## Exit codes")[0]
    named = {name.split()[0] for name in first_names(text)}
    assert named == {name for name, app in get_commands().items() if app == "django_taskstore"}


def test_the_options_of_taskqueue_run_are_all_described():
    command = load_command_class("django_taskstore", "taskqueue_run")
    in_code = options(command) - options(BaseCommand())
    table = section(page("reference/commands.md"), "taskqueue_run")
    assert {name.split()[0] for name in first_names(table)} == in_code


def options(command):
    """Return the options of a command that its help shows."""
    actions = command.create_parser("manage.py", "any")._actions
    shown = (one for one in actions if one.option_strings and one.help != argparse.SUPPRESS)
    return {one.option_strings[-1] for one in shown}


def test_the_lifecycle_has_each_transition():
    in_code = {
        name
        for name, function in inspect.getmembers(transitions, inspect.isfunction)
        if function.__module__ == transitions.__name__
        and inspect.signature(function).return_annotation == "int"
    }
    table = rows(page("lifecycle.md"))[1:]
    named = {found[1] for row in table if (found := re.match(r"`(\w+)`", row[1]))}
    assert named == in_code


def test_the_floors_are_those_that_are_enforced():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = config["tool"]["importlinter"]["contracts"][0]["layers"]
    enforced = [set(layer.split(" | ")) for layer in layers]
    table = rows(section(page("architecture.md"), "Floors"))[1:]
    assert [set(re.findall(r"`(\w+)`", row[1])) for row in table] == enforced
    assert [int(row[0]) for row in table] == list(range(len(layers), 0, -1))


def test_the_index_table_has_each_index():
    named = set(first_names(section(page("architecture.md"), "Indexes")))
    metas = [getattr(models, name)._meta for name in models.__all__]
    assert named == {index.name for meta in metas for index in (*meta.indexes, *meta.constraints)}


def test_each_public_name_is_documented():
    text = "".join(path.read_text(encoding="utf-8") for path in PAGES)
    missing = [name for name in django_taskstore.__all__ if f"{name}" not in text]
    assert missing == []


@pytest.mark.parametrize("block", list(python_blocks()))
def test_each_python_example_compiles(block):
    ast.parse(block)


@pytest.mark.parametrize("block", list(python_blocks()))
def test_each_example_imports_what_there_is(block):
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("django_taskstore"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"


def test_versions_agree():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## \[(\d[^\]]*)\]", changelog, flags=re.MULTILINE)[0]
    assert newest == django_taskstore.__version__


def test_each_page_is_reachable_from_the_index():
    seen, waiting = set(), [DOCS / "index.md"]
    while waiting:
        current = waiting.pop()
        seen.add(current)
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", current.read_text(), flags=re.DOTALL):
            names = [line for line in tree.splitlines() if line and not line.startswith(":")]
            waiting += [(current.parent / f"{name}.md").resolve() for name in names]
    assert seen == set(PAGES)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_leads_somewhere(path):
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (path.parent / target).exists()] == []


def test_the_readme_answers_ten_questions_and_links_a_test_for_each_promise():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    answers = section(readme, "Ten questions")
    questions = re.findall(r"^\*\*(\d+)\. .+?\?\*\*", answers, flags=re.MULTILINE)
    assert [int(number) for number in questions] == list(range(1, 11))
    promises = re.split(r"^\d\. ", section(readme, "Promises"), flags=re.MULTILINE)[1:]
    assert len(promises) == 7
    assert [promise for promise in promises if "](tests/" not in promise] == []


def test_nothing_names_a_path_of_one_machine():
    files = [*TEXTS, ROOT / "Makefile", ROOT / "compose.yaml", *Path(ROOT / ".ci").iterdir()]
    pattern = re.compile(r"/(?:root|work|home)/")
    assert [str(path) for path in files if pattern.search(path.read_text(encoding="utf-8"))] == []
