"""Executing one task.

`calls` calls a handler and says what came of it, `execution` is one run of a claimed task,
`direct` one without a queue, `enforcement` and `interruption` stop a handler that was told to.
"""

from __future__ import annotations

from django_taskstore.executor.calls import Result
from django_taskstore.executor.direct import run_now
from django_taskstore.executor.execution import Execution

__all__ = ["Execution", "Result", "run_now"]
