"""The example project: its demo and its own tests, run as a newcomer runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

from tests.helpers import ROOT

EXAMPLE = ROOT / "example_project"


@pytest.fixture
def database_url(tmp_path, django_db_modify_db_settings, django_db_blocker):
    """Make an empty database beside the tests' own, and remove it afterwards."""
    if settings.BACKEND == "sqlite":
        yield f"sqlite:///{tmp_path / 'example.sqlite3'}"
        return
    name, server = f"{settings.NAME}_example", connection.settings_dict
    quoted = connection.ops.quote_name(name)
    with django_db_blocker.unblock():
        execute(f"DROP DATABASE IF EXISTS {quoted}", f"CREATE DATABASE {quoted}")
        login = f"{quote(server['USER'])}:{quote(server['PASSWORD'])}"
        yield f"{settings.BACKEND}://{login}@{server['HOST']}:{server['PORT']}/{name}"
        execute(f"DROP DATABASE {quoted}")


def execute(*statements):
    """Run statements that no transaction may hold."""
    with connection._nodb_cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def run(*command, database_url, tmp_path, cwd=EXAMPLE):
    """Run a command of the example and return its output; it must succeed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("DJANGO_")},
            "DATABASE_URL": database_url,
            "MAIL_DIR": str(tmp_path / "sent_mail"),
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_demo_sends_a_newsletter(database_url, tmp_path):
    output = run("sh", "demo.sh", database_url=database_url, tmp_path=tmp_path)
    assert "Hello Tom Jones!" in output
    report = output[output.index("What came of it") :]
    statuses = {line.split()[1]: line.split()[3] for line in report.splitlines() if "Task " in line}
    assert statuses["SendNewsletterTask"] == "success", report
    assert statuses["FetchPartnerNewsTask"] == "success", report
    # Mails of one moment may share a file.
    texts = [path.read_text() for path in (tmp_path / "sent_mail").iterdir()]
    mails = sum(text.count("\nMessage-ID: ") for text in texts)
    assert mails >= 5
    assert f"{mails} e-mails sent" in report


def test_the_demo_runs_twice(database_url, tmp_path):
    for _ in range(2):
        output = run(
            sys.executable, "manage.py", "migrate", database_url=database_url, tmp_path=tmp_path
        )
        run(sys.executable, "manage.py", "demo_data", database_url=database_url, tmp_path=tmp_path)
    assert "No migrations to apply." in output
    assert "arning" not in output


def test_its_own_tests_pass(database_url, tmp_path):
    command = (sys.executable, "-W", "error", "manage.py", "test", "--noinput", "--verbosity", "2")
    output = run(*command, database_url=database_url, tmp_path=tmp_path)
    assert "FAILED" not in output
    assert "test_a_subscriber_is_welcomed_by_mail" in output


def test_no_migration_is_missing(database_url, tmp_path):
    command = (sys.executable, "manage.py", "makemigrations", "--check", "--dry-run")
    output = run(*command, database_url=database_url, tmp_path=tmp_path)
    assert "No changes detected" in output


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://ann:a%40b@db.example:5433/news?sslmode=require",
            {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "news",
                "USER": "ann",
                "PASSWORD": "a@b",
                "HOST": "db.example",
                "PORT": "5433",
                "OPTIONS": {"sslmode": "require"},
            },
        ),
        ("mysql://root@127.0.0.1/news", {"ENGINE": "django.db.backends.mysql", "PORT": ""}),
        ("mariadb://root@127.0.0.1/news", {"ENGINE": "django.db.backends.mysql"}),
        ("sqlite:///db.sqlite3", {"NAME": "/base/db.sqlite3"}),
        ("sqlite:////tmp/other.sqlite3", {"NAME": "/tmp/other.sqlite3"}),
    ],
)
def test_database_urls(monkeypatch, url, expected):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    from pathlib import Path

    from example.database_url import database

    entry = database(url, base=Path("/base"))
    assert entry.items() >= expected.items()


def test_an_unknown_database_url_is_explained(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    from example.database_url import database

    with pytest.raises(ValueError, match="expected one of sqlite, postgresql"):
        database("oracle://x/y", base=ROOT)
