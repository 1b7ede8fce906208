"""Counts by (n-gram, owner, delivery), asked for what stands elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    def of(cls, form: Form, cells: Cells) -> Table:
        """Sum cells of blocks to cells of the form's owners."""
        gram, block, n = cells
        span = len(form.owners) * form.width
        at = np.searchsorted(form.block, block)
        grams, rank = np.unique(gram, return_inverse=True)
        key = rank * span + form.block_owner[at] * form.width + form.block_ordinal[at]
        keys, inverse = np.unique(key, return_inverse=True)
        summed = np.bincount(inverse, n, minlength=keys.size).astype(np.int64)
        upto = np.concatenate(([0], np.cumsum(summed)))
        end = np.searchsorted(keys // form.width, keys // form.width, side="right")
        first = np.searchsorted(keys, np.arange(grams.size + 1) * span)
        return cls(
            form=form,
            grams=grams,
            total=upto[first[1:]] - upto[first[:-1]],
            key=keys,
            n=summed,
            own_from=upto[end] - upto[:-1],
        )

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
