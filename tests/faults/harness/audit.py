"""The database's own record of each change of a status, written by a trigger.

Owns the triggers of the three databases. They exist only while a case runs, and the system
under test knows nothing of them.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from django.db import connection

TABLE = "fault_audit"
COLUMNS = "task_id, was, became, claim_before, claim_after, attempts, losses, was_expired"
QUEUE = "django_taskstore_queuedtask"


@dataclass(frozen=True)
class Change:
    """One arrow that a row went along; ``was`` is None for an INSERT, ``became`` for a DELETE."""

    number: int
    task_id: int
    was: str | None
    became: str | None
    claim_before: int
    claim_after: int
    attempts: int
    losses: int
    was_expired: bool

    @property
    def arrow(self):
        """From where to where."""
        return self.was, self.became


ID = {
    "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "mysql": "BIGINT AUTO_INCREMENT PRIMARY KEY",
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
}
NOW = {
    "postgresql": "clock_timestamp()",
    "mysql": "UTC_TIMESTAMP(6)",
    "sqlite": "STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')",
}
#: What each trigger writes: the row before, the row after, and whether a lease had run out.
VALUES = {
    "INSERT": "NEW.id, NULL, NEW.status, NEW.claim_seq, NEW.claim_seq, NEW.attempts, "
    "NEW.lost_count, 0",
    "UPDATE": "NEW.id, OLD.status, NEW.status, OLD.claim_seq, NEW.claim_seq, NEW.attempts, "
    "NEW.lost_count, CASE WHEN OLD.lease_expires_at < {now} THEN 1 ELSE 0 END",
    "DELETE": "OLD.id, OLD.status, NULL, OLD.claim_seq, OLD.claim_seq, OLD.attempts, "
    "OLD.lost_count, 0",
}
#: A second outcome of the same kind changes no status, but it changes the time of the end.
CHANGED = (
    "OLD.status <> NEW.status OR OLD.claim_seq <> NEW.claim_seq "
    "OR OLD.completed_at <> NEW.completed_at"
)


@contextlib.contextmanager
def audited():
    """Record all changes of queued tasks from here on; give a function that reads them."""
    remove()
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {TABLE} (id {ID[connection.vendor]}, task_id BIGINT, "
            "was VARCHAR(16), became VARCHAR(16), claim_before BIGINT, claim_after BIGINT, "
            "attempts INT, losses INT, was_expired INT)"
        )
        for event, values in VALUES.items():
            for statement in triggers(event, values):
                cursor.execute(statement)
    try:
        yield changes
    finally:
        remove()


def changes():
    """Return all changes in the order in which the database wrote them."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id, {COLUMNS} FROM {TABLE} ORDER BY id")
        return [Change(*row[:-1], bool(row[-1])) for row in cursor.fetchall()]


def triggers(event, values):
    """Return the statements that make one trigger."""
    name = f"fault_audit_{event.lower()}"
    written = values.format(now=NOW[connection.vendor])
    inner = f"INSERT INTO {TABLE} ({COLUMNS}) VALUES ({written});"
    on = f"CREATE TRIGGER {name} AFTER {event} ON {QUEUE} FOR EACH ROW"
    if connection.vendor == "postgresql":
        when = f"WHEN ({CHANGED})" if event == "UPDATE" else ""
        function = f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        return [
            f"{function}{inner} RETURN NULL; END $$",
            f"{on} {when} EXECUTE FUNCTION {name}()",
        ]
    if connection.vendor == "mysql":
        guarded = f"IF {CHANGED} THEN {inner} END IF;" if event == "UPDATE" else inner
        return [f"{on} BEGIN {guarded} END"]
    when = f"WHEN {CHANGED}" if event == "UPDATE" else ""
    return [f"{on} {when} BEGIN {inner} END"]


def remove():
    """Take the triggers and their table away."""
    with connection.cursor() as cursor:
        for event in VALUES:
            name = f"fault_audit_{event.lower()}"
            if connection.vendor == "postgresql":
                cursor.execute(f"DROP FUNCTION IF EXISTS {name}() CASCADE")
            else:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        cursor.execute(f"DROP TABLE IF EXISTS {TABLE}")
