"""How statuses, JSON, logs and durations look on a page.

Owns HTML fragments. Everything from a row passes through `format_html`, which escapes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from django_taskstore.statuses import DefinitionStatus, Ending, ScheduleStatus, Status

#: Beside the word, so that nobody needs to tell colours apart.
GLYPHS: dict[str, str] = {
    Status.QUEUED: "○",
    Status.SCHEDULED: "◷",
    Status.RUNNING: "◔",
    Status.SUCCESS: "✓",
    Status.FAILED: "✕",
    Status.CANCELED: "⊘",
    Status.PAUSED: "‖",
    DefinitionStatus.ACTIVE: "✓",
    ScheduleStatus.INACTIVE: "‖",
    ScheduleStatus.COMPLETED: "■",
    Ending.SUCCEEDED: "✓",
    Ending.RETRIED: "↻",
    Ending.SNOOZED: "◷",
    Ending.RELEASED: "○",
    Ending.LOST: "✕",
    "deleted": "⌫",
    "asked": "⊘",
    "behind": "≠",
}
LONGEST_SHOWN = 65_536
LONGEST_BRIEF = 80
NOTHING = "-"


def pill(kind: str, word: Any) -> SafeString:
    """Return a status as a glyph and a word in a colour of its own."""
    return format_html(
        '<span class="ts-pill ts-{}"><span aria-hidden="true">{}</span> {}</span>',
        kind,
        GLYPHS.get(kind, "•"),
        word,
    )


def pills(pairs: Iterable[tuple[str, Any]]) -> SafeString:
    """Return several statuses in a row."""
    return format_html_join(" ", "{}", ((pill(kind, word),) for kind, word in pairs))


def pretty(value: Any) -> SafeString | str:
    """Return a JSON value indented, in the order it was stored."""
    if value is None or value in ({}, []):
        return NOTHING
    return block(json.dumps(value, indent=2, ensure_ascii=False))


def brief(value: Any) -> str:
    """Return the first words of a JSON value on one line."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_BRIEF else text[: LONGEST_BRIEF - 1] + "…"


def block(text: str) -> SafeString | str:
    """Return a long text as it is, in a box that scrolls."""
    if not text:
        return NOTHING
    if len(text) > LONGEST_SHOWN:
        text = text[:LONGEST_SHOWN] + "\n" + _("… the rest is not shown.")
    return format_html('<pre class="ts-block" tabindex="0">{}</pre>', text)


def link(url: str, text: Any) -> SafeString:
    """Return a link."""
    return format_html('<a href="{}">{}</a>', url, text)


def links(pairs: Iterable[tuple[str, Any]]) -> SafeString | str:
    """Return links with commas between them."""
    return format_html_join(", ", '<a href="{}">{}</a>', pairs) or NOTHING


def progress(value: Any) -> SafeString | str:
    """Return the progress of a task as a bar with its numbers; other JSON as it is."""
    if not isinstance(value, dict) or "done" not in value:
        return pretty(value)
    done, total = value.get("done"), value.get("total")
    if not isinstance(done, (int, float)) or not isinstance(total, (int, float)) or total <= 0:
        return format_html("{} {}", done, value.get("message") or "")
    return format_html(
        '<progress value="{}" max="{}"></progress> {} / {} {}',
        done,
        total,
        done,
        total,
        value.get("message") or "",
    )


def moment(at: datetime | None) -> SafeString | str:
    """Return a time to the second in the current time zone, date and time apart."""
    if at is None:
        return NOTHING
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}"><span>{}</span> <span>{}</span></time>',
        at.isoformat(),
        f"{local:%Y-%m-%d}",
        f"{local:%H:%M:%S}",
    )


def exact(column: str, label: Any) -> Any:
    """Return a field of a page that shows one of the row's times to the second.

    Args:
        column: the time's name.
        label: what the page calls it.
    """

    @admin.display(description=label)
    def shown(_self: Any, row: Any) -> SafeString | str:
        return moment(getattr(row, column))

    return shown


def lasted(start: datetime | None, end: datetime | None) -> str:
    """Return the time between two moments in words, or a dash."""
    if start is None or end is None:
        return NOTHING
    return duration((end - start).total_seconds())


def duration(seconds: float) -> str:
    """Return a length of time in words, with no more digits than anybody needs."""
    seconds = max(0.0, seconds)
    if seconds < 60:
        number = f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.2g}"
        return _("%(seconds)s s") % {"seconds": number}
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
    if hours < 48:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
    return _("%(days)d d %(hours)d h") % {"days": hours // 24, "hours": hours % 24}
