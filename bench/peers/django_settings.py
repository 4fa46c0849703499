"""Settings of the peers that live in Django; BENCH_PEER names the module."""

from __future__ import annotations

import json
import os

PEER = os.environ["BENCH_PEER"]
SECRET_KEY = "only for measuring"
DATABASES = {"default": json.loads(os.environ["BENCH_DATABASE"])}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    {
        "procrastinate": "procrastinate.contrib.django",
        "django_tasks_db": "django_tasks_db",
        "django_ox": "django_ox",
        "django_q2": "django_q",
    }[PEER],
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
LOGGING = {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING"}}
PROCRASTINATE_IMPORT_PATHS = ["bench.peers.procrastinate"]
TASKS = {
    "default": {
        "BACKEND": {"django_ox": "django_ox.backend.OxBackend"}.get(
            PEER, "django_tasks_db.DatabaseBackend"
        )
    }
}
Q_CLUSTER = {
    "name": "bench",
    "orm": "default",
    "log_level": "WARNING",
    **json.loads(os.environ.get("BENCH_Q_CLUSTER", "{}")),
}
