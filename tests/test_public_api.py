"""What the package's root hands out, and that it does so before apps are ready."""

from __future__ import annotations

import subprocess
import sys

import pytest

import django_taskstore
from tests.helpers import ROOT

NAMES = {
    "Cancel", "Retry", "Snooze", "TaskHandler", "TaskQueueRunner", "aenqueue", "claim_next",
    "enqueue", "enqueue_many", "fail", "register", "release", "requeue", "succeed",
}  # fmt: skip


def test_the_public_names_are_there():
    assert set(django_taskstore.__all__) >= NAMES
    for name in django_taskstore.__all__:
        assert getattr(django_taskstore, name) is not None
    assert set(dir(django_taskstore)) >= NAMES | {"__version__"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'enqeue'"):
        _ = django_taskstore.enqeue


def test_importing_the_root_loads_neither_models_nor_django():
    code = (
        "import sys, django_taskstore, django_taskstore.exceptions\n"
        "assert 'django_taskstore.models' not in sys.modules\n"
        "assert 'django.db.models' not in sys.modules\n"
        "from django_taskstore import Retry, Snooze, Cancel\n"
        "assert 'django.db.models' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_package_tells_type_checkers_that_it_is_typed():
    assert (ROOT / "django_taskstore" / "py.typed").exists()


def test_each_exception_documents_itself():
    from django_taskstore import exceptions

    for name in exceptions.__all__:
        kind = getattr(exceptions, name)
        assert issubclass(kind, exceptions.TaskStoreError)
        assert kind.__doc__
    assert str(exceptions.ClaimLost()) == exceptions.ClaimLost.__doc__
