"""The charts of the dashboard: their bars, lines, axes and numbers."""

from __future__ import annotations

import re

import pytest
from django.test import override_settings
from django.utils import timezone

from django_taskstore.admin.dashboard import charts
from django_taskstore.rollups import Counts, Histogram
from tests.admin_numbers import counted
from tests.admin_pages import HOME, LIVE, url

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("period", ["1h", "24h", "7d", "30d", "nonsense"])
def test_charts_of_each_period(client, period):
    counted("succeeded", 5)
    counted("wait_3", 5)
    counted("run_2", 5)
    counted("succeeded", 9, queue_name="emails")

    page = client.get(url(HOME), {"period": period, "queue": "default"})

    chart = page.context["throughput"]
    assert chart.succeeded == 5
    assert len(chart.columns) == {"24h": 24, "7d": 168, "30d": 30}.get(period, 60)
    text = page.content.decode()
    assert text.count("<svg") >= 2
    assert len(re.findall(r"<tr><th scope=\"row\">", text)) >= 2 * len(chart.columns)
    assert "0.3 s" in text


def test_numbers_of_a_chart_are_not_written_the_local_way(client):
    counted("succeeded", 5)
    counted("wait_3", 5)

    with override_settings(LANGUAGE_CODE="de", USE_THOUSAND_SEPARATOR=True):
        text = client.get(url(LIVE)).content.decode()

    for value in re.findall(r' (?:x|y|x1|y1|width|height)="([^"]*)"', text):
        assert re.fullmatch(r"-?\d+(\.\d+)?%?", value), value


def slots(*numbers):
    """Return slots of a chart with so many successes."""
    now = timezone.now()
    return [(now, Counts({"succeeded": n} if n else {})) for n in numbers]


@pytest.mark.parametrize(
    ("value", "top"), [(0, 2), (1, 2), (2, 2), (3, 4), (7, 8), (11, 20), (999, 1000), (1001, 2000)]
)
def test_an_axis_ends_at_a_round_number(value, top):
    assert charts.nice(value) == top


def test_bars_stay_inside_their_chart():
    chart = charts.throughput(slots(0, 5, 17, 1))

    for column in chart.columns:
        for bar in column.bars:
            assert bar.x >= charts.LEFT
            assert bar.x + bar.width <= charts.WIDTH
            assert bar.y >= charts.TOP
            assert bar.y + bar.height <= charts.TOP + charts.PLOT_HEIGHT + 0.01
            assert bar.height > 0
    assert [len(column.bars) for column in chart.columns] == [0, 1, 1, 1]


def test_a_line_breaks_where_nothing_was_measured():
    known = Counts({}, Histogram({2: 1}), Histogram({1: 1}))
    now = timezone.now()
    chart = charts.latency([(now, known), (now, Counts()), (now, known), (now, known)], None)

    wait = chart.lines[0]
    assert wait.values == [0.1, None, 0.1, 0.1]
    assert len(wait.pieces) == 2
    assert all(len(piece.split()) == 2 for piece in wait.pieces)


@pytest.mark.parametrize("seconds", [0, 1e-9, 1, 1e9, float("inf")])
def test_any_time_has_a_place_on_the_axis(seconds):
    assert charts.TOP <= charts.log_height(seconds) <= charts.TOP + charts.PLOT_HEIGHT
