"""Numbers for Prometheus, as a view that a project routes: ``path("metrics", metrics.view)``.

`exposition` writes the format, `families` says what is told, `page` answers requests.
"""

from __future__ import annotations

from django_taskstore.metrics.page import view

__all__ = ["view"]
