"""What people read of a running worker and of exports, with facts for machines."""

from __future__ import annotations

import logging

import pytest

from django_taskstore import TaskQueueRunner, enqueue, signals
from django_taskstore.logs import because, follow
from tests.admin_pages import TASKS, client_of, superuser, text_of, url, user_with

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


@pytest.mark.parametrize(
    ("query", "filters"),
    [
        ("", "none"),
        ("?status=failed&queue=emails", "status=failed&queue=emails"),
        ("?status=failed&q=args:Tom+Jones", "status=failed&q=***"),
        ("?q=&q=Tom&before=9", "q=***&before=9"),
        ("?queue=a%0Ab+user%3Droot%1B", "queue=a%0Ab%20user%3Droot%1B"),
    ],
)
def test_an_export_is_one_line_without_what_was_searched_for(caplog, query, filters):
    user = superuser()
    enqueue("Invite", {"email": "Tom@example.com"})
    address = url(f"{TASKS}_export", "csv") + query

    with caplog.at_level(logging.INFO, logger="django_taskstore"):
        response = client_of(user).get(address)
        assert response.status_code == 200
        text_of(response)

    (record,) = (one for one in caplog.records if one.name == "django_taskstore.admin")
    line = f"export_started csv user=root id={user.pk} filters={filters}"
    assert (record.levelname, record.getMessage()) == ("INFO", line)
    assert (record.event, record.user, record.user_id) == ("export_started", "root", str(user.pk))
    assert (record.form, record.filters or "none") == ("csv", filters)


def test_a_users_name_breaks_no_line(caplog):
    user = user_with(name="ann\n\x1b[31m")

    with caplog.at_level(logging.INFO, logger="django_taskstore.admin"):
        signals.export_started.send(None, user=user, form="json", query="")

    (record,) = caplog.records
    text = record.getMessage()
    assert text == f"export_started json user=ann\ufffd\ufffd[31m id={user.pk} filters=none"
