"""The private-phrase rule of SCREEN.md: which n-grams are private, how many bits they carry, how a delivery scores.

For a unit D (one delivery of one owner) and an n-gram g of one to four tokens: k = documents of D that hold g; o = of
the N_o documents elsewhere (everyone else's, and the owner's earlier ones) those that hold g.

- g is *private* when k >= 3 and (o <= 0.05 k, or o <= 1 and k >= 5);
- bits(g) = -log2 p(w1) - sum of log2 max(p(w_i), p(w_i | w_i-1)), with p(w) = (o_w + 1) / (N_o + 2) and
  p(w | v) = (o_vw + p(w)) / (o_v + 1), all counted elsewhere;
- S(D) = max over private g of (k - 1) bits(g);
- F = 10 log2 N, z(D) = sqrt(max(S, F) / F), N the documents of the dataset.

Deliveries of unequal size, which the rule was not measured on: k grows with the delivery, so where D has more rows
than every other delivery of the pool, k - 1 is scaled down by that ratio; equal sizes give the rule unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataseal.verifiers.screen.limits import MAX_NGRAM, MIN_ROWS_WITH_PHRASE
from dataseal.verifiers.screen.phrase_forms import Form
from dataseal.verifiers.screen.phrase_table import Table
from dataseal.verifiers.screen.text import I64, U64, extend

FLOOR_BITS_PER_DOUBLING = 10


@dataclass(frozen=True, slots=True)
class Private:
    """Private n-grams of units, in parallel arrays: ``gram``, ``unit``, ``k`` rows with it, ``o`` elsewhere."""

    gram: U64
    unit: I64
    k: I64
    o: I64


def private(table: Table) -> Private:
    """The private n-grams of the judged units. With too small counts elsewhere it returns too many, never too few."""
    gram, unit, k = table.cells()
    some = (k >= MIN_ROWS_WITH_PHRASE) & table.form.judged[unit]
    gram, unit, k = gram[some], unit[some], k[some]
    o = table.elsewhere(gram, unit)
    own = (o <= 0.05 * k) | ((o <= 1) & (k >= 5))
    return Private(gram[own], unit[own], k[own], o[own])


def bits(table: Table, words: NDArray[np.uint64], unit: I64) -> NDArray[np.float64]:
    """Bits of n-grams seen from units; ``words`` has one row an n-gram, zeros behind its last word.

    The table must hold every word and every pair of neighbouring words.
    """
    rows = table.form.elsewhere[unit].astype(np.float64)
    out = np.zeros(unit.size)
    before = np.zeros(unit.size)
    for i in range(MAX_NGRAM):
        word = words[:, i]
        used = word != 0
        count = table.elsewhere(word, unit).astype(np.float64)
        p = (count + 1) / (rows + 2)
        if i:
            pair = table.elsewhere(extend(words[:, i - 1], word), unit)
            p = np.maximum(p, (pair + p) / (before + 1))
        out -= np.where(used, np.log2(p), 0.0)
        before = count
    return out


def fairness(form: Form) -> NDArray[np.float64]:
    """The factor on k - 1 of each unit: below 1 only where it has more rows than every other unit of the pool."""
    sizes = np.where(form.pool, form.rows, 0)
    largest = int(sizes.argmax())
    others = np.full(sizes.size, sizes[largest])
    others[largest] = np.delete(sizes, largest).max(initial=0)
    factor: NDArray[np.float64] = np.minimum(1.0, np.maximum(others, 1) / np.maximum(form.rows, 1))
    return factor


def floor_bits(rows: int) -> float:
    """F: the score below which a delivery says nothing, for a dataset of this many rows."""
    return float(FLOOR_BITS_PER_DOUBLING * np.log2(max(rows, 2)))


def best(found: Private, score: NDArray[np.float64], length: I64) -> I64:
    """For each unit with a private n-gram, the index of the one that S rests on: highest score, then longest."""
    order = np.lexsort((found.gram, -length, -score, found.unit))
    first = np.append(True, np.diff(found.unit[order]) != 0) if order.size else np.empty(0, bool)
    chosen: I64 = order[first]
    return chosen
