"""The first page: what is wrong, how much is done, how fast, and what comes next.

`overview` reads and caches, `charts` turns counts into geometry, `panels` words and links,
`page` answers requests.
"""

from __future__ import annotations

from django_taskstore.admin.dashboard.page import DashboardAdmin

__all__ = ["DashboardAdmin"]
