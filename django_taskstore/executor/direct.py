"""Running a handler here and now, without a queued task, as ``manage.py task`` does.

Owns `run_now`. It claims nothing and records nothing.
"""

from __future__ import annotations

from typing import Any

from django_taskstore.context import TaskContext
from django_taskstore.database.transactions import writing
from django_taskstore.definitions import queue_database
from django_taskstore.executor.calls import Result, Undo, call, classify, classify_error
from django_taskstore.handlers import Echo
from django_taskstore.registry import HandlerClass
from django_taskstore.statuses import Ending


def run_now(
    handler_class: HandlerClass, parameters: dict[str, Any], *, echo: Echo | None = None
) -> Result:
    """Run a handler here and now, without a queued task.

    Args:
        handler_class: the handler.
        parameters: a JSON object, already cleaned.
        echo: called with level and text for each line the handler logs.
    """
    context = TaskContext()
    try:
        handler = handler_class(parameters=parameters, echo=echo)
        if not handler_class.atomic:
            return classify(handler, context, call(handler, context))
        with writing(queue_database()):
            result = classify(handler, context, call(handler, context))
            if result.ending is not Ending.SUCCEEDED:
                raise Undo(result)
        return result
    except Undo as undo:
        return undo.result
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return classify_error(error, context)
