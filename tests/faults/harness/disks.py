"""A disk so small that a case can fill it.

Owns `Disk`: a file system in memory, mounted for one case, and the way to a SQLite file on
it. Mounting needs an administrator's rights; where they are missing the case is skipped, and
says so.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from pathlib import Path

import pytest
from django.db import connection

from tests.helpers import wait_until

MEGABYTE = 1 << 20


class Disk:
    """A mounted file system of a fixed size."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.filler = self.folder / "filler"

    def fill(self):
        """Take all the space that is left."""
        with self.filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(MEGABYTE // 16))

    def free(self):
        """Give it back."""
        self.filler.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(megabytes):
    """Mount a disk of this size, or skip the test."""
    with tempfile.TemporaryDirectory(prefix="taskstore-disk-") as folder:
        size = f"size={megabytes}m,mode=0755"
        mount = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "taskstore", folder],
            check=False,
            capture_output=True,
            text=True,
        )
        if mount.returncode:
            pytest.skip(f"no small disk can be mounted here: {mount.stderr.strip()}")
        try:
            yield Disk(folder)
        finally:
            wait_until(lambda: unmounted(folder), what="the end of what used the disk")


@contextlib.contextmanager
def connected_to_file(path):
    """Point Django's default connection, in this process, at a SQLite file."""
    connection.close()
    before = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = str(path)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before


def unmounted(folder):
    """Unmount; return whether nothing uses it any more."""
    return not subprocess.run(["umount", folder], check=False, capture_output=True).returncode
