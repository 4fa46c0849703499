"""Parts of pages that refresh themselves: a fragment with a tag that says whether it changed.

Owns `fragment` and `LiveAdmin`. The script in static/django_taskstore/live.js asks for it;
without the script the pages are whole as they are.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.core.exceptions import PermissionDenied
from django.forms import Media
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.template.loader import render_to_string
from django.urls import path
from django.views.decorators.http import require_safe

from django_taskstore.admin.base import StoreAdmin

#: Tells the script that nothing more will change.
ENDED = "X-Taskstore-Ended"


def fragment(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """Return a part of a page, or 304 when the browser has it already."""
    text = render_to_string(template, context, request)
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    if request.headers.get("If-None-Match") == tag:
        return HttpResponseNotModified(headers={"ETag": tag})
    return HttpResponse(text, headers={"ETag": tag})


class LiveAdmin(StoreAdmin):
    """An admin whose rows' pages have a part that refreshes until the row has ended."""

    #: Shows the part.
    live_template: str

    def get_urls(self) -> list[Any]:
        """Add the address of the part."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_live"
        view = self.admin_site.admin_view(require_safe(self.live_view))
        return [path("<int:key>/live/", view, name=name), *super().get_urls()]

    def live_parts(self, row: Any) -> dict[str, Any]:
        """Return what the part shows."""
        raise NotImplementedError

    def has_ended(self, row: Any) -> bool:
        """Tell whether nothing more will change."""
        raise NotImplementedError

    def live_context(self, row: Any) -> dict[str, Any]:
        """Return what the row's page needs for its part."""
        context = {"live_template": self.live_template, **self.live_parts(row)}
        if not self.has_ended(row):
            context["live_url"] = self.url("live", row.pk)
            context["live_media"] = Media(js=["django_taskstore/live.js"])
        return context

    def live_view(self, request: HttpRequest, key: int) -> HttpResponse:
        """Return the part."""
        row = self.visible(request, key)
        answer = fragment(request, self.live_template, self.live_parts(row))
        if self.has_ended(row):
            answer[ENDED] = "yes"
        return answer

    def visible(self, request: HttpRequest, key: int) -> Any:
        """Return a row that the user may see.

        Raises:
            PermissionDenied: the user may see none.
            Http404: it is not there.
        """
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        rows = self.get_queryset(request)
        if self.live_related:  # Without a name Django would follow every foreign key.
            rows = rows.select_related(*self.live_related)
        row = rows.filter(pk=key).first() if key < 2**63 else None
        if row is None:
            raise Http404
        return row

    #: Foreign keys to read with the row.
    live_related: tuple[str, ...] = ()
