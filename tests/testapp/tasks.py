"""Handlers for the tests. Each does one thing that a test asks about."""

from __future__ import annotations

import asyncio

from django import forms

from django_taskstore import Cancel, Retry, Snooze, TaskHandler, register
from tests.testapp import wild  # noqa: F401 - registers its handlers
from tests.testapp.ledger import take_time, write_line
from tests.testapp.models import Effect


@register
class HelloWorldTask(TaskHandler):
    """Says hello."""

    title = "Hello World"
    description = "Say hello world"

    def handle(self):
        self.log_info(f"Hello {self.get_param('name') or 'World'}!")
        return True


@register
class Noop(TaskHandler):
    """Does nothing."""

    def handle(self):
        return None


@register
class Ledger(TaskHandler):
    """Writes start and end to a file outside the database, and takes its time in between."""

    def handle(self):
        write_line(self, "start")
        take_time(self)
        write_line(self, "end")


@register
class PatientLedger(TaskHandler):
    """As Ledger, but stops when it is told to."""

    def handle_with_context(self, context):
        write_line(self, "start")
        context.wait(float(self.get_param("seconds", 0)))
        context.raise_if_canceled()
        write_line(self, "end")


@register
class FailWhenLost(Ledger):
    """As Ledger, but must not start twice."""

    alias = "FailWhenLost"
    on_lost = "fail"


@register
class Failing(TaskHandler):
    """Raises."""

    def handle(self):
        raise ValueError(self.get_param("message", "boom"))


@register
class SayNo(TaskHandler):
    """Returns False after an error line."""

    def handle(self):
        if self.get_param("line"):
            self.log_error(self.get_param("line"))
        return False


@register
class RetryTwice(TaskHandler):
    """Fails until its third attempt."""

    max_attempts = 3
    backoff = 0

    def handle(self):
        if self.queued_task.attempts < 3:
            raise ValueError(f"attempt {self.queued_task.attempts}")
        return {"attempts": self.queued_task.attempts}


@register
class Steered(TaskHandler):
    """Raises the control-flow exception that its parameter names."""

    max_attempts = 2

    def handle(self):
        how = self.get_param("how")
        if how == "retry":
            raise Retry(0)
        if how == "snooze":
            raise Snooze(0)
        raise Cancel("no longer wanted")


@register
class Returning(TaskHandler):
    """Returns, or outputs, what its parameter says."""

    def handle(self):
        what = self.get_param("what")
        if what == "set":
            return {1, 2}
        if what == "nan":
            return float("nan")
        if what == "output":
            self.output = {"answer": 42}
            return True
        return what


@register
class AsyncHello(TaskHandler):
    """Waits on the event loop."""

    async def handle(self):
        await asyncio.sleep(float(self.get_param("seconds", 0)))
        self.log_success("awaited")
        return {"loop": True}


@register
class AtomicEffect(TaskHandler):
    """Writes an effect in the transaction of its outcome; fails when asked to."""

    atomic = True

    def handle(self):
        Effect.objects.create(task_id=self.queued_task.pk if self.queued_task else 0)
        if self.get_param("fail"):
            raise ValueError("after the effect")


class InviteForm(forms.Form):
    """What an invitation needs."""

    email = forms.EmailField()
    guests = forms.IntegerField(min_value=0, required=False)


@register
class Invite(TaskHandler):
    """Has a form, and a parameter nobody may see."""

    form_class = InviteForm
    sensitive_parameters = ["email"]

    def handle(self):
        self.output = self.parameters
        return True


@register
class Typed(TaskHandler):
    """Outputs its parameters and what the list reader makes of them."""

    def handle(self):
        return {"parameters": self.parameters, "array": self.get_param_array("items")}
