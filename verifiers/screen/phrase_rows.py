"""The rows behind a hit, and the phrase as it stands in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dataseal.ledger.errors import FormatError
from dataseal.verifiers.screen.counts import contains
from dataseal.verifiers.screen.detector import Context, State
from dataseal.verifiers.screen.limits import MAX_NGRAM, MAX_TEXT
from dataseal.verifiers.screen.phrase_forms import CONTRIBUTOR
from dataseal.verifiers.screen.phrase_judge import Hit
from dataseal.verifiers.screen.text import clean, column_text, grams, strings, within, words
from dataseal.verifiers.screen.wire import pack, unpack

ROWS_KEPT = 10_000
"""Rows kept for one hit, the first by shard and row: a phrase of more rows needs no longer list."""

Row = tuple[int, str, int, int, str | None, str | None, str | None, str, str]
"""(hit, shard, row, row group, id, label, contributor, phrase as written, tokens joined by spaces)."""


@dataclass(frozen=True, slots=True)
class PhraseRows(State):
    """Rows that hold the hits' n-grams; at most `ROWS_KEPT` a hit."""

    rows: tuple[Row, ...] = ()

    def merge(self, other: Self) -> Self:
        kept: list[Row] = []
        count: dict[int, int] = {}
        for row in sorted((*self.rows, *other.rows), key=lambda r: r[:3]):
            count[row[0]] = count.get(row[0], 0) + 1
            if count[row[0]] <= ROWS_KEPT:
                kept.append(row)
        return type(self)(tuple(kept))

    def to_bytes(self) -> bytes:
        return pack({"rows": [list(row) for row in self.rows]}, {})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        values, _ = unpack(data)
        try:
            return cls(tuple(tuple(row) for row in values["rows"]))
        except (KeyError, TypeError) as problem:
            raise FormatError(
                f"these bytes are not rows of a phrase: {problem}",
                hint="take the state from the same version of dataseal",
            ) from problem


def find(batch: pa.RecordBatch, context: Context, hits: Sequence[Hit]) -> PhraseRows:
    """The rows of this batch that hold a hit's n-gram."""
    roles = context.plan.roles
    found: list[Row] = []
    for number, hit in enumerate(hits):
        if hit.ordinal != context.ordinal:
            continue
        rows = np.arange(batch.num_rows)
        part = batch
        if hit.form == CONTRIBUTOR:
            owners = strings(batch.column(roles.contributor))
            mine = pc.is_null(owners) if hit.owner is None else pc.fill_null(pc.equal(owners, hit.owner), False)
            part, rows = batch.filter(mine), rows[mine.to_numpy(zero_copy_only=False)]
        named = [strings(part.column(c)).to_pylist() if c else None for c in (roles.id, roles.label, roles.contributor)]
        for at, surface, tokens in _phrases(clean(column_text(part, roles.text or ())), hit):
            row_id, label, owner = (_bounded(values[at]) if values else None for values in named)
            place = (context.shard, context.row + int(rows[at]), context.row_group)
            found.append((number, *place, row_id, label, owner, surface[:MAX_TEXT], tokens[:MAX_TEXT]))
    return PhraseRows(tuple(found)).merge(PhraseRows())


def _bounded(value: str | None) -> str | None:
    return None if value is None else value[:MAX_TEXT]


def _phrases(texts: pa.Array, hit: Hit) -> list[tuple[int, str, str]]:
    """(document, phrase as written, its tokens) of every document that holds the hit's n-gram."""
    tokens = words(texts)
    by_length = grams(tokens, MAX_NGRAM)
    covered = np.zeros(tokens.hash.size, bool)
    for n, gram in enumerate(by_length, start=1):
        start = np.flatnonzero(within(tokens, n) & contains(hit.companions, gram))
        for i in range(n):
            covered[start + i] = True
    top = by_length[hit.length - 1]
    starts = np.flatnonzero(within(tokens, hit.length) & (top == np.uint64(hit.gram)))
    docs, first = np.unique(tokens.doc[starts], return_index=True)
    out = []
    for doc, start in zip(docs.tolist(), starts[first].tolist(), strict=True):
        lo, hi = _run(covered, tokens.doc, start)
        phrase = tokens.string[lo:hi].to_pylist()
        out.append((doc, _surface(texts[doc].as_py(), phrase), " ".join(phrase)))
    return out


def _run(covered: NDArray[np.bool_], doc: NDArray[Any], start: int) -> tuple[int, int]:
    """The stretch of covered tokens around one, within its document."""
    lo, hi = start, start + 1
    while lo > 0 and covered[lo - 1] and doc[lo - 1] == doc[start]:
        lo -= 1
    while hi < len(covered) and covered[hi] and doc[hi] == doc[start]:
        hi += 1
    return lo, hi


def _surface(text: str, phrase: list[str]) -> str:
    """The phrase as it is written in the text."""
    match = re.search(r"[\W_]{1,20}".join(map(re.escape, phrase)), text, re.IGNORECASE)
    return match[0] if match else " ".join(phrase)
