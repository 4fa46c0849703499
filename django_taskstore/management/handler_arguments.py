"""A handler's parameters as people type them after ``manage.py task ALIAS``.

Owns the rule that tells a command's options from a handler's parameters, and how words
become values. It may not check values; the handler's form does.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_taskstore.management.arguments import USAGE
from django_taskstore.registry import HandlerClass


class HandlerParser(CommandParser):
    """Reads the options it knows, and leaves all other words, in order, in ``words``.

    ``run_from_argv`` and ``call_command`` both come through ``parse_args``. What follows
    ``--`` is left unread, so that a handler may have a parameter named like an option.
    """

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return the known options, and ``words``."""
        given = list(sys.argv[1:] if args is None else args)
        end = given.index("--") if "--" in given else len(given)
        known, words = self.parse_known_args(given[:end], namespace)
        known.words = [*words, *given[end + 1 :]]
        return known


def read_parameters(
    handler: HandlerClass, words: Sequence[str], options: dict[str, Any]
) -> dict[str, Any]:
    """Return the parameters that the words and the options give.

    Args:
        handler: its form says whether ``--dry-run`` means ``dry_run``.
        words: what follows the alias.
        options: ``param`` and ``params_json`` of the command.

    Raises:
        CommandError: a word or the JSON cannot be read; exit code 2.
    """
    values: defaultdict[str, list[Any]] = defaultdict(list)
    for name, value in [*pairs(words), *map(assignment, options["param"])]:
        values[field_name(handler, name)].append(value)
    typed = {name: many if len(many) > 1 else many[0] for name, many in values.items()}
    return {**json_object(options["params_json"]), **typed}


def pairs(words: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield name and value of each parameter; one without a value is True.

    Raises:
        CommandError: a word is no parameter; exit code 2.
    """
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, has_value, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise CommandError(
                f"{word!r} is no parameter: write --name=value, --name value or --name.",
                returncode=USAGE,
            )
        if has_value:
            yield name, value
        elif rest and not rest[0].startswith("--"):
            yield name, rest.pop(0)
        else:
            yield name, True


def assignment(text: str) -> tuple[str, str]:
    """Read ``name=value``.

    Raises:
        CommandError: it is not of this form; exit code 2.
    """
    name, has_value, value = text.partition("=")
    if not name or not has_value:
        raise CommandError(f"--param {text!r} is not NAME=VALUE.", returncode=USAGE)
    return name, value


def field_name(handler: HandlerClass, name: str) -> str:
    """Return the name of a parameter: ``dry-run`` is ``dry_run`` where the form has only that."""
    fields = getattr(handler.form_class, "base_fields", {})
    underscored = name.replace("-", "_")
    return underscored if name not in fields and underscored in fields else name


def json_object(text: str | None) -> dict[str, Any]:
    """Read a JSON object; None stands for an empty one.

    Raises:
        CommandError: it is no such object; exit code 2.
    """
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise CommandError(f"--params-json is not JSON: {error}.", returncode=USAGE) from error
    if not isinstance(value, dict):
        raise CommandError(
            f"--params-json is a JSON {type(value).__name__}, expected an object such as "
            '{"name": "Tom"}.',
            returncode=USAGE,
        )
    return value
