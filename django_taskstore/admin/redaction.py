"""Which values nobody may see, and how an edit keeps them without showing them.

Owns the mask. A value is hidden when its key is one of the handler's
`sensitive_parameters`, or looks like the name of a secret, at any depth.
"""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from django_taskstore.registry import registry

MASK = "••••••••"
SECRET = re.compile(
    r"passw|passphrase|secret|token|api_?key|authorization|cookie|session|credential|private_?key"
)


def sensitive_names(alias: str) -> frozenset[str]:
    """Return the names that the handler of an alias wants hidden, in lower case."""
    names = registry.get(alias).sensitive_parameters if alias in registry else ()
    return frozenset(str(name).lower() for name in names)


def is_hidden(key: str, names: frozenset[str]) -> bool:
    """Tell whether the value under this key is hidden."""
    plain = key.lower()
    return plain in names or SECRET.search(plain.replace("-", "_")) is not None


def redacted(value: Any, names: frozenset[str]) -> Any:
    """Return a copy of a JSON value with every hidden value replaced by the mask."""
    if isinstance(value, dict):
        return {
            key: MASK if is_hidden(key, names) and item is not None else redacted(item, names)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [redacted(item, names) for item in value]
    return value


def restored(edited: Any, original: Any, names: frozenset[str]) -> Any:
    """Return what was edited, with the original values back where the mask was left alone.

    An item of a list gets its values back only while it is otherwise unchanged: after items
    were moved, nobody can tell whose secret a mask stood for.

    Args:
        edited: what a person made of ``redacted(original, names)``.
        original: the stored value.
        names: as in `redacted`.

    Raises:
        ValidationError: a mask stands where no value can be put back.
    """
    if isinstance(edited, dict):
        known = original if isinstance(original, dict) else {}
        return {key: restored_item(key, item, known, names) for key, item in edited.items()}
    if isinstance(edited, list):
        items = original if isinstance(original, list) else []
        return [
            items[place]
            if place < len(items) and redacted(items[place], names) == item
            else restored(item, None, names)
            for place, item in enumerate(edited)
        ]
    return edited


def restored_item(key: str, item: Any, known: dict[str, Any], names: frozenset[str]) -> Any:
    """Return one value of an edited object; see `restored`."""
    if not (is_hidden(key, names) and item == MASK):
        return restored(item, known.get(key), names)
    if key not in known:
        raise ValidationError(
            _("No value is known for the hidden “%(key)s” here: type it in full.") % {"key": key}
        )
    return known[key]
