"""A virtual environment for each peer, made when it is first needed and kept.

Owns `python_of`. The environments lie in bench/.venvs; removing that folder removes them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.peers.catalogue import Peer
from bench.processes import ROOT

FOLDER = ROOT / "bench" / ".venvs"


def python_of(peer: Peer, *, interpreter: str = sys.executable) -> Path:
    """Return the Python of a peer's environment, which is made and filled when it is missing.

    Args:
        peer: the peer.
        interpreter: makes the environment; some peers need Python 3.12.
    """
    folder = FOLDER / peer.module
    python = folder / "bin" / "python"
    stamp = folder / "installed"
    wanted = "\n".join(peer.packages)
    if not (stamp.exists() and stamp.read_text() == wanted):
        run([interpreter, "-m", "venv", str(folder)])
        run([str(python), "-m", "pip", "install", "--quiet", *peer.packages])
        stamp.write_text(wanted)
    return python


def run(command: Sequence[str]) -> None:
    """Run a command; its output goes where this process's goes."""
    subprocess.run(command, check=True)
