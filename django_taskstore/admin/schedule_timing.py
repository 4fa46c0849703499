"""When a schedule runs, as a form: how often in fields or as a rule, and what comes of that.

Owns those fields and the preview. What a rule may be is decided by `recurrence`; here its
messages are put beside the right field.
"""

from __future__ import annotations

import zoneinfo
from datetime import datetime, time, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime, AdminTimeWidget
from django.utils import timezone
from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.text import capfirst, format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_taskstore.exceptions import InvalidRecurrence
from django_taskstore.recurrence import RecurrenceRule, Timetable, parse, sentence
from django_taskstore.recurrence.bounds import LONGEST_TEXT
from django_taskstore.recurrence.rule import CODES
from django_taskstore.recurrence.text import write

PREVIEWED = 5
#: Occurrences closer than this are worth a warning.
CLOSE = timedelta(minutes=1)
FREQUENCIES = [
    ("", gettext_lazy("As the rule below says")),
    ("none", gettext_lazy("Once")),
    ("minutely", gettext_lazy("Every minute")),
    ("hourly", gettext_lazy("Every hour")),
    ("daily", gettext_lazy("Every day")),
    ("weekly", gettext_lazy("Every week")),
    ("monthly", gettext_lazy("Every month")),
    ("yearly", gettext_lazy("Every year")),
]
#: The inputs of a moment.
DAY_AND_TIME = (gettext_lazy("Day"), gettext_lazy("Time of day"))
#: The fields that say how often.
FREQUENCY_FIELDS = (
    "frequency",
    "interval",
    "at",
    "days_of_week",
    "days_of_month",
    "months_of_year",
)
TIMING = (
    *FREQUENCY_FIELDS,
    "recurrence_rule",
    "time_zone",
    "start_at",
    "end_at",
    "max_execution_count",
)


@lru_cache(maxsize=1)
def zones() -> list[tuple[str, str]]:
    """Return the names of all time zones, as choices."""
    return [(name, name) for name in sorted(zoneinfo.available_timezones())]


def moment_widget(label: Any) -> AdminSplitDateTime:
    """Return the two inputs of a moment, each with a name that a screen reader can say."""
    widget: Any = AdminSplitDateTime()
    for part, name in zip(widget.widgets, DAY_AND_TIME, strict=True):
        part.attrs["aria-label"] = format_lazy("{}: {}", label, name)
    return widget  # type: ignore[no-any-return]


class TimingForm(forms.Form):
    """When a schedule happens: in fields, or as a rule."""

    frequency = forms.ChoiceField(
        label=gettext_lazy("How often"), choices=FREQUENCIES, required=False
    )
    interval = forms.IntegerField(
        label=gettext_lazy("Interval"),
        required=False,
        initial=1,
        help_text=gettext_lazy("2 with “Every week” is every other week."),
    )
    at = forms.TimeField(
        label=gettext_lazy("Time of day"),
        required=False,
        widget=AdminTimeWidget,
        help_text=gettext_lazy("On the wall clock of the time zone. Empty: that of the start."),
    )
    days_of_week = forms.MultipleChoiceField(
        label=gettext_lazy("Days of the week"),
        required=False,
        choices=[(code, capfirst(WEEKDAYS[place])) for place, code in enumerate(CODES)],
        widget=forms.CheckboxSelectMultiple,
    )
    days_of_month = forms.CharField(
        label=gettext_lazy("Days of the month"),
        required=False,
        help_text=gettext_lazy("Such as 1, 15, -1; -1 is the last day."),
    )
    months_of_year = forms.MultipleChoiceField(
        label=gettext_lazy("Months"),
        required=False,
        choices=list(MONTHS.items()),
        widget=forms.CheckboxSelectMultiple,
    )
    recurrence_rule = forms.CharField(
        label=gettext_lazy("Rule"),
        required=False,
        max_length=LONGEST_TEXT,
        widget=forms.Textarea({"rows": 2, "class": "vLargeTextField ts-json"}),
        help_text=gettext_lazy(
            "In place of the fields above: a cron line such as 0 9 * * 1-5, or an RFC 5545 rule "
            "such as FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9."
        ),
    )
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        choices=zones,
        initial=timezone.get_default_timezone_name,
    )
    start_at = forms.SplitDateTimeField(
        label=gettext_lazy("Start"), required=False, widget=moment_widget(gettext_lazy("Start"))
    )
    end_at = forms.SplitDateTimeField(
        label=gettext_lazy("End"), required=False, widget=moment_widget(gettext_lazy("End"))
    )
    max_execution_count = forms.IntegerField(
        label=gettext_lazy("Most runs"),
        required=False,
        min_value=0,
        initial=0,
        help_text=gettext_lazy("0 for no limit."),
    )
    #: What the form says, once it is valid.
    timetable: Timetable | None = None

    def clean(self) -> dict[str, Any]:
        """Put the rule together and check that it happens at all."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        where = "frequency" if cleaned["frequency"] else "recurrence_rule"
        try:
            cleaned["recurrence_rule"] = self.rule_text(cleaned)
            self.timetable = Timetable(
                cleaned["recurrence_rule"],
                cleaned["time_zone"],
                cleaned["start_at"],
                cleaned["end_at"],
            ).check()
        except InvalidRecurrence as error:
            self.add_error(where, str(error))
        return cleaned

    def clean_max_execution_count(self) -> int:
        """Return the limit; empty is none."""
        return self.cleaned_data["max_execution_count"] or 0

    def rule_text(self, cleaned: dict[str, Any]) -> str:
        """Return the rule as text.

        Raises:
            InvalidRecurrence: both ways are used, or neither, or the rule is not valid.
        """
        raw: str = cleaned["recurrence_rule"].strip()
        if not cleaned["frequency"] and not raw:
            raise InvalidRecurrence(_("Choose how often, or write a rule."))
        if not cleaned["frequency"]:
            return raw
        if raw:
            raise InvalidRecurrence(_("Choose how often or write a rule, but not both."))
        return write(rule_of(cleaned))

    @property
    def preview(self) -> dict[str, Any]:
        """What the form would come to: a sentence, the next occurrences, and warnings."""
        if not self.is_bound:
            return {}
        self.full_clean()
        if self.timetable is None:
            return {"problems": [error for errors in self.errors.values() for error in errors]}
        most = self.cleaned_data.get("max_execution_count") or PREVIEWED
        return preview_of(self.timetable, min(PREVIEWED, most))


def preview_of(timetable: Timetable, most: int) -> dict[str, Any]:
    """Return a timetable in words, with its next occurrences."""
    found = list(islice(timetable.after(timezone.now()), most))
    close = any(later - earlier < CLOSE for earlier, later in pairwise(found))
    return {
        "sentence": sentence(timetable),
        "occurrences": [shown(moment.astimezone(timetable.zone)) for moment in found],
        "is_over": len(found) < PREVIEWED,
        "is_close": close,
    }


def shown(moment: datetime) -> str:
    """Return a moment with its weekday and its zone, which shows a change of the clock."""
    return f"{WEEKDAYS[moment.weekday()]} {moment:%Y-%m-%d %H:%M:%S %Z}"


def rule_of(cleaned: dict[str, Any]) -> RecurrenceRule:
    """Return the rule that the fields say.

    Raises:
        InvalidRecurrence: they do not go together.
    """
    frequency, at = cleaned["frequency"], cleaned["at"]
    times: dict[str, Any] = {}
    if at is not None and frequency == "hourly":
        times = {"minutes": (at.minute,), "seconds": (at.second,)}
    elif at is not None:
        times = {"hours": (at.hour,), "minutes": (at.minute,), "seconds": (at.second,)}
    return RecurrenceRule(
        frequency,
        interval=cleaned["interval"] or 1,
        days_of_week=cleaned["days_of_week"],
        days_of_month=tuple(map(whole, filter(str.strip, cleaned["days_of_month"].split(",")))),
        months_of_year=tuple(map(int, cleaned["months_of_year"])),
        **times,
    )


def whole(text: str) -> int:
    """Return a whole number.

    Raises:
        InvalidRecurrence: it is none.
    """
    try:
        return int(text)
    except ValueError:
        words = _("%(text)s is no day of a month.") % {"text": text.strip()[:20]}
        raise InvalidRecurrence(words) from None


def fields_of(text: str, time_zone: str) -> dict[str, Any]:
    """Return what the fields say for a rule; nothing where they cannot say all of it."""
    rule = parse(text, time_zone)
    if not isinstance(rule, RecurrenceRule) or rule.frequency not in dict(FREQUENCIES):
        return {}
    parts = (rule.hours, rule.minutes, rule.seconds)
    hour, minute, second = ((part or (0,))[0] for part in parts)
    values = {
        "frequency": rule.frequency,
        "interval": rule.interval,
        "at": time(hour, minute, second) if any(parts) else None,
        "days_of_week": list(rule.days_of_week),
        "days_of_month": ", ".join(map(str, rule.days_of_month)),
        "months_of_year": [str(month) for month in rule.months_of_year],
        "recurrence_rule": "",
    }
    return values if rule_of(values) == rule else {}
