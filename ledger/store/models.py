"""The ledger's tables, and the triggers that make them append-only.

``entries`` holds every leaf's bytes with the columns that queries need (all re-derivable from the bytes, and
re-derived by ``ledger check``); ``tiles`` the Merkle tree as tlog-tiles hash tiles; ``heads`` one row for every tree
size that was ever made the head: its root, and its signed checkpoint once there is one. A size has one row, so
that two roots can't be signed for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Index, LargeBinary, Table, UniqueConstraint
from sqlmodel import Field, SQLModel

SCHEMA_VERSION: Final = "1"


class EntryRow(SQLModel, table=True):
    """One logged entry."""

    __tablename__ = "entries"
    __table_args__ = (
        UniqueConstraint("payload", "signer", name="entries_once"),
        Index("entries_by_dataset", "dataset", "kind", "index"),
        Index("entries_by_root", "root"),
        Index("entries_by_table", "table_digest"),
        Index("entries_by_signer", "signer"),
    )

    index: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    leaf: bytes = Field(sa_type=LargeBinary)
    body: bytes = Field(sa_type=LargeBinary)
    kind: str
    dataset: str
    version: str
    sequence: int | None
    root: str
    table_digest: str
    signer: str
    payload: str
    logged_at: str


class TileRow(SQLModel, table=True):
    """One hash tile: up to 256 hashes of 32 bytes. Only a partial one is ever replaced, by a longer one."""

    __tablename__ = "tiles"

    level: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    data: bytes = Field(sa_type=LargeBinary)


class HeadRow(SQLModel, table=True):
    """One tree head: a size, its root, and the signed checkpoint once it was made."""

    __tablename__ = "heads"

    size: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    root: bytes = Field(sa_type=LargeBinary)
    note: bytes | None = Field(default=None, sa_type=LargeBinary)


class MetaRow(SQLModel, table=True):
    """What the ledger is: ``schema``, ``origin``, ``log_key`` (the verifier key)."""

    __tablename__ = "meta"

    key: str = Field(primary_key=True)
    value: str


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A logged entry as it is read and written: the columns of `EntryRow`.

    Attributes:
        index: its place in the log. leaf: its leaf hash. body: the leaf's bytes (`dataseal.ledger.entry`).
        kind, dataset, version, root, table_digest: what its statement is about; digests in hexadecimal.
        sequence: of a release, else None. signer: fingerprint. payload: SHA-256 of the statement, hexadecimal.
    """

    index: int
    leaf: bytes
    body: bytes
    kind: str
    dataset: str
    version: str
    sequence: int | None
    root: str
    table_digest: str
    signer: str
    payload: str
    logged_at: str


def _table(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]  # SQLModel sets it, and does not declare it
    return table


ENTRIES: Final = _table(EntryRow)
TILES: Final = _table(TileRow)
HEADS: Final = _table(HeadRow)
META: Final = _table(MetaRow)
"""The same tables for SQLAlchemy core: hot paths go past the ORM, which costs some 20 times as much CPU."""

_NO = "SELECT RAISE(ABORT, 'the ledger is append-only')"


def _once(table: str, *keys: str) -> str:
    """``INSERT OR REPLACE`` deletes the row in its way without firing a DELETE trigger: refuse it at the insert."""
    there = f"EXISTS (SELECT 1 FROM {table} WHERE {' OR '.join(f'({key})' for key in keys)})"  # noqa: S608  our own names
    return f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {there} BEGIN {_NO}; END"


SQLITE_TRIGGERS: Final = (
    _once("entries", '"index" = NEW."index"', "payload = NEW.payload AND signer = NEW.signer"),
    _once("tiles", "level = NEW.level AND number = NEW.number"),
    _once("heads", "size = NEW.size"),
    _once("meta", "key = NEW.key"),
    f"CREATE TRIGGER meta_no_update BEFORE UPDATE ON meta BEGIN {_NO}; END",
    f"CREATE TRIGGER meta_no_delete BEFORE DELETE ON meta BEGIN {_NO}; END",
    f"CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN {_NO}; END",
    f"CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries BEGIN {_NO}; END",
    f"CREATE TRIGGER tiles_no_delete BEFORE DELETE ON tiles BEGIN {_NO}; END",
    # A tile only grows: what stands in it stays its prefix.
    (
        "CREATE TRIGGER tiles_only_grow BEFORE UPDATE ON tiles WHEN NEW.level <> OLD.level OR NEW.number <> OLD.number "
        "OR length(NEW.data) <= length(OLD.data) OR substr(NEW.data, 1, length(OLD.data)) <> OLD.data "
        f"BEGIN {_NO}; END"
    ),
    f"CREATE TRIGGER heads_no_delete BEFORE DELETE ON heads BEGIN {_NO}; END",
    # A head's checkpoint is written once.
    (
        "CREATE TRIGGER heads_sign_once BEFORE UPDATE ON heads WHEN NEW.size <> OLD.size OR NEW.root <> OLD.root "
        f"OR OLD.note IS NOT NULL BEGIN {_NO}; END"
    ),
)
