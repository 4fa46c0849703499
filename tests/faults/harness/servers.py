"""Database servers of a case's own, in a temporary folder: to stop, kill, fill and start again.

Owns `PostgreSQLServer` and `MariaDBServer`, and `connected_to`, which points Django's default
connection at one of them. They keep Django's durability: a commit that was answered survives
a killed server. Only the machine may not lose its power, which no case does.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from django.db import connection, connections

from tests.helpers import wait_until

START_SECONDS = 60.0


class Server:
    """One server process and its data.

    Args:
        folder: where the data goes; made when it is missing.
    """

    programs: tuple[str, ...] = ()

    def __init__(self, folder=None):
        self.user = unprivileged()
        self.folder = Path(folder or tempfile.mkdtemp(prefix="taskstore-"))
        self.folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.process = None
        self.own(self.folder)
        self.install()
        self.start()

    @classmethod
    def is_installed(cls):
        """Tell whether this machine has the server's programs."""
        return all(shutil.which(name, path=search_path()) for name in cls.programs)

    def own(self, path):
        """Give a path to the user the server runs as."""
        if self.user is not None:
            shutil.chown(path, self.user, pwd.getpwnam(self.user).pw_gid)

    def run(self, *command):
        """Run a program of the server's to its end, as the server's user."""
        subprocess.run(self._located(command), check=True, capture_output=True, **self._as_user())

    def start(self):
        """Start the server and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._located(self.command()), stdout=log, stderr=log, **self._as_user()
            )
        wait_until(self.answers, seconds=START_SECONDS, what=f"{type(self).__name__} to answer")

    def plain_user(self):
        """Return the variables that let a worker log in without an administrator's rights."""
        return {}

    def stop(self):
        """Stop the server in order, without waiting for its clients."""
        self._end(signal.SIGINT)

    def kill(self):
        """Kill the server, which can put nothing in order."""
        self._end(signal.SIGKILL)

    def remove(self):
        """Kill the server and delete its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def install(self):
        """Make an empty database cluster."""
        raise NotImplementedError

    def command(self):
        """Return the command that runs the server in the foreground."""
        raise NotImplementedError

    def answers(self):
        """Tell whether the server takes connections."""
        raise NotImplementedError

    def _end(self, number):
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        self.process.wait(START_SECONDS)
        self.process = None

    def _located(self, command):
        program, *arguments = command
        return [shutil.which(program, path=search_path()) or program, *arguments]

    def _as_user(self):
        if self.user is None:
            return {}
        account = pwd.getpwnam(self.user)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


class PostgreSQLServer(Server):
    """A PostgreSQL server that trusts everybody on this machine."""

    programs = ("initdb", "postgres")
    login = {"USER": "postgres", "PASSWORD": ""}

    def install(self):
        self.run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--no-sync")

    @property
    def data(self):
        """The folder of the cluster."""
        return str(self.folder / "data")

    def command(self):
        # The system keeps what a killed process had written, so fsync proves nothing here.
        options = [f"-p{self.port}", "-clisten_addresses=127.0.0.1", "-cfsync=off"]
        options += ["-cwal_level=minimal", "-cmax_wal_senders=0", "-cmax_wal_size=64MB"]
        return ["postgres", "-D", self.data, f"-k{self.folder}", *options]

    def answers(self):
        import psycopg

        try:
            psycopg.connect(
                host="127.0.0.1", port=self.port, user="postgres", dbname="postgres"
            ).close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self):
        """Kill the postmaster, and wait until its children have noticed."""
        super().kill()
        lock = Path(self.data, "postmaster.pid")
        if lock.exists():
            wait_until(lambda: not self._has_children(), what="the end of the backends")
            lock.unlink(missing_ok=True)

    def _has_children(self):
        """Tell whether a backend still holds the cluster's folder open."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "cwd").readlink() == Path(self.data).resolve():
                    return True
        return False


class MariaDBServer(Server):
    """A MariaDB server whose root has no password."""

    programs = ("mariadbd", "mariadb-install-db")
    login = {"USER": "root", "PASSWORD": ""}

    def install(self):
        self.run(
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--innodb-log-file-size=8M",
        )

    def command(self):
        return [
            "mariadbd",
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--innodb-log-file-size=8M",
            "--innodb-buffer-pool-size=64M",
            # As fsync above: written to the system at each commit, synced each second.
            "--innodb-flush-log-at-trx-commit=2",
            "--skip-name-resolve",
        ]

    def plain_user(self):
        """Make a user whom ``read_only`` binds, which it does not root."""
        with connection.cursor() as cursor:
            cursor.execute("CREATE USER IF NOT EXISTS 'plain'@'127.0.0.1'")
            cursor.execute("GRANT ALL ON *.* TO 'plain'@'127.0.0.1'")
            cursor.execute("REVOKE READ_ONLY ADMIN, SUPER ON *.* FROM 'plain'@'127.0.0.1'")
        return {"MYSQL_USER": "plain"}

    def stop(self):
        """Stop the server in order."""
        self._end(signal.SIGTERM)

    def answers(self):
        import MySQLdb

        try:
            MySQLdb.connect(host="127.0.0.1", port=self.port, user="root").close()
        except MySQLdb.OperationalError:
            return False
        return True


SERVERS = {"postgresql": PostgreSQLServer, "mysql": MariaDBServer}


@contextlib.contextmanager
def connected_to(server):
    """Point Django's default connection, in this process, at a server of our own."""
    connection.close()
    # Every thread's connection shares this dict.
    before = dict(connection.settings_dict)
    here = {"HOST": "127.0.0.1", "PORT": str(server.port), **server.login}
    connection.settings_dict.update(here)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(before)


@contextlib.contextmanager
def connected_through(proxy):
    """Lead Django's default connection, in this process, through a proxy."""
    connection.close()
    before = connection.settings_dict["PORT"]
    connection.settings_dict["PORT"] = str(proxy.port)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["PORT"] = before


def unprivileged():
    """Return the user a server runs as: None for oneself, since a server refuses only root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "mysql", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return None


def search_path():
    """Return PATH and where Debian keeps the servers' programs."""
    places = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    return os.pathsep.join([os.environ.get("PATH", ""), *places, "/usr/sbin", "/usr/local/sbin"])


def free_port():
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def lock(statement):
    """Hold what a statement locks, on a connection of its own, until told to let go.

    Yields:
        A callable that lets go at once; the end of the block does too.
    """
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            if other.vendor == "postgresql":
                cursor.execute("BEGIN")
            elif other.vendor == "mysql" and not statement.startswith("LOCK TABLES"):
                cursor.execute("START TRANSACTION")
            cursor.execute(statement)
        yield other.close
    finally:
        other.close()
