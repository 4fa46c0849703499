"""Parts of pages that refresh themselves: a fragment with a tag that says whether it changed.

Owns `fragment`. The script in static/django_taskstore/live.js asks for it; without the
script the pages are whole as they are.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.template.loader import render_to_string


def fragment(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """Return a part of a page, or 304 when the browser has it already."""
    text = render_to_string(template, context, request)
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    if request.headers.get("If-None-Match") == tag:
        return HttpResponseNotModified(headers={"ETag": tag})
    return HttpResponse(text, headers={"ETag": tag})
