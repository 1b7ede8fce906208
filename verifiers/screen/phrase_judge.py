"""From scores to tests: p-values of the units against the null pool, and the smallest plant that would be seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataseal.verifiers.screen.counts import contains
from dataseal.verifiers.screen.limits import FAMILY_ALPHA, MAX_EXPLAINED, MIN_POOL, MIN_ROWS_WITH_PHRASE
from dataseal.verifiers.screen.phrase_forms import CONTRIBUTOR, Form
from dataseal.verifiers.screen.phrase_rule import Private, best, bits, fairness, floor_bits, private
from dataseal.verifiers.screen.phrase_table import Table
from dataseal.verifiers.screen.tail import Tail
from dataseal.verifiers.screen.text import U64

SUSPECTS = 4
"""At most one in so many of the newest deliveries (but two) may be set aside at once: when more burst together, the
data has changed as a whole, and that is no evidence against single contributors."""

MOST_SUSPECTS = 64
"""And never more than this many: each costs a fit."""

COMPANION_SHARE = 0.8
"""Private n-grams in at least this share of the top one's rows are companions: parts of the same phrase."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One unit that stands out.

    ``ordinal`` is that of the delivery (`detector.BASE` for the base); ``gram`` is the n-gram that the score rests on,
    of ``length`` tokens, in ``k`` of the unit's ``rows`` rows and ``o`` of ``elsewhere``; ``companions`` are sorted.
    ``newest`` is False for an earlier delivery, which is looked at as advice only.
    """

    form: str
    owner: str | None
    ordinal: int
    newest: bool
    calibrated: bool
    rows: int
    elsewhere: int
    gram: int
    length: int
    k: int
    o: int
    bits: float
    score: float
    z: float
    p: float
    adjusted: float
    n0: int
    tests: int
    companions: U64


@dataclass(frozen=True, slots=True)
class FormResult:
    """What one form found.

    ``first_time`` owners had too little history to be tested. ``reach`` is the score in bits that a plant must have;
    None when there is no pool. ``largest`` is the largest score seen.
    """

    form: str
    n0: int
    tests: int
    first_time: int
    uncalibrated: str
    reach: float | None
    largest: float
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class _Scores:
    """Scores of all units of a form, and the private n-grams behind them."""

    form: Form
    found: Private
    words: NDArray[np.uint64]
    bits: NDArray[np.float64]
    chosen: dict[int, int]
    score: NDArray[np.float64]
    z: NDArray[np.float64]


def judge(table: Table, spelled: tuple[U64, NDArray[np.uint64]], families: int) -> FormResult:
    """Test a form's newest deliveries (and, as advice, the earlier ones).

    Args:
        table: exact counts of every private n-gram, its words and its pairs of words.
        spelled: n-grams, sorted, and their words. families: forms that share the family's alpha.
    """
    scores = _scores(table, spelled)
    form = table.form
    tests = int(form.tested.sum())
    pool = {int(u): float(scores.z[u]) for u in np.flatnonzero(form.pool)}
    waiting = sorted((int(u) for u in np.flatnonzero(form.tested)), key=lambda u: (-scores.z[u], u))
    hits = _outliers(scores, waiting, pool, families)
    for hit_unit in waiting[: len(hits)]:
        pool.pop(hit_unit, None)
    earlier = [int(u) for u in np.flatnonzero(form.pool & ~form.tested)] if form.history else []
    for unit in sorted(earlier, key=lambda u: (-scores.z[u], u))[:1]:
        tail = Tail.fit([z for u, z in sorted(pool.items()) if u != unit])
        hit = _hit(scores, unit, tail, len(earlier), families, newest=False) if tail else None
        hits += [hit] if hit else []
    everyone = [z for u, z in sorted(pool.items())]
    tested_in_pool = [pool[u] for u in waiting if u in pool]
    if tested_in_pool:
        everyone.remove(min(tested_in_pool))
    tail = Tail.fit(everyone)
    z = tail.reach(FAMILY_ALPHA / families, tests) if tail else None
    return FormResult(
        form=form.name,
        n0=form.n0,
        tests=tests,
        first_time=form.first_time,
        uncalibrated=form.uncalibrated,
        reach=floor_bits(int(table.form.rows.sum())) * z * z if z is not None else None,
        largest=float(scores.score[form.judged].max(initial=0.0)),
        hits=tuple(hits[:MAX_EXPLAINED]),
    )


def _outliers(scores: _Scores, waiting: list[int], pool: dict[int, float], families: int) -> list[Hit]:
    """The newest deliveries that stand out: the first j of ``waiting``, for the largest j whose j-th one does.

    With j = 1 this is the rule. But the others' newest deliveries stand in the pool, so several plants at once would
    hide each other; as in the generalised ESD test (Rosner 1983), the j most extreme ones are set aside together.
    Earlier deliveries are never set aside: their bursts are what honest data looks like.
    """
    most = min(max(2, len(waiting) // SUSPECTS), MOST_SUSPECTS, len(waiting))
    for j in range(most, 0, -1):
        aside = set(waiting[:j])
        rest = [z for u, z in sorted(pool.items()) if u not in aside]
        tail = Tail.fit(rest)
        if tail is None or (j > 1 and len(rest) < MIN_POOL):
            continue
        if _hit(scores, waiting[j - 1], tail, len(waiting), families, newest=True):
            found = (_hit(scores, u, tail, len(waiting), families, newest=True) for u in waiting[:j])
            return [h for h in found if h is not None]
    return []


def _scores(table: Table, spelled: tuple[U64, NDArray[np.uint64]]) -> _Scores:
    form = table.form
    found = private(table)
    known = contains(spelled[0], found.gram)
    found = Private(found.gram[known], found.unit[known], found.k[known], found.o[known])
    words = spelled[1][np.searchsorted(spelled[0], found.gram)]
    info = bits(table, words, found.unit)
    each = (found.k - 1) * fairness(form)[found.unit] * info
    length = (words != 0).sum(axis=1)
    chosen = {int(found.unit[i]): int(i) for i in best(found, each, length)}
    score = np.zeros(form.rows.size)
    for unit, i in chosen.items():
        score[unit] = each[i]
    floor = floor_bits(int(form.rows.sum()))
    z = np.sqrt(np.maximum(score, floor) / floor)
    return _Scores(form, found, words, info, chosen, score, z)


def _hit(scores: _Scores, unit: int, tail: Tail, tests: int, families: int, *, newest: bool) -> Hit | None:
    """The unit's test, when it stands out at the family's share; else None."""
    if unit not in scores.chosen:
        return None
    z = float(scores.z[unit])
    adjusted = min(1.0, tail.p(z, tests) * families)
    if adjusted >= FAMILY_ALPHA:
        return None
    form, found, i = scores.form, scores.found, scores.chosen[unit]
    together = (found.unit == unit) & (found.k >= COMPANION_SHARE * found.k[i])
    return Hit(
        form=form.name,
        owner=form.owners[int(form.owner[unit])],
        ordinal=int(form.ordinal[unit]) - 1,
        newest=newest,
        calibrated=newest and not form.uncalibrated,
        rows=int(form.rows[unit]),
        elsewhere=int(form.elsewhere[unit]),
        gram=int(found.gram[i]),
        length=int((scores.words[i] != 0).sum()),
        k=int(found.k[i]),
        o=int(found.o[i]),
        bits=float(scores.bits[i]),
        score=float(scores.score[unit]),
        z=z,
        p=tail.p(z),
        adjusted=adjusted,
        n0=tail.n0,
        tests=tests,
        companions=np.sort(found.gram[together]),
    )


def minimum(results: tuple[FormResult, ...], rows: int) -> str:
    """The smallest number of poisoned rows that could have been found, 1 + ceil(T / bits), for three triggers."""
    for result in sorted(results, key=lambda r: r.form != CONTRIBUTOR):
        if result.reach is None or result.uncalibrated:
            continue
        new = math.log2(rows + 2)
        kinds = (
            ("a code of four tokens new to the data", 4 * new),
            ("three words of one row in 1,000 each", 3 * math.log2(1000)),
            ("one token new to the data", new),
        )
        counts = [f"{max(MIN_ROWS_WITH_PHRASE, 1 + math.ceil(result.reach / b))} rows with {kind}" for kind, b in kinds]
        whom = "one contributor's newest delivery" if result.form == CONTRIBUTOR else "the newest modification"
        return f"in {whom}: {', '.join(counts)} ({result.reach:.0f} bits are needed)"
    return "no number can be promised: nothing here is calibrated"
