"""C2SP tlog-tiles: a tree and its entries as immutable files of 256 hashes or entries each.

::

    tile/<L>/<N>[.p/<W>]          hashes of level 8·L: node (8·L, 256·N + i) at byte 32·i
    tile/entries/<N>[.p/<W>]      entries 256·N + i, each after its length as big-endian uint16

``<N>`` is written in groups of three digits, all but the last with an ``x``. ``.p/<W>`` names a *partial*
tile, the rightmost of its level, of width 1 to 255. A partial tile is never hashed upward: only full tiles
have a hash at the level above. Every partial tile's hashes therefore lie on the tree's right edge, and
every full tile's hash lies in a tile one level up; `TileReader` authenticates by these two facts.

Example, all tiles of a tree of 70,000 entries by their last one a level (``tests/ledger/tlog/test_tile.py``
holds it)::

    tile/0/272          tile/0/273.p/112
    tile/1/000          tile/1/001.p/17
    tile/2/000.p/1
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.tlog.limits import (
    HASH_BYTES,
    MAX_ENTRY_BYTES,
    MAX_TILE_INDEX,
    MAX_TILE_LEVEL,
    MAX_TREE_SIZE,
)
from dataseal.ledger.tlog.merkle import leaf_hash

HEIGHT: Final = 8
"""Tree levels that one tile spans."""

WIDTH: Final = 256
"""Hashes, or entries, of a full tile."""

CONTENT_TYPE: Final = "application/octet-stream"
"""tlog-tiles, "Merkle Tree" and "Log entries"."""

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?\Z"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile or, with level ``None``, one entry bundle; a ``width`` below 256 makes it partial."""

    level: int | None
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """The path below the log's prefix."""
        if self.level is None:
            return entries_path(self.index, self.width)
        return tile_path(self.level, self.index, self.width)


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """``tile/<L>/<N>[.p/<W>]``.

    Raises:
        UsageError: no such tile can exist.
    """
    if not 0 <= level <= MAX_TILE_LEVEL:
        raise UsageError(f"tile level {level} is not between 0 and {MAX_TILE_LEVEL}")
    return f"tile/{level}/{_tail(index, width)}"


def entries_path(index: int, width: int = WIDTH) -> str:
    """``tile/entries/<N>[.p/<W>]``.

    Raises:
        UsageError: no such bundle can exist.
    """
    return f"tile/entries/{_tail(index, width)}"


def parse_path(path: str) -> Tile:
    """Reads a tile's or entry bundle's path, strictly: what it would not write, it does not read.

    Raises:
        FormatError: not such a path.
    """
    if match := _PATH.match(path):
        level = None if match["level"] == "entries" else int(match["level"])
        index = int(match["index"].replace("x", "").replace("/", ""))
        tile = Tile(level, index, int(match["width"] or WIDTH))
        try:
            if tile.path == path:  # refuses x000/001 for 001 and 000.p/256 for 000
                return tile
        except UsageError:  # well formed, but beyond the largest tree
            pass
    raise FormatError(f"not the path of a tile or entry bundle: {path[:120]!r}")


def tiles_for(size: int) -> Iterator[Tile]:
    """Every tile of a tree of ``size`` leaves, entry bundles not included: level 0 first, left to right."""
    return new_tiles(0, size)


def new_tiles(old: int, new: int) -> Iterator[Tile]:
    """The tiles to write for a log that grew from ``old`` to ``new`` leaves: level 0 first, left to right.

    Raises:
        UsageError: sizes out of order.
    """
    if not 0 <= old <= new <= MAX_TREE_SIZE:
        raise UsageError(f"no log grows from {old} to {new} entries")
    level = 0
    while new:
        yield from (Tile(level, index, width) for index, width in _grown(old, new))
        old, new, level = old >> HEIGHT, new >> HEIGHT, level + 1


def new_bundles(old: int, new: int) -> Iterator[Tile]:
    """The entry bundles to write for a log that grew from ``old`` to ``new`` leaves, left to right.

    Raises:
        UsageError: sizes out of order.
    """
    if not 0 <= old <= new <= MAX_TREE_SIZE:
        raise UsageError(f"no log grows from {old} to {new} entries")
    return (Tile(None, index, width) for index, width in _grown(old, new))


def width_at(level: int, index: int, size: int) -> int:
    """Width of tile ``(level, index)`` in a tree of ``size`` leaves: 0 (no such tile) to 256."""
    return max(0, min(WIDTH, (size >> (HEIGHT * level)) - index * WIDTH))


def encode_tile(hashes: Sequence[bytes]) -> bytes:
    """The bytes of a tile from its 1 to 256 hashes.

    Raises:
        UsageError: another number, or a hash that is not 32 bytes.
    """
    if not 1 <= len(hashes) <= WIDTH or any(len(value) != HASH_BYTES for value in hashes):
        raise UsageError(f"a tile holds 1 to {WIDTH} hashes of {HASH_BYTES} bytes, not {len(hashes)}")
    return b"".join(hashes)


def decode_tile(data: bytes, width: int) -> list[bytes]:
    """The hashes of a tile of known width.

    Raises:
        FormatError: its length is not that of ``width`` hashes.
    """
    if not 1 <= width <= WIDTH or len(data) != width * HASH_BYTES:
        raise FormatError(f"tile has {len(data)} bytes; one of width {width} has {width * HASH_BYTES}")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The bytes of an entry bundle from its 1 to 256 entries (tlog-tiles, "Log entries").

    Raises:
        UsageError: another number, or an entry beyond 65,535 bytes.
    """
    if not 1 <= len(entries) <= WIDTH:
        raise UsageError(f"an entry bundle holds 1 to {WIDTH} entries, not {len(entries)}")
    for position, entry in enumerate(entries):
        if len(entry) > MAX_ENTRY_BYTES:
            raise UsageError(f"entry {position} has {len(entry):,} bytes; at most {MAX_ENTRY_BYTES:,} fit a bundle")
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


def decode_bundle(data: bytes, count: int) -> list[bytes]:
    """The ``count`` entries of a bundle, which has exactly them.

    Raises:
        FormatError: it is cut short, or bytes are left over.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < count:
        if at + 2 > len(data):
            raise FormatError(f"entry bundle ends inside the length of entry {len(entries)}")
        (length,) = struct.unpack_from(">H", data, at)
        at += 2
        if at + length > len(data):
            raise FormatError(f"entry bundle ends inside entry {len(entries)}: {len(data) - at} of {length} bytes")
        entries.append(data[at : at + length])
        at += length
    if not 1 <= count <= WIDTH or len(entries) != count or at != len(data):
        raise FormatError(f"entry bundle holds {len(entries)} of {count} entries; {len(data) - at} bytes are left over")
    return entries


def entry_hashes(entries: Sequence[bytes]) -> list[bytes]:
    """The leaf hash of each entry, as the level-0 tile with the bundle's index holds them."""
    return [leaf_hash(entry) for entry in entries]


def _tail(index: int, width: int) -> str:
    if not 0 <= index <= MAX_TILE_INDEX or not 1 <= width <= WIDTH:
        raise UsageError(f"no tile has index {index} and width {width}")
    text = f"{index % 1000:03}"
    while index := index // 1000:
        text = f"x{index % 1000:03}/{text}"
    return text if width == WIDTH else f"{text}.p/{width}"


def _grown(old: int, new: int) -> Iterator[tuple[int, int]]:
    """(index, width) of each tile of one level that grows from ``old`` to ``new`` hashes."""
    if new > old:
        for index in range(old // WIDTH, (new - 1) // WIDTH + 1):
            yield index, min(WIDTH, new - index * WIDTH)
