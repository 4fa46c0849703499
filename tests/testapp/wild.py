"""Handlers that misbehave: they die, hang, leak and swallow what should stop them."""

from __future__ import annotations

import ctypes
import os
import socket
import time

from django.db import connection, transaction
from django.utils import timezone, translation

from django_taskstore import TaskHandler, register
from tests.testapp.ledger import take_time, write_line
from tests.testapp.models import Effect


@register
class LedgerOutput(TaskHandler):
    """As Ledger, and outputs the claim it ran under."""

    def handle(self):
        write_line(self, "start")
        take_time(self)
        write_line(self, "end")
        self.log_info("done")
        return {"claim_seq": self.queued_task.claim_seq}


@register
class StubbornLedger(LedgerOutput):
    """As LedgerOutput, but takes the context: when the lease is lost it has a second to end."""

    alias = "StubbornLedger"

    def handle_with_context(self, context):
        return self.handle()


@register
class Bulky(TaskHandler):
    """Outputs so much that no database finds room for it in its pages, once a file is there."""

    def handle(self):
        write_line(self, "start")
        take_time(self)
        write_line(self, "end")
        return os.urandom(int(self.get_param("bytes")) // 2).hex()


@register
class LedgerRetry(TaskHandler):
    """Fails its first attempt."""

    max_attempts = 5
    backoff = 0.1

    def handle(self):
        write_line(self, "start")
        if self.queued_task.attempts == 1:
            raise ValueError("first attempt")
        write_line(self, "end")


@register
class AtomicLedger(TaskHandler):
    """Writes an effect that commits with its outcome."""

    atomic = True

    def handle(self):
        write_line(self, "start")
        Effect.objects.create(task_id=self.queued_task.pk)
        take_time(self)
        write_line(self, "end")


class Unprintable(Exception):
    """Cannot be shown or pickled."""

    def __str__(self):
        raise ValueError("no text")

    def __reduce__(self):
        raise TypeError("no pickle")


def without_end():
    """Recurse."""
    return without_end()


@register
class Poison(TaskHandler):
    """Ends its process, or raises what a loop might not survive."""

    def handle(self):
        write_line(self, "start")
        how = self.get_param("how")
        if how == "segfault":
            ctypes.string_at(0)
        elif how == "exit":
            os._exit(0)
        elif how == "memory":
            hoard = []
            while True:
                hoard.append(bytearray(16 * 1024 * 1024))
        elif how == "recursion":
            without_end()
        elif how == "unprintable":
            raise Unprintable
        raise {"system_exit": SystemExit, "interrupt": KeyboardInterrupt}[how]


@register
class Deaf(TaskHandler):
    """Ignores its context in the way its parameter says."""

    timeout = 1

    def handle(self):
        write_line(self, "start")
        how, until = self.get_param("how"), time.monotonic() + self.get_param("seconds", 600)
        if how == "loop":
            while time.monotonic() < until:
                time.sleep(0.01)
        elif how == "sleep":
            time.sleep(self.get_param("seconds", 600))
        elif how == "c":
            # One call into C that never lets go of the interpreter's lock.
            while time.monotonic() < until:
                sum(range(10**12))
        elif how == "socket":
            left, right = socket.socketpair()
            left.recv(1)
            right.close()
        elif how == "swallow":
            while time.monotonic() < until:
                try:
                    time.sleep(0.01)
                except BaseException:
                    continue
        write_line(self, "end")


@register
class DeafForever(Deaf):
    """As Deaf, with all the time it wants."""

    timeout = None


@register
class Greedy(TaskHandler):
    """Holds the interpreter's lock for at least so many seconds, in one call into C.

    Not again where it has lost a worker before.
    """

    def handle(self):
        write_line(self, "start")
        if not self.queued_task.lost_count:
            began, numbers = time.perf_counter(), 10**6
            sum(range(numbers))
            rate = numbers / (time.perf_counter() - began)
            sum(range(int(rate * self.get_param("seconds"))))
        write_line(self, "end")


@register
class Untidy(TaskHandler):
    """Leaves the thread's connection, time zone and language otherwise than it found them."""

    def handle(self):
        write_line(self, "start")
        how = self.get_param("how")
        if how == "atomic":
            transaction.atomic().__enter__()
            Effect.objects.create(task_id=self.queued_task.pk, note="leaked")
        elif how == "set":
            with connection.cursor() as cursor:
                cursor.execute(SETTING[connection.vendor])
        elif how == "zone":
            timezone.activate("America/New_York")
            translation.activate("bg")
        elif how == "autocommit":
            transaction.set_autocommit(False)
        write_line(self, "end")


@register
class Clean(TaskHandler):
    """Outputs what it finds: the state that the task before it left."""

    def handle(self):
        write_line(self, "start")
        with connection.cursor() as cursor:
            cursor.execute(READ_SETTING[connection.vendor])
            setting = str(cursor.fetchone()[0])
        write_line(self, "end")
        return {
            "setting": setting,
            "zone": timezone.get_current_timezone_name(),
            "language": translation.get_language(),
            "in_atomic": connection.in_atomic_block,
            "autocommit": connection.get_autocommit(),
            "effects": Effect.objects.count(),
        }


SETTING = {
    "postgresql": "SET work_mem = '1234kB'",
    "mysql": "SET SESSION sort_buffer_size = 1234944",
    "sqlite": "PRAGMA cache_size = -1234",
}
READ_SETTING = {
    "postgresql": "SHOW work_mem",
    "mysql": "SELECT @@session.sort_buffer_size",
    "sqlite": "PRAGMA cache_size",
}
