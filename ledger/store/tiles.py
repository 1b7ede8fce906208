"""The tree's hashes, from the hash tiles that a database holds: a `merkle.HashReader`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, select

from dataseal.ledger.digest import SIZE
from dataseal.ledger.errors import IntegrityError
from dataseal.ledger.store.driver import Driver
from dataseal.ledger.store.models import TILES
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.tile import HEIGHT, WIDTH

CACHED_TILES: Final = 64
"""Tiles that a view keeps, with the hashes above their leaves: some 40 kB each."""
KNOWN_TILES: Final = 256
"""Hashed tiles that a store keeps between views: some 60 kB each, all above the leaves of 16 million entries."""
_TILE: Final = select(TILES.c.data).where(TILES.c.level == bindparam("level"), TILES.c.number == bindparam("number"))


Hashed = dict[tuple[int, int], tuple[bytes, list[list[bytes]]]]
"""Tiles with the hashes above their leaves: those at the tree's right edge, and full ones above the leaves."""


class Tiles:
    """The tiles as one transaction sees them.

    Args:
        known: tiles that were hashed before, shared with other views; of those is used whose bytes are still the same.
    """

    def __init__(self, connection: Connection, known: Hashed | None = None) -> None:
        self._connection = connection
        self._driver = Driver(connection)
        self._known = {} if known is None else known
        self._rows: OrderedDict[tuple[int, int], list[list[bytes]]] = OrderedDict()

    def tile(self, level: int, number: int) -> bytes:
        """A hash tile's data; empty when it does not exist."""
        row = self._driver.one(_TILE, level=level, number=number)
        return blob(row[0]) if row else b""

    def tiles(self) -> Iterator[tuple[int, int, bytes]]:
        """Every tile: level, number, data."""
        at = (-(2**62), -(2**62))
        while True:
            after = (TILES.c.level > at[0]) | ((TILES.c.level == at[0]) & (TILES.c.number > at[1]))
            page = select(TILES).where(after).order_by(TILES.c.level, TILES.c.number).limit(WIDTH)
            rows = self._connection.execute(page).all()
            yield from ((row.level, row.number, blob(row.data)) for row in rows)
            if len(rows) < WIDTH:
                return
            at = rows[-1].level, rows[-1].number

    def read(self, nodes: Sequence[merkle.Node]) -> list[bytes]:
        """The hashes of complete subtrees, by (level, index): a `merkle.HashReader` over the tiles.

        Raises:
            IntegrityError: a tile does not hold one.
        """
        return [self._node(level, index) for level, index in nodes]

    def _node(self, level: int, index: int) -> bytes:
        tile_level, height = divmod(level, HEIGHT)
        number, place = divmod(index, WIDTH >> height)
        rows = self._tile_rows(tile_level, number)
        for at in range(height):
            if at + 1 == len(rows):
                rows.append([])
            below, above = rows[at], rows[at + 1]
            if len(above) < len(below) // 2:  # as far as the tile has grown since it was asked last
                start = 2 * len(above)
                above += map(merkle.node_hash, below[start::2], below[start + 1 :: 2])
        if place >= len(rows[height]):
            raise IntegrityError(
                f"the ledger's tile {number} of level {tile_level} is too short",
                hint="run `dataseal ledger check`, and restore the ledger from a backup",
            )
        return rows[height][place]

    def _tile_rows(self, level: int, number: int) -> list[list[bytes]]:
        """A tile's hashes; above them, as far as they were asked for, the hashes of their pairs, and so on."""
        found = self._rows.get((level, number))
        if found is None:
            data = self.tile(level, number)
            if len(data) % SIZE:
                raise IntegrityError(
                    f"the ledger's tile {number} of level {level} is no row of hashes: {len(data)} bytes",
                    hint="run `dataseal ledger check`, and restore the ledger from a backup",
                )
            known = self._known.get((level, number))
            found = self._new_tile(level, number)
            if known and known[0] == data:  # these very bytes were hashed before
                found[:] = known[1] if len(data) == WIDTH * SIZE else [list(row) for row in known[1]]
                return found
            found[0] += [data[i : i + SIZE] for i in range(0, len(data), SIZE)]
            if level and len(data) == WIDTH * SIZE:
                self._share(level, number, data, found)
        return found

    def _share(self, level: int, number: int, data: bytes, rows: list[list[bytes]]) -> None:
        """Keeps a full tile above the leaves for other views: many proofs pass through it, and it changes no more."""
        while len(rows[-1]) > 1:
            rows.append(list(map(merkle.node_hash, rows[-1][::2], rows[-1][1::2])))
        while len(self._known) >= KNOWN_TILES:
            self._known.pop(next(iter(self._known)), None)
        self._known[level, number] = data, rows

    def _new_tile(self, level: int, number: int) -> list[list[bytes]]:
        if len(self._rows) >= CACHED_TILES:
            self._rows.popitem(last=False)
        rows: list[list[bytes]] = [[]]
        self._rows[level, number] = rows
        return rows


def blob(value: object) -> bytes:
    """SQLite's columns take any type: what somebody wrote there as text is judged by its bytes, like the rest."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
