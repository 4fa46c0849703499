"""Task functions for the tests, declared as Django's documentation declares them."""

from __future__ import annotations

import asyncio

from django_taskstore import Cancel, Retry, Snooze
from django_taskstore.backends import task
from django_taskstore.backends.api import TaskContext
from tests.testapp.models import Effect


@task()
def noop(*args, **kwargs):
    """Do nothing, whatever is given.

    Not even that.
    """


@task
def noop_bare(*args, **kwargs):
    """Do nothing, declared by the bare decorator."""


@task()
async def noop_async(*args, **kwargs):
    """Do nothing, on the event loop."""


@task()
def meaning_of_life():
    """Return a number."""
    return 42


@task()
def returning(value):
    """Return what is given."""
    return value


@task()
def returning_strange(kind):
    """Return what JSON does not know, or knows in another form."""
    return {"function": noop.func, "tuple": (1, (2, 3)), "bytes": b"text", "nan": float("nan")}[
        kind
    ]


@task()
def failing():
    """Raise."""
    raise ValueError("This task failed.")


@task()
def exiting():
    """Ask the process to exit."""
    raise SystemExit("This task exits.")


@task()
def interrupting():
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt("This task interrupts.")


@task()
def nested_exception():
    """Raise an exception whose argument is one."""
    raise ValueError(ValueError("inner"))


@task(takes_context=True)
def own_id(context):
    """Return the id of the task's result."""
    return context.task_result.id


@task(takes_context=True)
def context_facts(context, *, fail_before=1):
    """Return what the context says, after failing the first times."""
    assert isinstance(context, TaskContext)
    if context.attempt < fail_before:
        raise ValueError(f"attempt {context.attempt}")
    result = context.task_result
    return {
        "attempt": context.attempt,
        "workers": len(result.worker_ids),
        "errors": len(result.errors),
        "status": str(result.status),
        "args": result.args,
    }


@task(takes_context=True)
async def context_facts_async(context, *, fail_before=1):
    """Return what the context says on the event loop, after failing the first times."""
    if context.attempt < fail_before:
        raise ValueError(f"attempt {context.attempt}")
    return {"attempt": context.attempt, "workers": len(context.task_result.worker_ids)}


@task(takes_context=True)
def logging_progress(context):
    """Write lines and progress, as a handler can."""
    context.log_info("begun")
    context.log_error("something odd")
    context.log_success("done")
    context.set_progress(3, 4, "nearly")
    return context.is_canceled


@task(max_attempts=3, backoff=0)
def failing_thrice(times=3):
    """Fail the first times."""
    raise ValueError(f"of {times}")


@task(takes_context=True, max_attempts=3, backoff=0)
def succeeding_at_last(context):
    """Fail twice, then succeed."""
    if context.attempt < 3:
        raise ValueError(f"attempt {context.attempt}")
    return context.attempt


@task(max_attempts=2)
def steered(how):
    """Raise what a handler may raise."""
    raise {"retry": Retry(3600, "busy"), "snooze": Snooze(3600), "cancel": Cancel("unwanted")}[how]


@task(atomic=True)
def effect(number, fail=False):
    """Write a row in the transaction of the outcome."""
    Effect.objects.create(task_id=number)
    if fail:
        raise ValueError("after the effect")


@task()
async def sleeping(seconds):
    """Wait on the event loop."""
    await asyncio.sleep(seconds)
    return seconds


@task(timeout=0.05)
async def sleeping_too_long():
    """Wait longer than it may."""
    await asyncio.sleep(60)


@task()
def greeting(name="everybody"):
    """Greet."""
    return f"Good morning, {name}!"
