"""The road of every change: choose rows, confirm on a page, act on POST, say what came of it.

Owns `VerbAdmin` and `SwitchAdmin`. A list's action and a detail page's button lead to the same
page. GET changes nothing; each row moves in a transaction of its own together with its history
line.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.utils import model_ngettext
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, UUIDField
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from django_taskstore.admin.base import StoreAdmin, WrittenByStore
from django_taskstore.admin.filters import is_key
from django_taskstore.admin.forms import fieldset_of
from django_taskstore.admin.verbs import Tally, Verb
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.exceptions import TaskStoreError

#: What one request can do without trying anybody's patience, or a proxy's.
MOST_AT_ONCE = 200
MOST_LISTED = 20


class VerbAdmin(StoreAdmin):
    """An admin whose rows are moved by verbs."""

    verbs: ClassVar[tuple[Verb, ...]] = ()

    def get_urls(self) -> list[Any]:
        """Add the page of the verbs."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_act"
        view = require_http_methods(["GET", "HEAD", "POST"])(self.act_view)
        return [
            path("act/<slug:name>/", self.admin_site.admin_view(view), name=name),
            *super().get_urls(),
        ]

    def may_act(self, request: HttpRequest, verb: Verb, row: Any = None) -> bool:
        """Tell whether the user may see this model and use the verb."""
        allowed = getattr(self, f"has_{verb.permission}_permission")
        return bool(self.has_view_or_change_permission(request, row) and allowed(request, row))

    def buttons(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        """Return the verbs that the user may use and that fit the row, for its page."""
        return [
            {
                "label": verb.label,
                "url": f"{self.url('act', verb.name)}?pk={row.pk}",
                "is_dangerous": verb.is_dangerous,
            }
            for verb in self.verbs
            if verb.fits(row) and self.may_act(request, verb, row)
        ]

    def unfit(self, request: HttpRequest, row: Any) -> list[tuple[Any, Any]]:
        """Return the other verbs that the user may use, each with why it does not fit the row."""
        return [
            (verb.label, verb.reason)
            for verb in self.verbs
            if not (verb.undoes or verb.fits(row)) and self.may_act(request, verb, row)
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show a row with the buttons that fit it, and without Django's hard delete."""
        context: dict[str, Any] = {"show_delete": False, "show_save_and_add_another": False}
        row = self.get_object(request, object_id)
        if row is not None and self.has_view_or_change_permission(request, row):
            context |= {
                "buttons": self.buttons(request, row),
                "unfit": self.unfit(request, row),
            }
            context |= self.beside(request, row)
        return super().change_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return a row; a page that only shows it reads it once, for its two looks at it."""
        if request.method not in ("GET", "HEAD"):
            return super().get_object(request, object_id, from_field)
        known = request.__dict__.setdefault("_rows_shown", {})
        if object_id not in known:
            known[object_id] = super().get_object(request, object_id, from_field)
        return known[object_id]

    def beside(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return what a row's page shows beside its form."""
        return {}

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Lead Django's address for deletion to our soft delete."""
        row = self.get_object(request, object_id)
        if not self.has_delete_permission(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404
        return HttpResponseRedirect(f"{self.url('act', 'delete')}?pk={row.pk}")

    def choose(
        self, request: HttpRequest, verb: Verb, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        """Show the confirmation page for the rows selected in the list."""
        keys = list(queryset.order_by().values_list("pk", flat=True)[: MOST_AT_ONCE + 1])
        if len(keys) > MOST_AT_ONCE:
            text = _("Nothing was changed: select at most %(most)s rows at once.")
            self.message_user(request, text % {"most": f"{MOST_AT_ONCE:,}"}, messages.ERROR)
            return None
        rows = self.chosen(request, keys)
        form = self.form_of(request, verb, rows, None)
        return self.confirmation(request, verb, rows, form, list_query=request.GET.urlencode())

    def form_of(self, request: HttpRequest, verb: Verb, rows: list[Any], data: Any) -> Any:
        """Return the form of a verb's page, or None."""
        return verb.form_for(rows, data) if verb.form_for else None

    def chosen(self, request: HttpRequest, keys: list[Any]) -> list[Any]:
        """Read the rows with these keys from the database that will be written."""
        rows = self.get_queryset(request).using(self.queue_database).filter(pk__in=keys)
        return list(rows.select_related(*self.acting_related) if self.acting_related else rows)

    def keys_in(self, text: str) -> list[Any]:
        """Return the keys in a comma-separated text; what is no key is left out."""
        has_uuids = isinstance(self.opts.pk, UUIDField)
        parts = text.split(",")[:MOST_AT_ONCE]
        return [key for part in parts if (key := as_uuid(part) if has_uuids else as_int(part))]

    #: Foreign keys to read with the rows.
    acting_related: ClassVar[tuple[str, ...]] = ()

    def act_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Confirm a verb on GET, and use it on POST."""
        verb = next((verb for verb in self.verbs if verb.name == name), None)
        if verb is None:
            raise Http404
        if not self.may_act(request, verb):
            raise PermissionDenied
        sent = request.POST if request.method == "POST" else request.GET
        rows = self.chosen(request, self.keys_in(sent.get("pk", "")))
        if not rows:
            self.message_user(request, _("Nothing was changed: no row is left."), messages.WARNING)
            return HttpResponseRedirect(self.url("changelist"))
        if not all(self.may_act(request, verb, row) for row in rows):
            raise PermissionDenied
        return self.act(request, verb, rows)

    def act(self, request: HttpRequest, verb: Verb, rows: list[Any]) -> HttpResponse:
        """Show the page, or do what it asked; a form with errors is shown again."""
        posted = request.method == "POST"
        list_query = request.POST.get("list_query")
        form = self.form_of(request, verb, rows, request.POST if posted else None)
        if not posted or (form is not None and not form.is_valid()):
            return self.confirmation(request, verb, rows, form, list_query=list_query)
        if form is not None and "_compare" in request.POST:
            return self.confirmation(request, verb, rows, form, list_query=list_query)
        tally = self.perform(request, verb, rows, {} if form is None else form.cleaned_data)
        if form is not None and tally.errors and len(rows) == 1:
            form.add_error(None, tally.errors[0])
            return self.confirmation(request, verb, rows, form, list_query=list_query)
        self.say(request, tally)
        if list_query is None:
            return HttpResponseRedirect(self.page_after(request, rows[0], tally))
        query = f"?{list_query}" if list_query else ""
        return HttpResponseRedirect(self.url("changelist") + query)

    def page_after(self, request: HttpRequest, row: Any, tally: Tally) -> str:
        """Return where to go after a verb was used on a row's page."""
        return self.url("change", row.pk)

    def perform(
        self, request: HttpRequest, verb: Verb, rows: list[Any], data: dict[str, Any]
    ) -> Tally:
        """Use the verb on each row, and write it into the history of those that changed."""
        tally = Tally(verb)
        for row in rows:
            try:
                move = partial(self.move, request, verb, row, data)
                result = repeat_on_conflict(self.queue_database, move)
            except TaskStoreError as error:
                tally.errors.append(str(error))
            else:
                tally.add(row, result)
        return tally

    def move(self, request: HttpRequest, verb: Verb, row: Any, data: dict[str, Any]) -> Any:
        """Use the verb on one row, together with its line in the history."""
        with writing(self.queue_database):
            result = verb.run(row, {**data, "user": request.user.get_username()})
            if result:
                self.record(request, verb, row, result)
            return result

    def record(self, request: HttpRequest, verb: Verb, row: Any, result: Any) -> None:
        """Write what was done into the row's history."""
        self.log_change(request, row, str(verb.recorded))

    def say(self, request: HttpRequest, tally: Tally) -> None:
        """Tell the user what came of a verb."""
        if tally.changed or tally.skipped:
            level = messages.WARNING if tally.skipped else messages.SUCCESS
            self.message_user(request, str(tally), level)
        for error, times in Counter(tally.errors).items():
            text = ngettext("%(count)d refused: %(error)s", "%(count)d refused: %(error)s", times)
            self.message_user(request, text % {"count": times, "error": error}, messages.ERROR)

    def confirmation(
        self,
        request: HttpRequest,
        verb: Verb,
        rows: list[Any],
        form: Any,
        *,
        list_query: str | None,
    ) -> HttpResponse:
        """Show what will happen to which rows, and the verb's form."""
        unfit = sum(not verb.fits(row) for row in rows)
        context = self.page_context(
            request,
            verb.label,
            verb=verb,
            rows=[(row, self.described(row)) for row in rows[:MOST_LISTED]],
            row_count=len(rows),
            row_name=model_ngettext(self.opts, len(rows)),
            more=max(0, len(rows) - MOST_LISTED),
            unfit=unfit,
            keys=",".join(str(row.pk) for row in rows),
            form=form,
            fieldsets=fieldset_of(self, form),
            list_query=list_query,
            action_url=self.url("act", verb.name),
            back_url=self.back_url(rows, list_query),
        )
        return TemplateResponse(request, "admin/django_taskstore/confirm.html", context)

    def back_url(self, rows: list[Any], list_query: str | None) -> str:
        """Return where "No, take me back" leads."""
        if list_query is None:
            return self.url("change", rows[0].pk)
        return self.url("changelist") + (f"?{list_query}" if list_query else "")

    def described(self, row: Any) -> Any:
        """Return what the confirmation page says about a row, beside its name."""
        raise NotImplementedError


class SwitchAdmin(WrittenByStore, VerbAdmin):
    """Rows that the store itself writes and removes: people only switch them, by verbs."""

    def has_switch_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission to change the model, which the verbs ask for."""
        return self.may(request, f"change_{self.opts.model_name}")


def as_int(text: str) -> int | None:
    """Return a key that every database takes, or None."""
    return int(text) if is_key(text) else None


def as_uuid(text: str) -> UUID | None:
    """Return a key that is a UUID, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None
