"""``python -m bench.site.schedules COUNT``: make COUNT schedules due; print how fast they run."""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta

import django

if __name__ == "__main__":
    django.setup()

    from bench.stores import QUEUE
    from django_taskstore.database.clock import read_now
    from django_taskstore.models import Schedule, TaskDefinition
    from django_taskstore.scheduler import run_due

    count = int(sys.argv[1])
    definition = TaskDefinition.objects.get(alias="Noop")
    since = (read_now("default") - timedelta(seconds=10)).replace(microsecond=0)
    Schedule.objects.all().delete()
    Schedule.objects.bulk_create(
        (
            Schedule(
                name=f"schedule {number}",
                definition_id=definition.pk,
                queue_name=QUEUE,
                recurrence_rule="FREQ=HOURLY",
                start_at=since,
                status="active",
                next_run_at=since,
            )
            for number in range(count)
        ),
        batch_size=500,
    )
    began = time.perf_counter()
    run_due("default")
    print(json.dumps({"occurrences/s": count / (time.perf_counter() - began)}))
