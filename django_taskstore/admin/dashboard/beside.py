"""Panels of the dashboard on the page of one queue, definition or worker, narrowed to it.

Owns what the templates of those panels are told.
"""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from django_taskstore.admin.dashboard import panels
from django_taskstore.statistics.troubles import longest_running

PANEL = "admin/django_taskstore/dashboard/{}.html"


def longest(using: str, address: panels.Address, **only: Any) -> dict[str, Any]:
    """Return what runs longest, as the panel of that name shows it.

    Args:
        using: the database's alias.
        address: gives addresses of what the user may see.
        **only: as of `longest_running`.
    """
    rows = panels.long_rows(longest_running(using, **only), timezone.now(), address)
    return {"longest": rows, "panels": [PANEL.format("longest")]}
