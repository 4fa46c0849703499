"""Who a worker is and what it says of itself: its terms, its versions, its memory.

Owns `Identity`. It writes nothing; `heartbeat` does.
"""

from __future__ import annotations

import mmap
import platform
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django

from django_taskstore.conf import LONGEST_REVISION, settings
from django_taskstore.database.servers import describe

#: Where Linux counts a process's pages of memory; the second number is those in memory.
PAGES = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this worker is, for the rows it claims and for people."""

    id: uuid.UUID
    queues: Sequence[str]
    concurrency: int
    using: str
    lease_seconds: float | None = None
    poll_seconds: float | None = None


def facts(identity: Identity) -> dict[str, Any]:
    """Return the terms that a worker works under, and what it is built on."""
    return {
        "lease_seconds": identity.lease_seconds,
        "poll_seconds": identity.poll_seconds,
        "python": platform.python_version(),
        "django": django.get_version(),
        "database": describe(identity.using),
    }


def revision() -> str:
    """Return which code of the project runs, as the settings say, or ""."""
    return str(settings.REVISION or "")[:LONGEST_REVISION]


def memory_bytes() -> int | None:
    """Return how much memory this process takes, or None where the system does not say."""
    try:
        return int(PAGES.read_bytes().split()[1]) * mmap.PAGESIZE
    except (OSError, ValueError, IndexError):
        return None
