"""Counts by (n-gram, owner, delivery), asked for what stands elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataseal.verifiers.screen.counts import Cells
from dataseal.verifiers.screen.phrase_forms import Form
from dataseal.verifiers.screen.text import I64, U64


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of one form, sorted by (gram, owner, ordinal).

    Attributes:
        form: whose owners and ordinals these are. grams: distinct n-grams, sorted. total: documents with each.
        key: rank of the gram, owner and ordinal of each cell in one number. n: documents of each cell.
        own_from: documents of the cell's owner in this delivery and its later ones.
    """

    form: Form
    grams: U64
    total: I64
    key: I64
    n: I64
    own_from: I64

    @classmethod
    def of(cls, form: Form, cells: Cells, least: int = 1) -> Table:
        """Sum cells of blocks to cells of the form's owners; n-grams in fewer than ``least`` documents are left out."""
        grams, total, (rank, block, n) = _ranked(cells, least)
        span = len(form.owners) * form.width
        at = np.searchsorted(form.block, block)
        key = rank * span + form.block_owner[at] * form.width + form.block_ordinal[at]
        order = np.argsort(key)
        key, n = key[order], n[order]
        starts = np.flatnonzero(_changes(key))
        key = key[starts]
        summed = np.add.reduceat(n, starts) if starts.size else n
        upto = np.concatenate((np.zeros(1, np.int64), np.cumsum(summed)))
        owners = np.flatnonzero(_changes(key // form.width))
        sizes = np.diff(np.append(owners, key.size))
        end = np.repeat(owners + sizes, sizes)
        return cls(form=form, grams=grams, total=total, key=key, n=summed, own_from=upto[end] - upto[:-1])

    def cells(self) -> tuple[U64, I64, I64]:
        """(gram, index of the unit, documents) of every cell."""
        span = len(self.form.owners) * self.form.width
        units = self.form.owner * self.form.width + self.form.ordinal
        return self.grams[self.key // span], np.searchsorted(units, self.key % span), self.n

    def elsewhere(self, gram: U64, unit: I64) -> I64:
        """Documents with these n-grams elsewhere: everyone else's, and the unit's owner's earlier ones."""
        if not self.grams.size:
            return np.zeros(gram.size, np.int64)
        form = self.form
        span = len(form.owners) * form.width
        rank = np.minimum(np.searchsorted(self.grams, gram), self.grams.size - 1)
        known = self.grams[rank] == gram
        base = rank * span + form.owner[unit] * form.width
        at = np.searchsorted(self.key, base + form.ordinal[unit])
        inside = at < self.key.size
        at = np.minimum(at, self.key.size - 1)
        own = np.where(inside & (self.key[at] < base + form.width), self.own_from[at], 0)
        return np.where(known, self.total[rank] - own, 0)


def _ranked(cells: Cells, least: int) -> tuple[U64, I64, tuple[I64, U64, I64]]:
    """Distinct n-grams, sorted; documents with each; and the cells in their order, with ranks for n-grams."""
    order = np.argsort(cells[0])
    gram, block, n = cells[0][order], cells[1][order], cells[2][order]
    starts = np.flatnonzero(_changes(gram))
    sizes = np.diff(np.append(starts, gram.size))
    total = np.add.reduceat(n, starts) if starts.size else n
    kept = total >= least
    inside = np.repeat(kept, sizes)
    rank = np.repeat(np.arange(int(kept.sum()), dtype=np.int64), sizes[kept])
    return gram[starts[kept]], total[kept], (rank, block[inside], n[inside])


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a sorted array starts a new value."""
    out = np.ones(values.size, bool)
    out[1:] = values[1:] != values[:-1]
    return out
