"""Which tests one database is enough for."""

from __future__ import annotations

import pytest
from django.conf import settings

#: What scripts and style sheets do, the server's database cannot change.
one_is_enough = pytest.mark.skipif(
    settings.BACKEND != "sqlite", reason="pages look and act the same on every database: see SQLite"
)
