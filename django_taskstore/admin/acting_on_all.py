"""Using a verb on all tasks that match: confirmed on a page, done by a worker.

Owns `BulkVerbAdmin`. The request writes down what is meant and returns; `bulk` does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from django_taskstore import bulk
from django_taskstore.admin.acting import MOST_AT_ONCE, MOST_LISTED, VerbAdmin
from django_taskstore.admin.base import MOST_COUNTED
from django_taskstore.admin.forms import fieldset_of
from django_taskstore.admin.reach import look, reach_of
from django_taskstore.admin.selecting import TASK_FILTERS, selection_of
from django_taskstore.admin.task_search import search
from django_taskstore.admin.typed import NumberForm, Shown, number_form
from django_taskstore.admin.verbs import Verb
from django_taskstore.claims import rows
from django_taskstore.models import BulkOperation
from django_taskstore.selection import Selection
from django_taskstore.statistics import AtLeast, live_workers_of

#: What an address may hold beside filters without changing which rows are meant.
HARMLESS = {"q", "p", "o", "all", "before", "e"}


@dataclass(frozen=True, slots=True)
class Meant:
    """What a list's address means.

    Attributes:
        selection: which rows.
        searched_all: whether its search, where it has one, looked at the whole list.
    """

    selection: Selection
    searched_all: bool = True


class BulkVerbAdmin(VerbAdmin):
    """An admin whose verbs can be used on all rows that match."""

    def get_urls(self) -> list[Any]:
        """Add the page that confirms a bulk operation."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_act_on_all"
        view = require_http_methods(["GET", "HEAD", "POST"])(self.act_on_all_view)
        return [
            path("act-on-all/<slug:name>/", self.admin_site.admin_view(view), name=name),
            *super().get_urls(),
        ]

    def choose(
        self, request: HttpRequest, verb: Verb, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        """Lead to a page of its own when all that match were selected and they are many."""
        is_all = request.POST.get("select_across") == "1" and verb.name in BulkOperation.Verbs
        if is_all and queryset.order_by()[: MOST_AT_ONCE + 1].count() > MOST_AT_ONCE:
            query = QueryDict(mutable=True)
            query["list_query"] = request.GET.urlencode()
            return HttpResponseRedirect(f"{self.url('act_on_all', verb.name)}?{query.urlencode()}")
        return super().choose(request, verb, queryset)

    def act_on_all_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Confirm a bulk operation on GET, and start it on POST."""
        verb = next((verb for verb in self.verbs if verb.name == name), None)
        if verb is None or name not in BulkOperation.Verbs:
            raise Http404
        if not (self.may_act(request, verb) and self.may(request, "add_bulkoperation")):
            raise PermissionDenied
        sent = request.POST if request.method == "POST" else request.GET
        list_query = sent.get("list_query", "")
        selection = self.meant(list_query).selection
        if request.method != "POST":
            form = verb.form_for([None, None], None) if verb.form_for else None
            return self.confirm_all(request, verb, selection, form, None, list_query)
        return self.act_on_all(request, verb, selection, list_query)

    def act_on_all(
        self, request: HttpRequest, verb: Verb, selection: Selection, list_query: str
    ) -> HttpResponse:
        """Start what a page asked for; a form with errors, or from an old page, is shown again."""
        data = request.POST
        form = verb.form_for([None, None], data) if verb.form_for else None
        shown = Shown.read(data.get("shown", ""), verb=verb.name, list_query=list_query)
        if shown is None:
            text = _("Nothing was started: this page was too old. Look at its number again.")
            self.message_user(request, text, messages.ERROR)
            return self.confirm_all(request, verb, selection, form, None, list_query)
        number = number_form(shown.count, data)
        if not all(one is None or one.is_valid() for one in (form, number)):
            return self.confirm_all(request, verb, selection, form, number, list_query)
        options = {} if form is None else form.cleaned_data
        return self.start(request, verb, selection, shown.last_id, options)

    def meant(self, list_query: str, before: int | None = None) -> Meant:
        """Return the rows that a list's address means; what it searched for is looked up now.

        Args:
            list_query: the address's parameters.
            before: search below this id only.

        Raises:
            PermissionDenied: a filter is not one of ours, so a worker could not apply it.
        """
        query = QueryDict(list_query)
        known = {one.parameter_name for one in TASK_FILTERS} | HARMLESS
        if query.keys() - known:
            raise PermissionDenied(
                _("Not all filters of this list can be used on all rows: select rows instead.")
            )
        selection, using = selection_of(query), self.queue_database
        term = query.get("q", "")
        if not term:
            return Meant(selection)
        everything = selection.narrow(rows(using))
        reach = reach_of(look(using), selection, before, using)
        found = search(everything, reach.narrow(everything), term, reach)
        keys = found.rows.order_by("-pk").values_list("pk", flat=True)[:MOST_COUNTED]
        return Meant(Selection(deleted=selection.deleted, ids=tuple(keys)), found.is_whole)

    def confirm_all(
        self,
        request: HttpRequest,
        verb: Verb,
        selection: Selection,
        form: Any,
        number: NumberForm | None,
        list_query: str,
    ) -> HttpResponse:
        """Show what will happen to how many tasks, and some of them."""
        using = self.queue_database
        landscape = look(using)
        reach = reach_of(landscape, selection, None, using)
        found = reach.narrow(selection.narrow(rows(using)))
        counted = found.order_by()[: MOST_COUNTED + 1].count()
        is_exact = reach.is_whole and counted <= MOST_COUNTED
        count = counted if is_exact else AtLeast(min(counted, MOST_COUNTED))
        number = number or number_form(count)
        sample = found.select_related("definition").order_by("-pk")[:MOST_LISTED]
        context = self.page_context(
            request,
            verb.label,
            verb=verb,
            rows=[(row, self.described(row)) for row in sample],
            row_count=count,
            count_words=f"{count:,}",
            has_more=counted > MOST_LISTED,
            typed_count=f"{int(count):,}" if number else "",
            shown=Shown(verb.name, list_query, landscape.newest, int(count)).signed(),
            has_errors=any(one is not None and one.errors for one in (form, number)),
            fieldsets=fieldset_of(self, form),
            number_fieldsets=fieldset_of(self, number),
            list_query=list_query,
            action_url=self.url("act_on_all", verb.name),
            back_url=self.url("changelist") + (f"?{list_query}" if list_query else ""),
            unserved_queue="" if live_workers_of(using) else self.queue_for_bulk(),
        )
        return TemplateResponse(request, "admin/django_taskstore/confirm_all.html", context)

    def start(
        self,
        request: HttpRequest,
        verb: Verb,
        selection: Selection,
        last_id: int,
        options: dict[str, Any],
    ) -> HttpResponse:
        """Start the operation, write it into the history, and lead to its page."""
        using = self.queue_database
        operation = bulk.start(
            verb.name,
            selection,
            last_id=min(last_id, bulk.newest_id(using)),
            options=options,
            asked_by=request.user,
            queue_name=self.queue_for_bulk(),
        )
        self.log_addition(request, operation, _("Asked for: %(verb)s.") % {"verb": verb.label})
        if live_workers_of(using):
            self.message_user(request, _("A worker does it now; this page shows how far it is."))
        else:
            text = _("No worker is there now: start one, or do it in parts on this page.")
            self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self.url("change", operation.pk, model="bulkoperation"))

    def queue_for_bulk(self) -> str:
        """Return a queue that a worker serves now, the default one where it can be."""
        served = [name for worker in live_workers_of(self.queue_database) for name in worker.queues]
        if not served or "default" in served or "*" in served:
            return "default"
        return served[0]
