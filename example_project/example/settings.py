"""Settings of the example project. DATABASE_URL chooses the database; SQLite is the default."""

from __future__ import annotations

import os
from pathlib import Path

import django

from example.database_url import database

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = "only for the example: a real site keeps its key out of the repository"
DEBUG = os.environ.get("DEBUG", "1") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ROOT_URLCONF = "example.urls"
WSGI_APPLICATION = "example.wsgi.application"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_taskstore",
    "newsletter",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
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

DATABASES = {
    "default": database(os.environ.get("DATABASE_URL", "sqlite:///db.sqlite3"), base=BASE_DIR)
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"

# Mail is written to files. Django 6.1 has MAILERS in the place of the older settings.
MAIL_DIR = Path(os.environ.get("MAIL_DIR", BASE_DIR / "sent_mail"))
MAIL_FILES = "django.core.mail.backends.filebased.EmailBackend"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": MAIL_FILES, "OPTIONS": {"file_path": MAIL_DIR}}}
else:
    EMAIL_BACKEND = MAIL_FILES
    EMAIL_FILE_PATH = MAIL_DIR
DEFAULT_FROM_EMAIL = "The Weekly Tide <hello@example.com>"
SITE_URL = os.environ.get("SITE_URL", "http://127.0.0.1:8000")

# Where ImportSubscribersTask may read from.
IMPORT_DIR = BASE_DIR / "data"

TASKSTORE = {
    "MAX_CONCURRENCY": 4,
    # A worker on a laptop is killed more often than one in production; find out sooner.
    "LEASE_SECONDS": 30,
    "HEARTBEAT_SECONDS": 10,
}
