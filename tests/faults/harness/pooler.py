"""PgBouncer between workers and PostgreSQL, in transaction mode.

Owns `Pooler`, a process of a case's own on a port of its own.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from tests.faults.harness.servers import free_port, search_path, unprivileged
from tests.helpers import wait_until

PROGRAM = "pgbouncer"
CONFIGURATION = """
[databases]
* = host={host} port={target} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 10
"""


class Pooler:
    """One PgBouncer, which starts at once.

    Args:
        folder: where its configuration and its log go.
        place: the settings of the database behind it.
    """

    def __init__(self, folder, place):
        self.port = free_port()
        self.folder = Path(folder)
        configuration = self.folder / "pgbouncer.ini"
        configuration.write_text(
            CONFIGURATION.format(
                host=place["HOST"], target=place["PORT"], user=place["USER"], port=self.port
            )
        )
        self.log = (self.folder / "pgbouncer.log").open("wb")
        # It refuses to run as root; its configuration comes by stdin, which anybody may read.
        with configuration.open("rb") as given:
            self.process = subprocess.Popen(
                [shutil.which(PROGRAM, path=search_path()), "/dev/stdin"],
                stdin=given,
                stdout=self.log,
                stderr=self.log,
                cwd="/",
                user=unprivileged(),
            )
        wait_until(self.answers, what="PgBouncer to answer")

    @staticmethod
    def is_installed():
        """Tell whether this machine has PgBouncer."""
        return shutil.which(PROGRAM, path=search_path()) is not None

    def answers(self):
        """Tell whether it takes connections."""
        assert self.process.poll() is None, (self.folder / "pgbouncer.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        """End it and with it all its connections."""
        self.process.kill()
        self.process.wait(30)
        self.log.close()
