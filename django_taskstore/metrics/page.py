"""The page that Prometheus reads.

Owns who may read it. It writes nothing.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from django_taskstore.conf import settings, token_problems
from django_taskstore.definitions import queue_database
from django_taskstore.metrics.exposition import CONTENT_TYPE, as_text
from django_taskstore.metrics.families import families


@require_safe
def view(request: HttpRequest) -> HttpResponse:
    """Return all numbers to who sends METRICS_TOKEN, or is staff and may see the dashboard.

    Args:
        request: with ``Authorization: Bearer …``, or of somebody who is signed in.

    Raises:
        PermissionDenied: somebody is signed in who may not see them.
    """
    if not (has_token(request) or may_see(request)):
        challenge = {"WWW-Authenticate": 'Bearer realm="task store"'}
        return HttpResponse("Send the metrics token.\n", status=401, headers=challenge)
    text = as_text(families(queue_database()))
    return HttpResponse(text, content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


def has_token(request: HttpRequest) -> bool:
    """Tell whether the request carries the token, without telling how much of it is right."""
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.METRICS_TOKEN
    # A wrong setting opens nothing: no web server runs the checks that would refuse it.
    if wanted is None or any(token_problems(wanted)) or scheme.lower() != "bearer":
        return False
    return constant_time_compare(sent.strip(), wanted)


def may_see(request: HttpRequest) -> bool:
    """Tell whether somebody is signed in who may see the dashboard.

    Raises:
        PermissionDenied: somebody is, and may not.
    """
    user: Any = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return False
    if not (user.is_staff and user.has_perm("django_taskstore.view_dashboard")):
        raise PermissionDenied
    return True
