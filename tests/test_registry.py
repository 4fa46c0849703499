"""The registry: aliases, the rules of a handler class, and finding what a person means."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from django_taskstore import TaskHandler
from django_taskstore.exceptions import (
    HandlerAlreadyRegistered,
    HandlerNotFound,
    InvalidHandler,
)
from django_taskstore.registry import Registry, register, registry
from tests.helpers import ROOT


def make(name="Mail", **attributes):
    attributes.setdefault("handle", lambda self: True)
    return type(name, (TaskHandler,), {"__module__": __name__, "__qualname__": name, **attributes})


@pytest.fixture
def mine():
    return Registry()


def test_the_alias_is_the_class_name_and_the_title_the_alias(mine):
    mail = make("SendMail")
    mine.add(mail)
    assert mine.get("SendMail") is mail
    assert (mail.alias, mail.title, mail.description) == ("SendMail", "SendMail", "")


def test_a_subclass_does_not_inherit_its_parents_alias(mine):
    parent = make("Parent", alias="mail.send")
    child = type("Child", (parent,), {"__module__": __name__})
    mine.add(parent)
    mine.add(child)
    assert [handler.alias for handler in mine] == ["Child", "mail.send"]


def test_an_alias_registered_twice_names_both_classes(mine):
    mine.add(make("One", alias="mail"))
    with pytest.raises(
        HandlerAlreadyRegistered,
        match=r"tests\.test_registry\.Two is already "
        r"registered by tests\.test_registry\.One: give one of them another alias",
    ):
        mine.add(make("Two", alias="mail"))
    assert mine.get("mail").__name__ == "One"


def test_the_same_class_imported_twice_is_the_same(mine):
    mine.add(make("One"))
    again = make("One")
    mine.add(again)
    assert mine.get("One") is again
    assert len(mine) == 1


def test_two_aliases_that_differ_only_by_case_are_two(mine):
    upper, lower = make("Upper", alias="Mail"), make("Lower", alias="mail")
    mine.add(upper)
    mine.add(lower)
    assert (mine.find("Mail"), mine.find("mail")) == (upper, lower)
    with pytest.raises(HandlerNotFound, match="'MAIL' could be any of Mail, mail"):
        mine.find("MAIL")


@pytest.mark.parametrize("text", ["SendMail", "sendmail", "send-mail", "send_mail", "SEND-MAIL"])
def test_people_need_not_mind_case_dash_and_underscore(mine, text):
    mine.add(make("SendMail"))
    assert mine.find(text).alias == "SendMail"


def test_a_near_miss_suggests_the_alias(mine):
    mine.add(make("SendMail"))
    with pytest.raises(HandlerNotFound, match="alias 'SendMial'; did you mean SendMail"):
        mine.find("SendMial")
    with pytest.raises(HandlerNotFound, match="`manage.py task list` shows"):
        mine.get("Quite different")


def test_removing_an_unknown_alias_is_no_error(mine):
    mine.add(make("One"))
    mine.remove("One")
    mine.remove("One")
    assert "One" not in mine


@pytest.mark.parametrize("alias", ["", "a" * 256, "send mail", "a/b", "a\n", 5, None])
def test_an_alias_out_of_the_rule_is_refused(mine, alias):
    with pytest.raises(InvalidHandler, match="use 1 to 255"):
        mine.add(make(alias=alias))


def test_the_word_of_the_command_is_no_alias(mine):
    with pytest.raises(InvalidHandler, match="'list', which is a command's word"):
        mine.add(make(alias="list"))


async def awaited(self):
    return True


async def awaited_with_context(self, context):
    return True


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"handle": None}, "has no handle"),
        ({"atomic": True, "handle": awaited}, "is atomic and async"),
        ({"atomic": True, "handle_with_context": awaited_with_context}, "is atomic and async"),
        ({"queue_name": ""}, "Queue name '' is not valid"),
        ({"priority": 101}, "Priority 101 is not valid"),
        ({"on_lost": "explode"}, "expected 'retry' or 'fail'"),
        ({"max_attempts": 0}, "expected None or 1 and more"),
        ({"max_attempts": True}, "expected None or 1 and more"),
        ({"max_attempts": "3"}, "expected None or 1 and more"),
    ],
)
def test_a_class_that_breaks_a_rule_is_refused(mine, attributes, words):
    with pytest.raises(InvalidHandler, match=words):
        mine.add(make(**attributes))
    assert len(mine) == 0


@pytest.mark.parametrize("timeout", ["soon", object()])
def test_a_timeout_that_is_no_duration_is_refused(mine, timeout):
    with pytest.raises(InvalidHandler):
        mine.add(make(timeout=timeout))


def test_an_instance_or_a_function_is_no_handler_class(mine):
    for wrong in (make("One")(), print, "One"):
        with pytest.raises(InvalidHandler, match="takes a handler class"):
            mine.add(wrong)


def test_register_works_as_a_plain_decorator_and_with_options():
    try:
        kept = register(make("Plain"))
        made = register(create_if_missing=False)(make("Bare"))
        assert (registry.get("Plain"), registry.get("Bare")) == (kept, made)
        assert registry.is_mirrored("Plain")
        assert not registry.is_mirrored("Bare")
    finally:
        registry.remove("Plain")
        registry.remove("Bare")


def start_project(tmp_path, tasks, script="pass"):
    """Start Django in a process of its own, with one app that has these tasks."""
    app = tmp_path / "shop"
    app.mkdir()
    (app / "__init__.py").write_text("")
    (app / "tasks.py").write_text(tasks)
    code = (
        "import django\n"
        "from django.conf import settings\n"
        "settings.configure(USE_TZ=True, INSTALLED_APPS=['django_taskstore', 'shop'],\n"
        "    DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}})\n"
        f"django.setup()\n{script}\n"
    )
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_tasks_module_that_fails_to_import_stops_the_start(tmp_path):
    done = start_project(tmp_path, "import no_such_module_anywhere\n")
    assert done.returncode != 0
    assert "HandlerImportFailed: An app's tasks module failed to import: " in done.stderr
    assert "No module named 'no_such_module_anywhere'" in done.stderr
    assert "shop/tasks.py" in done.stderr


def test_a_rule_broken_in_a_tasks_module_stops_the_start_by_its_own_name(tmp_path):
    tasks = (
        "from django_taskstore import TaskHandler, register\n"
        "@register\n"
        "class One(TaskHandler):\n"
        "    alias = 'mail'\n"
        "    def handle(self): pass\n"
        "@register\n"
        "class Two(One):\n"
        "    alias = 'mail'\n"
    )
    done = start_project(tmp_path, tasks)
    assert done.returncode != 0
    assert "HandlerAlreadyRegistered: Alias 'mail' of shop.tasks.Two" in done.stderr


def test_starting_fills_the_registry_and_touches_no_database(tmp_path):
    tasks = (
        "from django_taskstore import TaskHandler, register\n"
        "@register\n"
        "class One(TaskHandler):\n"
        "    def handle(self): pass\n"
    )
    script = (
        "from django.db import connection\n"
        "from django_taskstore.registry import registry\n"
        "print([h.alias for h in registry], connection.connection)"
    )
    done = start_project(tmp_path, tasks, script)
    assert (done.returncode, done.stdout.strip()) == (0, "['One', 'taskstore.bulk'] None"), (
        done.stderr
    )
