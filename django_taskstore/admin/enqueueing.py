"""The page that puts a task on a queue by hand.

Owns the "Enqueue" page, which takes the place of Django's form for a new row. What the page
sends goes through `queue.enqueue`, as code does.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_taskstore.admin.base import StoreAdmin
from django_taskstore.admin.filters import is_key
from django_taskstore.admin.forms import (
    ParametersForm,
    PlacementForm,
    fieldset_of,
    json_values,
)
from django_taskstore.database.transactions import writing
from django_taskstore.exceptions import TaskStoreError
from django_taskstore.models import QueuedTask, TaskDefinition
from django_taskstore.queue import enqueue
from django_taskstore.registry import registry


class ChooseForm(forms.Form):
    """Which definition to enqueue."""

    definition = forms.ModelChoiceField(
        TaskDefinition.all_objects.none(), label=gettext_lazy("Task definition")
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field: Any = self.fields["definition"]
        field.queryset = TaskDefinition.all_objects.active()
        field.label_from_instance = named


class EnqueuePage(StoreAdmin):
    """An admin whose "add" page enqueues."""

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Ask for a definition, then for what its handler wants to know, then enqueue."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        asked = request.GET.get("definition", "")
        definition = (
            TaskDefinition.all_objects.active().filter(pk=int(asked)).first()
            if is_key(asked)
            else None
        )
        if definition is not None:
            return self.enqueue_page(request, definition)
        if asked:
            text = _("This task definition is canceled or deleted, or was never there.")
            self.message_user(request, text, messages.ERROR)
        return self.choose_page(request)

    def choose_page(self, request: HttpRequest) -> HttpResponse:
        """Ask which definition to enqueue."""
        form = ChooseForm()
        context = self.page_context(
            request,
            _("Enqueue a task"),
            form=form,
            fieldsets=fieldset_of(self, form),
            has_choices=TaskDefinition.all_objects.active().exists(),
        )
        return TemplateResponse(request, "admin/django_taskstore/choose.html", context)

    def enqueue_page(self, request: HttpRequest, definition: TaskDefinition) -> HttpResponse:
        """Show the forms, and enqueue what they were sent."""
        data = request.POST if request.method == "POST" else None
        work, has_own_form = parameters_form(definition.alias, data)
        placement = PlacementForm(data, initial=placement_of(definition.alias))
        if data is not None and work.is_valid() and placement.is_valid():
            values = work.cleaned_data
            parameters = json_values(values) if has_own_form else values["parameters"]
            try:
                task = self.enqueue(request, definition, parameters, placement.cleaned_data)
            except TaskStoreError as error:
                work.add_error(None if has_own_form else "parameters", str(error))
            else:
                return self.response_enqueued(request, task)
        return self.enqueue_form(request, definition, work, placement)

    def enqueue_form(
        self, request: HttpRequest, definition: TaskDefinition, work: Any, placement: Any
    ) -> HttpResponse:
        """Show the two forms."""
        context = self.page_context(
            request,
            _("Enqueue: %(definition)s") % {"definition": definition},
            definition=definition,
            is_registered=definition.alias in registry,
            forms=[work, placement],
            fieldsets=[fieldset_of(self, work), fieldset_of(self, placement)],
            has_errors=bool(work.errors or placement.errors),
            form_media=work.media + placement.media,
            time_zone=timezone.get_current_timezone_name(),
        )
        return TemplateResponse(request, "admin/django_taskstore/enqueue.html", context)

    def enqueue(
        self,
        request: HttpRequest,
        definition: TaskDefinition,
        parameters: dict[str, Any],
        placement: dict[str, Any],
    ) -> QueuedTask:
        """Enqueue, and write it into the new task's history, in one transaction."""
        with writing(self.queue_database):
            task = enqueue(
                definition.alias,
                parameters,
                queue_name=placement["queue_name"],
                priority=placement["priority"],
                run_after=placement["run_after"],
            )
            self.log_addition(request, task, _("Enqueued."))
        return task

    def response_enqueued(self, request: HttpRequest, task: QueuedTask) -> HttpResponse:
        """Say so, and lead to the new task where the user may see it."""
        text = _("%(task)s was put on the queue “%(queue)s”.")
        self.message_user(request, text % {"task": task, "queue": task.queue_name})
        if self.has_view_or_change_permission(request, task):
            return HttpResponseRedirect(self.url("change", task.pk))
        return HttpResponseRedirect(self.url("add"))


def named(definition: TaskDefinition) -> str:
    """Return a definition's title and alias."""
    alias: str = definition.alias
    if definition.title in ("", alias):
        return alias
    return f"{definition.title} ({alias})"


def parameters_form(alias: str, data: Any) -> tuple[forms.Form, bool]:
    """Return the form for a task's parameters, and whether it is the handler's own.

    A form with a file is passed over: JSON cannot hold a file.
    """
    form_class = registry.get(alias).form_class if alias in registry else None
    if form_class is not None:
        form = form_class(data, prefix="parameters")
        if not form.is_multipart():
            return form, True
    return ParametersForm(data), False


def placement_of(alias: str) -> dict[str, Any]:
    """Return the queue and the priority that the handler would choose."""
    if alias not in registry:
        return {"queue_name": "default", "priority": 0}
    handler = registry.get(alias)
    return {"queue_name": handler.queue_name, "priority": handler.priority}
