"""What a running handler hears: cancel, its reasons, waiting, progress."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from django_taskstore.context import Interrupted, Reason, TaskContext
from django_taskstore.exceptions import Cancel, TaskTimedOut


def test_a_fresh_context_lets_the_handler_work():
    context = TaskContext(attempt=3)
    context.raise_if_canceled()
    assert (context.is_canceled, context.attempt, context.deadline) == (False, 3, None)
    assert context.wait(0) is False


@pytest.mark.parametrize(
    ("reason", "exception"),
    [
        (Reason.CANCELED, Cancel),
        (Reason.TIMEOUT, TaskTimedOut),
        (Reason.SHUTDOWN, Interrupted),
        (Reason.LEASE_LOST, Interrupted),
    ],
)
def test_each_reason_leaves_the_handler_its_own_way(reason, exception):
    context = TaskContext()
    context.cancel(reason)
    assert context.is_canceled
    with pytest.raises(exception, match=reason.value):
        context.raise_if_canceled()


def test_the_first_reason_stays():
    context = TaskContext()
    context.cancel(Reason.CANCELED)
    context.cancel(Reason.SHUTDOWN)
    assert context.reason is Reason.CANCELED


def test_waiting_ends_when_the_task_is_canceled():
    context = TaskContext()
    threading.Timer(0.05, context.cancel, [Reason.CANCELED]).start()
    began = time.monotonic()
    assert context.wait(30) is True
    assert time.monotonic() - began < 10


def test_async_waiting_ends_when_the_task_is_canceled():
    context = TaskContext()

    async def handler():
        threading.Timer(0.05, context.cancel, [Reason.CANCELED]).start()
        return await context.async_wait(30)

    began = time.monotonic()
    assert asyncio.run(handler()) is True
    assert time.monotonic() - began < 10


def test_async_waiting_ends_by_itself_and_leaves_nothing_behind():
    context = TaskContext()
    assert asyncio.run(context.async_wait(0.01)) is False
    assert context._callbacks == {}


def test_async_waiting_on_a_canceled_task_returns_at_once():
    context = TaskContext()
    context.cancel(Reason.CANCELED)
    assert asyncio.run(context.async_wait(30)) is True


def test_a_callback_is_called_once_also_when_it_comes_late():
    context, heard = TaskContext(), []
    context.on_cancel(lambda: heard.append("early"))
    forget = context.on_cancel(lambda: heard.append("never"))
    forget()
    context.cancel(Reason.CANCELED)
    context.cancel(Reason.CANCELED)
    context.on_cancel(lambda: heard.append("late"))
    assert heard == ["early", "late"]


def test_a_cancel_survives_an_event_loop_that_has_closed():
    context = TaskContext()
    loop = asyncio.new_event_loop()
    loop.close()
    context.on_cancel(lambda: loop.call_soon_threadsafe(print))
    context.cancel(Reason.CANCELED)
    assert context.is_canceled


def test_progress_is_handed_out_once_for_each_change():
    context = TaskContext()
    assert context.unsaved_progress() is None
    context.set_progress(5, 10, "half")
    assert context.unsaved_progress() == {"done": 5, "total": 10, "message": "half"}
    assert context.unsaved_progress() is None
    context.set_progress(6)
    assert context.unsaved_progress() == {"done": 6, "total": None, "message": ""}
