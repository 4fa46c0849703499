"""``python -m bench.site.reading COUNT``: read one row again and again; print reads a second."""

from __future__ import annotations

import json
import sys
import time

import django

if __name__ == "__main__":
    django.setup()

    from bench.site.models import Note

    count = int(sys.argv[1])
    Note.objects.get(pk=1)
    began = time.perf_counter()
    for _ in range(count):
        Note.objects.get(pk=1)
    print(json.dumps({"tasks/s": count / (time.perf_counter() - began)}))
