"""``python -m bench.site.latency N``: print the delays of N tasks enqueued when all is quiet."""

from __future__ import annotations

import json
import sys

import django

from bench.stamps import delays

if __name__ == "__main__":
    django.setup()

    from bench.stores import QUEUE
    from django_taskstore import enqueue

    print(
        json.dumps(
            delays(
                lambda path: enqueue("Stamp", {"path": path}, queue_name=QUEUE), int(sys.argv[1])
            )
        )
    )
