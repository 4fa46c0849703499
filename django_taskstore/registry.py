"""Which handler does the work of which alias.

Owns the registry that every app's ``tasks.py`` fills, and the rules a handler class must
keep. It knows the `HandlerClass` protocol, never a base class, and no database.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Protocol, TypeVar, overload

from django_taskstore.declarations import DeclaredSchedule, declared
from django_taskstore.exceptions import (
    HandlerAlreadyRegistered,
    HandlerNotFound,
    InvalidHandler,
)
from django_taskstore.validation import (
    LONGEST_ALIAS,
    is_name,
    validate_priority,
    validate_queue_name,
)

#: ``manage.py task list`` lists the handlers.
RESERVED_ALIASES = {"list"}
ON_LOST = ("retry", "fail")


class HandlerClass(Protocol):
    """What the package asks of a handler class; `TaskHandler` provides all of it."""

    __name__: str
    alias: str
    title: str
    description: str
    queue_name: str
    priority: int
    max_attempts: int | None
    backoff: Any
    timeout: Any
    on_lost: str
    atomic: bool
    form_class: Any
    sensitive_parameters: Any

    def __call__(self, **state: Any) -> Any: ...

    def clean_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]: ...

    def row_metadata(self) -> dict[str, Any]: ...


Handler = TypeVar("Handler", bound=type[Any])
#: Returns the handler of a row's alias, parameters and metadata, or None if it knows none.
Finder = Callable[[str, Mapping[str, Any], Mapping[str, Any]], HandlerClass | None]


class Registry:
    """Handlers by alias."""

    def __init__(self) -> None:
        self._handlers: dict[str, HandlerClass] = {}
        self._mirrored: set[str] = set()
        self._schedules: dict[str, tuple[DeclaredSchedule, ...]] = {}
        self._finders: list[Finder] = []

    def add(
        self, handler: Any, *, create_if_missing: bool = True, schedules: Iterable[Any] = ()
    ) -> None:
        """Register a handler under its alias.

        Args:
            handler: a class that keeps the `HandlerClass` protocol.
            create_if_missing: whether its definition row is made by itself.
            schedules: beside those of the class; see `declarations.DeclaredSchedule`.

        Raises:
            InvalidHandler: the class breaks a rule.
            HandlerAlreadyRegistered: another class has the alias.
        """
        validate_handler(handler)
        known = self._handlers.get(handler.alias)
        if known is not None and source(known) != source(handler):
            raise HandlerAlreadyRegistered(
                f"Alias {handler.alias!r} of {source(handler)} is already registered by "
                f"{source(known)}: give one of them another alias."
            )
        self._schedules[handler.alias] = declared(handler, schedules)
        self._handlers[handler.alias] = handler
        if create_if_missing:
            self._mirrored.add(handler.alias)

    def remove(self, alias: str) -> None:
        """Forget a handler; an unknown alias is no error."""
        self._handlers.pop(alias, None)
        self._mirrored.discard(alias)
        self._schedules.pop(alias, None)

    def get(self, alias: str) -> HandlerClass:
        """Return the handler with exactly this alias.

        Raises:
            HandlerNotFound: there is none; the message names near ones.
        """
        try:
            return self._handlers[alias]
        except KeyError:
            raise HandlerNotFound(self.not_found(alias)) from None

    def add_finder(self, finder: Finder) -> None:
        """Ask a finder for the handlers of rows whose alias is not registered."""
        self._finders.append(finder)

    def serves(
        self, alias: str, parameters: Mapping[str, Any], metadata: Mapping[str, Any]
    ) -> bool:
        """Tell whether this process has a handler for a row, after asking the finders.

        Raises:
            SuspiciousOperation: the row asks for what must not be run.
            HandlerImportFailed: the row's handler cannot be imported here.
        """
        if alias in self._handlers:
            return True
        return any(finder(alias, parameters, metadata) for finder in self._finders)

    def find(self, text: str) -> HandlerClass:
        """Return the handler a person means: case, ``-`` and ``_`` do not matter.

        Raises:
            HandlerNotFound: none fits, or several do and none exactly.
        """
        if text in self._handlers:
            return self._handlers[text]
        fitting = [alias for alias in self._handlers if loose(alias) == loose(text)]
        if len(fitting) == 1:
            return self._handlers[fitting[0]]
        if fitting:
            raise HandlerNotFound(f"{text!r} could be any of {', '.join(sorted(fitting))}.")
        raise HandlerNotFound(self.not_found(text))

    def not_found(self, text: str) -> str:
        """Return the message for an unknown alias, with the nearest ones."""
        by_loose = {loose(alias): alias for alias in self._handlers}
        near = difflib.get_close_matches(loose(text), by_loose, n=3)
        hint = (
            f"did you mean {' or '.join(by_loose[match] for match in near)}?"
            if near
            else "`manage.py task list` shows the registered ones."
        )
        return f"No handler is registered under the alias {text!r}; {hint}"

    def is_mirrored(self, alias: str) -> bool:
        """Tell whether the handler's definition row is made by itself."""
        return alias in self._mirrored

    def schedules(self, alias: str) -> tuple[DeclaredSchedule, ...]:
        """Return the schedules that a handler declares in code."""
        return self._schedules.get(alias, ())

    def __contains__(self, alias: object) -> bool:
        return alias in self._handlers

    def __iter__(self) -> Iterator[HandlerClass]:
        return iter([self._handlers[alias] for alias in sorted(self._handlers)])

    def __len__(self) -> int:
        return len(self._handlers)


registry = Registry()


@overload
def register(handler: Handler) -> Handler: ...
@overload
def register(
    *, create_if_missing: bool = True, schedule: Any = None
) -> Callable[[Handler], Handler]: ...
def register(handler: Any = None, *, create_if_missing: bool = True, schedule: Any = None) -> Any:
    """Register a handler class; use as ``@register`` or ``@register(schedule="0 9 * * 1-5")``.

    Args:
        handler: the class.
        create_if_missing: whether its definition row is made by itself; False leaves that
            to people.
        schedule: a rule, or a dict as in the class's ``schedules``, by which its tasks are
            enqueued; None for none.

    Returns:
        The class, unchanged.
    """

    def add(decorated: Any) -> Any:
        schedules = () if schedule is None else (schedule,)
        registry.add(decorated, create_if_missing=create_if_missing, schedules=schedules)
        return decorated

    return add if handler is None else add(handler)


def loose(alias: str) -> str:
    """Return an alias as people type it: lower case, without ``-`` and ``_``."""
    return alias.lower().replace("-", "").replace("_", "")


def source(handler: Any) -> str:
    """Return where a handler class is written: the same class, imported twice, is the same."""
    return f"{handler.__module__}.{handler.__qualname__}"


def validate_handler(handler: Any) -> None:
    """Check the rules of a handler class.

    Raises:
        InvalidHandler: it breaks one; the message says which.
    """
    if not isinstance(handler, type):
        raise InvalidHandler(f"register() takes a handler class, not {handler!r}.")
    validate_alias(handler)
    name = source(handler)
    validate_working_method(handler, name)
    validate_options(handler, name)


def validate_alias(handler: Any) -> None:
    """Check the name that tasks are queued under."""
    name = source(handler)
    if not is_name(getattr(handler, "alias", None), LONGEST_ALIAS):
        raise InvalidHandler(
            f"{name} has the alias {getattr(handler, 'alias', None)!r}: use 1 to {LONGEST_ALIAS} "
            "characters out of A-Z a-z 0-9 _ . : and -."
        )
    if handler.alias in RESERVED_ALIASES:
        raise InvalidHandler(f"{name} has the alias {handler.alias!r}, which is a command's word.")


def validate_working_method(handler: Any, name: str) -> None:
    """Check that the class can do work, and that ``atomic`` fits how it does."""
    work = getattr(handler, "handle_with_context", None) or getattr(handler, "handle", None)
    if not callable(work):
        raise InvalidHandler(
            f"{name} has no handle(self) and no handle_with_context(self, context)."
        )
    if handler.atomic and inspect.iscoroutinefunction(work):
        raise InvalidHandler(
            f"{name} is atomic and async: Django's transactions belong to one thread. Make it "
            "`def`, or drop `atomic = True`."
        )


def validate_options(handler: Any, name: str) -> None:
    """Check the class attributes that say how its tasks are queued and retried."""
    try:
        validate_queue_name(handler.queue_name)
        validate_priority(handler.priority)
    except ValueError as error:
        raise InvalidHandler(f"{name}: {error}") from error
    if handler.on_lost not in ON_LOST:
        raise InvalidHandler(f"{name} has on_lost={handler.on_lost!r}, expected 'retry' or 'fail'.")
    limit = handler.timeout
    if limit is not None and not is_duration(limit):
        raise InvalidHandler(
            f"{name} has timeout={limit!r}, expected None, seconds above 0, or a timedelta."
        )
    most = handler.max_attempts
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise InvalidHandler(f"{name} has max_attempts={most!r}, expected None or 1 and more.")


def is_duration(limit: object) -> bool:
    """Tell whether a value is a time above 0: seconds, or a timedelta."""
    if isinstance(limit, timedelta):
        return limit > timedelta(0)
    if not isinstance(limit, (int, float)) or isinstance(limit, bool):
        return False
    return 0 < limit < float("inf")
