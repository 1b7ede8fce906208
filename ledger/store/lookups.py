"""What leads to an entry: 64-bit keys made of prefixes of digests. They find candidates; the entry's bytes decide.

==================  ==============================================================  ====================================
what is known       key                                                             rows an entry
==================  ==============================================================  ====================================
root and payload    40 bits of the dataset root, then 24 of the payload's SHA-256   1: one range of keys is a whole root
shard table         64 bits of its SHA-256                                          1
release             64 bits of SHA-256 of ``<dataset>@<version>``                   1, of a release only
==================  ==============================================================  ====================================

Two digests of one prefix cost a reader one entry more to look at. Keys are stored as signed integers.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

_PAYLOAD_BITS: Final = 24
_SIGN: Final = 1 << 63


def of_root(root: str) -> tuple[int, int]:
    """The first and the last key of a dataset root."""
    first = (int(root[:10], 16) << _PAYLOAD_BITS) - _SIGN
    return first, first + (1 << _PAYLOAD_BITS) - 1


def of_payload(root: str, payload: str) -> int:
    """The key of a statement about ``root`` with SHA-256 ``payload``."""
    return (int(root[:10], 16) << _PAYLOAD_BITS | int(payload[:6], 16)) - _SIGN


def of_table(table: str) -> int:
    """The key of a shard table."""
    return int(table[:16], 16) - _SIGN


def of_release(dataset: str, version: str) -> int:
    """The key of a release."""
    return int.from_bytes(sha256(f"{dataset}@{version}".encode()).digest()[:8]) - _SIGN
