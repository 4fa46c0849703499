"""Async handlers and functions: one event loop a process, and few connections."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.db.backends.signals import connection_created
from django.db.models import F

from django_taskstore import TaskHandler, enqueue, enqueue_many
from django_taskstore.models import QueuedTask
from tests.helpers import fresh, work_until_empty
from tests.testapp import functions
from tests.testapp.models import Effect

pytestmark = pytest.mark.django_db(transaction=True)

#: The dispatcher's, the heartbeat's, the listener's, and one for the ORM's async methods.
A_HANDFUL = 4


@pytest.fixture
def opened():
    """Collect the names of the threads that open a connection."""
    names = []

    def note(**_):
        names.append(threading.current_thread().name)

    connection_created.connect(note)
    yield names
    connection_created.disconnect(note)


class Crowd:
    """Counts who is inside at the same time."""

    def __init__(self):
        self.inside = self.most = 0
        self.loops = set()

    async def stay(self, seconds):
        """Be inside for a while."""
        self.loops.add(id(asyncio.get_running_loop()))
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(seconds)
        self.inside -= 1


def test_a_thousand_wait_a_second_together_with_a_handful_of_connections(add_handler, opened):
    crowd = Crowd()

    class Waiting(TaskHandler):
        async def handle(self):
            await crowd.stay(1)

    add_handler(Waiting)
    enqueue_many("Waiting", [{}] * 1_000)
    opened.clear()
    began = time.monotonic()
    work_until_empty(concurrency=1_000)
    took_seconds = time.monotonic() - began
    assert QueuedTask.objects.with_status("success").count() == 1_000
    assert (crowd.most, len(crowd.loops)) == (1_000, 1)
    assert len(opened) <= A_HANDFUL, opened
    # Alone on a machine it takes 2 to 3 s; one after the other, 1,000.
    assert took_seconds < 30


def test_the_orm_in_a_thousand_coroutines_opens_no_more_connections(add_handler, opened):
    class Writing(TaskHandler):
        async def handle(self):
            await Effect.objects.filter(note="sum").aupdate(task_id=F("task_id") + 1)

    add_handler(Writing)
    Effect.objects.create(task_id=0, note="sum")
    enqueue_many("Writing", [{}] * 1_000)
    opened.clear()
    work_until_empty(concurrency=1_000)
    assert Effect.objects.get(note="sum").task_id == 1_000
    assert len(opened) <= A_HANDFUL, opened


def test_functions_and_handlers_share_the_loop(add_handler):
    crowd = Crowd()

    class Waiting(TaskHandler):
        async def handle(self):
            await crowd.stay(0.2)

    add_handler(Waiting)
    task = enqueue("Waiting")
    result = functions.sleeping.enqueue(0.2)
    work_until_empty(concurrency=10)
    result.refresh()
    assert (fresh(task).status, result.return_value) == ("success", 0.2)


def test_a_connection_that_one_task_broke_is_mended_for_all(add_handler):
    class Breaking(TaskHandler):
        async def handle(self):
            await sync_to_async(self.destroy)()

        def destroy(self):
            connection.ensure_connection()
            connection.connection.close()
            Effect.objects.count()

    class Counting(TaskHandler):
        max_attempts = 20
        backoff = 0

        async def handle(self):
            return await Effect.objects.acount()

    add_handler(Breaking)
    add_handler(Counting)
    bad = [enqueue("Breaking") for _ in range(3)]
    enqueue_many("Counting", [{}] * 50)
    work_until_empty(concurrency=20)
    assert QueuedTask.objects.of("Counting").with_status("success").count() == 50
    assert {fresh(task).status for task in bad} == {"failed"}


def test_a_slow_coroutine_does_not_hold_up_the_others(add_handler):
    released = threading.Event()
    order = []

    class Slow(TaskHandler):
        async def handle(self):
            while not released.is_set():
                await asyncio.sleep(0.01)
            order.append("slow")

    class Quick(TaskHandler):
        async def handle(self):
            order.append("quick")
            released.set()

    add_handler(Slow)
    add_handler(Quick)
    enqueue("Slow")
    enqueue("Quick")
    work_until_empty(concurrency=2)
    assert order == ["quick", "slow"]
