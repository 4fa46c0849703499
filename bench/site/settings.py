"""Settings of the measured project: what `django-admin startproject` gives, and the queue.

BENCH_DATABASE is the entry of DATABASES as JSON, BENCH_TASKSTORE that of TASKSTORE.
"""

from __future__ import annotations

import json
import os

SECRET_KEY = "only for measuring"
DATABASES = {"default": json.loads(os.environ["BENCH_DATABASE"])}
TASKSTORE = json.loads(os.environ.get("BENCH_TASKSTORE", "{}"))
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "bench.site",
    "django_taskstore",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
