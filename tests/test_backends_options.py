"""OPTIONS of TASKS, the system checks, and Django's backends that take our options."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_taskstore import checks
from django_taskstore.backends import DummyBackend, ImmediateBackend, TaskStoreTask, task
from django_taskstore.backends.api import TaskResultStatus, task_backends
from django_taskstore.backends.options import OPTIONS, option_problems
from tests.testapp import functions

STORE = "django_taskstore.backends.TaskStoreBackend"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_attempts": 3, "backoff": 0, "timeout": 60, "on_lost": "fail"},
        {"backoff": [1, timedelta(minutes=1)], "timeout": timedelta(hours=1)},
        {"backoff": lambda attempt: attempt},
        {"max_attempts": None, "backoff": None, "timeout": None, "on_lost": None},
    ],
)
def test_good_options_are_no_problem(options):
    assert list(option_problems(options)) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_attempts", 0),
        ("max_attempts", True),
        ("max_attempts", "3"),
        ("backoff", []),
        ("backoff", "soon"),
        ("timeout", 0),
        ("timeout", "60"),
        ("on_lost", "explode"),
    ],
)
def test_a_wrong_option_is_reported_with_its_rule(settings, name, value):
    settings.TASKS = {"default": {"BACKEND": STORE, "OPTIONS": {name: value}}}
    (message,) = task_backends["default"].check()
    assert message.id == "django_taskstore.E012"
    assert message.msg == (
        f"TASKS['default']['OPTIONS'] has {name!r} = {value!r}, expected {OPTIONS[name][1]}."
    )


def test_an_unknown_option_is_reported_with_the_known_ones(settings):
    settings.TASKS = {"default": {"BACKEND": STORE, "OPTIONS": {"attempts": 3}}}
    (message,) = task_backends["default"].check()
    assert "unknown key 'attempts'; known keys: max_attempts, backoff" in message.msg


def test_a_project_without_a_tasks_api_is_told_what_to_install(settings, monkeypatch):
    settings.TASKS = {
        "other": {"BACKEND": "celery_thing.Backend"},
        "ours": {"BACKEND": STORE},
    }
    assert checks.tasks_messages() == []
    monkeypatch.setattr("django_taskstore.conf.find_spec", lambda name: None)
    (message,) = checks.tasks_messages()
    assert (message.id, "TASKS['ours']" in message.msg) == ("django_taskstore.E013", True)
    assert "django-taskstore[tasks]" in message.hint


@pytest.mark.parametrize("tasks", [{}, None, {"default": "not a dict"}, {"default": {}}])
def test_a_setting_of_another_kind_is_not_ours(settings, tasks):
    settings.TASKS = tasks
    assert checks.tasks_messages() == []


@pytest.mark.parametrize("backend", [ImmediateBackend, DummyBackend])
def test_djangos_backends_take_the_options_too(settings, backend):
    settings.TASKS = {"default": {"BACKEND": f"django_taskstore.backends.{backend.__name__}"}}
    declared = task(max_attempts=5, backoff=(1, 2), atomic=True)(functions.meaning_of_life.func)
    assert isinstance(declared, TaskStoreTask)
    assert isinstance(declared.get_backend(), backend)
    result = declared.enqueue()
    expected = (
        TaskResultStatus.SUCCESSFUL if backend is ImmediateBackend else TaskResultStatus.READY
    )
    assert (result.status, result.task) == (expected, declared)
