"""``manage.py taskqueue_status``: the table, the JSON, warnings, exit codes."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from django_taskstore import switchboard
from django_taskstore.models import Queue
from django_taskstore.statistics import counts
from tests.command_line import manage
from tests.helpers import add_task, add_worker

pytestmark = pytest.mark.django_db(transaction=True)

KEYS = {"version", "time", "ok", "warnings", "totals", "queues", "workers"}


@pytest.fixture
def queues():
    """The queues ``emails``, with a backlog, and ``reports``, which is paused and empty."""
    for name in ("emails", "reports"):
        switchboard.ensure(name, "default")
    Queue.objects.get(name="reports").pause(by="ana", reason="SMTP outage")
    for _ in range(3):
        add_task(queue_name="emails", run_after=timezone.now() - timedelta(minutes=4))
    add_task(queue_name="emails", status="scheduled", run_after=timezone.now() + timedelta(days=1))


def cells(line):
    """Return the words of a line."""
    return line.split()


def test_no_queue_yet():
    ran = manage("taskqueue_status")
    assert (ran.code, ran.out) == (0, "There is no queue yet.\n")
    seen = json.loads(manage("taskqueue_status", "--json").out)
    assert (seen["ok"], seen["queues"]) == (True, [])


def test_the_table_is_aligned_and_has_totals(queues):
    ran = manage("taskqueue_status")
    assert ran.code == 0
    head, emails, reports, total, *_ = ran.out.splitlines()
    assert cells(head) == [
        "QUEUE", "QUEUED", "SCHEDULED", "PAUSED", "RUNNING", "FAILED", "OLDEST", "WORKERS", "STATE"
    ]  # fmt: skip
    assert cells(emails)[:7] == ["emails", "3", "1", "0", "0", "0", "4m"]
    assert cells(emails)[-2:] == ["0", "open"]
    assert cells(reports)[:8] == ["reports", "0", "0", "0", "0", "0", "-", "0"]
    assert "paused by ana since" in reports
    assert reports.endswith("UTC: SMTP outage")
    assert cells(total) == ["total", "3", "1", "0", "0", "0", "0"]
    assert head.index("STATE") == emails.index("open") == reports.index("paused")


def test_warnings_follow_the_table(queues):
    ran = manage("taskqueue_status")
    assert "! 3 tasks wait on emails and no worker serves it." in ran.out
    assert "! " not in manage("taskqueue_status", "--verbosity=0").out
    assert "\x1b[" in manage("taskqueue_status", "--force-color").out
    assert "\x1b[" not in manage("taskqueue_status", "--no-color").out
    add_worker("emails")
    assert "! " not in manage("taskqueue_status").out


def test_verbose_shows_workers(queues):
    assert "No worker has said" in manage("taskqueue_status", "-v", "2").out
    add_worker("emails")
    lines = manage("taskqueue_status", "-v2").out.splitlines()
    assert ["web01:7", "0/8"] in [cells(line)[:2] for line in lines]


def test_verbose_shows_what_workers_are_and_did(queues):
    facts = {"version": "1.2.3", "revision": "abc", "succeeded": 1_234, "failed": 5}
    add_worker("emails", memory_bytes=64 * 2**20, **facts)
    add_worker("reports", host="web02")
    ran = manage("taskqueue_status", "-v2").out
    rows = [re.split(" {2,}", line.strip()) for line in ran.splitlines()]
    lines = {row[0]: row[2:5] + row[6:] for row in rows}
    assert lines["web01:7"] == ["1,234", "5", "64 MiB", "1.2.3 abc", "emails"]
    assert lines["web02:7"] == ["0", "0", "-", "?", "reports"]


def test_only_the_named_queues_are_shown(queues):
    lines = manage("taskqueue_status", "reports").out.splitlines()
    assert [cells(line)[0] for line in lines] == ["QUEUE", "reports"]


def test_a_lower_bound_carries_a_plus(queues, monkeypatch):
    monkeypatch.setattr(counts, "PAUSED_AMONG", 1)
    add_task(queue_name="emails", status="paused")
    emails = manage("taskqueue_status", "emails").out.splitlines()[1]
    assert cells(emails)[3] == "1+"


def test_the_json_has_its_documented_shape(queues):
    add_worker("emails")
    seen = json.loads(manage("taskqueue_status", "--json").out)
    assert seen.keys() == KEYS
    assert (seen["version"], seen["ok"], seen["warnings"]) == (1, True, [])
    assert datetime.fromisoformat(seen["time"]).utcoffset() == timedelta(0)
    assert seen["totals"]["queued"] == {"n": 3, "exact": True}
    emails, reports = seen["queues"]
    wait = emails.pop("oldest_wait_s")
    assert 239 < wait < 300
    assert emails == {
        "name": "emails",
        "paused": False,
        "paused_at": None,
        "paused_by": "",
        "pause_reason": "",
        "stop_requested_at": None,
        "queued": 3,
        "scheduled": 1,
        "due": 0,
        "waiting_exact": True,
        "paused_tasks": {"n": 0, "exact": True},
        "running": 0,
        "expired_leases": 0,
        "failed": {"n": 0, "exact": True},
        "workers": 1,
    }
    assert (reports["paused"], reports["paused_by"]) == (True, "ana")
    assert datetime.fromisoformat(reports["paused_at"])
    (worker,) = seen["workers"]
    assert (worker["name"], worker["state"], worker["queues"]) == ("web01:7", "running", ["emails"])
    said = ("version", "revision", "succeeded", "failed", "memory_bytes")
    assert [worker[name] for name in said] == ["", "", 0, 0, None]


def test_warnings_in_json_are_not_ok(queues):
    ran = manage("taskqueue_status", "--json", "--verbosity=0")
    seen = json.loads(ran.out)
    assert (ran.code, seen["ok"]) == (0, False)
    (warning,) = seen["warnings"]
    assert (warning["code"], warning["queue"]) == ("no_worker", "emails")
    assert datetime.fromisoformat(warning["since"])
    assert "no worker serves it" in warning["text"]


def test_an_unknown_queue_exits_2_and_names_the_known_ones(queues):
    ran = manage("taskqueue_status", "Emails")
    assert ran.code == 2
    assert "No queue is called 'Emails'; the queues are: emails, reports." in ran.err


def test_call_command(queues, capsys):
    call_command("taskqueue_status", "emails", json=True)
    assert json.loads(capsys.readouterr().out)["queues"][0]["name"] == "emails"
