"""Django settings of the tests, for the database that TASKSTORE_TEST_DB names.

A worker process that a test starts uses the same settings, with TASKSTORE_TEST_DB_NAME set
to the name of the test's database. TASKSTORE_TEST_SUFFIX keeps runs side by side apart.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

BACKEND = os.environ.get("TASKSTORE_TEST_DB", "sqlite")
NAME = f"taskstore{os.environ.get('TASKSTORE_TEST_SUFFIX', '')}"
SQLITE_FILE = Path(tempfile.gettempdir()) / f"{NAME}-tests-{os.getuid()}.sqlite3"

SERVERS: dict[str, dict[str, object]] = {
    "sqlite": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(SQLITE_FILE),
        "OPTIONS": {
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
        "TEST": {"NAME": str(SQLITE_FILE)},
    },
    "postgresql": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": NAME,
        "HOST": os.environ.get("PGHOST", "127.0.0.1"),
        "PORT": os.environ.get("PGPORT", "5432"),
        "USER": os.environ.get("PGUSER", "postgres"),
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
    },
    "mysql": {
        "ENGINE": "django.db.backends.mysql",
        "NAME": NAME,
        "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
        "PORT": os.environ.get("MYSQL_PORT", "3306"),
        "USER": os.environ.get("MYSQL_USER", "root"),
        "PASSWORD": os.environ.get("MYSQL_PASSWORD", ""),
        "OPTIONS": {"charset": "utf8mb4"},
        "TEST": {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_general_ci"},
    },
}

DATABASES = {"default": SERVERS[BACKEND]}
if "TASKSTORE_TEST_DB_NAME" in os.environ:
    DATABASES["default"]["NAME"] = os.environ["TASKSTORE_TEST_DB_NAME"]

SECRET_KEY = "tests only"
USE_TZ = True
TIME_ZONE = "Europe/Sofia"
ROOT_URLCONF = "tests.urls"
STATIC_URL = "/static/"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_taskstore",
    "tests.testapp",
]
TASKS = {
    "default": {"BACKEND": "django_taskstore.backends.TaskStoreBackend", "QUEUES": []},
}
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
