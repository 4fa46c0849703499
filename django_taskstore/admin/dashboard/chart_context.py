"""What the templates of the two charts are told, on the dashboard and on other pages.

Owns the words of the charts.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_taskstore.admin.dashboard import charts
from django_taskstore.admin.dashboard.panels import chart_summary
from django_taskstore.admin.rendering import NOTHING, duration

LINE_NAMES = (
    gettext_lazy("waited, half of them within"),
    gettext_lazy("waited, 95 % within"),
    gettext_lazy("ran, half of them within"),
    gettext_lazy("ran, 95 % within"),
)


def chart_context(slots: charts.Slots, age_seconds: float | None) -> dict[str, Any]:
    """Return the two charts with their words."""
    done, times = charts.throughput(slots), charts.latency(slots, age_seconds)
    return {
        "throughput": done,
        "throughput_summary": chart_summary(done.succeeded, done.failed),
        "latency": times,
        "line_names": LINE_NAMES,
        "latency_ticks": [(tick.y, time_label(tick.value)) for tick in times.ticks],
        "latency_rows": [
            (start, [spelled(value) for value in values]) for start, values in times.table
        ],
        "age": "" if age_seconds is None else duration(age_seconds),
        "has_labels_by_day": (slots[-1][0] - slots[0][0]).days >= 1,
    }


def time_label(seconds: float) -> str:
    """Return a round time as short as an axis wants it."""
    if seconds < 60:
        return _("%(seconds)s s") % {"seconds": f"{seconds:g}"}
    if seconds < 3_600:
        return _("%(minutes)d min") % {"minutes": seconds // 60}
    return _("%(hours)d h") % {"hours": seconds // 3_600}


def spelled(seconds: float | None) -> str:
    """Return a bound of a bucket in words."""
    if seconds is None:
        return NOTHING
    return _("more") if seconds == float("inf") else duration(seconds)
