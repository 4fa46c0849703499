"""What may enter the store: each rule, its exception and what its message tells to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from django_taskstore.exceptions import (
    InvalidOutput,
    InvalidParameters,
    InvalidPriority,
    InvalidQueueName,
    InvalidRunAfter,
    TaskStoreError,
)
from django_taskstore.validation import (
    Unstorable,
    json_text,
    output_text,
    parameters_text,
    storable_text,
    validate_parameters,
    validate_priority,
    validate_queue_name,
    validate_run_after,
)

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def deep(levels):
    value = "bottom"
    for _ in range(levels):
        value = [value]
    return value


def circle():
    value = {}
    value["self"] = value
    return value


@pytest.mark.parametrize("name", ["default", "a", "e-mails.v2:eu_1", "A" * 100])
def test_a_queue_name_is_taken_as_it_is(name):
    assert validate_queue_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "a" * 101, "e mails", "emails\n", "über", "a/b", "*", None, 5, b"emails"]
)
def test_a_queue_name_out_of_the_rule_is_refused(name):
    with pytest.raises(InvalidQueueName, match="use 1 to 100 characters out of A-Z"):
        validate_queue_name(name)


def test_a_huge_queue_name_makes_no_huge_message():
    with pytest.raises(InvalidQueueName) as refused:
        validate_queue_name("x" * 100_000)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("priority", [-100, 0, 100])
def test_a_priority_in_range_is_taken(priority):
    assert validate_priority(priority) == priority


@pytest.mark.parametrize("priority", [-101, 101, True, False, 1.0, "5", None, float("nan")])
def test_a_priority_out_of_the_rule_is_refused(priority):
    with pytest.raises(InvalidPriority, match="whole number from -100 to 100"):
        validate_priority(priority)


def test_run_after_is_a_moment_or_a_delay():
    later = NOW + timedelta(minutes=5)
    assert validate_run_after(later, now=NOW) == later
    assert validate_run_after(timedelta(minutes=5), now=NOW) == later


def test_a_naive_run_after_is_refused_with_the_way_out():
    with pytest.raises(InvalidRunAfter, match="has no time zone; use django.utils.timezone.now"):
        validate_run_after(datetime(2026, 1, 1), now=NOW)  # noqa: DTZ001 - the point


@pytest.mark.parametrize("run_after", [60, "tomorrow", None, 1.5])
def test_another_type_of_run_after_is_refused(run_after):
    with pytest.raises(InvalidRunAfter, match="expected an aware datetime or a timedelta"):
        validate_run_after(run_after, now=NOW)


def test_a_delay_beyond_the_calendar_is_refused():
    with pytest.raises(InvalidRunAfter):
        validate_run_after(timedelta.max, now=NOW)


def test_no_parameters_are_an_empty_object():
    assert validate_parameters(None, limit_bytes=10) == {}


@pytest.mark.parametrize("parameters", [[], "{}", 5, ("a",), {"a"}, True])
def test_parameters_that_are_no_object_are_refused(parameters):
    with pytest.raises(InvalidParameters, match="expected a dict that becomes a JSON object"):
        validate_parameters(parameters, limit_bytes=1000)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"n": float("nan")}, r"hold nan at \['n'\], which JSON does not know"),
        ({"n": [1, float("-inf")]}, r"hold -inf at \['n'\]\[1\]"),
        ({"text": "a\x00b"}, r"'\\x00' at \['text'\], which no database stores"),
        ({"text": "\ud800"}, r"'\\ud800' at \['text'\], which no database stores"),
        ({"a\x00": 1}, r"have the key 'a\\x00', which no database stores"),
        ({1: "one"}, "have the key 1; the keys of a JSON object are text"),
        ({"a": {None: 1}}, r"have the key None at \['a'\]"),
        ({"pair": (1, 2)}, "hold a tuple at"),
        ({"when": NOW}, "hold a datetime at"),
        ({"raw": b"x"}, "hold a bytes at"),
        ({"set": {1}}, "hold a set at"),
        ({"deep": deep(70)}, "nested more than 64 deep"),
        ({"text": "x" * 1000}, "are 1,012 bytes of JSON, more than the 1,000 allowed: pass an id"),
        ({"text": "ü" * 500}, "are 1,012 bytes of JSON"),
    ],
)
def test_what_json_cannot_hold_unchanged_is_refused_with_its_place(parameters, words):
    with pytest.raises(InvalidParameters, match=words):
        validate_parameters(parameters, limit_bytes=1000)


def test_parameters_that_hold_themselves_are_refused():
    with pytest.raises(InvalidParameters, match="nested"):
        validate_parameters(circle(), limit_bytes=1000)


def test_a_number_with_too_many_digits_is_refused():
    with pytest.raises(InvalidParameters):
        validate_parameters({"n": 10**5000}, limit_bytes=100_000)


def test_everything_json_knows_is_taken_unchanged():
    value = {"a": [1, -2.5, True, None, "ü 🎉\n\r\u2028", {"b": []}], "": ""}
    assert validate_parameters(value, limit_bytes=1000) == value
    text = parameters_text(value, limit_bytes=1000)
    assert json.loads(text) == value
    assert len(text.splitlines()) == 1


def test_an_output_may_be_any_json_value():
    for value in (None, 0, False, "", [1], {"a": 1}):
        assert json.loads(output_text(value, limit_bytes=100)) == value


@pytest.mark.parametrize("output", [{1, 2}, object(), float("nan"), "x" * 200, (1,)])
def test_an_output_that_json_cannot_hold_is_refused(output):
    with pytest.raises(InvalidOutput, match="The output"):
        output_text(output, limit_bytes=100)


def test_bad_input_is_both_a_store_error_and_a_value_error():
    for kind in (
        InvalidParameters,
        InvalidOutput,
        InvalidQueueName,
        InvalidPriority,
        InvalidRunAfter,
    ):
        assert issubclass(kind, TaskStoreError)
        assert issubclass(kind, ValueError)


def test_the_size_counts_bytes_not_characters():
    assert json_text("🎉", limit_bytes=6) == json.dumps("🎉")
    with pytest.raises(Unstorable, match="6 bytes of JSON"):
        json_text("🎉", limit_bytes=5)


def test_free_text_is_made_storable_rather_than_refused():
    assert storable_text("a\x00b\udfffc\n") == "a\ufffdb\ufffdc\n"
