"""``manage.py task``: how words on the command line become a handler's parameters."""

from __future__ import annotations

import json

import pytest
from django import forms

from django_taskstore import TaskHandler
from django_taskstore.models import QueuedTask
from tests.command_line import finish, manage, start

pytestmark = pytest.mark.django_db(transaction=True)


def parameters(*words):
    """Return the parameters that the words give to a handler without a form."""
    ran = manage("task", "Typed", *words)
    assert ran.code == 0, ran.err
    return json.loads(ran.out.split("Output: ")[1])["parameters"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--name=Tom Jones"], {"name": "Tom Jones"}),
        (["--name", "Tom"], {"name": "Tom"}),
        (["--name", "Tom Jones", "--loud"], {"name": "Tom Jones", "loud": True}),
        (["--flag"], {"flag": True}),
        (["--flag", "--other=1"], {"flag": True, "other": "1"}),
        (["--x=a=b"], {"x": "a=b"}),
        (["--x="], {"x": ""}),
        (["--n", "-5"], {"n": "-5"}),
        (["--x=--y"], {"x": "--y"}),
        (["--tag=a", "--tag", "b", "--tag=c"], {"tag": ["a", "b", "c"]}),
        (["--dry-run"], {"dry-run": True}),
        (["--text=5"], {"text": "5"}),
    ],
)
def test_words_become_parameters(words, expected):
    assert parameters(*words) == expected


@pytest.mark.parametrize("name", ["set", "ver", "pythonpat", "trace", "no", "force", "enq", "par"])
def test_the_beginning_of_an_option_is_a_parameter(name):
    assert parameters(f"--{name}=5") == {name: "5"}


@pytest.mark.parametrize(
    "name", ["json", "queue", "priority", "run-after", "list", "alias", "args"]
)
def test_only_a_few_names_are_reserved(name):
    assert parameters(f"--{name}=5") == {name: "5"}


def test_reserved_names_have_three_ways_around():
    assert parameters("--param", "settings=x", "--param=verbosity=3") == {
        "settings": "x",
        "verbosity": "3",
    }
    assert parameters("--params-json", '{"settings": "x"}') == {"settings": "x"}
    assert parameters("--a=1", "--", "--settings=nowhere", "--version") == {
        "a": "1",
        "settings": "nowhere",
        "version": True,
    }


def test_the_way_around_works_in_a_real_process():
    ran = finish(start("task", "Typed", "--set=5", "--", "--settings=nowhere"))
    assert ran.code == 0, ran.err
    assert '"set": "5", "settings": "nowhere"' in ran.out


def test_params_json_keeps_types_and_options_win():
    given = '{"n": 5, "on": false, "none": null, "deep": {"a": [1.5]}, "name": "Ann"}'
    assert parameters("--params-json", given, "--name=Tom") == {
        "n": 5,
        "on": False,
        "none": None,
        "deep": {"a": [1.5]},
        "name": "Tom",
    }


def test_a_text_with_semicolons_is_read_as_a_list():
    ran = manage("task", "Typed", "--items=a; b")
    assert json.loads(ran.out.split("Output: ")[1])["array"] == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["Tom"], "'Tom' is no parameter"),
        (["--name", "Tom", "Jones"], "'Jones' is no parameter"),
        (["--=x"], "'--=x' is no parameter"),
        (["-x"], "'-x' is no parameter"),
        (["--param", "x"], "--param 'x' is not NAME=VALUE"),
        (["--param", "=x"], "--param '=x' is not NAME=VALUE"),
        (["--params-json", "{"], "--params-json is not JSON"),
        (["--params-json", "[1]"], "--params-json is a JSON list, expected an object"),
        (["--params-json", '{"x": NaN}'], "which JSON does not know"),
        (["--name=\udcff"], "which no database stores"),
        (["--enqueue=maybe"], "--enqueue=maybe is neither yes nor no"),
        (["--enqueue-queue=emails"], "need --enqueue=yes"),
        (["--enqueue-priority=5"], "need --enqueue=yes"),
        (["--enqueue-after=5"], "need --enqueue=yes"),
        (["--enqueue", "--enqueue-queue=a b"], "Queue name 'a b' is not valid"),
        (["--enqueue", "--enqueue-priority=101"], "Priority 101 is not valid"),
        (["--enqueue", "--enqueue-priority=x"], "invalid int value"),
        (["--enqueue", "--enqueue-after=soon"], "'soon' is neither a delay"),
        (["--enqueue", "--enqueue-after=2030-01-31T09:00"], "has no time zone"),
        (["--enqueue", "--enqueue-after=-5"], "'-5' is neither a delay"),
    ],
)
def test_wrong_usage_exits_2(words, message):
    ran = manage("task", "HelloWorldTask", *words)
    assert ran.code == 2
    assert message in ran.err
    assert "Hello" not in ran.out
    assert not QueuedTask.objects.exists()


def test_a_form_types_and_checks_parameters():
    good = manage("task", "Invite", "--email=a@example.com", "--guests=5")
    assert '{"email": "a@example.com", "guests": 5}' in good.out
    bad = manage("task", "Invite", "--email=nobody")
    assert bad.code == 2
    assert "email: Enter a valid email address." in bad.err
    unknown = manage("task", "Invite", "--email=a@example.com", "--x=1")
    assert unknown.code == 2
    assert "Invite has no parameter 'x'; it has 'email', 'guests'." in unknown.err


def test_dashes_mean_underscores_where_the_form_says_so(add_handler):
    class CleanForm(forms.Form):
        dry_run = forms.BooleanField(required=False)
        how = forms.ChoiceField(choices=[("", "any"), ("slow", "Slow"), ("fast", "Fast")])
        days = forms.IntegerField(initial=7, required=False, help_text="how many to keep")

    class CleanUp(TaskHandler):
        form_class = CleanForm

        def handle(self):
            return self.parameters

    add_handler(CleanUp)
    ran = manage("task", "CleanUp", "--dry-run", "--how=slow")
    assert '{"dry_run": true, "how": "slow"}' in ran.out
    shown = manage("task", "CleanUp", "--help").out
    assert "--dry_run  boolean" in shown
    assert "choice, required, one of slow, fast" in shown
    assert "integer, initially 7" in shown
    assert "how many to keep" in shown
