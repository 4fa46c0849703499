"""Commands that use one verb on the tasks a person names.

Owns `ActingCommand`: count, ask, act batch after batch, say what came of it. The verbs are
`bulk`'s, the same as on the admin's pages.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from django.db.models import Count

from django_taskstore import bulk
from django_taskstore.management.arguments import FAILED, INTERRUPTED, StoreCommand
from django_taskstore.management.batches import (
    JSON_VERSION,
    Progress,
    add_batch_arguments,
    check_nobody_is_asked,
    confirm,
    tasks_in_words,
    work_off,
)
from django_taskstore.management.output import log_off_terminal
from django_taskstore.management.readiness import ready_database
from django_taskstore.management.selecting import (
    Span,
    add_selecting_arguments,
    check_something_is_meant,
    meant,
)
from django_taskstore.models.querysets import QueuedTaskQuerySet


class ActingCommand(StoreCommand):
    """A verb for tasks.

    Attributes:
        verb: a key of `bulk.VERBS`.
        infinitive, doing, done: the verb in words, capitalised.
        fits: statuses of tasks that the verb fits.
        default: in words, which statuses are meant when none is named.
        age_column, age_of: what an age counts from, for the database and in words.
    """

    verb: ClassVar[str]
    infinitive: ClassVar[str]
    doing: ClassVar[str]
    done: ClassVar[str]
    fits: ClassVar[Collection[str]]
    default: ClassVar[str]
    age_column: ClassVar[str]
    age_of: ClassVar[str]

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the words that name tasks, and how to act on them."""
        add_selecting_arguments(
            parser, statuses=self.fits, default=self.default, age_of=self.age_of
        )
        add_batch_arguments(parser, batch=bulk.CHUNK)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Count, ask, act.

        Raises:
            CommandError: with the exit code that says why.
        """
        check_something_is_meant(options)
        check_nobody_is_asked(options)
        verb_options = self.verb_options(options)
        using = ready_database()
        tasks = meant(using, options, statuses=self.statuses(options), age_column=self.age_column)
        if options["dry_run"]:
            self._show(counts(tasks), options)
            return
        # Beforehand: tasks that come while somebody thinks were not meant.
        whole = bounds(options["ids"], using)
        progress = Progress(
            self.stderr, self.doing, expected=self._ask(tasks, options), options=options
        )
        total = Total(whole)
        chunks = bulk.at_once(
            self.verb,
            tasks,
            options=verb_options,
            after_id=whole.first - 1,
            last_id=whole.last,
            chunk=options["batch"],
        )
        with log_off_terminal():
            was_cut_short = work_off(total.count(chunks), progress, sleep_seconds=options["sleep"])
        rest = total.rest(options["ids"]) if was_cut_short else ""
        self._tell(total.moved, progress, options, rest=rest)
        self._complain(total.moved, options, rest=rest)

    def statuses(self, options: dict[str, Any]) -> Collection[str]:
        """Return the statuses that are meant."""
        return options["statuses"] or self.fits

    def verb_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return what the verb takes."""
        return {}

    def _show(self, found: dict[str, int], options: dict[str, Any]) -> None:
        """Say what would be done."""
        if options["json"]:
            facts = {"version": JSON_VERSION, "verb": self.verb, "dry_run": True, "tasks": found}
            self.stdout.write(json.dumps(facts))
        else:
            would = f"Would {self.infinitive.lower()} {tasks_in_words(found)}."
            self.stdout.write(f"{would} Nothing was changed.")

    def _ask(self, tasks: QueuedTaskQuerySet, options: dict[str, Any]) -> int | None:
        """Ask whether to go on; return how many tasks there are, None when nobody counted."""
        if options["no_input"]:
            return None
        found = counts(tasks)
        if found:
            question = f"{self.infinitive} {tasks_in_words(found)}?"
            confirm(question, otherwise="nothing was changed")
        return sum(found.values())

    def _tell(
        self, moved: bulk.Moved, progress: Progress, options: dict[str, Any], *, rest: str
    ) -> None:
        """Say what was done, to programs or to people."""
        if options["json"]:
            facts = {
                "version": JSON_VERSION,
                "verb": self.verb,
                "dry_run": False,
                "changed": moved.changed,
                "skipped": moved.skipped,
                "refused": moved.refused,
                "first_refusal": moved.first_refusal,
                "rest": rest,
                "seconds": round(progress.seconds, 3),
            }
            self.stdout.write(json.dumps(facts, ensure_ascii=False))
        elif options["verbosity"] or rest:
            tasks = f"{moved.changed:,} task{'' if moved.changed == 1 else 's'}"
            self.stdout.write(f"{self.done} {tasks} in {progress.seconds:.1f} s.")

    def _complain(self, moved: bulk.Moved, options: dict[str, Any], *, rest: str) -> None:
        """Say what was not done.

        Raises:
            CommandError: something was not.
        """
        if rest:
            raise CommandError(
                f"Interrupted; for the rest use the same options with the ids {rest}.",
                returncode=INTERRUPTED,
            )
        if moved.refused:
            raise CommandError(
                f"{moved.refused} refused; the first: {moved.first_refusal}", returncode=FAILED
            )
        named = {one.first for one in options["ids"] if one.first == one.last}
        missed = len(named) - moved.changed
        if missed > 0 and len(named) == len(options["ids"]):
            raise CommandError(
                f"{missed} of {len(named)} named by id: no such task, or in no status that fits "
                f"({', '.join(self.statuses(options))}).",
                returncode=FAILED,
            )


class Total:
    """What became of all chunks so far.

    Args:
        whole: the ids that are looked through.
    """

    def __init__(self, whole: Span) -> None:
        self.whole = whole
        self.moved = bulk.Moved(done_to_id=whole.first - 1)

    def count(self, chunks: Iterator[bulk.Moved]) -> Iterator[int]:
        """Add up chunks, and yield how many tasks each looked at."""
        for moved in chunks:
            self.moved += moved
            yield moved.changed + moved.skipped + moved.refused

    def rest(self, spans: Collection[Span]) -> str:
        """Return in words which ids are left, or ""."""
        left = (
            one.between(self.moved.done_to_id, self.whole.last) for one in spans or [self.whole]
        )
        return " ".join(str(one) for one in left if one.first <= one.last)


def bounds(spans: Collection[Span], using: str) -> Span:
    """Return the ids to look through: those that were named, or of all tasks there are now."""
    newest = bulk.newest_id(using)
    if not spans:
        return Span(bulk.eldest_id(using), newest)
    last = max(one.last for one in spans)
    return Span(min(one.first for one in spans), min(last, newest))


def counts(tasks: QueuedTaskQuerySet) -> dict[str, int]:
    """Count tasks by status."""
    found = tasks.order_by().values_list("status").annotate(n=Count("pk"))
    return {str(status): n for status, n in sorted(found)}
