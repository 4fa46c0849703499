"""``python -m bench.site.enqueue WAY COUNT``: put tasks on the queue; print rows a second."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import django


def ways(count: int) -> dict[str, Callable[[], object]]:
    """Return what can be measured, by name."""
    from bench.stores import QUEUE
    from django_taskstore import enqueue, enqueue_many
    from django_taskstore.models import QueuedTask, TaskDefinition

    definition = TaskDefinition.objects.get(alias="Noop")

    def create() -> None:
        for number in range(count):
            QueuedTask.objects.create(
                definition_id=definition.pk, queue_name=QUEUE, parameters={"number": number}
            )

    def one() -> None:
        for number in range(count):
            enqueue("Noop", {"number": number}, queue_name=QUEUE)

    def bulk_create() -> None:
        rows = (
            QueuedTask(definition_id=definition.pk, queue_name=QUEUE, parameters={"number": number})
            for number in range(count)
        )
        QueuedTask.objects.bulk_create(rows, batch_size=1_000)

    def many() -> None:
        enqueue_many("Noop", ({"number": number} for number in range(count)), queue_name=QUEUE)

    return {"create": create, "one": one, "bulk_create": bulk_create, "many": many}


if __name__ == "__main__":
    django.setup()
    way = ways(int(sys.argv[2]))[sys.argv[1]]
    if sys.argv[1] in ("one", "many"):
        ways(1)[sys.argv[1]]()  # The definition and the queue are known from the second call on.
    began = time.perf_counter()
    way()
    print(json.dumps({"rows/s": int(sys.argv[2]) / (time.perf_counter() - began)}))
