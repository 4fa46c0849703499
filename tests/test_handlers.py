"""The base class of handlers: parameters, log lines, forms and the enqueue shortcuts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django import forms
from django.test import override_settings
from django.utils import timezone

from django_taskstore import TaskHandler
from django_taskstore.exceptions import InvalidParameters
from django_taskstore.handlers import Log
from django_taskstore.models import QueuedTask
from tests.helpers import fresh
from tests.testapp.tasks import HelloWorldTask, Invite, Typed


def test_parameters_keep_their_types():
    given = {"n": 5, "yes": True, "none": None, "list": [1], "empty": ""}
    handler = Typed(parameters=given)
    assert {name: handler.get_param(name) for name in given} == given


def test_a_missing_parameter_is_the_default():
    handler = Typed(parameters={"zero": 0})
    assert handler.get_param("missing") == ""
    assert handler.get_param("missing", 7) == 7
    assert handler.get_param("zero", 7) == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a;b; c ;;", ["a", "b", "c"]),
        ("one", ["one"]),
        ("", []),
        (None, []),
        (["a;b", 2], ["a;b", 2]),
        (5, [5]),
        (0, [0]),
        (False, [False]),
    ],
)
def test_a_parameter_as_a_list(given, expected):
    assert Typed(parameters={"items": given}).get_param_array("items") == expected


def test_a_missing_parameter_as_a_list_is_empty():
    assert Typed().get_param_array("items") == []


def test_options_are_the_command_lines_parameters_only():
    by_hand = Typed(parameters={"a": 1})
    queued = Typed(parameters={"a": 1}, queued_task=QueuedTask())
    assert (by_hand.options, by_hand.has_queued_task) == ({"a": 1}, False)
    assert (queued.options, queued.has_queued_task) == ({}, True)


def test_log_lines_keep_level_order_and_the_last_message_of_each():
    heard = []
    handler = Typed(echo=lambda level, text: heard.append((level, text)))
    handler.log_info("one")
    handler.log_info("two")
    handler.log_success(3)
    handler.log_error("four")
    assert heard == [("INFO", "one"), ("INFO", "two"), ("SUCCESS", "3"), ("ERROR", "four")]
    assert handler.last_info_message == "two"
    assert handler.last_success_message == "3"
    assert handler.last_error_message == "four"


def test_log_lines_are_stamped_in_utc():
    log = Log()
    log.add("INFO", "hello", now=datetime(2026, 11, 24, 8, 5, 9, tzinfo=UTC))
    assert str(log) == "[2026-11-24 08:05:09] INFO: hello"


def test_log_lines_are_stamped_in_utc_whatever_time_zone_is_active():
    log = Log()
    with timezone.override("Asia/Tokyo"):
        before = datetime.now(UTC)
        log.add("INFO", "hello")
    stamp = datetime.strptime(str(log)[1:20], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert abs((stamp - before).total_seconds()) < 5


def test_a_log_continues_the_earlier_attempts_log():
    log = Log("[2026-01-01 00:00:00] INFO: first attempt")
    assert log.unsaved() is None
    log.add("INFO", "second")
    assert str(log).splitlines()[0].endswith("first attempt")
    assert log.unsaved() == str(log)
    assert log.unsaved() is None
    assert log.changed


def test_a_full_log_says_so_once_and_stays_below_its_cap():
    with override_settings(TASKSTORE={"MAX_DETAILS_BYTES": 1000}):
        log = Log()
        for number in range(500):
            log.add("INFO", f"line {number} ü")
    lines = str(log).splitlines()
    assert lines[-1].endswith("The log is full; later lines are dropped.")
    assert sum("The log is full" in line for line in lines) == 1
    assert len(str(log).encode()) < 1100


def test_a_log_line_no_database_stores_is_made_storable():
    log = Log()
    log.add("INFO", "a\x00b\ud800")
    assert str(log).endswith("INFO: a\ufffdb\ufffd")


def test_a_form_gives_types_to_what_it_cleaned():
    cleaned = Invite.clean_parameters({"email": " a@b.example ", "guests": "5"})
    assert cleaned == {"email": "a@b.example", "guests": 5}


def test_what_was_not_given_is_not_added_by_the_form():
    assert Invite.clean_parameters({"email": "a@b.example"}) == {"email": "a@b.example"}


def test_form_errors_name_the_field_and_the_reason():
    with pytest.raises(InvalidParameters) as refused:
        Invite.clean_parameters({"email": "nobody", "guests": -1})
    message = str(refused.value)
    assert message.startswith("Parameters of Invite are not valid.")
    assert "email: Enter a valid email address." in message
    assert "guests: Ensure this value is greater than or equal to 0." in message


def test_a_parameter_that_the_form_does_not_know_is_refused():
    with pytest.raises(InvalidParameters, match="Invite has no parameter 'emial'; it has 'email'"):
        Invite.clean_parameters({"email": "a@b.example", "emial": "x"})


def test_errors_of_the_whole_form_are_told_too():
    class Pair(forms.Form):
        def clean(self):
            raise forms.ValidationError("Not on a Sunday.")

    class Sunday(TaskHandler):
        form_class = Pair

    with pytest.raises(InvalidParameters, match="Not on a Sunday"):
        Sunday.clean_parameters({})


def test_without_a_form_parameters_stay_as_they_are():
    given = {"n": "5"}
    assert Typed.clean_parameters(given) is given


@pytest.mark.django_db
def test_a_handler_class_enqueues_itself():
    task = HelloWorldTask.enqueue(name="Tom")
    stored = fresh(task)
    assert stored.definition.alias == "HelloWorldTask"
    assert (stored.queue_name, stored.parameters) == ("default", {"name": "Tom"})


@pytest.mark.django_db
def test_using_chooses_queue_priority_time_attempts_and_metadata():
    chosen = HelloWorldTask.using(
        queue_name="emails",
        priority=5,
        run_after=timedelta(minutes=5),
        max_attempts=4,
        metadata={"tenant": "a"},
    )
    stored = fresh(chosen.enqueue(name="Tom"))
    assert (stored.queue_name, stored.priority, stored.max_attempts) == ("emails", 5, 4)
    assert (stored.status, stored.metadata) == ("scheduled", {"tenant": "a"})
    assert chosen.enqueue_many([{"name": "Ann"}, {"name": "Bob"}]) == 2
    assert QueuedTask.objects.on_queue("emails").count() == 3


@pytest.mark.django_db
def test_parameters_named_as_options_stay_parameters():
    stored = fresh(HelloWorldTask.enqueue(queue_name="x", priority=3, handler="y", cls="z"))
    assert stored.parameters == {"queue_name": "x", "priority": 3, "handler": "y", "cls": "z"}
    assert (stored.queue_name, stored.priority) == ("default", 0)


def test_an_unknown_option_is_refused_at_once():
    with pytest.raises(TypeError, match="queue"):
        HelloWorldTask.using(queue="emails")
