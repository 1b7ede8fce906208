"""The store: a ledger's database, read and appended to in transactions.

Nothing here knows what a signature is. `View.insert`, within `Store.appending`, is the one write path: in one
transaction it checks that the store is whole and that the rows continue its newest head (compare-and-set), inserts the
entries with what leads to them, extends the tiles and makes the new head.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from sqlalchemy import Engine, bindparam, func, insert, select, update

from dataseal.ledger.errors import IntegrityError
from dataseal.ledger.store import segments, upgrade
from dataseal.ledger.store.database import BUSY_TIMEOUT, close, open_engine, reading, transaction, writing
from dataseal.ledger.store.driver import Driver
from dataseal.ledger.store.edge import Edge, partial_tiles
from dataseal.ledger.store.models import CHAINS, HEADS, LOOKUPS, META, NAMES, SEGMENTS, TILES
from dataseal.ledger.store.stored import StoredEntry
from dataseal.ledger.store.tiles import Hashed
from dataseal.ledger.store.view import EMPTY, Head, Reading, Tally, head_of, one_or_many
from dataseal.ledger.tlog.tile import HEIGHT, WIDTH

__all__ = ["EMPTY", "TILE_HEIGHT", "TILE_WIDTH", "Head", "Store", "Tally", "View"]

TILE_HEIGHT = HEIGHT
TILE_WIDTH = WIDTH

_END = (SEGMENTS.c.first + SEGMENTS.c.entries).label("held")
_HELD = select(_END).order_by(SEGMENTS.c.first.desc()).limit(1)
_NEWEST = select(HEADS, _HELD.scalar_subquery()).order_by(HEADS.c.size.desc()).limit(1)
_LAST_NAME = select(func.max(NAMES.c.id))
_NAMES = one_or_many(select(NAMES.c.id, NAMES.c.dataset, NAMES.c.kind, NAMES.c.signer), NAMES.c.dataset)
_GROW = (
    update(TILES)
    .where(TILES.c.level == bindparam("of_level"), TILES.c.number == bindparam("of_number"))
    .values(data=bindparam("longer"))
)
KNOWN_NAMES: Final = 65_536
"""Triples of dataset, kind and signer whose number a writer remembers: some 20 MB."""

_SIGN = (
    update(HEADS).where(HEADS.c.size == bindparam("of_size"), HEADS.c.note.is_(None)).values(note=bindparam("signed"))
)

_CHECK = "run `dataseal ledger check`; nothing was recorded. Restore the ledger from a backup, or from published tiles"


Triple = tuple[str, str, str]
"""Dataset, kind and signer: a `Name`."""


class Latest(NamedTuple):
    """What a writer knows of the head that it made last; nothing of it is believed of another head."""

    root: bytes
    edge: Edge
    numbers: dict[Triple, int]


class View(Reading):
    """One consistent view of the store, and the writes of one transaction (within `Store.appending` only).

    Args:
        latest: what may be known of the newest head.

    Attributes:
        made: what is known of the head that `insert` made: it holds once the transaction is committed.
    """

    def __init__(self, driver: Driver, known: Hashed | None = None, latest: Latest | None = None) -> None:
        super().__init__(driver, known)
        self._latest = latest
        self._newest: tuple[Head, int] | None = None
        self._given: dict[Triple, int] = {}
        self.made: Latest | None = None

    def head(self) -> Head:
        """The newest head; `EMPTY` for an empty log."""
        return self._head_and_held()[0]

    def _head_and_held(self) -> tuple[Head, int]:
        """The newest head, and how many entries there are."""
        if self._newest is None:
            if row := self._driver.one(_NEWEST):
                self._newest = head_of(row[:4]), int(row[4] or 0)
            else:
                held = self._driver.one(_HELD)
                self._newest = EMPTY, int(held[0]) if held else 0
        return self._newest

    def demand_whole(self) -> Head:
        """The newest head, after the checks that entries and tiles are there for it: no more, no fewer.

        Raises:
            IntegrityError: saying which of the three is not like the others.
        """
        self._edge()
        return self.head()

    def _edge(self) -> Edge:
        head, held = self._head_and_held()
        if held != head.size:
            _stop(f"the ledger's head says {head.size} entries; it holds {held}")
        if not head.size and self.tile(0, 0):
            _stop("the ledger holds tiles of a tree, and neither entries nor a head")
        tiles = self.data_of([(level, number) for level, number, _ in partial_tiles(head.size)])
        if self._latest and self._latest.root == head.root and self._latest.edge.tiles == tiles:
            return self._latest.edge
        edge = Edge(head.size, tiles)
        if edge.root != head.root:
            _stop(f"the ledger's tiles do not lead to the root of its head (size {head.size})")
        return edge

    def insert(self, rows: Sequence[StoredEntry]) -> Head:
        """Appends entries and their leaf hashes, and makes the new head.

        Raises:
            IntegrityError: the store is not whole; or the rows do not continue the log.
        """
        edge, head = self._edge(), self.head()
        if not rows or [row.index for row in rows] != list(range(head.size, head.size + len(rows))):
            raise IntegrityError(f"entries do not continue the log, which holds {head.size}")
        numbers = self._number([(row.dataset, row.kind, row.signer) for row in rows], head)
        self._insert_segments(head.size, [row.body for row in rows], numbers)
        # In the order of their keys: neighbours on a page are written together.
        self._driver.insert(CHAINS, sorted(zip(numbers, range(head.size, head.size + len(rows)), strict=True)))
        self._driver.insert(LOOKUPS, sorted([(key, row.index) for row in rows for key in row.keys]))
        return self._extend(edge, [row.leaf for row in rows])

    def _insert_segments(self, start: int, bodies: Sequence[bytes], numbers: Sequence[int]) -> None:
        values = []
        for first, count in segments.cut(start, len(bodies)):
            part = slice(first - start, first - start + count)
            values.append((first, count, segments.encode_names(numbers[part]), segments.encode(bodies[part])))
        self._driver.insert(SEGMENTS, values)

    def _number(self, names: Sequence[Triple], head: Head) -> list[int]:
        """The number of each triple; new ones are numbered on."""
        latest = self._latest
        if latest and latest.root == head.root and len(latest.numbers) <= KNOWN_NAMES:
            self._given = latest.numbers
        if wanted := [name for name in dict.fromkeys(names) if name not in self._given]:
            datasets = sorted({dataset for dataset, _, _ in wanted})
            known: dict[Triple, int] = {name[1:]: name[0] for name in self._each(_NAMES, datasets)}
            if fresh := [name for name in wanted if name not in known]:
                found = self._driver.one(_LAST_NAME)
                last = int(found[0] or 0) if found else 0
                known |= {name: number for number, name in enumerate(fresh, last + 1)}
                self._driver.insert(NAMES, [(known[name], *name) for name in fresh])
            self._given = self._given | {name: known[name] for name in wanted}
        return [self._given[name] for name in names]

    def _extend(self, edge: Edge, leaves: Sequence[bytes]) -> Head:
        """Appends leaf hashes to the tree: its tiles, and the new head."""
        after, grown = edge.extended(leaves)
        self._driver.insert(TILES, [tile[:3] for tile in grown if not tile.longer])
        for level, number, data, longer in grown:
            if longer:
                self._driver.run(_GROW, of_level=level, of_number=number, longer=data)
        new = Head(after.size, after.root, None)
        self._driver.insert(HEADS, [(new.size, new.root, None, None)])
        self._newest = new, new.size
        self.made = Latest(new.root, after, self._given)
        return new

    def sign_head(self, size: int, note: bytes) -> None:
        """Stores the checkpoint of a head, once."""
        self._driver.run(_SIGN, of_size=size, signed=note)
        self._newest = None

    def cosign_head(self, size: int, cosigned: bytes) -> None:
        """Stores a head's checkpoint with cosignatures: its own bytes, with lines behind them.

        Raises:
            IntegrityError: it does not begin with the head's checkpoint.
        """
        self._connection.execute(update(HEADS).where(HEADS.c.size == size).values(cosigned=cosigned))
        self._newest = None


def _stop(what: str) -> NoReturn:
    raise IntegrityError(what, hint=_CHECK)


class Store:
    """One ledger's database. Its connections are closed with it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known = Hashed()
        self._latest: Latest | None = None
        self.close = weakref.finalize(self, close, engine)

    @classmethod
    def create(cls, where: Path | str, *, origin: str, log_key: str) -> Store:
        """Makes an empty ledger.

        Args:
            where: a file, or the URL of a PostgreSQL database.

        Raises:
            UsageError: there is one.
        """
        engine = open_engine(where, create=True)
        try:
            with writing(engine) as connection:
                upgrade.demand_nothing(connection)
                upgrade.apply(connection)
                meta = {"origin": origin, "log_key": log_key}
                connection.execute(insert(META), [{"key": k, "value": v} for k, v in meta.items()])
        finally:
            close(engine)
        return cls.open(where)  # which makes no file: see `open_sqlite`

    @classmethod
    def open(cls, where: Path | str, *, busy_timeout: float = BUSY_TIMEOUT) -> Store:
        """Opens a ledger.

        Args:
            where: its file, or the URL of its PostgreSQL database. busy_timeout: seconds to wait for another writer.

        Raises:
            UsageError: no such file, or a ledger of another schema version.
        """
        store = cls(open_engine(where, busy_timeout=busy_timeout))
        with reading(store._engine) as connection:
            upgrade.demand(connection)
        return store

    @classmethod
    def upgrade(cls, where: Path | str) -> str:
        """Brings a ledger of an older schema to this dataseal's, in one transaction; returns the schema it had.

        Raises:
            UsageError: it was made by a newer dataseal. IntegrityError: it is no ledger.
        """
        engine = open_engine(where)
        try:
            with writing(engine) as connection:
                before = upgrade.demand_known(connection)
                upgrade.apply(connection)
        finally:
            close(engine)
        return before

    @contextmanager
    def view(self) -> Iterator[View]:
        """One consistent view."""
        with transaction(self._engine) as driver:
            view = View(driver, self._known, self._latest)
            yield view
        self._known.keep(view.partial())

    @contextmanager
    def appending(self, *, durable: bool = True) -> Iterator[View]:
        """A view that may write; nobody else writes meanwhile; committed at the end.

        Args:
            durable: the commit waits for the disk (`dataseal.ledger.store.database.transaction`).
        """
        with transaction(self._engine, write=True, durable=durable) as driver:
            view = View(driver, self._known, self._latest)
            yield view
        self._latest = view.made or self._latest  # committed
