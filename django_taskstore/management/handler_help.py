"""What ``manage.py task`` says about handlers: the list, and the help of one.

Owns texts only; it runs nothing and asks no database.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.forms import ChoiceField
from django.utils.choices import flatten_choices

from django_taskstore.conf import settings
from django_taskstore.management.arguments import table
from django_taskstore.registry import HandlerClass, registry


def handler_facts(handler: HandlerClass) -> dict[str, Any]:
    """Return what a handler declares, as JSON."""
    return {
        "alias": handler.alias,
        "title": str(handler.title),
        "description": str(handler.description),
        "queue_name": handler.queue_name,
        "priority": handler.priority,
        "max_attempts": handler.max_attempts or settings.DEFAULT_MAX_ATTEMPTS,
        "parameters": None if handler.form_class is None else list(form_fields(handler)),
    }


def handler_table() -> str:
    """Return the registered handlers, a line each."""
    if not len(registry):
        return "No handler is registered: does an app in INSTALLED_APPS have a tasks.py?"
    rows = [
        (handler.alias, handler.queue_name, str(handler.title), first_line(handler.description))
        for handler in registry
    ]
    return table([("ALIAS", "QUEUE", "TITLE", "DESCRIPTION"), *rows])


def handler_help(handler: HandlerClass) -> str:
    """Return title, description, defaults and parameters of a handler."""
    facts = handler_facts(handler)
    alias, title = facts["alias"], facts["title"]
    lines = [
        alias if title == alias else f"{alias}: {title}",
        *filter(None, [facts["description"]]),
        "",
        f"usage: manage.py task {alias} [--name=value …] [--enqueue=yes]",
        "queue: {queue_name} · priority: {priority} · attempts: {max_attempts}".format(**facts),
        "",
        *parameter_lines(handler),
        "",
        "`manage.py task --help` shows the options of the command.",
    ]
    return "\n".join(lines)


def parameter_lines(handler: HandlerClass) -> Iterator[str]:
    """Yield a line for each field of the handler's form."""
    if handler.form_class is None:
        yield "parameters: any; the handler has no form that names them."
        return
    yield "parameters:"
    rows = [
        (f"  --{name}", field_words(field), " ".join(str(field.help_text or "").split()))
        for name, field in form_fields(handler).items()
    ]
    yield table(rows)


def form_fields(handler: HandlerClass) -> dict[str, Any]:
    """Return the fields of the handler's form by name."""
    return dict(handler.form_class().fields)


def field_words(field: Any) -> str:
    """Return what a form's field takes: its kind, whether it must be given, its choices."""
    words = [type(field).__name__.removesuffix("Field").lower()]
    if field.required:
        words.append("required")
    if field.initial is not None and not callable(field.initial):
        words.append(f"initially {field.initial}")
    if isinstance(field, ChoiceField):
        choices: Any = field.choices
        values = [str(value) for value, _ in flatten_choices(choices) if value != ""]
        words.append(f"one of {', '.join(values)}")
    return ", ".join(words)


def first_line(text: object) -> str:
    """Return a text's first line."""
    return next(iter(str(text).strip().splitlines()), "")
