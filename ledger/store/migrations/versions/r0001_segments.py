"""The first schema: segments, tiles, heads, and what leads to entries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from dataseal.ledger.store import triggers

revision = "0001"
down_revision = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, _BIG, primary_key=True, autoincrement=False)


def _blob(name: str, *, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=nullable)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    """Makes the tables and their triggers."""
    op.create_table(
        "segments", _key("first"), sa.Column("entries", sa.Integer(), nullable=False), _blob("names"), _blob("data")
    )
    op.create_table("tiles", _key("level"), _key("number"), _blob("data"))
    op.create_table(
        "heads", _key("size"), _blob("root"), _blob("note", nullable=True), _blob("cosigned", nullable=True)
    )
    once = sa.UniqueConstraint("dataset", "kind", "signer", name="names_once")
    op.create_table("names", _key("id"), _text("dataset"), _text("kind"), _text("signer"), once)
    op.create_index("ix_names_kind", "names", ["kind"])
    op.create_index("ix_names_signer", "names", ["signer"])
    op.create_table("chains", _key("name"), _key("index"), sqlite_with_rowid=False)
    op.create_table("lookups", _key("key"), _key("index"), sqlite_with_rowid=False)
    op.create_table("meta", sa.Column("key", sa.String(), primary_key=True), _text("value"))
    for statement in triggers.of(op.get_bind().dialect.name):
        op.execute(sa.text(statement.replace(":", r"\:")))
