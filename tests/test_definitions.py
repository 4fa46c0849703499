"""Definition rows: mirrored, kept deleted, never forgotten wrongly."""

from __future__ import annotations

import pytest

from django_taskstore import definitions, enqueue
from django_taskstore.exceptions import DefinitionCanceled, HandlerNotFound, TaskStoreError
from django_taskstore.models import TaskDefinition
from tests.helpers import captured_sql, fresh
from tests.testapp.tasks import Noop

pytestmark = pytest.mark.django_db


class Fresh(Noop):
    """A handler that no migration has seen."""

    title = "Quite fresh"
    description = "Just registered"


def test_migrate_has_mirrored_every_handler():
    row = TaskDefinition.objects.get(alias="HelloWorldTask")
    assert (row.title, row.description, row.status) == ("Hello World", "Say hello world", "active")


def test_the_mirror_makes_what_is_missing_and_updates_titles(add_handler):
    add_handler(Fresh)
    definitions.mirror("default")
    row = TaskDefinition.objects.get(alias="Fresh")
    assert (row.title, row.description) == ("Quite fresh", "Just registered")
    TaskDefinition.objects.filter(pk=row.pk).update(title="Old", memo="ours")
    definitions.mirror("default")
    row.refresh_from_db()
    assert (row.title, row.memo) == ("Quite fresh", "ours")


def test_a_mirror_with_nothing_to_do_reads_once():
    definitions.mirror("default")
    with captured_sql() as statements:
        definitions.mirror("default")
    assert len(statements) == 1


def test_the_mirror_leaves_a_deleted_definition_deleted():
    TaskDefinition.objects.get(alias="Noop").soft_delete()
    definitions.mirror("default")
    assert not TaskDefinition.objects.filter(alias="Noop").exists()
    assert TaskDefinition.all_objects.filter(alias="Noop").count() == 1
    with pytest.raises(DefinitionCanceled):
        enqueue("Noop")
    assert TaskDefinition.all_objects.get(alias="Noop").restore()
    assert fresh(enqueue("Noop")).definition.alias == "Noop"


def test_an_alias_registered_again_takes_over_its_old_row(add_handler):
    add_handler(Fresh)
    first = enqueue("Fresh").definition_id
    definitions.registry.remove("Fresh")
    add_handler(Fresh)
    definitions.mirror("default")
    assert enqueue("Fresh").definition_id == first


def test_a_handler_may_leave_its_definition_to_people(add_handler):
    add_handler(Fresh, create_if_missing=False)
    definitions.mirror("default")
    with pytest.raises(HandlerNotFound, match="create_if_missing=False and has no task definition"):
        enqueue("Fresh")
    TaskDefinition.objects.create(alias="Fresh")
    assert fresh(enqueue("Fresh")).status == "queued"


def test_a_definition_is_never_removed():
    row = TaskDefinition.objects.get(alias="Noop")
    with pytest.raises(TaskStoreError, match="use soft_delete"):
        row.delete()
    with pytest.raises(TaskStoreError, match="use soft_delete"):
        TaskDefinition.objects.filter(alias="Noop").delete()


def test_the_verbs_of_one_definition_tell_whether_they_changed_it():
    row = TaskDefinition.objects.get(alias="Noop")
    for verb, back in (("cancel", "activate"), ("soft_delete", "restore")):
        assert getattr(row, verb)() is True
        assert row.takes_work is False
        assert getattr(row, verb)() is False
        assert getattr(row, back)() is True
        assert row.takes_work is True
        assert getattr(row, back)() is False


def test_the_verbs_of_many_definitions_count():
    rows = TaskDefinition.all_objects.filter(alias__in=["Noop", "Typed"])
    for verb, back in (("cancel", "activate"), ("soft_delete", "restore")):
        assert getattr(rows, verb)() == 2
        assert getattr(rows, verb)() == 0
        assert rows.active().count() == 0
        assert getattr(rows, back)() == 2
        assert rows.active().count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["cancel", "soft_delete"])
def test_a_verb_of_many_is_heard_by_this_process_at_once(verb):
    """As the admin's actions call it; another process may need five seconds."""
    enqueue("Noop")
    getattr(TaskDefinition.objects.filter(alias="Noop"), verb)()
    with pytest.raises(DefinitionCanceled):
        enqueue("Noop")


def test_definitions_are_found_by_alias_and_id_listed_and_counted():
    row = TaskDefinition.objects.by_alias("Noop")
    assert TaskDefinition.objects.get(pk=row.pk) == row
    assert TaskDefinition.objects.by_alias("noop") is None
    assert TaskDefinition.objects.by_alias("missing") is None
    total = TaskDefinition.objects.count()
    row.soft_delete()
    assert TaskDefinition.objects.count() == total - 1
    assert TaskDefinition.all_objects.count() == total
    assert TaskDefinition.objects.by_alias("Noop") is None
    assert TaskDefinition.all_objects.by_alias("Noop") == row


def test_a_definition_can_be_created_and_edited_by_people():
    row = TaskDefinition.objects.create(alias="by.hand", title="By hand", memo="why")
    row.title = "Edited"
    row.save()
    row.refresh_from_db()
    assert (row.title, row.memo, str(row)) == ("Edited", "why", "Edited")


def test_known_reads_definitions_once(django_capture_on_commit_callbacks):
    ids = list(TaskDefinition.objects.values_list("pk", flat=True))
    with django_capture_on_commit_callbacks(execute=True):
        found = definitions.known(ids, "default")
    assert {found[pk].alias for pk in ids} >= {"Noop", "HelloWorldTask"}
    with captured_sql() as statements:
        assert definitions.known(ids, "default") == found
    assert statements == []
    assert definitions.known([10**9], "default") == {}
