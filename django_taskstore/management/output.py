"""How log lines reach a terminal or a collector.

Owns the text and JSON forms of a worker's. A project that has configured logging keeps its own.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
LEVELS = {0: logging.WARNING, 1: logging.INFO}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the record's extras."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in STANDARD}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def show_log(*, log_format: str, verbosity: int) -> None:
    """Write the worker's log lines to the standard error, unless the project has a handler.

    Args:
        log_format: text or json.
        verbosity: 0 shows warnings, 1 also each task, 2 and more also starts.
    """
    logger = logging.getLogger("django_taskstore")
    if logger.hasHandlers():
        return
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")
    handler.setFormatter(JsonFormatter() if log_format == "json" else text)
    logger.addHandler(handler)
    logger.setLevel(LEVELS.get(verbosity, logging.DEBUG))


@contextmanager
def log_off_terminal() -> Iterator[None]:
    """Keep log lines off the standard error, unless the project has a handler.

    Python writes warnings there that nobody handles: a command that cancels thousands of
    tasks would bury what it says under a line for each.
    """
    logger = logging.getLogger("django_taskstore")
    nowhere = logging.NullHandler()
    logger.addHandler(nowhere)
    try:
        yield
    finally:
        logger.removeHandler(nowhere)
