"""A bulk operation on many tasks: the number is typed, and it is the one that was shown."""

from __future__ import annotations

import pytest
from django.core import signing

from django_taskstore.admin import acting_on_all, typed
from django_taskstore.models import BulkOperation
from tests.admin_pages import TASKS, said, task_with_status, url

pytestmark = pytest.mark.django_db

PAGE = f"{TASKS}_act_on_all"
QUERY = "status=failed"


@pytest.fixture(autouse=True)
def tasks(monkeypatch):
    """Make six failed tasks, which are many here."""
    monkeypatch.setattr(typed, "MOST_UNTYPED", 5)
    return [task_with_status("failed") for _ in range(6)]


def opened(client, verb="restart", query=QUERY):
    """Return what the page that confirms tells its template."""
    return client.get(url(PAGE, verb), {"list_query": query}).context


def confirm(client, shown, verb="restart", query=QUERY, **data):
    """POST the page that confirms."""
    return client.post(url(PAGE, verb), {"list_query": query, "shown": shown, **data})


def test_few_are_confirmed_by_a_click(client, monkeypatch):
    monkeypatch.setattr(typed, "MOST_UNTYPED", 6)
    page = opened(client)

    assert page["typed_count"] == ""
    assert confirm(client, page["shown"]).status_code == 302
    assert BulkOperation.objects.count() == 1


@pytest.mark.parametrize("number", ["", "7", "-6", "6x", "²", "6" * 41, "six", "six tasks"])
def test_another_number_starts_nothing_and_says_so(client, number):
    response = confirm(client, opened(client)["shown"], number=number)

    assert response.status_code == 200
    assert "errornote" in response.content.decode()
    assert not BulkOperation.objects.exists()


def test_the_error_names_what_was_typed_and_the_number_is_asked_for_again(client):
    response = confirm(client, opened(client)["shown"], number="7")
    text = response.content.decode()

    assert "Nothing was started: “7” is not the number that the page showed." in text
    assert "Type 6 to confirm." in text
    assert confirm(client, response.context["shown"], number="6").status_code == 302


@pytest.mark.parametrize(
    "number", ["12345", "12,345", "12.345", "12 345", "12\u202f345", "12'345", "١٢٣٤٥"]
)
def test_each_way_to_write_the_number_is_understood(number):
    assert typed.NumberForm(12_345, {"number": number}).is_valid()


def test_a_count_that_was_given_up_asks_for_its_bound(client, monkeypatch):
    monkeypatch.setattr(acting_on_all, "MOST_COUNTED", 5)
    monkeypatch.setattr(typed, "MOST_UNTYPED", 4)
    page = opened(client)

    assert (page["count_words"], page["typed_count"]) == ("5+", "5")
    assert confirm(client, page["shown"], number="5+").status_code == 302
    assert BulkOperation.objects.count() == 1


def test_what_comes_and_goes_meanwhile_changes_neither_the_number_nor_the_bound(client, tasks):
    shown = opened(client)["shown"]
    tasks[0].restart()
    newer = [task_with_status("failed") for _ in range(2)]

    assert confirm(client, shown, number="6").status_code == 302
    operation = BulkOperation.objects.get()
    assert operation.last_id == tasks[-1].pk < newer[0].pk


@pytest.mark.parametrize("changed", ["verb", "query", "signature", "nothing", "age"])
def test_a_number_counts_only_for_the_page_that_showed_it(client, monkeypatch, changed):
    shown, verb, query = opened(client)["shown"], "restart", QUERY
    if changed == "verb":
        verb = "delete"
    elif changed == "query":
        query = ""
    elif changed == "signature":
        shown = signing.dumps(["restart", QUERY, 99, 6], salt="another")
    elif changed == "nothing":
        shown = ""
    else:
        monkeypatch.setattr(typed, "VALID_SECONDS", -1)

    response = confirm(client, shown, verb, query, number="6")

    assert response.status_code == 200
    assert "this page was too old" in said(response)
    assert not BulkOperation.objects.exists()
