"""What people read of a running worker: one line a task, with facts for machines."""

from __future__ import annotations

import logging

import pytest

from django_taskstore import TaskQueueRunner, enqueue, signals
from django_taskstore.logs import because, follow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lines(caplog):
    with caplog.at_level(logging.DEBUG, logger="django_taskstore.worker"):
        yield lambda event: [r for r in caplog.records if getattr(r, "event", None) == event]
    follow()


@pytest.mark.parametrize(
    ("alias", "parameters", "event", "level"),
    [
        ("Noop", {}, "success", "INFO"),
        ("Failing", {"message": "boom"}, "failed", "ERROR"),
        ("RetryTwice", {}, "retry", "WARNING"),
        ("Steered", {"how": "snooze"}, "retry", "WARNING"),
        ("Steered", {"how": "cancel"}, "canceled", "WARNING"),
    ],
)
def test_each_ending_is_one_line(lines, alias, parameters, event, level):
    task = enqueue(alias, parameters, queue_name="emails")
    TaskQueueRunner("emails").run_once()
    (record,) = lines(event)
    assert record.levelname == level
    assert (record.task_id, record.alias, record.queue, record.attempt) == (
        task.pk, alias, "emails", 1,
    )  # fmt: skip
    text = record.getMessage()
    assert text.startswith(f"{event} {alias} id={task.pk} queue=emails attempt=1")
    assert "\n" not in text
    assert [record.task_id for record in lines("started")] == [task.pk]


def test_a_failure_says_why_on_one_line(lines):
    enqueue("Failing", {"message": "first\nsecond \x1b[31mline"})
    TaskQueueRunner().run_once()
    (record,) = lines("failed")
    text = record.getMessage()
    assert "error=ValueError: first second" in text
    assert "\n" not in text
    assert "\x1b" not in text, "a terminal must not obey a task's message"


def test_parameters_are_never_logged(caplog):
    caplog.set_level(logging.DEBUG)
    enqueue("Invite", {"email": "secret@example.com"})
    TaskQueueRunner().run_once()
    assert "secret@example.com" not in "\n".join(
        record.getMessage() for record in caplog.records if record.name != "django.db.backends"
    )


def test_an_exception_whose_text_fails_is_still_a_line():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    assert because(Mute()) == " error=Mute: (its text fails)"
    assert because(None) == ""
    assert len(because(ValueError("x" * 10_000))) < 400


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        (logging.DEBUG, (True, True)),
        (logging.INFO, (False, True)),
        (logging.WARNING, (False, False)),
    ],
)
def test_lines_that_nobody_wants_cost_no_receiver(caplog, level, heard):
    with caplog.at_level(level, logger="django_taskstore.worker"):
        follow()
        listening = tuple(
            any(key[0][0] == f"django_taskstore.logs.{name}" for key in signal.receivers)
            for name, signal in (
                ("started", signals.task_started),
                ("succeeded", signals.task_succeeded),
            )
        )
    follow()
    assert listening == heard
