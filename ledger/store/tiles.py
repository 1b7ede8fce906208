"""The tree's hashes, from the hash tiles that a database holds: a `merkle.HashReader`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import CompoundSelect, Connection, bindparam, select, union_all

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


Key = tuple[int, int]
Rows = list[list[bytes]]


class Hashed:
    """Tiles with the hashes above their leaves, for other views: partial ones, and full ones above the leaves."""

    def __init__(self) -> None:
        self._tiles: dict[Key, tuple[bytes, Rows]] = {}

    def find(self, key: Key) -> tuple[bytes, Rows] | None:
        """A tile's data as it was hashed, and its hashes, which nobody changes any more."""
        return self._tiles.get(key)

    def keep(self, tiles: Iterable[tuple[Key, bytes, Rows]]) -> None:
        """Takes hashed tiles; the oldest ones go when there are too many."""
        for key, data, rows in tiles:
            self._tiles.pop(key, None)
            while len(self._tiles) >= KNOWN_TILES:
                self._tiles.pop(next(iter(self._tiles)), None)
            self._tiles[key] = data, rows


class Tiles:
    """The tiles as one transaction sees them.

    Args:
        known: tiles that were hashed before, shared with other views; of those is used whose bytes are still the same.
    """

    def __init__(self, driver: Driver, known: Hashed | None = None) -> None:
        self._driver = driver
        self._known = Hashed() if known is None else known
        self._rows: OrderedDict[Key, Rows] = OrderedDict()

    @property
    def _connection(self) -> Connection:
        return self._driver.connection

    def tile(self, level: int, number: int) -> bytes:
        """A hash tile's data; empty when it does not exist."""
        row = self._driver.one(_TILE, level=level, number=number)
        return blob(row[0]) if row else b""

    def data_of(self, tiles: Sequence[Key]) -> dict[int, bytes]:
        """The data of tiles of different levels, by level; those that do not exist are left out."""
        if not tiles:
            return {}
        statement, names = _several(len(tiles))
        values = dict(zip(names, chain.from_iterable(tiles), strict=True))
        return {level: blob(data) for level, data in self._driver.all(statement, **values)}

    def partial(self) -> Iterator[tuple[Key, bytes, Rows]]:
        """The tiles that this view hashed and that are not full."""
        for key, rows in self._rows.items():
            if len(rows) > 1 and len(rows[0]) < WIDTH:
                yield key, b"".join(rows[0]), rows

    def tiles(self) -> Iterator[tuple[int, int, bytes]]:
        """Every tile: level, number, data."""
        return ((level, number, blob(data)) for level, number, data in self._paged(TILES.c.data))

    def tile_numbers(self) -> Iterator[tuple[int, int]]:
        """Every tile: level, number."""
        return ((level, number) for level, number in self._paged())

    def _paged(self, *more: Any) -> Iterator[tuple[Any, ...]]:
        at = (-(2**62), -(2**62))
        while True:
            after = (TILES.c.level > at[0]) | ((TILES.c.level == at[0]) & (TILES.c.number > at[1]))
            page = select(TILES.c.level, TILES.c.number, *more).where(after).order_by(TILES.c.level, TILES.c.number)
            rows = self._connection.execute(page.limit(WIDTH)).all()
            yield from map(tuple, rows)
            if len(rows) < WIDTH:
                return
            at = rows[-1][0], rows[-1][1]

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
            self._grow(rows, at)
        if place >= len(rows[height]):
            raise IntegrityError(
                f"the ledger's tile {number} of level {tile_level} is too short",
                hint="run `dataseal ledger check`, and restore the ledger from a backup",
            )
        return rows[height][place]

    def _tile_rows(self, level: int, number: int) -> Rows:
        """A tile's hashes; above them, as far as they were asked for, the hashes of their pairs, and so on."""
        found = self._rows.get((level, number))
        if found is None:
            data = self.tile(level, number)
            if len(data) % SIZE:
                raise IntegrityError(
                    f"the ledger's tile {number} of level {level} is no row of hashes: {len(data)} bytes",
                    hint="run `dataseal ledger check`, and restore the ledger from a backup",
                )
            known = self._known.find((level, number))
            found = self._new_tile(level, number)
            if known and data == known[0] and len(data) == WIDTH * SIZE:  # these very bytes were hashed before
                found[:] = known[1]
                return found
            if known and data.startswith(known[0]):
                found[:] = [list(row) for row in known[1]]
            found[0] += [data[i : i + SIZE] for i in range(SIZE * len(found[0]), len(data), SIZE)]
            if level and len(data) == WIDTH * SIZE:
                self._hash(found)
                # It changes no more, and many proofs pass through it.
                self._known.keep([((level, number), data, found)])
        return found

    def _hash(self, rows: Rows) -> None:
        """All hashes above a full tile's leaves."""
        for at in range(HEIGHT):
            self._grow(rows, at)

    def _grow(self, rows: Rows, at: int) -> None:
        """The hashes above row ``at``, as far as it has grown since."""
        if at + 1 == len(rows):
            rows.append([])
        below, above = rows[at], rows[at + 1]
        if len(above) < len(below) // 2:
            start = 2 * len(above)
            above += map(merkle.node_hash, below[start::2], below[start + 1 :: 2])

    def _new_tile(self, level: int, number: int) -> Rows:
        if len(self._rows) >= CACHED_TILES:
            self._rows.popitem(last=False)
        rows: Rows = [[]]
        self._rows[level, number] = rows
        return rows


@lru_cache(maxsize=8)
def _several(count: int) -> tuple[CompoundSelect[Any], list[str]]:
    """The query for as many tiles, and the names of its values: level and number of each."""
    chosen = [(TILES.c.level == bindparam(f"l{at}"), TILES.c.number == bindparam(f"n{at}")) for at in range(count)]
    query = union_all(*(select(TILES.c.level, TILES.c.data).where(*tile) for tile in chosen))
    return query, [name for at in range(count) for name in (f"l{at}", f"n{at}")]


def blob(value: object) -> bytes:
    """SQLite's columns take any type: what somebody wrote there as text is judged by its bytes, like the rest."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
