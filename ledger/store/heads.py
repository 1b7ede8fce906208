"""The tree heads that a store holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, bindparam, select

from dataseal.ledger.store.models import HEADS, META
from dataseal.ledger.store.tiles import Tiles, blob
from dataseal.ledger.tlog import merkle

# Statements are built once: building one costs more than running it.
PAGE: Final = 256
"""Heads that are read at once when many are."""
_END: Final = 2**62
"""Beyond every size."""
_HEAD: Final = select(HEADS).order_by(HEADS.c.size.desc()).limit(1)
_SIGNED: Final = _HEAD.where(HEADS.c.note.is_not(None))
_COSIGNED: Final = _HEAD.where(HEADS.c.cosigned.is_not(None))
_HEADS: Final = select(HEADS).where(HEADS.c.size > bindparam("size")).order_by(HEADS.c.size).limit(PAGE)
_COSIGNED_BELOW: Final = (
    select(HEADS)
    .where(HEADS.c.cosigned.is_not(None), HEADS.c.size < bindparam("size"), HEADS.c.size >= bindparam("least"))
    .order_by(HEADS.c.size.desc())
    .limit(PAGE)
)
_RECENT: Final = select(HEADS.c.size).order_by(HEADS.c.size.desc()).limit(1).offset(bindparam("skip"))
_HEAD_AT: Final = select(HEADS).where(HEADS.c.size == bindparam("size"))


@dataclass(frozen=True, slots=True)
class Head:
    """A tree head: size, root, its signed checkpoint once there is one, and that with witnesses' cosignatures."""

    size: int
    root: bytes
    note: bytes | None
    cosigned: bytes | None = None


EMPTY: Final = Head(0, merkle.EMPTY_ROOT, None)


class Heads(Tiles):
    """The heads as one transaction sees them."""

    def head(self) -> Head:
        """The newest head; `EMPTY` for an empty log."""
        return self._head(_HEAD) or EMPTY

    def signed_head(self) -> Head:
        """The newest head that has a checkpoint; `EMPTY` when there is none."""
        return self._head(_SIGNED) or EMPTY

    def cosigned_head(self) -> Head:
        """The newest head whose checkpoint carries cosignatures; `EMPTY` when there is none."""
        return self._head(_COSIGNED) or EMPTY

    def cosigned_heads(self, least: int = 0) -> Iterator[Head]:
        """The heads of a size of ``least`` or more whose checkpoint carries cosignatures, newest first."""
        at = _END
        while rows := self._driver.all(_COSIGNED_BELOW, size=at, least=least):
            yield from map(head_of, rows)
            at = rows[-1][0]

    def recent_size(self, heads: int) -> int:
        """The size of the oldest of so many newest heads; 0 when there are not so many."""
        row = self._driver.one(_RECENT, skip=heads - 1)
        return int(row[0]) if row else 0

    def head_at(self, size: int) -> Head | None:
        """The head of a size."""
        return self._head(_HEAD_AT, size=size)

    def heads(self) -> Iterator[Head]:
        """Every head, by size."""
        at = -_END
        while rows := self._driver.all(_HEADS, size=at):
            yield from map(head_of, rows)
            at = rows[-1][0]

    def _head(self, query: Select[Any], **values: int) -> Head | None:
        row = self._driver.one(query, **values)
        return head_of(row) if row else None

    def meta(self) -> dict[str, str]:
        """What the ledger is."""
        return {row.key: row.value for row in self._connection.execute(select(META))}


def head_of(row: tuple[Any, ...]) -> Head:
    """A row of heads."""
    size, root, note, cosigned = row
    return Head(
        size, blob(root), note if note is None else blob(note), cosigned if cosigned is None else blob(cosigned)
    )
