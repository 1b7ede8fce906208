"""What the private-phrase detector counts: rows and n-grams by block, and how n-grams are spelled.

A block is one contributor's rows of one delivery, named by 64 bits of a hash over both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dataseal.ledger.errors import FormatError
from dataseal.verifiers.screen.counts import Counts, settle
from dataseal.verifiers.screen.detector import State
from dataseal.verifiers.screen.limits import MAX_NGRAM
from dataseal.verifiers.screen.text import U64
from dataseal.verifiers.screen.wire import pack, unpack

Block = tuple[str | None, int]
"""(claimed contributor, or None when there is none; ordinal of the delivery)."""


def block_id(owner: str | None, ordinal: int) -> int:
    """64 bits that stand for a block."""
    name = b"-" if owner is None else b"+" + owner.encode()
    data = b"%d\n%s" % (ordinal, name)
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, person=b"dataseal block").digest(), "little")


@dataclass(frozen=True, slots=True)
class Spelling:
    """N-grams by the hashes of their words: ``words[i]`` are those of ``gram[i]``, zeros behind the last."""

    chunks: tuple[tuple[U64, NDArray[np.uint64]], ...] = ()

    def merge(self, other: Self) -> Self:
        """Both."""
        return type(self)(settle((*self.chunks, *other.chunks), _union))

    def table(self) -> tuple[U64, NDArray[np.uint64]]:
        """Sorted n-grams, and their words."""
        return _union(self.chunks)


def _union(chunks: Sequence[tuple[U64, NDArray[np.uint64]]]) -> tuple[U64, NDArray[np.uint64]]:
    if not chunks:
        return np.empty(0, np.uint64), np.empty((0, MAX_NGRAM), np.uint64)
    gram, first = np.unique(np.concatenate([c[0] for c in chunks]), return_index=True)
    return gram, np.concatenate([c[1] for c in chunks])[first]


@dataclass(frozen=True, slots=True)
class Tally(State):
    """Mergeable counts of one round.

    What bounds it. Round 1 holds one cell a distinct word of a block: for short texts some 100 bytes a row, and it
    grows with the vocabulary, not with the text. Round 2 holds only n-grams whose every word stands in three or more
    rows of the same judged delivery, and is itself cut into passes of at most `limits.CELLS_PER_PASS` cells. Round 3
    holds the few n-grams that are still candidates. The blocks themselves cost some 200 bytes each.
    """

    blocks: Mapping[Block, int] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    spelling: Spelling = field(default_factory=Spelling)

    def merge(self, other: Self) -> Self:
        blocks = dict(self.blocks)
        for block, rows in other.blocks.items():
            blocks[block] = blocks.get(block, 0) + rows
        return type(self)(blocks, self.counts.merge(other.counts), self.spelling.merge(other.spelling))

    def to_bytes(self) -> bytes:
        gram, words = self.spelling.table()
        blocks = sorted(self.blocks.items(), key=lambda b: (b[0][1], b[0][0] is not None, b[0][0] or ""))
        arrays: dict[str, NDArray[Any]] = {**self.counts.arrays(), "spelled": gram, "words": words.reshape(-1)}
        return pack({"blocks": [[owner, ordinal, rows] for (owner, ordinal), rows in blocks]}, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        values, arrays = unpack(data)
        try:
            blocks = {(owner, int(ordinal)): int(rows) for owner, ordinal, rows in values["blocks"]}
            words = arrays["words"].reshape(-1, MAX_NGRAM)
            spelling = Spelling(((arrays["spelled"], words),)) if len(words) else Spelling()
            return cls(blocks, Counts.from_arrays(arrays), spelling)
        except (KeyError, TypeError, ValueError) as problem:
            raise FormatError(
                f"these bytes are not a tally: {problem}", hint="take the state from the same version of dataseal"
            ) from problem
