"""What the measured project does when it starts: wait for the others, and count."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created

from bench.gate import wait_at_gate
from bench.tally import SESSIONS, STATEMENTS, Tally


class SiteConfig(AppConfig):
    """Wires counting in, where the environment asks for it."""

    name = "bench.site"
    label = "bench_site"

    def ready(self) -> None:
        """Count sessions, and statements where that is asked for; then wait at the gate."""
        if "BENCH_TALLY" in os.environ:
            self.tally = Tally(os.environ["BENCH_TALLY"])
            connection_created.connect(self.count_session)
        if "--processes" not in " ".join(sys.argv):
            wait_at_gate()

    def count_session(self, *, connection: Any, **_: Any) -> None:
        """Count a connection that was opened, and what will be sent over it."""
        self.tally.count(SESSIONS)
        if "BENCH_STATEMENTS" in os.environ:
            connection.execute_wrappers.append(self.count_statement)

    def count_statement(self, execute: Any, *arguments: Any) -> Any:
        """Count a statement and send it."""
        self.tally.count(STATEMENTS)
        return execute(*arguments)
