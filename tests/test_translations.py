"""German and French say everything, with the same placeholders, and pages speak them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polib
import pytest
from django.core.cache import cache
from django.test import override_settings
from django.utils import translation

import django_taskstore
from django_taskstore import enqueue
from django_taskstore.statistics import snapshot
from tests.admin_pages import DASHBOARD, TASKS, client_of, superuser, task_with_status, url

PACKAGE = Path(django_taskstore.__file__).parent
LANGUAGES = ("de", "fr")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%|%[sd]|\{\w*\}")


def catalogue(language, suffix="po"):
    """Read a catalogue."""
    path = PACKAGE / "locale" / language / "LC_MESSAGES" / f"django.{suffix}"
    read = polib.pofile if suffix == "po" else polib.mofile
    return read(str(path))


def texts_of(entry):
    """Return the translations of an entry."""
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_left_untranslated(language):
    entries = list(catalogue(language))

    assert len(entries) > 400
    assert [one.msgid for one in entries if one.fuzzy or one.obsolete] == []
    assert [one.msgid for one in entries if not all(texts_of(one))] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_survive_translation(language):
    for entry in catalogue(language):
        allowed = [sorted(PLACEHOLDER.findall(entry.msgid))]
        if entry.msgid_plural:
            allowed.append(sorted(PLACEHOLDER.findall(entry.msgid_plural)))
        for text in texts_of(entry):
            used = sorted(PLACEHOLDER.findall(text))
            fits = used in allowed or (entry.msgid_plural and set(used) <= set(allowed[1]))
            assert fits, (entry.msgid, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_the_written_one(language):
    written = {(one.msgctxt, one.msgid): texts_of(one) for one in catalogue(language)}
    compiled = {(one.msgctxt, one.msgid): texts_of(one) for one in catalogue(language, "mo")}

    assert compiled == written


def test_the_catalogues_hold_every_text_of_the_code(tmp_path):
    if shutil.which("xgettext") is None:
        reason = "gettext is not installed (apt-get install gettext)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    copy = tmp_path / "django_taskstore"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    # The package has a module "queue": its folder must not be on Python's path.
    command = [sys.executable, "-P", "-m", "django", "makemessages", "-l", "de", "--no-obsolete"]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    found = polib.pofile(str(copy / "locale" / "de" / "LC_MESSAGES" / "django.po"))

    in_code = {(one.msgctxt, one.msgid) for one in found}
    for language in LANGUAGES:
        held = {(one.msgctxt, one.msgid) for one in catalogue(language)}
        assert in_code - held == set(), "make messages brings the catalogues up to date"
        assert held - in_code == set()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("de", ["Am längsten wartend", "Was endete", "kein Worker bedient sie", "Aktualisieren"]),
        (
            "fr",
            ["Plus longue attente", "Ce qui s'est terminé", "aucun worker ne sert", "Actualiser"],
        ),
    ],
)
def test_the_dashboard_speaks_it(language, words):
    cache.clear()
    task_with_status("queued")
    with override_settings(LANGUAGE_CODE=language):
        page = client_of(superuser()).get(url(f"{DASHBOARD}_changelist")).content.decode()
    cache.clear()

    page = page.replace("&#x27;", "'")
    for word in words:
        assert word in page
    assert "%%" not in page
    for word in ("Oldest waiting", "What ended", "Connection lost"):
        assert word not in page


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "words"),
    [("de", ["Neu einreihen", "Erstellt", "Gescheitert"]), ("fr", ["Remettre en file", "Créée"])],
)
def test_a_task_speaks_it(language, words):
    task = task_with_status("failed")
    with override_settings(LANGUAGE_CODE=language):
        page = client_of(superuser()).get(url(f"{TASKS}_change", task.pk)).content.decode()

    for word in words:
        assert word in page
    for word in ("Requeue as new", "Machinery", "Hidden values"):
        assert word not in page


@pytest.mark.django_db
def test_one_and_many_differ():
    enqueue("Noop", {})
    with translation.override("de"):
        assert "1 Aufgabe wartet" in snapshot("default").warnings[0].text
    enqueue("Noop", {})
    with translation.override("fr"):
        assert "2 tâches attendent" in snapshot("default").warnings[0].text
