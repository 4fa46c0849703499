"""Panels of the project's own on a task's page: shown, escaped, and harmless when they fail."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.db import connection
from django.test import override_settings
from django.utils.html import format_html

from tests.admin_pages import TASKS, task_with_status, url

pytestmark = pytest.mark.django_db

HERE = "tests.admin.test_own_panels"


@admin.display(description="Errors elsewhere")
def link_to_errors(task, request):
    return format_html('<a href="/errors/{}/">{}</a>', task.pk, request.user.get_username())


def careless(_task, _request):
    return "<b>bold & more</b>"


def nothing(_task, _request):
    return None


def failing(_task, _request):
    raise ValueError("<no> such service")


def bad_statement(_task, _request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")


def page_with(client, *names, task=None):
    """Return the page of a task under these panels."""
    task = task or task_with_status("failed")
    paths = [name if "." in name else f"{HERE}.{name}" for name in names]
    with override_settings(TASKSTORE={"ADMIN_DETAIL_PANELS": paths}):
        response = client.get(url(f"{TASKS}_change", task.pk))
    assert response.status_code == 200
    return response.content.decode()


def test_a_panel_is_shown_under_its_name(client):
    task = task_with_status("failed")

    page = page_with(client, "link_to_errors", task=task)

    assert "<h2>Errors elsewhere</h2>" in page
    assert f'<div><a href="/errors/{task.pk}/">root</a></div>' in page


def test_a_text_is_escaped(client):
    page = page_with(client, "careless")

    assert "<h2>Careless</h2>" in page
    assert "&lt;b&gt;bold &amp; more&lt;/b&gt;" in page


def test_nothing_is_no_panel(client):
    assert "ts-own" not in page_with(client, "nothing")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("failing", "ValueError: &lt;no&gt; such service"),
        ("missing", "ImportError: Module"),
        ("bad_statement", "no_such_table"),
    ],
)
def test_a_panel_that_fails_says_so_and_the_others_are_shown(client, caplog, name, words):
    page = page_with(client, name, "careless")

    assert "This panel failed" in page
    assert words in page
    assert "<h2>Careless</h2>" in page
    assert "ts-timeline" in page
    assert f"The panel {HERE}.{name} of task" in caplog.text


def test_without_the_setting_there_is_no_panel(client):
    page = client.get(url(f"{TASKS}_change", task_with_status("failed").pk)).content.decode()

    assert "ts-own" not in page
