"""What can be measured. Each module has ``TITLE`` and ``entries(run)``, its contestants."""

from __future__ import annotations

from types import ModuleType

from bench.measures import (
    admin,
    drain,
    enqueue,
    fairness,
    idle,
    io,
    latency,
    logging,
    memory,
    scale,
    schedules,
    sleep,
)

MEASURES: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        drain,
        enqueue,
        latency,
        idle,
        io,
        logging,
        sleep,
        scale,
        memory,
        fairness,
        admin,
        schedules,
    )
}
