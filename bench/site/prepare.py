"""``python -m bench.site.prepare``: migrate, and enqueue one task of each kind as a template."""

from __future__ import annotations

import django
from django.core.management import call_command

if __name__ == "__main__":
    django.setup()
    call_command("migrate", verbosity=0, run_syncdb=True)

    from bench.site.models import Note
    from django_taskstore import enqueue
    from django_taskstore.registry import registry

    Note.objects.create(text="Read me.")
    for handler in registry:
        enqueue(handler, queue_name=handler.alias)
