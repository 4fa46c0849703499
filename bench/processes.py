"""Processes that are measured: started as a user starts them, watched from outside.

Owns `Started`: a command's process with all its children, its time on the processor, its
memory, and its end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

ROOT = Path(__file__).resolve().parent.parent
Value = TypeVar("Value")


class Started:
    """A process that runs until it is stopped.

    Args:
        command: its words.
        environment: variables beside those of this process.
        log: the file that takes all it says.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def family(self) -> list[psutil.Process]:
        """The process and all its children."""
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def cpu_seconds(self) -> float:
        """Return the time on the processor of the whole family so far."""
        times = [process.cpu_times() for process in self.family]
        return float(sum(one.user + one.system for one in times))

    def rss_megabytes(self) -> float:
        """Return the resident memory of the whole family."""
        return float(sum(one.memory_info().rss for one in self.family) / 2**20)

    def check(self) -> None:
        """Raise when the process has ended: a measurement of nothing is no measurement."""
        if self.process.poll() is not None:
            said = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"A measured process ended with {self.process.returncode}: {said}")

    def stop(self) -> None:
        """End the process and its children: politely, then by force."""
        family = self.family
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


@contextlib.contextmanager
def started(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[Started]:
    """Start a process, and end it with the block."""
    process = Started(command, environment, log)
    try:
        yield process
    finally:
        process.stop()


def wait_for(
    condition: Callable[[], Value],
    *,
    seconds: float,
    what: str,
    watched: Sequence[Started] = (),
    pause_seconds: float = 0.005,
) -> Value:
    """Return the condition's first true value.

    Args:
        condition: asked again and again.
        seconds: how long at most.
        what: is waited for, for the error's text.
        watched: processes that must not end meanwhile.
        pause_seconds: between two looks.

    Raises:
        TimeoutError: it stayed false.
    """
    until = time.monotonic() + seconds
    while not (value := condition()):
        for process in watched:
            process.check()
        if time.monotonic() > until:
            raise TimeoutError(f"Waited {seconds:g} s in vain for {what}.")
        time.sleep(pause_seconds)
    return value
