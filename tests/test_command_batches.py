"""The progress of commands that work batch after batch: on a terminal, elsewhere, as JSON."""

from __future__ import annotations

import io
import json

from django.core.management.base import OutputWrapper

from django_taskstore.management.batches import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        """Claim to be one."""
        return True


def progress_to(out, **options):
    """Return the progress of a command with these options, which says everything at once."""
    expected = options.pop("expected", None)
    shown = {"verbosity": 1, "json": False, **options}
    progress = Progress(OutputWrapper(out), "Purging", expected=expected, options=shown)
    assert progress.every_seconds == (0.2 if out.isatty() and not shown["json"] else 10.0)
    progress.every_seconds = 0.0
    return progress


def test_progress_updates_one_line_on_a_terminal():
    out = Terminal()
    progress = progress_to(out, expected=200)
    progress.add(50)
    progress.add(50)
    progress.end()
    first, second = out.getvalue().split("\r")[1:]
    assert first.startswith("Purging: 50 of 200 (25%), ")
    assert second.startswith("Purging: 100 of 200 (50%), ")
    assert out.getvalue().count("\n") == 1


def test_progress_writes_lines_elsewhere():
    out = io.StringIO()
    progress = progress_to(out)
    progress.add(50)
    progress.add(950)
    progress.end()
    first, second = out.getvalue().splitlines()
    assert first.startswith("Purging: 50 done, ")
    assert second.startswith("Purging: 1,000 done, ")


def test_progress_is_not_said_too_often():
    out = io.StringIO()
    progress = progress_to(out)
    progress.every_seconds = 10.0
    progress.add(50)
    assert out.getvalue() == ""


def test_progress_can_be_off():
    out = io.StringIO()
    progress_to(out, expected=1, verbosity=0).add(1)
    assert out.getvalue() == ""


def test_progress_for_programs_is_an_object_a_line():
    out = Terminal()
    progress = progress_to(out, expected=200, json=True)
    progress.add(50)
    progress.end()
    facts = json.loads(out.getvalue())
    assert facts.pop("seconds") >= 0
    assert facts == {"event": "progress", "done": 50, "expected": 200}
