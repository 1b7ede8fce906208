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
from typing import NoReturn

from sqlalchemy import Engine, bindparam, func, insert, select, update

from dataseal.ledger.errors import IntegrityError
from dataseal.ledger.store import segments, upgrade
from dataseal.ledger.store.database import BUSY_TIMEOUT, open_engine, reading, writing
from dataseal.ledger.store.models import CHAINS, HEADS, LOOKUPS, META, NAMES, SEGMENTS, TILES
from dataseal.ledger.store.stored import StoredEntry
from dataseal.ledger.store.tiles import Hashed
from dataseal.ledger.store.view import EMPTY, Head, Reading, Tally, one_or_many
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.tile import HEIGHT, WIDTH

__all__ = ["EMPTY", "TILE_HEIGHT", "TILE_WIDTH", "Head", "Store", "Tally", "View"]

TILE_HEIGHT = HEIGHT
TILE_WIDTH = WIDTH

_LAST_SEGMENT = select(SEGMENTS.c.first, SEGMENTS.c.entries).order_by(SEGMENTS.c.first.desc()).limit(1)
_LAST_NAME = select(func.max(NAMES.c.id))
_NAMES = one_or_many(select(NAMES.c.id, NAMES.c.dataset, NAMES.c.kind, NAMES.c.signer), NAMES.c.dataset)
_GROW = (
    update(TILES)
    .where(TILES.c.level == bindparam("of_level"), TILES.c.number == bindparam("of_number"))
    .values(data=bindparam("longer"))
)

_SIGN = (
    update(HEADS).where(HEADS.c.size == bindparam("of_size"), HEADS.c.note.is_(None)).values(note=bindparam("signed"))
)

_CHECK = "run `dataseal ledger check`; nothing was recorded. Restore the ledger from a backup, or from published tiles"


class View(Reading):
    """One consistent view of the store, and the writes of one transaction (within `Store.appending` only)."""

    def demand_whole(self) -> Head:
        """The newest head, after the checks that entries and tiles are there for it: no more, no fewer.

        Raises:
            IntegrityError: saying which of the three is not like the others.
        """
        head = self.head()
        row = self._driver.one(_LAST_SEGMENT)
        held = row[0] + row[1] if row else 0
        if held != head.size:
            _stop(f"the ledger's head says {head.size} entries; it holds {held}")
        if not head.size and self.tile(0, 0):
            _stop("the ledger holds tiles of a tree, and neither entries nor a head")
        if merkle.root_at(self, head.size) != head.root:
            _stop(f"the ledger's tiles do not lead to the root of its head (size {head.size})")
        return head

    def insert(self, rows: Sequence[StoredEntry]) -> Head:
        """Appends entries and their leaf hashes, and makes the new head.

        Raises:
            IntegrityError: the store is not whole; or the rows do not continue the log.
        """
        head = self.demand_whole()
        if not rows or [row.index for row in rows] != list(range(head.size, head.size + len(rows))):
            raise IntegrityError(f"entries do not continue the log, which holds {head.size}")
        names = self._number([(row.dataset, row.kind, row.signer) for row in rows])
        self._insert_segments(head.size, rows, names)
        # In the order of their keys: neighbours on a page are written together.
        self._driver.insert(CHAINS, sorted(zip(names, range(head.size, head.size + len(rows)), strict=True)))
        self._driver.insert(LOOKUPS, sorted([(key, row.index) for row in rows for key in row.keys]))
        self._extend(0, head.size, [row.leaf for row in rows])
        size = head.size + len(rows)
        new = Head(size, merkle.root_at(self, size), None)
        self._driver.insert(HEADS, [(size, new.root, None, None)])
        return new

    def _insert_segments(self, start: int, rows: Sequence[StoredEntry], names: Sequence[int]) -> None:
        values = []
        for first, count in segments.cut(start, len(rows)):
            part = slice(first - start, first - start + count)
            data = segments.encode([row.body for row in rows[part]])
            values.append((first, count, segments.encode_names(names[part]), data))
        self._driver.insert(SEGMENTS, values)

    def _number(self, names: Sequence[tuple[str, str, str]]) -> list[int]:
        """The number of each triple; new ones are numbered on."""
        wanted = dict.fromkeys(names)
        known: dict[tuple[str, str, str], int] = {}
        datasets = sorted({dataset for dataset, _, _ in wanted})
        known |= {(dataset, kind, signer): number for number, dataset, kind, signer in self._each(_NAMES, datasets)}
        if fresh := [name for name in wanted if name not in known]:
            found = self._driver.one(_LAST_NAME)
            last = int(found[0] or 0) if found else 0
            known |= {name: number for number, name in enumerate(fresh, last + 1)}
            self._driver.insert(NAMES, [(known[name], *name) for name in fresh])
        return [known[name] for name in names]

    def _extend(self, level: int, size: int, hashes: list[bytes]) -> None:
        """Appends ``hashes`` to the tiles of one level; full tiles' roots go to the level above."""
        above: list[bytes] = []
        fresh = []
        position = 0
        while position < len(hashes):
            number, filled = divmod(size + position, TILE_WIDTH)
            room = hashes[position : position + TILE_WIDTH - filled]
            rows = self._tile_rows(level, number) if not position else self._new_tile(level, number)
            if len(rows[0]) != filled:  # else the new hashes would stand at other places than they hash to
                _stop(f"the ledger's tile {number} of level {level} holds {len(rows[0])} hashes; {filled} are due")
            rows[0] += room
            data = b"".join(rows[0])
            if filled:
                self._driver.run(_GROW, of_level=level, of_number=number, longer=data)
            else:
                fresh.append((level, number, data))
            if filled + len(room) == TILE_WIDTH:
                above.append(merkle.root_from_leaves(rows[0]))
            position += len(room)
        self._driver.insert(TILES, fresh)
        if above:
            self._extend(level + 1, size >> TILE_HEIGHT, above)

    def edge(self) -> Hashed:
        """The tiles that this view knows and that are not full."""
        partial = {key: rows for key, rows in self._rows.items() if 0 < len(rows[0]) < TILE_WIDTH}
        return {key: (b"".join(rows[0]), rows) for key, rows in partial.items()}

    def sign_head(self, size: int, note: bytes) -> None:
        """Stores the checkpoint of a head, once."""
        self._driver.run(_SIGN, of_size=size, signed=note)

    def cosign_head(self, size: int, cosigned: bytes) -> None:
        """Stores a head's checkpoint with cosignatures: its own bytes, with lines behind them.

        Raises:
            IntegrityError: it does not begin with the head's checkpoint.
        """
        self._connection.execute(update(HEADS).where(HEADS.c.size == size).values(cosigned=cosigned))


def _stop(what: str) -> NoReturn:
    raise IntegrityError(what, hint=_CHECK)


class Store:
    """One ledger's database. Its connections are closed with it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: Hashed = {}
        self.close = weakref.finalize(self, engine.dispose)

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
            engine.dispose()
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
            engine.dispose()
        return before

    @contextmanager
    def view(self) -> Iterator[View]:
        """One consistent view."""
        with reading(self._engine) as connection:
            yield View(connection, self._known)

    @contextmanager
    def appending(self, *, durable: bool = True) -> Iterator[View]:
        """A view that may write; nobody else writes meanwhile; committed at the end.

        Args:
            durable: the commit waits for the disk (`dataseal.ledger.store.database.writing`).
        """
        with writing(self._engine, durable=durable) as connection:
            view = View(connection, self._known)
            yield view
        self._known.update(view.edge())  # committed
