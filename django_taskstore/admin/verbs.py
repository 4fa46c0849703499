"""What an operator can do with rows, described once for lists, buttons and messages.

Owns `Verb` and the sentence that says what came of one. It may not decide whether a row can
be moved: the model's verb does, and says so by its return value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import ngettext

#: Takes a number, returns it with a participle: "3 canceled".
Counted = Callable[[int], str]


@dataclass(frozen=True, eq=False)
class Verb:
    """One thing to do with rows.

    Attributes:
        name: its place in the address of its page.
        permission: it needs ``has_<permission>_permission``.
        label: what the button says.
        explanation: what will happen, for the confirmation page.
        fits: whether it would change this row; only the buttons and the forecast ask it.
        run: called with the row and the form's data; what it returns is true when the row changed.
        done: the words for the changed row.
        left: why a row was left as it was.
        recorded: the line in the row's history.
        form_for: makes the form of the confirmation page, or None.
        is_dangerous: whether it destroys or repeats something.
        undoes: whether it only takes another verb back, so that nobody misses it where it does
            not fit.
        unfit: why it does not fit a row, for its page; `left` by default.
    """

    name: str
    permission: str
    label: Any
    explanation: Any
    fits: Callable[[Any], bool]
    run: Callable[[Any, dict[str, Any]], Any]
    done: Callable[[Any], Counted]
    left: Any
    recorded: Any
    form_for: Callable[[list[Any], Any], forms.Form] | None = None
    is_dangerous: bool = False
    undoes: bool = False
    unfit: Any = ""

    @property
    def reason(self) -> Any:
        """Why it does not fit a row."""
        return self.unfit or self.left

    @property
    def action_name(self) -> str:
        """The action's name; ours for "delete" takes the place of the site's hard delete."""
        return "delete_selected" if self.name == "delete" else self.name

    def as_action(self) -> Callable[[Any, Any, Any], Any]:
        """Return the action for a list: it shows the confirmation page."""

        @admin.action(description=self.label, permissions=[self.permission])
        def choose(model_admin: Any, request: Any, queryset: Any) -> Any:
            return model_admin.choose(request, self, queryset)

        choose.__name__ = self.action_name
        return choose


@dataclass
class Tally:
    """What came of a verb, row by row."""

    verb: Verb
    changed: list[Any] = field(default_factory=list)
    skipped: int = 0
    errors: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    words: dict[str, Counted] = field(default_factory=dict)

    def add(self, row: Any, result: Any) -> None:
        """Count one row."""
        if not result:
            self.skipped += 1
            return
        self.changed.append(result)
        counted = self.verb.done(row)
        # A function may be made anew for each row: what it says of one row tells it from others.
        self.words[counted(1)] = counted
        self.done[counted(1)] += 1

    def __str__(self) -> str:
        parts = [self.words[one](number) for one, number in self.done.items()]
        if self.skipped:
            parts.append(
                ngettext("%(count)d skipped: %(why)s", "%(count)d skipped: %(why)s", self.skipped)
                % {"count": self.skipped, "why": self.verb.left}
            )
        return ", ".join(parts)
