"""The TASKSTORE setting: defaults, reading at access, and what is wrong with a value."""

from __future__ import annotations

import pytest
from django.test import override_settings

from django_taskstore.conf import ADMIN_COLUMNS, DEFAULTS, problems, settings
from django_taskstore.exceptions import InvalidSetting


@pytest.mark.parametrize(
    ("key", "default"),
    [
        ("MAX_CONCURRENCY", 10),
        ("LEASE_SECONDS", 60.0),
        ("HEARTBEAT_SECONDS", 15.0),
        ("SHUTDOWN_TIMEOUT_SECONDS", 30.0),
        ("DEFAULT_MAX_ATTEMPTS", 1),
        ("MAX_LOSSES", 3),
        ("ERROR_HANDLER", None),
        ("RETENTION", None),
    ],
)
def test_each_key_has_the_default_that_the_documentation_names(key, default):
    assert getattr(settings, key) == default


def test_the_defaults_have_no_problem():
    assert list(problems()) == []


def test_a_setting_is_read_at_each_access():
    with override_settings(TASKSTORE={"MAX_CONCURRENCY": 3}):
        assert settings.MAX_CONCURRENCY == 3
    assert settings.MAX_CONCURRENCY == 10


def test_an_unknown_key_names_the_known_ones():
    with override_settings(TASKSTORE={"MAX_CONCURENCY": 3}):
        (problem,) = problems()
    assert "unknown key 'MAX_CONCURENCY'" in problem
    assert "MAX_CONCURRENCY" in problem


@pytest.mark.parametrize("key", [k for k, v in DEFAULTS.items() if type(v) in (int, float)])
@pytest.mark.parametrize("value", ["10", None, True, -1, float("nan"), [1]])
def test_a_number_out_of_range_is_a_problem(key, value):
    with override_settings(TASKSTORE={key: value}):
        assert any(key in problem and "expected" in problem for problem in problems())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"MAX_CONCURRENCY": 0}, "expected a number above 0"),
        ({"MAX_CONCURRENCY": 1.5}, "expected a whole number"),
        ({"NOTIFY": 1}, "expected True or False"),
        ({"ADMIN_READ_ONLY": "no"}, "expected True or False"),
        ({"ERROR_HANDLER": print}, "expected a dotted path or None"),
        ({"METRICS_TOKEN": "short"}, "16 characters or more"),
        ({"METRICS_TOKEN": 10**20}, "16 characters or more"),
        ({"ADMIN_DETAIL_PANELS": "shop.panels.link"}, "expected a list of dotted paths"),
        ({"ADMIN_DETAIL_PANELS": [print]}, "expected a list of dotted paths"),
        (
            {"ADMIN_LIST_DISPLAY": "id"},
            "is 'id', expected a list of one or more of the columns",
        ),
        ({"ADMIN_LIST_DISPLAY": None}, "is None, expected a list"),
        ({"ADMIN_LIST_DISPLAY": []}, "is [], expected a list of one or more of the columns"),
        ({"ADMIN_LIST_DISPLAY": ["id", "hue"]}, "unknown column 'hue'; known columns: id, task,"),
        ({"ADMIN_LIST_DISPLAY": ["id", ["task"]]}, "unknown column ['task']; known columns: id,"),
        ({"ADMIN_LIST_DISPLAY": ["id", "due", "id"]}, "names 'id' 2 times, expected each column"),
        ({"REVISION": 5}, "expected a text of at most 100 characters"),
        ({"REVISION": "x" * 101}, "expected a text of at most 100 characters"),
        ({"RETENTION": 5}, "expected a dict of status to seconds"),
        ({"RETENTION": {"running": 5}}, "only success, failed and canceled"),
        ({"RETENTION": {"success": -1}}, "expected seconds"),
        ({"RETENTION": {"success": "7d"}}, "expected seconds"),
        ({"LEASE_SECONDS": 20}, "must outlast two heartbeats"),
    ],
)
def test_each_wrong_value_says_what_was_expected(given, words):
    with override_settings(TASKSTORE=given):
        found = list(problems())
    assert len(found) == 1, found
    assert words in found[0]


@pytest.mark.parametrize("columns", [["id"], ADMIN_COLUMNS, ADMIN_COLUMNS[::-1]])
def test_any_choice_of_known_columns_is_valid(columns):
    with override_settings(TASKSTORE={"ADMIN_LIST_DISPLAY": columns}):
        assert list(problems()) == []


def test_zero_is_a_valid_shutdown_timeout():
    with override_settings(TASKSTORE={"SHUTDOWN_TIMEOUT_SECONDS": 0}):
        assert list(problems()) == []


def test_a_setting_that_is_no_dict_says_so():
    with (
        override_settings(TASKSTORE=["MAX_CONCURRENCY"]),
        pytest.raises(InvalidSetting, match="TASKSTORE is a list, expected a dict"),
    ):
        _ = settings.MAX_CONCURRENCY


def test_a_wrong_token_is_not_shown():
    with override_settings(TASKSTORE={"METRICS_TOKEN": "hush"}):
        (problem,) = problems()
    assert "hush" not in problem
