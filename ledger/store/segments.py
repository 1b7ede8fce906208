"""Entries as segments hold them: the framing of tlog-tiles entry bundles, cut where a bundle ends.

::

    segments(first=250, count=6)  segments(first=256, count=90)      an append of 96 entries at index 250
    2 bytes of length, entry 250, 2 bytes of length, entry 251, …
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from dataseal.ledger.errors import FormatError, IntegrityError
from dataseal.ledger.tlog.tile import WIDTH, decode_bundle

_LENGTH: Final = struct.Struct(">H")
_NAME: Final = struct.Struct(">I")
NAME_BYTES: Final = _NAME.size


def cut(first: int, count: int) -> Iterator[tuple[int, int]]:
    """(first, count) of each segment for ``count`` entries from ``first`` on."""
    end = first + count
    while first < end:
        stop = min(end, (first // WIDTH + 1) * WIDTH)
        yield first, stop - first
        first = stop


def encode(bodies: Sequence[bytes]) -> bytes:
    """The ``data`` of a segment."""
    return b"".join([part for body in bodies for part in (_LENGTH.pack(len(body)), body)])


def decode(first: int, count: int, data: bytes) -> list[bytes]:
    """The entries of a segment.

    Raises:
        IntegrityError: it does not hold ``count`` of them.
    """
    try:
        return decode_bundle(data, count)
    except FormatError as error:
        raise IntegrityError(
            f"the ledger's segment of entries {first} to {first + count - 1} is damaged: {error.what}",
            hint="run `dataseal ledger check`, and restore the ledger from a backup",
        ) from None


def encode_names(ids: Sequence[int]) -> bytes:
    """The ``names`` of a segment."""
    return struct.pack(f">{len(ids)}I", *ids)


def decode_names(data: bytes, count: int) -> tuple[int, ...]:
    """The name of each entry of a segment; 0, which names nothing, where the bytes do not fit."""
    if len(data) != count * NAME_BYTES:
        return (0,) * count
    return struct.unpack(f">{count}I", data)
