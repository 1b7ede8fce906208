"""Counts of documents by (n-gram, block), mergeable; a block is one contributor's rows of one delivery.

A table is three arrays, 24 bytes a cell; merging is addition, done lazily (`settle`). Cells stand in the order of a
hash over (gram, block): one key sorts several times faster than two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from dataseal.verifiers.screen.text import I64, U64, extend

Cells = tuple[U64, U64, I64]

Chunk = TypeVar("Chunk", bound=tuple[NDArray[Any], ...])

WAITING = 8
"""Chunks that may wait unjoined."""

NONE: Cells = (np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.int64))


def summed(gram: U64, block: U64, n: I64) -> Cells:
    """Cells in canonical order, equal ones added up."""
    if not gram.size:
        return NONE
    order = np.argsort(extend(gram, block))
    gram, block, n = gram[order], block[order], n[order]
    first = np.empty(gram.size, bool)
    first[0] = True
    first[1:] = (gram[1:] != gram[:-1]) | (block[1:] != block[:-1])
    at = np.flatnonzero(first)
    return gram[at], block[at], np.add.reduceat(n, at)


def documents(gram: U64, doc: I64, block_of: U64) -> Cells:
    """In how many documents of each block each n-gram stands.

    Args:
        gram: n-grams, in document order. doc: the document of each, not decreasing.
        block_of: the block of each document, not decreasing: so equal (gram, block) stay adjacent below.
    """
    if not gram.size:
        return NONE
    order = np.argsort(gram, kind="stable")
    gram, doc = gram[order], doc[order]
    new_gram = np.empty(gram.size, bool)
    new_gram[0] = True
    new_gram[1:] = gram[1:] != gram[:-1]
    new_doc = new_gram.copy()
    new_doc[1:] |= doc[1:] != doc[:-1]
    block = block_of[doc]
    first = new_gram
    first[1:] |= block[1:] != block[:-1]
    at = np.flatnonzero(first)
    return gram[at], block[at], np.add.reduceat(new_doc.astype(np.int64), at)


@dataclass(frozen=True, slots=True)
class Counts:
    """A mergeable table of cells."""

    chunks: tuple[Cells, ...] = ()

    @classmethod
    def of(cls, *tables: Cells) -> Self:
        """The sum of these tables."""
        return cls(settle(tuple(t for t in tables if t[0].size), total))

    def merge(self, other: Self) -> Self:
        """The sum of both."""
        return type(self)(settle((*self.chunks, *other.chunks), total))

    def cells(self) -> Cells:
        """The whole table, in canonical order."""
        return total(self.chunks)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For the wire."""
        gram, block, n = self.cells()
        return {"block": block, "gram": gram, "n": n}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read `arrays` back."""
        return cls.of((arrays["gram"], arrays["block"], arrays["n"]))


def total(tables: Sequence[Cells]) -> Cells:
    """The sum of some tables."""
    if not tables:
        return NONE
    gram, block, n = (np.concatenate([t[i] for t in tables]) for i in range(3))
    return summed(gram, block, n)


def settle(chunks: tuple[Chunk, ...], join: Callable[[Sequence[Chunk]], Chunk]) -> tuple[Chunk, ...]:
    """Chunks as they are while they are few; else joined, the largest only when the rest has grown to half of it.

    So every cell is sorted a few times in all, and what waits unjoined stays small beside what is joined.
    """
    if len(chunks) <= WAITING:
        return chunks
    largest, *rest = sorted(chunks, key=lambda c: -c[0].size)
    if largest[0].size >= 2 * sum(c[0].size for c in rest):
        return largest, join(rest)
    return (join(chunks),)


def keep(cells: Cells, wanted: U64) -> Cells:
    """The cells of these n-grams; ``wanted`` is sorted."""
    here = contains(wanted, cells[0])
    return cells[0][here], cells[1][here], cells[2][here]


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """Sorted distinct values (numpy's `unique` builds a hash table first, which is several times slower)."""
    ordered = np.sort(values)
    first = np.ones(ordered.size, bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


def contains(values: U64, asked: U64) -> NDArray[np.bool_]:
    """Which of ``asked`` are in ``values``, which is sorted."""
    if not values.size:
        return np.zeros(asked.size, bool)
    at = np.searchsorted(values, asked)
    at[at == values.size] = 0
    found: NDArray[np.bool_] = values[at] == asked
    return found
