"""The rows that describe handlers: made when missing, found fast, never a ghost.

Owns the mirror of the registry in `TaskDefinition` and the cache of what was read. A
soft-deleted definition stays deleted: restoring it is somebody's decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.apps import apps as global_apps
from django.apps.registry import Apps
from django.db import IntegrityError, router, transaction
from django.db.models.signals import post_save

from django_taskstore.database.committed import CommittedCache
from django_taskstore.database.expressions import EACH, OneOf
from django_taskstore.database.statements import Prepared, Statement
from django_taskstore.database.transactions import will_write
from django_taskstore.exceptions import DefinitionCanceled, HandlerNotFound
from django_taskstore.models import QueuedTask, TaskDefinition
from django_taskstore.registry import HandlerClass, registry
from django_taskstore.signals import definitions_changed

#: Another process may cancel a definition; its tasks are also canceled when claimed.
TRUSTED_SECONDS = 5.0
#: What `Definition` is made of.
COLUMNS = ("id", "alias", "status", "soft_deleted_at")


@dataclass(frozen=True, slots=True)
class Definition:
    """What enqueue and the executor need to know of a definition."""

    id: int
    alias: str
    takes_work: bool


by_alias: CommittedCache[Definition] = CommittedCache(TRUSTED_SECONDS)
by_id: CommittedCache[Definition] = CommittedCache(1.0)


def queue_database() -> str:
    """Return the alias of the database that holds the queue."""
    return router.db_for_write(QueuedTask)


def working(alias: str, using: str) -> Definition:
    """Return the definition of an alias, making its row when its handler allows.

    Raises:
        HandlerNotFound: neither a handler nor a row has the alias.
        DefinitionCanceled: the definition takes no work.
    """
    definition = by_alias.get(using, alias)
    if definition is None:
        will_write(using)
        definition = read(find_or_make(alias, using))
        by_alias.put(using, alias, definition)
    if not definition.takes_work:
        raise DefinitionCanceled(
            f"Task definition {alias!r} is canceled or deleted, so nothing was enqueued; activate "
            "or restore it in the admin first."
        )
    return definition


def find_or_make(alias: str, using: str) -> TaskDefinition:
    """Return the row of an alias, soft-deleted ones included, making it when it is missing."""
    row = TaskDefinition.all_objects.using(using).by_alias(alias)
    if row is not None:
        return row
    if not registry.is_mirrored(alias):
        raise HandlerNotFound(
            f"{registry.not_found(alias)} There is no task definition with this alias either."
            if alias not in registry
            else f"Handler {alias!r} was registered with create_if_missing=False and has no task "
            "definition: create one in the admin."
        )
    return make(registry.get(alias), using)


def make(handler: HandlerClass, using: str) -> TaskDefinition:
    """Make a handler's row; another process may be faster, then its row is returned."""
    try:
        with transaction.atomic(using=using):
            return TaskDefinition.all_objects.using(using).create(
                alias=handler.alias, title=handler.title, description=handler.description
            )
    except IntegrityError:
        return TaskDefinition.all_objects.using(using).get(alias=handler.alias)


def mirror(using: str) -> None:
    """Make a row for each registered handler that has none, and bring titles up to date."""
    rows = {row.alias: row for row in TaskDefinition.all_objects.using(using).all()}
    for handler in registry:
        row = rows.get(handler.alias)
        if row is None:
            if registry.is_mirrored(handler.alias):
                make(handler, using)
        elif (row.title, row.description) != (handler.title, handler.description):
            row.title, row.description = handler.title, handler.description
            row.save(using=using, update_fields=["title", "description", "updated_at"])


def known(ids: Iterable[int], using: str) -> dict[int, Definition]:
    """Return definitions by id, at most a second old."""
    wanted = set(ids)
    found = {pk: fact for pk in wanted if (fact := by_id.get(using, pk)) is not None}
    missing = wanted - found.keys()
    if missing:
        for values in named(using).fetch_each(missing):
            row = TaskDefinition(**dict(zip(COLUMNS, values, strict=True)))
            found[row.pk] = read(row)
            by_id.put(using, row.pk, found[row.pk])
    return found


@lru_cache(maxsize=100)
def named(using: str) -> Statement:
    """Compile the SELECT of definitions by id: a worker reads them when it has claimed."""
    return Prepared(TaskDefinition, using=using).filter(OneOf("id", EACH)).select(*COLUMNS)


def read(row: TaskDefinition) -> Definition:
    """Return what a row says."""
    return Definition(row.pk, row.alias, row.takes_work)


def forget(**_: Any) -> None:
    """Drop what was read: a definition changed, or the tables were emptied."""
    by_alias.clear()
    by_id.clear()


def mirror_after_migrate(*, using: str, apps: Apps = global_apps, **_: Any) -> None:
    """Mirror after ``migrate`` where the queue's tables live; tests flush tables this way too."""
    forget()
    # Migrated to zero, the state that Django hands over has no such model, nor a table.
    has_table = TaskDefinition._meta.model_name in apps.all_models[TaskDefinition._meta.app_label]
    if has_table and using == queue_database():
        mirror(using)


definitions_changed.connect(forget, dispatch_uid="django_taskstore.definitions.changed")
post_save.connect(forget, sender=TaskDefinition, dispatch_uid="django_taskstore.definitions")
