"""The backend that puts task functions on our queues.

Owns `TaskStoreBackend`. It enqueues through `queue` in the caller's transaction and keeps no
state of its own.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.apps import apps
from django.core import checks
from django.utils import timezone

from django_taskstore.backends import results
from django_taskstore.backends.api import BaseTaskBackend, InvalidTask, signals
from django_taskstore.backends.arguments import write_arguments
from django_taskstore.backends.options import option_problems
from django_taskstore.backends.reading import read
from django_taskstore.backends.tasks import TaskStoreTask, serve
from django_taskstore.exceptions import InvalidQueueName
from django_taskstore.validation import validate_queue_name


class TaskStoreBackend(BaseTaskBackend):
    """Runs Django's tasks with the engine of the task store.

    In TASKS: ``QUEUES`` names the queues that may be used, an empty list allows all.
    ``OPTIONS`` may hold defaults for ``max_attempts``, ``backoff``, ``timeout`` and
    ``on_lost`` of tasks that do not say.
    """

    task_class = TaskStoreTask
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def validate_task(self, task: Any) -> None:
        """Check that a task can run here; a ``run_after`` from now becomes a moment.

        Raises:
            InvalidTask: it cannot; the message says why.
        """
        if isinstance(task.run_after, timedelta):
            # Here, since Django's own check takes it for a datetime.
            object.__setattr__(task, "run_after", timezone.now() + task.run_after)
        super().validate_task(task)
        try:
            validate_queue_name(task.queue_name)
        except InvalidQueueName as error:
            raise InvalidTask(str(error)) from error

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Put a call of a task function on its queue, in the caller's transaction.

        Returns:
            A TaskResult.

        Raises:
            InvalidTask: the task cannot run here.
            TypeError, ValueError: an argument cannot be stored as JSON.
            DefinitionCanceled: its definition takes no work.
        """
        from django_taskstore.queue import enqueue  # noqa: PLC0415 - apps are ready now.

        self.validate_task(task)
        handler = serve(task, self.options)
        row = enqueue(
            handler,
            write_arguments(args, kwargs),
            queue_name=task.queue_name,
            priority=task.priority,
            run_after=task.run_after,
            max_attempts=handler.options["max_attempts"],
            metadata=results.metadata(task, self.alias),
        )
        result = results.of_row(row, task)
        signals.task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> Any:
        """Return the result with this id.

        Raises:
            TaskResultDoesNotExist: there is none.
        """
        return read(result_id)

    def check(self, **_: Any) -> list[checks.CheckMessage]:
        """Report a missing app, unusable queue names and unknown or wrong OPTIONS."""
        messages: list[checks.CheckMessage] = []
        if not apps.is_installed("django_taskstore"):
            messages.append(
                checks.Error(
                    f"TASKS[{self.alias!r}] uses the task store, whose app is not installed.",
                    hint="Add 'django_taskstore' to INSTALLED_APPS and run migrate.",
                    id="django_taskstore.E010",
                )
            )
        for name in sorted(self.queues):
            try:
                validate_queue_name(name)
            except InvalidQueueName as error:
                text = f"TASKS[{self.alias!r}]['QUEUES']: {error}"
                messages.append(checks.Error(text, id="django_taskstore.E011"))
        for problem in option_problems(self.options):
            text = f"TASKS[{self.alias!r}]['OPTIONS'] {problem}"
            messages.append(checks.Error(text, id="django_taskstore.E012"))
        return messages
