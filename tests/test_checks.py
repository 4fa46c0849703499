"""The system checks: one id for each kind of mistake, and none for a project without one."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.db import connection
from django.test import override_settings

from django_taskstore import checks
from django_taskstore.database import servers


def ids(**options):
    return [
        message.id
        for message in run_checks(**options)
        if message.id.startswith("django_taskstore.")
    ]


def test_a_sound_project_has_no_message():
    assert ids() == []


@pytest.mark.parametrize(
    "given", [{"NO_SUCH_KEY": 1}, {"LEASE_SECONDS": "60"}, {"LEASE_SECONDS": 5}, "no dict", None]
)
def test_wrong_settings_are_e001(given):
    with override_settings(TASKSTORE=given):
        assert "django_taskstore.E001" in ids()


def test_a_project_without_time_zones_is_e002():
    with override_settings(USE_TZ=False):
        assert ids() == ["django_taskstore.E002"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no_such_module.report", "cannot be imported"),
        ("tests.settings.no_such_name", "cannot be imported"),
        ("tests.settings.SECRET_KEY", "is not callable"),
    ],
)
def test_an_error_handler_that_cannot_be_called_is_e003(path, words):
    with override_settings(TASKSTORE={"ERROR_HANDLER": path}):
        (message,) = checks.check_settings()
    assert message.id == "django_taskstore.E003"
    assert words in message.msg
    assert "function(queue_name, task_id, exception)" in message.hint


def test_an_error_handler_that_can_be_called_is_well():
    with override_settings(TASKSTORE={"ERROR_HANDLER": "logging.info"}):
        assert ids() == []


@pytest.mark.parametrize(
    ("path", "words"), [("nowhere.link", "cannot be imported"), ("sys.path", "is not callable")]
)
def test_each_panel_that_cannot_be_called_is_e005(path, words):
    with override_settings(TASKSTORE={"ADMIN_DETAIL_PANELS": ["logging.info", path]}):
        (message,) = checks.check_settings()
    assert message.id == "django_taskstore.E005"
    assert words in message.msg
    assert path in message.msg


def test_a_wrong_list_of_panels_is_reported_once():
    with override_settings(TASKSTORE={"ADMIN_DETAIL_PANELS": 5}):
        assert ids() == ["django_taskstore.E001"]


@pytest.mark.django_db
def test_the_database_of_the_tests_is_well():
    assert ids(databases=["default"]) == []


@pytest.mark.django_db
def test_a_database_that_is_too_old_is_e004(monkeypatch):
    monkeypatch.setattr(servers, "version", lambda using: (3, 1))
    (message,) = checks.check_database(databases=["default"])
    assert message.id == "django_taskstore.E004"
    assert "or newer is needed" in message.msg


def test_a_database_that_was_not_asked_for_is_left_alone():
    assert checks.check_database(databases=None) == []
    assert checks.check_database(databases=[]) == []


@pytest.mark.django_db
@pytest.mark.skipif(django_settings.BACKEND != "mysql", reason="an isolation level of MySQL")
def test_repeatable_read_on_mysql_is_w001():
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        try:
            (message,) = checks.check_database(databases=["default"])
        finally:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    assert message.id == "django_taskstore.W001"
    assert "REPEATABLE-READ" in message.msg


@pytest.mark.django_db
@pytest.mark.skipif(django_settings.BACKEND != "postgresql", reason="a driver of PostgreSQL")
def test_a_driver_that_cannot_wait_for_notify_is_w002(monkeypatch):
    monkeypatch.setattr(connection.Database, "__version__", "3.1.20")
    (message,) = checks.check_database(databases=["default"])
    assert message.id == "django_taskstore.W002"
    assert "psycopg 3.1.20 cannot wake workers by NOTIFY" in message.msg
    assert "pip install 'django-taskstore[postgresql]'" in message.msg
