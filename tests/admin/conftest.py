"""What the tests of the admin's pages share."""

from __future__ import annotations

import pytest
from django.core.cache import cache

from tests.admin_pages import client_of, superuser


@pytest.fixture(autouse=True)
def _cold():
    """Begin and end with nothing in the cache."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def client(db):
    """Return a client signed in as a superuser."""
    return client_of(superuser())
