"""The right edge of a growing tree: its partial tiles, and the roots of its perfect subtrees.

A writer keeps the edge of the head that it made last, so that the next append hashes what is new and nothing else. It
holds for that head alone, and only while the stored tiles are the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dataseal.ledger.digest import SIZE
from dataseal.ledger.errors import IntegrityError
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.tile import HEIGHT, WIDTH


class Grown(NamedTuple):
    """A tile that new leaves fill: ``longer`` when it stood there before, shorter."""

    level: int
    number: int
    data: bytes
    longer: bool


def partial_tiles(size: int) -> list[tuple[int, int, int]]:
    """Level, number and width of each partial tile of a tree of ``size`` leaves."""
    found, level = [], 0
    while size:
        if width := size % WIDTH:
            found.append((level, size // WIDTH, width))
        size, level = size >> HEIGHT, level + 1
    return found


class Edge:
    """The edge of one tree. It never changes: `extended` gives another one.

    Attributes:
        root: the tree's root hash.

    Args:
        size: the tree's leaves. tiles: the data of its partial tiles, by level.

    Raises:
        IntegrityError: a partial tile does not hold as many hashes as the tree's size says.
    """

    def __init__(self, size: int, tiles: Mapping[int, bytes]) -> None:
        roots: list[bytes] = []
        for level, number, width in partial_tiles(size):
            data = tiles.get(level, b"")
            if len(data) != width * SIZE:  # else new hashes would stand at other places than they hash to
                raise IntegrityError(
                    f"the ledger's tile {number} of level {level} holds {len(data)} bytes; {width} hashes are due",
                    hint="run `dataseal ledger check`; nothing was recorded. Restore the ledger from a backup",
                )
            hashes = [data[at : at + SIZE] for at in range(0, len(data), SIZE)]
            nodes = merkle.range_nodes(0, width)
            roots[:0] = [merkle.root_from_leaves(hashes[i << n : (i + 1) << n]) for n, i in nodes]
        self._take(tiles, merkle.CompactRange(size, roots))

    def _take(self, tiles: Mapping[int, bytes], range_: merkle.CompactRange) -> None:
        self.size, self.root, self.tiles, self._range = range_.size, range_.root(), tiles, range_

    def extended(self, leaves: Sequence[bytes]) -> tuple[Edge, list[Grown]]:
        """The edge behind ``leaves``, and the tiles that they fill; a full tile's root is in the level above."""
        range_ = self._range.copy()
        tiles, grown = dict(self.tiles), []
        for level, first, hashes in range_.extend(leaves):
            if level % HEIGHT:
                continue
            data = tiles.pop(level // HEIGHT, b"") + b"".join(hashes)
            for at in range(0, len(data), WIDTH * SIZE):
                part = data[at : at + WIDTH * SIZE]
                number = first // WIDTH + at // (WIDTH * SIZE)
                grown.append(Grown(level // HEIGHT, number, part, longer=not at and first % WIDTH > 0))
            if len(part) < WIDTH * SIZE:
                tiles[level // HEIGHT] = part
        edge = Edge.__new__(Edge)
        edge._take(tiles, range_)
        return edge, grown
