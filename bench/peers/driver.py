"""``python -m bench.peers.driver MODULE VERB [NUMBER]``, in a peer's environment.

A peer's module has ``install()``, which makes its tables or empties its store, ``one()`` and
``many(count)``, which enqueue tasks that do nothing, and ``stamped(path)``, which enqueues a
task that writes down when it began. Figures are printed as JSON.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import sys
import threading
import time

from bench.stamps import delays
from bench.tally import Tally

lock = threading.Lock()


@functools.cache
def tally() -> Tally:
    """Return the counts of this process, made at the first call: after any fork."""
    return Tally(os.environ["BENCH_TALLY"])


def called() -> None:
    """Count a call of a handler."""
    with lock:
        counts = tally()
    counts.called()


def main(name: str, verb: str, number: int) -> None:
    """Do one thing with a peer."""
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        import django

        django.setup()
    peer = importlib.import_module(f"bench.peers.{name}")
    if verb == "install":
        peer.install()
    elif verb == "latency":
        print(json.dumps(delays(peer.stamped, number)))
    else:
        peer.one()  # Connections are made and names are known from the second call on.
        began = time.perf_counter()
        if verb == "many":
            peer.many(number)
        else:
            for _ in range(number):
                peer.one()
        print(json.dumps({"rows/s": number / (time.perf_counter() - began)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0)
