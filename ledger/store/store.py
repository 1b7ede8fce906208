"""The store: entries, tiles and heads, read and appended in transactions.

Nothing here knows what a signature is. `View.insert`, within `Store.appending`, is the one write path: in one
transaction it checks that the rows continue the newest head (compare-and-set), inserts the entries, extends the
tiles and makes the new head. `View` is one consistent view of the store, within a transaction; the reader of the
tree's hashes is part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row, func, insert, select, update
from sqlmodel import SQLModel

from dataseal.ledger.digest import SIZE
from dataseal.ledger.errors import IntegrityError, UsageError
from dataseal.ledger.store.database import open_sqlite, reading, writing
from dataseal.ledger.store.models import (
    ENTRIES,
    HEADS,
    META,
    SCHEMA_VERSION,
    SQLITE_TRIGGERS,
    TILES,
    StoredEntry,
)
from dataseal.ledger.tlog import merkle

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT


@dataclass(frozen=True, slots=True)
class Head:
    """A tree head: size, root, and its signed checkpoint once there is one."""

    size: int
    root: bytes
    note: bytes | None


class Tally(NamedTuple):
    """Entries of one dataset and kind, and their bytes."""

    dataset: str
    kind: str
    entries: int
    bytes: int


EMPTY = Head(0, merkle.EMPTY_ROOT, None)


class View:
    """One consistent view of the store, and the writes of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def head(self) -> Head:
        """The newest head; `EMPTY` for an empty log."""
        row = self._connection.execute(select(HEADS).order_by(HEADS.c.size.desc()).limit(1)).one_or_none()
        return _head(row) if row else EMPTY

    def signed_head(self) -> Head:
        """The newest head that has a checkpoint; `EMPTY` when there is none."""
        signed = select(HEADS).where(HEADS.c.note.is_not(None)).order_by(HEADS.c.size.desc()).limit(1)
        row = self._connection.execute(signed).one_or_none()
        return Head(row.size, row.root, row.note) if row else EMPTY

    def head_at(self, size: int) -> Head | None:
        """The head of a size."""
        row = self._connection.execute(select(HEADS).where(HEADS.c.size == size)).one_or_none()
        return _head(row) if row else None

    def heads(self) -> Iterator[Head]:
        """Every head, by size."""
        for row in self._connection.execute(select(HEADS).order_by(HEADS.c.size)):
            yield _head(row)

    def meta(self) -> dict[str, str]:
        """What the ledger is."""
        return {row.key: row.value for row in self._connection.execute(select(META))}

    def entry(self, index: int) -> StoredEntry | None:
        """The entry at ``index``."""
        return self._entry(ENTRIES.c.index == index)

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[StoredEntry]:
        """Entries in order of their indexes, from ``start`` up to ``stop`` (not included)."""
        query = select(ENTRIES).where(ENTRIES.c.index >= start)
        if stop is not None:
            query = query.where(ENTRIES.c.index < stop)
        for row in self._connection.execute(query.order_by(ENTRIES.c.index)):
            yield _entry(row)

    def of_dataset(self, dataset: str, *kinds: str) -> list[StoredEntry]:
        """A dataset's entries of the given kinds, in order."""
        query = select(ENTRIES).where(ENTRIES.c.dataset == dataset).where(ENTRIES.c.kind.in_(kinds))
        return [_entry(row) for row in self._connection.execute(query.order_by(ENTRIES.c.index))]

    def newest(self, dataset: str, *kinds: str) -> StoredEntry | None:
        """A dataset's newest entry of the given kinds, or of any kind."""
        conditions = [ENTRIES.c.dataset == dataset]
        if kinds:
            conditions.append(ENTRIES.c.kind.in_(kinds))
        return self._entry(*conditions, newest=True)

    def release(self, dataset: str, version: str) -> StoredEntry | None:
        """The release of a dataset under a version."""
        return self._entry(ENTRIES.c.dataset == dataset, ENTRIES.c.kind == "release", ENTRIES.c.version == version)

    def state(self, dataset: str, root: str) -> StoredEntry | None:
        """The newest release or modification of a dataset that has or leads to ``root``."""
        return self._entry(
            ENTRIES.c.dataset == dataset,
            ENTRIES.c.kind.in_(("release", "modification")),
            ENTRIES.c.root == root,
            newest=True,
        )

    def find(self, payload: str, signer: str) -> StoredEntry | None:
        """The entry of a payload (SHA-256, hexadecimal) by a signer (fingerprint)."""
        return self._entry(ENTRIES.c.payload == payload, ENTRIES.c.signer == signer)

    def datasets(self) -> list[str]:
        """The names of all datasets with entries."""
        query = select(ENTRIES.c.dataset).distinct().order_by(ENTRIES.c.dataset)
        return list(self._connection.execute(query).scalars())

    def count(self) -> int:
        """How many entries there are."""
        return int(self._connection.execute(select(func.count()).select_from(ENTRIES)).scalar_one())

    def tally(self) -> list[Tally]:
        """How many entries there are, and their bytes, by dataset and kind."""
        by = (ENTRIES.c.dataset, ENTRIES.c.kind)
        query = select(*by, func.count(), func.sum(func.length(ENTRIES.c.body))).group_by(*by).order_by(*by)
        return [Tally(*row) for row in self._connection.execute(query)]

    def tile(self, level: int, number: int) -> bytes:
        """A hash tile's data; empty when it does not exist."""
        query = select(TILES.c.data).where(TILES.c.level == level, TILES.c.number == number)
        return _blob(self._connection.execute(query).scalar_one_or_none() or b"")

    def tiles(self) -> Iterator[tuple[int, int, bytes]]:
        """Every tile: level, number, data."""
        query = select(TILES).order_by(TILES.c.level, TILES.c.number)
        for row in self._connection.execute(query):
            yield row.level, row.number, _blob(row.data)

    def read(self, nodes: Sequence[tuple[int, int]]) -> list[bytes]:
        """The hashes of complete subtrees, by (level, index): a `merkle.HashReader` over the tiles."""
        cache: dict[tuple[int, int], bytes] = {}
        return [self._node(level, index, cache) for level, index in nodes]

    def _node(self, level: int, index: int, cache: dict[tuple[int, int], bytes]) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = index << height
        key = (tile_level, first // TILE_WIDTH)
        if key not in cache:
            cache[key] = self.tile(*key)
        start = first % TILE_WIDTH * SIZE
        data = cache[key][start : start + (SIZE << height)]
        if len(data) != SIZE << height:
            raise IntegrityError(
                f"the ledger's tile {key[1]} of level {key[0]} is too short",
                hint="run `dataseal ledger check`, and restore the ledger from a backup",
            )
        hashes = [data[i : i + SIZE] for i in range(0, len(data), SIZE)]
        while len(hashes) > 1:
            hashes = [merkle.node_hash(a, b) for a, b in zip(hashes[::2], hashes[1::2], strict=True)]
        return hashes[0]

    def _entry(self, *conditions: Any, newest: bool = False) -> StoredEntry | None:
        query = select(ENTRIES).where(*conditions).limit(1)
        if newest:
            query = query.order_by(ENTRIES.c.index.desc())
        row = self._connection.execute(query).one_or_none()
        return _entry(row) if row else None

    # Writes: only within `Store.appending`.

    def insert(self, rows: Sequence[StoredEntry]) -> Head:
        """Appends entries and their leaf hashes, and makes the new head.

        Raises:
            IntegrityError: the tiles do not lead to the head's root; or the rows do not continue the log.
        """
        head = self.head()
        if head.size and merkle.root_at(self, head.size) != head.root:
            raise IntegrityError(
                f"the ledger's tiles do not lead to the root of its head (size {head.size})",
                hint="run `dataseal ledger check`; nothing was recorded",
            )
        if not rows or [row.index for row in rows] != list(range(head.size, head.size + len(rows))):
            raise IntegrityError(f"entries do not continue the log, which holds {head.size}")
        self._connection.execute(insert(ENTRIES), [asdict(row) for row in rows])
        self._extend(0, head.size, [row.leaf for row in rows])
        size = head.size + len(rows)
        new = Head(size, merkle.root_at(self, size), None)
        self._connection.execute(insert(HEADS), [{"size": size, "root": new.root, "note": None}])
        return new

    def _extend(self, level: int, size: int, hashes: list[bytes]) -> None:
        """Appends ``hashes`` to the tiles of one level; full tiles' roots go to the level above."""
        above: list[bytes] = []
        number, filled = divmod(size, TILE_WIDTH)
        position = 0
        while position < len(hashes):
            room = hashes[position : position + TILE_WIDTH - filled]
            before = self.tile(level, number)
            if len(before) != filled * SIZE:  # else the new hashes would stand at other places than they hash to
                raise IntegrityError(
                    f"the ledger's tile {number} of level {level} holds {len(before)} bytes; {filled * SIZE} are due",
                    hint="run `dataseal ledger check`; nothing was recorded",
                )
            data = before + b"".join(room)
            if filled:
                condition = (TILES.c.level == level, TILES.c.number == number)
                self._connection.execute(update(TILES).where(*condition).values(data=data))
            else:
                self._connection.execute(insert(TILES), [{"level": level, "number": number, "data": data}])
            if len(data) == TILE_WIDTH * SIZE:
                above.append(_tile_root(data))
            position += len(room)
            number, filled = number + 1, 0
        if above:
            self._extend(level + 1, size >> TILE_HEIGHT, above)

    def sign_head(self, size: int, note: bytes) -> None:
        """Stores the checkpoint of a head, once."""
        query = update(HEADS).where(HEADS.c.size == size, HEADS.c.note.is_(None)).values(note=note)
        self._connection.execute(query)


def _tile_root(data: bytes) -> bytes:
    return merkle.root_from_leaves([data[i : i + SIZE] for i in range(0, len(data), SIZE)])


def _entry(row: Row[Any]) -> StoredEntry:
    values = dict(row._mapping)
    return StoredEntry(**values | {"leaf": _blob(values["leaf"]), "body": _blob(values["body"])})


def _head(row: Row[Any]) -> Head:
    return Head(row.size, _blob(row.root), None if row.note is None else _blob(row.note))


def _blob(value: object) -> bytes:
    """SQLite's columns take any type: what somebody wrote there as text is judged by its bytes, like the rest."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")


class Store:
    """One ledger's database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def create(cls, path: Path, *, origin: str, log_key: str) -> Store:
        """Makes an empty ledger at ``path``.

        Raises:
            UsageError: the file exists.
        """
        store = cls(open_sqlite(path, create=True))
        with writing(store._engine) as connection:
            SQLModel.metadata.create_all(connection, tables=[ENTRIES, TILES, HEADS, META])
            for trigger in SQLITE_TRIGGERS:
                connection.exec_driver_sql(trigger)
            meta = {"schema": SCHEMA_VERSION, "origin": origin, "log_key": log_key}
            connection.execute(insert(META), [{"key": k, "value": v} for k, v in meta.items()])
        return cls.open(path)  # which makes no file: see `open_sqlite`

    @classmethod
    def open(cls, path: Path) -> Store:
        """Opens the ledger at ``path``.

        Raises:
            UsageError: no such file, or a ledger of another schema version.
        """
        store = cls(open_sqlite(path))
        with store.view() as view:
            schema = view.meta().get("schema")
        if schema != SCHEMA_VERSION:
            raise UsageError(f"the ledger has schema {schema}; this dataseal reads {SCHEMA_VERSION}")
        return store

    @contextmanager
    def view(self) -> Iterator[View]:
        """One consistent view."""
        with reading(self._engine) as connection:
            yield View(connection)

    @contextmanager
    def appending(self) -> Iterator[View]:
        """A view that may write; nobody else writes meanwhile; committed at the end."""
        with writing(self._engine) as connection:
            yield View(connection)
