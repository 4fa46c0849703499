"""Executing one task: `calls` calls a handler and says what came of it, `execution` is one run."""

from __future__ import annotations

from django_taskstore.executor.calls import Result
from django_taskstore.executor.execution import Execution, run_now

__all__ = ["Execution", "Result", "run_now"]
