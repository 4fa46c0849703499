"""What the form of a schedule in the admin sends."""

from __future__ import annotations

from tests.admin_pages import SCHEDULES, definition, url


def entered(**changes):
    """Return what the form sends for a daily schedule, with some fields changed."""
    return {
        "name": "Report",
        "description": "",
        "definition": definition("Noop").pk,
        "queue_name": "",
        "parameters": "{}",
        "starts_now": "on",
        "frequency": "daily",
        "interval": "1",
        "at": "09:00:00",
        "days_of_month": "",
        "recurrence_rule": "",
        "time_zone": "Europe/Sofia",
        "start_at_0": "",
        "start_at_1": "",
        "end_at_0": "",
        "end_at_1": "",
        "max_execution_count": "0",
        "misfire_policy": "coalesce",
        "overlap_policy": "allow",
        **changes,
    }


def add(client, **changes):
    """POST the page that adds a schedule."""
    return client.post(url(f"{SCHEDULES}_add"), entered(**changes), follow=True)


def edit(client, schedule, **changes):
    """POST the page of a schedule."""
    data = entered(name=schedule.name, **changes)
    return client.post(url(f"{SCHEDULES}_change", schedule.pk), data, follow=True)
