"""The benchmark measures what it says: a tiny run, whose tasks were really done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest
from django.conf import settings

from bench.contest import Entry, play
from bench.peers.catalogue import PEERS
from bench.report import as_text
from bench.tally import CALLS, SESSIONS, Tallies, Tally
from tests.helpers import ROOT

DATABASE = {"mysql": "mariadb"}.get(settings.BACKEND, settings.BACKEND)


@pytest.fixture
def measured(tmp_path, django_db_modify_db_settings):
    """Return a function that runs the benchmark and gives its results by contestant."""

    def run(*words):
        done = subprocess.run(
            [sys.executable, "-m", "bench", *words, "--db", DATABASE, "--out", str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        (measure,) = json.loads((tmp_path / "results.json").read_text())["measures"]
        assert f"### {measure['title']}" in (tmp_path / "results.md").read_text()
        return {one["contestant"]: one for one in measure["results"]}

    return run


@pytest.mark.django_db(transaction=True)
def test_a_drain_is_of_tasks_that_were_really_done(measured):
    results = measured("drain", "--tasks", "200", "--repeat", "1")
    assert {"raw loop, 100 a batch", "default settings", "--processes 2"} <= results.keys()
    for result in results.values():
        assert result["medians"]["tasks/s"] > 0
        assert len(result["rounds"]) == 1
    assert results["raw loop, 100 a batch"]["ratio"] is None
    assert results["default settings"]["ratio"] > 0


@pytest.mark.parametrize(
    ("measure", "figures"),
    [
        ("enqueue", {"rows/s"}),
        ("latency", {"p50 ms from call", "p99 ms from commit"}),
        ("idle", {"CPU s in 30 s", "statements/s"}),
        ("io", {"tasks/s", "sessions"}),
        ("logging", {"tasks/s"}),
        ("sleep", {"tasks/s"}),
        ("scale", {"tasks/s"}),
        ("memory", {"RSS MB"}),
        ("admin", {"ms in the database", "statements", "ms of the page"}),
        ("fairness", {"tasks/s", "smallest share %"}),
        ("schedules", {"occurrences/s"}),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_each_measure_gives_its_figures(measured, measure, figures):
    small = ("--tasks", "20", "--repeat", "1", "--seconds", "1", "--rows", "200")
    results = measured(measure, *small).values()
    assert figures <= {name for result in results for name in result["medians"]}
    assert all(result["rounds"] for result in results)


@pytest.mark.parametrize("words", [["drian"], ["peers", "--peer=sellery"]])
def test_an_unknown_measure_or_peer_is_refused_by_name(words):
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert f"unknown: {words[-1].rpartition('=')[2]}".encode() in done.stderr


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_can_be_driven_and_has_settings_to_compare(peer):
    source = (ROOT / "bench" / "peers" / f"{peer.module}.py").read_text()
    for function in ("install", "one", "many", "stamped"):
        assert f"def {function}(" in source
    assert peer.settings[0].label == "default"
    assert len({setting.label for setting in peer.settings}) == len(peer.settings) >= 2
    assert bool(peer.tables) == bool(peer.unfinished)


def test_calls_from_many_threads_are_all_counted(tmp_path):
    tallies = Tallies(tmp_path)
    tally = Tally(tmp_path)
    threads = [
        threading.Thread(target=lambda: [tally.called() for _ in range(5_000)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tallies.total(CALLS) == 40_000
    assert tallies.total(SESSIONS) == 0
    assert 0 < tallies.first_ns <= tallies.last_ns


FORKING = """
import os, sys
from bench.tally import Tally

tally = Tally(sys.argv[1])
tally.called()
if os.fork() == 0:
    tally.called()
    tally.called()
    os._exit(0)
os.wait()
"""


def test_a_forked_child_counts_for_itself(tmp_path):
    subprocess.run([sys.executable, "-c", FORKING, str(tmp_path)], cwd=ROOT, check=True)
    assert sorted(numbers[CALLS] for numbers in Tallies(tmp_path).read()) == [1, 2]


def test_contestants_alternate_and_ratios_are_of_the_same_round():
    order = []

    def entry(label, *rates, **options):
        left = list(rates)

        def run():
            order.append(label)
            return {"tasks/s": left.pop(0)}

        return Entry("sqlite", label, run, **options)

    raw = entry("raw", 100, 10, 50)
    entries = [raw, entry("ours", 50, 8, 10, against=raw)]
    table = play("drain", entries, repeat=3)
    assert order == ["raw", "ours"] * 3
    assert table.results[1].median("tasks/s") == 10
    assert table.ratio(table.results[1]) == 0.5
    assert table.ratio(table.results[0]) is None
    assert "| sqlite | ours | 10 | 0.50 of raw |" in as_text(table)
