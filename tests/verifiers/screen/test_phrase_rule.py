"""The vectorised rule against a naive twin, written from SCREEN.md with sets and loops."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dataseal.verifiers.screen.counts import Counts, summed
from dataseal.verifiers.screen.detector import Context, Plan
from dataseal.verifiers.screen.phrase import PrivatePhrase
from dataseal.verifiers.screen.phrase_forms import CONTRIBUTOR, Form, forms
from dataseal.verifiers.screen.phrase_judge import _scores
from dataseal.verifiers.screen.phrase_rule import bits, fairness
from dataseal.verifiers.screen.phrase_state import block_id
from dataseal.verifiers.screen.phrase_table import Table
from dataseal.verifiers.screen.roles import Roles
from dataseal.verifiers.screen.text import extend, word_hash

Doc = tuple[str, int, list[str]]  # owner, ordinal, tokens


def naive(docs: list[Doc], by_version: bool) -> dict[tuple[str, int], float]:
    """S of every unit, by the letter of the rule."""
    docs = [("all" if by_version else c, t, w) for c, t, w in docs]
    sets = [(c, t, {tuple(w[i : i + n]) for n in (1, 2, 3, 4) for i in range(len(w) - n + 1)}) for c, t, w in docs]
    out = {}
    for unit in sorted({(c, t) for c, t, _ in docs}):
        mine = [g for c, t, g in sets if (c, t) == unit]
        others = [g for c, t, g in sets if c != unit[0] or t < unit[1]]
        if not others:
            continue
        have: dict[Any, int] = defaultdict(int)
        for grams_of in others:
            for g in grams_of:
                have[g] += 1
        k: dict[Any, int] = defaultdict(int)
        for grams_of in mine:
            for g in grams_of:
                k[g] += 1
        total = len(others)
        best = 0.0
        for g, count in k.items():
            o = have[g]
            if count < 3 or not (o <= 0.05 * count or (o <= 1 and count >= 5)):
                continue
            p = [(have[(w,)] + 1) / (total + 2) for w in g]
            info = -math.log2(p[0])
            for i in range(1, len(g)):
                pair = (have[g[i - 1 : i + 1]] + p[i]) / (have[(g[i - 1],)] + 1)
                info -= math.log2(max(p[i], pair))
            best = max(best, (count - 1) * info)
        out[unit] = best
    return out


def run(docs: list[Doc]) -> dict[str, dict[tuple[str, int], float]]:
    """Scores of the detector, by its own rounds."""
    detector = PrivatePhrase()
    shards = {str(t): t for _, t, _ in docs}
    plan = Plan(Roles(text=("text",), contributor="c"), (), shards, 0)
    prior: Any = None
    while True:
        state: Any = None
        for t in sorted(shards.values()):
            part = [d for d in docs if d[1] == t]
            batch = pa.RecordBatch.from_pydict(
                {"text": [" ".join(w) for _, _, w in part], "c": [c for c, _, _ in part]}
            )
            got = detector.map(batch, Context(plan, str(t), 0, 0, t, prior))
            state = got if state is None else state.merge(got)
        following = detector.advance(state, plan, prior)
        if following is None:
            break
        prior = following
    out: dict[str, dict[tuple[str, int], float]] = {}
    gram, spelled = prior.spelling.table()
    needed = np.unique(spelled)
    inside = np.isin(prior.words[0], needed)
    cells = Counts.of(tuple(a[inside] for a in prior.words), state.counts.cells()).cells()
    for form in prior.forms:
        scores = _scores(Table.of(form, cells), (gram, spelled))
        out[form.name] = {
            (form.owners[form.owner[u]] or "all", int(form.ordinal[u]) - 1): float(scores.score[u])
            for u in np.flatnonzero(form.judged)
        }
    return out


@pytest.mark.parametrize("seed", range(4))
def test_scores_equal_the_naive_twin(make: Any, seed: int) -> None:
    history = make.honest(seed, contributors=4, deliveries=5, rows=22)
    make.plant(history[4], "blue sky protocol 7", 9, "c1")
    make.plant(history[3], "w1 w2 strange", 6, "c2")
    make.spread(history[4], "everyone says w0 so", 2)
    docs = [(r["contributor"], t, r["text"].split()) for t, rows in enumerate(history) for r in rows]
    got = run(docs)
    for name, by_version in ((CONTRIBUTOR, False), ("version", True)):
        expected = naive(docs, by_version)
        assert len(got[name]) >= 4
        assert max(got[name].values()) > 200
        for unit, score in got[name].items():
            assert score == pytest.approx(expected[unit], rel=1e-9), (name, unit)


def small(rows: dict[tuple[str | None, int], int], *, contributors: bool = True) -> tuple[Form, ...]:
    return forms(rows, contributors=contributors)


def test_what_is_judged() -> None:
    rows = {("a", -1): 30, ("a", 0): 25, ("a", 1): 25, ("b", 0): 25, ("b", 1): 19, ("c", 1): 40}
    rows |= {("d", -1): 5, ("d", 1): 9, ("e", 0): 20, ("e", 1): 20}
    form = small(rows)[0]
    by_unit = {
        (form.owners[form.owner[u]], int(form.ordinal[u]) - 1): (bool(form.tested[u]), bool(form.pool[u]))
        for u in range(form.rows.size)
    }
    assert by_unit["a", -1] == (False, False)  # what its history starts from
    assert by_unit["a", 0] == (False, True)
    assert by_unit["a", 1] == (True, True)
    assert by_unit["b", 1] == (True, False)  # tested, but too small to stand in a pool
    assert by_unit["c", 1] == (False, False)  # first delivery
    assert by_unit["d", 1] == (False, False)  # five rows are no history
    assert form.first_time == 2
    elsewhere = {(form.owners[form.owner[u]], int(form.ordinal[u]) - 1): int(form.elsewhere[u]) for u in range(10)}
    total = sum(rows.values())
    assert elsewhere["a", 1] == total - 25
    assert elsewhere["a", 0] == total - 50


def test_version_form_counts_earlier_deliveries_only() -> None:
    rows = {("a", t): 30 for t in range(4)} | {("b", t): 30 for t in range(4)}
    form = small(rows, contributors=False)[0]
    assert form.name == "version"
    assert form.elsewhere.tolist() == [0, 60, 120, 180]
    assert form.tested.tolist() == [False, False, False, True]
    assert form.pool.tolist() == [False, True, True, True]


def test_a_delivery_larger_than_the_pool_is_scaled_down() -> None:
    rows = {(f"c{i}", t): 30 for i in range(3) for t in range(3)} | {("c0", 3): 90}
    form = small(rows)[0]
    factor = dict(zip(zip(form.owner.tolist(), (form.ordinal - 1).tolist(), strict=True), fairness(form), strict=True))
    assert factor[0, 3] == pytest.approx(30 / 90)
    assert all(f == 1.0 for unit, f in factor.items() if unit != (0, 3))


def test_bits_of_an_unknown_phrase() -> None:
    """Each unknown token carries log2(N_o + 2) bits; a word that always follows another carries next to none."""
    rows = {(c, t): 62 for c in "abc" for t in range(3)}
    form = next(f for f in small(rows) if f.name == CONTRIBUTOR)
    x, y, p, q = (np.array([word_hash(w)], np.uint64) for w in "xypq")
    gram = np.concatenate((x, y, extend(x, y)))
    table = Table.of(form, summed(gram, np.full(3, block_id("a", 0), np.uint64), np.full(3, 62)))
    unit = next(u for u in range(form.rows.size) if form.owner[u] == 1 and form.ordinal[u] == 3)
    n_o = int(form.elsewhere[unit])
    spelled = np.zeros((2, 4), np.uint64)
    spelled[0, :2] = np.concatenate((p, q))
    spelled[1, :2] = np.concatenate((x, y))
    got = bits(table, spelled, np.array([unit, unit]))
    assert got[0] == pytest.approx(2 * math.log2(n_o + 2))
    single = 63 / (n_o + 2)
    assert got[1] == pytest.approx(-math.log2(single) - math.log2((62 + single) / 63))
