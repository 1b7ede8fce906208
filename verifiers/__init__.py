"""Verification, policies, the gate, and verified reading.

`open_dataset` and `VerifiedFileSystem` are imported when they are asked for: a command that needs neither stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataseal.verifiers.reader.dataset import OpenDataset, open_dataset
    from dataseal.verifiers.reader.filesystem import VerifiedFileSystem

__all__ = ["OpenDataset", "VerifiedFileSystem", "open_dataset"]

_WHERE = {
    "OpenDataset": "dataseal.verifiers.reader.dataset",
    "VerifiedFileSystem": "dataseal.verifiers.reader.filesystem",
    "open_dataset": "dataseal.verifiers.reader.dataset",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)
