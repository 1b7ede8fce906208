"""The ledger's tables.

``segments`` hold the entries, one row an append, split where an entry bundle ends (tlog-tiles, "Log entries"): a bundle
is its segments' ``data``, one after the other. ``tiles`` are the Merkle tree as tlog-tiles hash tiles. ``heads`` has
one row for every tree size that was ever made the head: its root, its signed checkpoint once there is one, and the
checkpoint with witnesses' cosignatures. A size has one row, so that two roots can't be signed for it.

The rest leads to entries, and is believed in nothing (`dataseal.ledger.store.lookups`): ``names`` numbers each triple
of dataset, kind and signer, ``chains`` lists the entries of each, ``lookups`` the entries that prefixes of digests may
mean. ``dataseal ledger check`` derives all three anew.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Integer, LargeBinary, String, Table, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from dataseal.ledger.store.stored import StoredEntry

__all__ = ["CHAINS", "HEADS", "LOOKUPS", "META", "NAMES", "SEGMENTS", "TABLES", "TILES", "StoredEntry"]

REVISION: Final = "0001"
"""The schema, as Alembic names it: the newest file in ``migrations/versions``."""

_BIG: Final = BigInteger().with_variant(Integer(), "sqlite")
_COMPACT: Final[Any] = {"sqlite_with_rowid": False}


def _key() -> Any:
    return Field(sa_type=_BIG, primary_key=True, sa_column_kwargs={"autoincrement": False})


class SegmentRow(SQLModel, table=True):
    """The entries of one append: each after its length as big-endian uint16; ``names`` four bytes of `NameRow` each."""

    __tablename__ = "segments"

    first: int = _key()
    entries: int
    names: bytes = Field(sa_type=LargeBinary)
    data: bytes = Field(sa_type=LargeBinary)


class TileRow(SQLModel, table=True):
    """One hash tile: up to 256 hashes of 32 bytes. Only a partial one is ever replaced, by a longer one."""

    __tablename__ = "tiles"

    level: int = _key()
    number: int = _key()
    data: bytes = Field(sa_type=LargeBinary)


class HeadRow(SQLModel, table=True):
    """One tree head: a size, its root, the log's checkpoint once it was made, and the same with cosignatures."""

    __tablename__ = "heads"

    size: int = _key()
    root: bytes = Field(sa_type=LargeBinary)
    note: bytes | None = Field(default=None, sa_type=LargeBinary)
    cosigned: bytes | None = Field(default=None, sa_type=LargeBinary)


class NameRow(SQLModel, table=True):
    """Number of a triple of dataset, kind and signer."""

    __tablename__ = "names"
    __table_args__ = (UniqueConstraint("dataset", "kind", "signer", name="names_once"),)

    id: int = _key()
    dataset: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text, index=True)
    signer: str = Field(sa_type=Text, index=True)


class ChainRow(SQLModel, table=True):
    """An entry of a triple."""

    __tablename__ = "chains"
    __table_args__ = _COMPACT

    name: int = _key()
    index: int = _key()


class LookupRow(SQLModel, table=True):
    """An entry that a digest may mean: ``key`` is a prefix of it."""

    __tablename__ = "lookups"
    __table_args__ = _COMPACT

    key: int = _key()
    index: int = _key()


class MetaRow(SQLModel, table=True):
    """What the ledger is: ``origin``, ``log_key`` (the verifier key)."""

    __tablename__ = "meta"

    key: str = Field(primary_key=True, sa_type=String)
    value: str = Field(sa_type=Text)


def _table(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]  # SQLModel sets it, and does not declare it
    return table


SEGMENTS: Final = _table(SegmentRow)
TILES: Final = _table(TileRow)
HEADS: Final = _table(HeadRow)
NAMES: Final = _table(NameRow)
CHAINS: Final = _table(ChainRow)
LOOKUPS: Final = _table(LookupRow)
META: Final = _table(MetaRow)
"""The same tables for SQLAlchemy core: hot paths go past the ORM, which costs some 20 times as much CPU."""

TABLES: Final = (SEGMENTS, TILES, HEADS, NAMES, CHAINS, LOOKUPS, META)
VERSION_TABLE: Final = "alembic_version"
