"""Signatures of the paths of task functions.

Owns the proof that a process of this project has declared a task under a path. It is made
with SECRET_KEY, so whoever can only write rows cannot make it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.signing import BadSignature, Signer

#: The key of a row's metadata that holds the signature.
SIGNATURE = "signature"


def signer() -> Signer:
    """Return what signs paths."""
    return Signer(salt="django_taskstore.backends")


def sign(path: str) -> dict[str, str]:
    """Return the metadata that proves a path."""
    return {SIGNATURE: signer().signature(path)}


def is_signed(path: str, metadata: Mapping[str, Any]) -> bool:
    """Tell whether a row's metadata proves its path."""
    try:
        return signer().unsign(f"{path}:{metadata.get(SIGNATURE)}") == path
    except BadSignature:
        return False
