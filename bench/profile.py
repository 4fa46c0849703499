"""Where the time of one task goes: a running worker, sampled from outside by py-spy.

Owns `profile`. Samples are of threads that hold the GIL, which Python's own work needs, or
with ``gil=False`` of all that are on the processor; a thread that waits is not seen.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.ours import Project
from bench.rates import QUIET, begin
from bench.run import Run

RATE = 250
ROWS = 25


@dataclass(frozen=True)
class Profile:
    """What the samples came to.

    Attributes:
        samples: how many.
        seconds: how long they were taken.
        tasks: how many tasks were done meanwhile.
        own: samples by the function that ran.
        whole: samples by each function that was on the stack.
        threads: samples by thread.
    """

    samples: int
    seconds: float
    tasks: int
    own: Counter[str]
    whole: Counter[str]
    threads: Counter[str]

    def microseconds(self, samples: int) -> float:
        """Return what a number of samples means for one task."""
        return samples / RATE / self.tasks * 1e6


def show(run: Run, folder: Path) -> None:
    """Profile a worker in default settings on each database; print and keep what came out."""
    folder.mkdir(parents=True, exist_ok=True)
    for project in run.projects:
        name = project.store.name
        found = profile(project, count=20 * run.tasks, out=folder / f"profile-{name}.stacks")
        text = as_text(f"Profile of a worker on {name}", found)
        (folder / f"profile-{name}.md").write_text(text)
        print(text, flush=True)


def profile(
    project: Project,
    *arguments: str,
    alias: str = "Noop",
    count: int = 100_000,
    seconds: float = 4.0,
    gil: bool = True,
    out: Path,
) -> Profile:
    """Sample one worker while it drains a queue that is too long for the time.

    Args:
        project: whose worker.
        *arguments: of ``taskqueue_run``.
        alias: of the handler.
        count: tasks in the queue.
        seconds: how long to sample.
        gil: count only threads that hold the GIL.
        out: the file for the stacks, which any flame graph tool reads.
    """
    project.store.empty()
    project.store.fill(alias, count)
    with project.working(QUIET, *arguments) as crew:
        begin(crew)
        before = project.store.count("success")
        record(crew.workers[0].process.pid, seconds, gil=gil, out=out)
        tasks = project.store.count("success") - before
        if not project.store.is_unfinished():
            raise RuntimeError(f"{count:,} tasks were too few: the worker idled in its profile.")
    return read(out.read_text().splitlines(), seconds=seconds, tasks=tasks)


def record(pid: int, seconds: float, *, gil: bool, out: Path) -> None:
    """Let py-spy write the stacks of a process into a file."""
    tool = str(Path(sys.executable).with_name("py-spy"))
    command = [tool, "record", "--pid", str(pid), "--duration", f"{seconds:g}", "--threads"]
    command += ["--rate", str(RATE), "--format", "raw", "--output", str(out)]
    command += ["--gil"] if gil else []
    subprocess.run(command, check=True, capture_output=True)


def read(lines: Iterable[str], *, seconds: float, tasks: int) -> Profile:
    """Add up collapsed stacks: the thread, the frames from the outermost in, and a number."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    threads: Counter[str] = Counter()
    for line in lines:
        stack, _, number = line.rpartition(" ")
        thread, *frames = stack.split(";")
        names = [name_of(frame) for frame in frames] or ["no Python"]
        threads[re.sub(r"^thread \(\w+\): |-\d+$", "", thread)] += int(number)
        own[names[-1]] += int(number)
        for name in set(names):
            whole[name] += int(number)
    return Profile(sum(own.values()), seconds, tasks, own, whole, threads)


def name_of(frame: str) -> str:
    """Return a frame as function and file, without its line."""
    found = re.fullmatch(r"(.+) \((.+?)(:\d+)?\)", frame)
    if found is None:
        return frame
    place = re.sub(r"^.*site-packages/|^.*/lib/python[\d.]+/", "", found[2])
    return f"{found[1]} ({place})"


def as_text(title: str, found: Profile) -> str:
    """Return a profile as text: by thread, by function alone, by function with what it calls."""
    per_task = found.seconds / max(found.tasks, 1) * 1e6
    lines = [f"### {title}", ""]
    lines.append(
        f"{found.tasks:,} tasks in {found.seconds:g} s, {per_task:.0f} µs each; "
        f"{found.samples:,} samples."
    )
    sections: Sequence[tuple[str, Counter[str]]] = [
        ("thread", found.threads),
        ("function, alone", found.own),
        ("function, with what it calls", found.whole),
    ]
    for heading, counter in sections:
        lines += ["", f"| share | µs a task | {heading} |", "| --- | --- | --- |"]
        for name, samples in counter.most_common(ROWS):
            share = samples / max(found.samples, 1)
            lines.append(f"| {share:.1%} | {found.microseconds(samples):.1f} | {name} |")
    return "\n".join(lines) + "\n"
