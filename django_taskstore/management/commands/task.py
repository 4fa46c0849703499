"""``manage.py task``: run a handler here and now, put its work on a queue, or list handlers.

Owns the reading of a handler's parameters from the command line, the coloured lines and the
exit codes. The work is the executor's, the queueing `queue`'s.
"""

from __future__ import annotations

import json
import time
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_taskstore import queue
from django_taskstore.conf import settings
from django_taskstore.exceptions import (
    DefinitionCanceled,
    HandlerNotFound,
    InvalidParameters,
    InvalidPriority,
    InvalidQueueName,
    InvalidRunAfter,
    TaskFailed,
)
from django_taskstore.executor import Result, run_now
from django_taskstore.handlers import ERROR, SUCCESS
from django_taskstore.management.arguments import (
    FAILED,
    INTERRUPTED,
    USAGE,
    StoreCommand,
    delay_words,
    moment,
)
from django_taskstore.management.handler_arguments import HandlerParser, read_parameters
from django_taskstore.management.handler_help import handler_facts, handler_help, handler_table
from django_taskstore.management.readiness import ready_database
from django_taskstore.registry import HandlerClass, registry
from django_taskstore.statuses import Ending
from django_taskstore.tracebacks import exception_name, str_of
from django_taskstore.validation import validate_parameters

YES = {"yes", "y", "true", "1", "on"}
NO = {"no", "n", "false", "0", "off"}
REFUSALS = (
    DefinitionCanceled,
    HandlerNotFound,
    InvalidParameters,
    InvalidPriority,
    InvalidQueueName,
    InvalidRunAfter,
)


class Command(StoreCommand):
    """Run a handler in the terminal."""

    help = (
        "Run a handler here and now, or put its work on a queue. The alias comes first; case, - "
        "and _ in it do not matter. Every --name that is not listed below is a parameter of the "
        "handler."
    )
    epilog = """\
examples:
  manage.py task list [--json]                    the registered handlers
  manage.py task HelloWorldTask --help            a handler and its parameters
  manage.py task HelloWorldTask --name="Tom Jones"
  manage.py task hello-world-task --name Tom --loud --tag=a --tag=b
  manage.py task HelloWorldTask --name=Tom --enqueue=yes
  manage.py task HelloWorldTask --enqueue --enqueue-queue=emails --enqueue-after=5m
  manage.py task Report --params-json '{"year": 2030}' --param settings=x
  manage.py task Report -- --settings=x --verbosity=loud

parameters:
  --name=value and --name value give a text, --name alone gives true, a repeated one gives a
  list; a value that begins with -- needs the =. Values stay text unless the handler's form
  types them; --params-json keeps the types of JSON, and an option of the same name wins. The
  options above, such as --settings, never reach a handler: use --param, --params-json or --.

exit codes: 0 success · 1 the task failed, or canceled or postponed itself · 2 wrong usage,
unknown or canceled alias, parameters refused · 3 database not ready (--enqueue) · 130 interrupted
"""

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """Return a parser that keeps what it does not know for the handler."""
        base = super().create_parser(prog_name, subcommand, add_help=False, **options)
        return HandlerParser(
            prog=base.prog,
            usage="%(prog)s ALIAS|list [--name=value …] [options]",
            description=base.description,
            epilog=base.epilog,
            formatter_class=base.formatter_class,
            parents=[base],
            add_help=False,
            allow_abbrev=False,
            called_from_command_line=base.called_from_command_line,
        )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options, whose names no handler can use."""
        add = parser.add_argument
        add("-h", "--help", action="store_true", help="with an alias, describe the handler")
        add(
            "--enqueue",
            nargs="?",
            const="yes",
            default="no",
            metavar="yes|no",
            help="put the task on its queue instead of running it here",
        )
        add("--enqueue-queue", metavar="NAME", help="another queue than the handler's")
        add("--enqueue-priority", type=int, metavar="N", help="-100 to 100; the higher runs first")
        add(
            "--enqueue-after",
            type=moment,
            metavar="WHEN",
            help="seconds, such as 5m, or an ISO date and time with its time zone",
        )
        add("--param", action="append", default=[], metavar="NAME=VALUE", help="one parameter")
        add("--params-json", metavar="OBJECT", help="parameters as a JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        """List, describe, enqueue or run.

        Raises:
            CommandError: with the exit code that says why.
        """
        self.verbosity = options["verbosity"]
        alias, *words = options["words"] or [""]
        if options["help"] and alias in ("", "list"):
            self.stdout.write(self.create_parser("manage.py", "task").format_help())
        elif not alias or alias.startswith("-"):
            raise CommandError(
                f"Expected an alias first, not {alias!r}: manage.py task HelloWorldTask "
                "--name=Tom. `manage.py task list` shows the registered ones.",
                returncode=USAGE,
            )
        elif alias == "list":
            self._list(words)
        else:
            self._work(find(alias), words, options)

    def _list(self, words: list[str]) -> None:
        """Write the registered handlers, as a table or as JSON."""
        if words not in ([], ["--json"]):
            raise CommandError("`task list` takes --json and nothing else.", returncode=USAGE)
        if words:
            facts = [handler_facts(handler) for handler in registry]
            self.stdout.write(json.dumps(facts, ensure_ascii=False, indent=2))
        else:
            self.stdout.write(handler_table())

    def _work(self, handler: HandlerClass, words: list[str], options: dict[str, Any]) -> None:
        if options["help"]:
            self.stdout.write(handler_help(handler))
            return
        options_given = {
            name: options[f"enqueue_{word}"]
            for name, word in (
                ("queue_name", "queue"),
                ("priority", "priority"),
                ("run_after", "after"),
            )
            if options[f"enqueue_{word}"] is not None
        }
        is_queued = is_yes(options["enqueue"])
        if options_given and not is_queued:
            raise CommandError(
                "--enqueue-queue, --enqueue-priority and --enqueue-after need --enqueue=yes.",
                returncode=USAGE,
            )
        try:
            parameters = read_parameters(handler, words, options)
            if is_queued:
                self._enqueue(handler, parameters, options_given)
                return
            parameters = checked(handler, parameters)
        except REFUSALS as error:
            raise CommandError(str(error), returncode=USAGE) from error
        self._run(handler, parameters)

    def _enqueue(
        self, handler: HandlerClass, parameters: dict[str, Any], options: dict[str, Any]
    ) -> None:
        ready_database()
        task = queue.enqueue(handler, parameters, **options)
        if self.verbosity:
            line = f"{handler.alias} was enqueued as task {task.pk} on queue {task.queue_name}."
            self._write(SUCCESS, line)

    def _run(self, handler: HandlerClass, parameters: dict[str, Any]) -> None:
        """Run the handler and say what came of it.

        Raises:
            CommandError: it did not succeed; exit code 1.
        """
        began = time.perf_counter()
        try:
            result = run_now(handler, parameters, echo=self._echo)
        except KeyboardInterrupt:
            raise CommandError("Interrupted.", returncode=INTERRUPTED) from None
        if result.ending is not Ending.SUCCEEDED:
            words = f"{handler.alias} {explanation(result)}"
            raise CommandError(words, returncode=FAILED) from result.exception
        if self.verbosity:
            ran_seconds = time.perf_counter() - began
            self._write(SUCCESS, f"{handler.alias} succeeded in {ran_seconds:.2f} s.")
            if result.output is not None:
                self.stdout.write(f"Output: {json.dumps(result.output, ensure_ascii=False)}")

    def _echo(self, level: str, text: str) -> None:
        """Write a line that the handler logs; errors are written however quiet it should be."""
        if self.verbosity or level == ERROR:
            self._write(level, text)

    def _write(self, level: str, text: str) -> None:
        line = f"{level}: {text}"
        if level == ERROR:
            self.stderr.write(self.style.ERROR(line), lambda styled: styled)
            self.stderr.flush()
        else:
            style = self.style.SUCCESS if level == SUCCESS else self.style.HTTP_INFO
            self.stdout.write(style(line))
            self.stdout.flush()


def find(alias: str) -> HandlerClass:
    """Return the handler that was meant.

    Raises:
        CommandError: there is none; exit code 2, and the message names near ones.
    """
    try:
        return registry.find(alias)
    except HandlerNotFound as error:
        raise CommandError(str(error), returncode=USAGE) from error


def is_yes(word: object) -> bool:
    """Read yes or no.

    Raises:
        CommandError: it is neither; exit code 2.
    """
    text = str(word).lower()
    if text in YES or text in NO:
        return text in YES
    raise CommandError(
        f"--enqueue={word} is neither yes nor no; write --enqueue=yes.", returncode=USAGE
    )


def checked(handler: HandlerClass, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as enqueue would store them."""
    whole = validate_parameters(parameters, limit_bytes=settings.MAX_PARAMETERS_BYTES)
    return handler.clean_parameters(whole)


def explanation(result: Result) -> str:
    """Return why a run did not succeed, in words that follow the alias."""
    text = str_of(result.exception)
    if result.ending is Ending.CANCELED:
        return f"canceled itself: {text}"
    if result.ending in (Ending.RETRIED, Ending.SNOOZED):
        wait = "" if result.wait_seconds is None else f" in {delay_words(result.wait_seconds)}"
        return f"wants to run again{wait}, which only a worker does: {text} Use --enqueue=yes."
    if isinstance(result.exception, TaskFailed):
        return f"failed: {text}"
    return f"failed: {exception_name(result.exception)}: {text} (--traceback shows where)"
