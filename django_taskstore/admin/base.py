"""What all pages of this app share: who may do what, and lists that stay fast.

Owns `StoreAdmin`, `WrittenByStore`, the capped paginator and the read-only switch. It knows no
model in particular.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import django
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst

from django_taskstore.conf import settings
from django_taskstore.database.transactions import writing
from django_taskstore.statistics import AtLeast

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    CountingPaginator = Paginator[Any]
else:
    ModelAdmin = admin.ModelAdmin
    CountingPaginator = Paginator

#: Above both list_per_page and list_max_show_all: at or below them the list would drop its
#: LIMIT and load the whole table.
MOST_COUNTED = 10_000


class CappedPaginator(CountingPaginator):
    """Counts no further than `MOST_COUNTED`, so that a page costs the same at any size."""

    @cached_property
    def count(self) -> int:
        """The number of rows, or "at least that many"."""
        rows: Any = self.object_list
        found: int = rows.order_by()[: MOST_COUNTED + 1].count()
        return found if found <= MOST_COUNTED else AtLeast(MOST_COUNTED)


class WrittenByStore:
    """What the store writes and removes itself: a form of it is for reading only."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: the store makes it."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: people change it by verbs, if at all."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: tasks, workers and histories point at it."""
        return False


class StoreChangeList(ChangeList):
    """A list that offers to "show all" only where something is left out."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page."""
        super().get_results(request)
        if not (self.query or self.has_active_filters):
            self.full_result_count = self.result_count


class StoreAdmin(ModelAdmin):
    """A page of the task store: fast on large tables, and shut where the settings say so."""

    paginator: ClassVar[type[CountingPaginator]] = CappedPaginator
    list_per_page = 50
    list_max_show_all = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    save_on_top = False
    #: What an empty list says, beside that it is empty.
    empty_hint: Any = ""

    class Media:
        css = {"all": ["django_taskstore/admin.css"]}

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        """Return our list."""
        return StoreChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return all rows; a filter hides the soft-deleted ones."""
        manager = getattr(self.model, "all_objects", self.model._default_manager)
        rows: QuerySet[Any] = manager.all()
        ordering = self.get_ordering(request)
        return rows.order_by(*ordering) if ordering else rows

    def may(self, request: HttpRequest, codename: str) -> bool:
        """Tell whether the user has a permission of this app, and the admin is not read-only."""
        user: Any = request.user
        return not settings.ADMIN_READ_ONLY and user.has_perm(f"{self.opts.app_label}.{codename}")

    def may_requeue_all(self, request: HttpRequest) -> bool:
        """Tell whether the user may requeue all tasks that match a filter."""
        return self.may(request, "requeue_queuedtask") and self.may(request, "add_bulkoperation")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Follow the user's permission, unless the admin is read-only."""
        return not settings.ADMIN_READ_ONLY and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the user's permission, unless the admin is read-only."""
        return not settings.ADMIN_READ_ONLY and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the user's permission, unless the admin is read-only."""
        return not settings.ADMIN_READ_ONLY and super().has_delete_permission(request, obj)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the list under the name of its rows, with a hint where it is empty."""
        title = capfirst(str(self.opts.verbose_name_plural))
        context = {"empty_hint": self.empty_hint, "title": title, **(extra_context or {})}
        return super().changelist_view(request, context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show a row, or save it in a transaction that begins as a writer's."""
        is_save = request.method == "POST"
        with writing(self.queue_database) if is_save else nullcontext():
            return super().changeform_view(request, object_id, form_url, extra_context)

    @property
    def queue_database(self) -> str:
        """The database that changes go to: what a replica says may be old."""
        return router.db_for_write(self.model)

    def address_for(self, request: HttpRequest) -> Callable[..., str]:
        """Return a function that gives addresses of what the user may see, and "" of the rest."""
        user: Any = request.user

        def address(page: str, *args: Any, model: str) -> str:
            may_see = user.has_perm(f"{self.opts.app_label}.view_{model}")
            return self.url(page, *args, model=model) if may_see and self.has_page(model) else ""

        return address

    def has_page(self, model: str) -> bool:
        """Tell whether the site has pages of a model of ours."""
        return self.admin_site.is_registered(self.opts.app_config.get_model(model))

    def url(self, page: str, *args: Any, model: str = "") -> str:
        """Return the address of an admin page of this app.

        Args:
            page: "changelist", "change", "add", or a page of our own.
            *args: what the address holds.
            model: another model's lower-case name.
        """
        name = f"admin:{self.opts.app_label}_{model or self.opts.model_name}_{page}"
        return reverse(name, args=args, current_app=self.admin_site.name)

    def page_context(self, request: HttpRequest, title: Any, **more: Any) -> dict[str, Any]:
        """Return what every page of our own tells its template."""
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "media": self.media,
            "list_url": self.url("changelist"),
            "list_title": capfirst(str(self.opts.verbose_name_plural)),
            "breadcrumbs_are_a_list": django.VERSION >= (6, 1),
            **more,
        }
