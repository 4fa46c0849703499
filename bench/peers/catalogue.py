"""The peers: what to install, how to start their workers, how to see that all is done.

Owns `Peer` and `PEERS`. "Best" is the fastest of a few settings tried by hand. Log lines a task
are off for all, as they are for the queue under test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Setting:
    """One way to start a peer's worker.

    Attributes:
        label: what is set.
        words: of the command, after ``python -m``.
        commands: how many times it is started.
        variables: of the environment.
    """

    label: str
    words: Sequence[str]
    commands: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """Another task queue.

    Attributes:
        name: its name, and that of its environment.
        module: its module beside this one.
        packages: what to install.
        settings: how to start its worker.
        tables: those to empty, where it lives in PostgreSQL.
        unfinished: a query that gives a row while a task waits or runs; without one the
            handlers alone are counted.
        is_django: whether it lives in a Django project.
        most: the most tasks of a round: filling takes some of them long.
        waits_at_gate: whether its workers can start at one moment.
    """

    name: str
    module: str
    packages: Sequence[str]
    settings: Sequence[Setting]
    tables: Sequence[str] = ()
    unfinished: str = ""
    is_django: bool = False
    most: int = 10_000
    waits_at_gate: bool = False

    @property
    def database(self) -> str:
        """Where it keeps its tasks."""
        if self.tables:
            return "postgresql"
        return "sqlite" if "SQLite" in self.name else "redis"

    @property
    def variables(self) -> dict[str, str]:
        """What its processes need in their environment."""
        variables = {"BENCH_PEER": self.module}
        if self.is_django:
            variables["DJANGO_SETTINGS_MODULE"] = "bench.peers.django_settings"
        return variables


DJANGO = ("Django>=6.0,<6.1", "psycopg[binary]>=3.1.18")
PGQUEUER = "bench.peers.pgqueuer"
CELERY = ["celery", "--app=bench.peers.celery", "worker", "--loglevel=WARNING"]
HUEY = ["huey.bin.huey_consumer", "bench.peers.huey.queue", "--quiet"]
READY = ("READY", "RUNNING")


def rows_of(table: str, *statuses: str) -> str:
    """Return the query that gives a row while one has a status."""
    named = ", ".join(f"'{status}'" for status in statuses)
    return f"SELECT 1 FROM {table} WHERE status IN ({named}) LIMIT 1"


PEERS = (
    Peer(
        name="pgqueuer",
        module="pgqueuer",
        packages=["pgqueuer[asyncpg]>=1.6", "uvloop"],
        settings=[
            Setting("default", [PGQUEUER, "10"]),
            Setting("1,000 a batch", [PGQUEUER, "1000"]),
            Setting("1,000 a batch, two workers", [PGQUEUER, "1000"], commands=2),
        ],
        tables=["pgqueuer", "pgqueuer_log"],
        unfinished="SELECT 1 FROM pgqueuer LIMIT 1",
        waits_at_gate=True,
    ),
    Peer(
        name="procrastinate",
        module="procrastinate",
        packages=["procrastinate[django]>=3.10", *DJANGO],
        settings=[
            Setting("default", ["django", "procrastinate", "worker"]),
            Setting("20 at a time", ["django", "procrastinate", "worker", "--concurrency=20"]),
        ],
        tables=["procrastinate_jobs", "procrastinate_events"],
        unfinished=rows_of("procrastinate_jobs", "todo", "doing"),
        is_django=True,
        most=8_000,
    ),
    Peer(
        name="django-tasks-db",
        module="django_tasks_db",
        packages=["django-tasks-db>=0.13", *DJANGO],
        settings=[
            Setting("default", ["django", "db_worker"]),
            Setting("no wait", ["django", "db_worker", "--interval=0"]),
        ],
        tables=["django_tasks_database_dbtaskresult"],
        unfinished=rows_of("django_tasks_database_dbtaskresult", *READY),
        is_django=True,
        most=5_000,
    ),
    Peer(
        name="django-ox",
        module="django_ox",
        packages=["django-ox>=1.9", *DJANGO],
        settings=[
            Setting("default", ["django", "ox_worker"]),
            Setting("10 at a time", ["django", "ox_worker", "--concurrency=10", "--interval=0.05"]),
        ],
        tables=["django_ox_oxtask"],
        unfinished=rows_of("django_ox_oxtask", *READY),
        is_django=True,
        most=8_000,
    ),
    Peer(
        name="django-q2",
        module="django_q2",
        packages=["django-q2>=1.11", *DJANGO],
        settings=[
            Setting("default", ["django", "qcluster"]),
            Setting(
                "bulk 50, 4 workers",
                ["django", "qcluster"],
                variables={"BENCH_Q_CLUSTER": '{"bulk": 50, "workers": 4, "queue_limit": 500}'},
            ),
        ],
        tables=["django_q_ormq", "django_q_task"],
        unfinished="SELECT 1 FROM django_q_ormq LIMIT 1",
        is_django=True,
        most=3_000,
    ),
    Peer(
        name="Celery + Redis",
        module="celery",
        packages=["celery[redis]>=5.7"],
        settings=[
            Setting("default", CELERY),
            Setting("10 threads", [*CELERY, "--pool=threads", "--concurrency=10"]),
        ],
    ),
    Peer(
        name="dramatiq + Redis",
        module="dramatiq",
        packages=["dramatiq[redis]>=2.2"],
        settings=[
            Setting("default", ["dramatiq", "bench.peers.dramatiq"]),
            Setting("1 thread a process", ["dramatiq", "bench.peers.dramatiq", "--threads=1"]),
        ],
    ),
    Peer(
        name="huey + Redis",
        module="huey",
        packages=["huey>=3.5", "redis>=6"],
        settings=[
            Setting("default", HUEY),
            Setting("2 processes", [*HUEY, "--worker-type=process", "--workers=2"]),
        ],
    ),
    Peer(
        name="huey + SQLite",
        module="huey",
        packages=["huey>=3.5", "redis>=6"],
        settings=[
            Setting("default", HUEY),
            Setting("short waits", [*HUEY, "--delay=0.005", "--max-delay=0.01"]),
        ],
    ),
)
