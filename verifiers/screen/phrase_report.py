"""From hits and their rows to findings: phrase, rows, contributor, delivery, labels, statistic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from dataseal.verifiers.finding import Evidence, Finding, Pointer
from dataseal.verifiers.screen.detector import BASE, Conclusion, Plan
from dataseal.verifiers.screen.limits import FAMILY_ALPHA, MAX_NGRAM, MAX_POINTERS, MAX_TEXT, MIN_BLOCK_ROWS, MIN_POOL
from dataseal.verifiers.screen.phrase_forms import CONTRIBUTOR
from dataseal.verifiers.screen.phrase_judge import FormResult, Hit, minimum
from dataseal.verifiers.screen.phrase_rows import PhraseRows, Row

CHECK = "screen.private-phrase"
ATLAS = "AML.T0020"
"""MITRE ATLAS: Poison Training Data."""

SAME_ROWS = 0.8
"""A version-form hit whose rows lie to this share under contributor-form findings is noted there, not told twice."""

EXCERPTS = 20
"""Ids of rows that a finding lists."""


def conclude(rows: int, results: Sequence[FormResult], found: PhraseRows, plan: Plan) -> Conclusion:
    """Findings and figures of the private-phrase detector."""
    hits = [h for r in results for h in r.hits]
    of_hit: list[list[Row]] = [[] for _ in hits]
    for row in found.rows:
        of_hit[row[0]].append(row)
    told, folded = _fold(hits, of_hit)
    findings = [_finding(hits[i], of_hit[i], [hits[j] for j in folded.get(i, ())], plan) for i in told]
    calibrated = any(not r.uncalibrated for r in results)
    return Conclusion(
        findings=tuple(sorted(findings, key=lambda f: (f.evidence != "gate", f.data["adjusted_p"]))),
        calibrated=calibrated,
        reason="" if calibrated else _why_not(results),
        rows=rows,
        tests=sum(r.tests for r in results),
        minimum=minimum(tuple(results), rows),
        parameters={
            "alpha": FAMILY_ALPHA,
            "longest_ngram": MAX_NGRAM,
            "min_pool": MIN_POOL,
            "min_block_rows": MIN_BLOCK_ROWS,
            "forms": [
                {
                    "form": r.form,
                    "n0": r.n0,
                    "tests": r.tests,
                    "untested_for_want_of_history": r.first_time,
                    "calibrated": not r.uncalibrated,
                    "reason": r.uncalibrated,
                    "largest_bits": _round(r.largest),
                    "needed_bits": None if r.reach is None else _round(r.reach),
                }
                for r in results
            ],
        },
    )


def _why_not(results: Sequence[FormResult]) -> str:
    reasons = [r.uncalibrated for r in results if r.uncalibrated]
    return "; ".join(reasons) or "there are too few deliveries to compare with one another"


def _fold(hits: Sequence[Hit], rows: Sequence[Sequence[Row]]) -> tuple[list[int], dict[int, list[int]]]:
    """Which hits are told, and which version-form hits are folded into which contributor-form ones."""
    told = [i for i, h in enumerate(hits) if h.form == CONTRIBUTOR]
    folded: dict[int, list[int]] = {}
    for j, hit in enumerate(hits):
        if hit.form == CONTRIBUTOR:
            continue
        mine = {row[1:3] for row in rows[j]}
        shared = {i: len(mine & {row[1:3] for row in rows[i]}) for i in told if hits[i].ordinal == hit.ordinal}
        if mine and sum(shared.values()) >= SAME_ROWS * len(mine):
            folded.setdefault(max(shared, key=lambda i: (shared[i], -i)), []).append(j)
        else:
            told = [*told, j]
    return told, folded


def _finding(hit: Hit, rows: Sequence[Row], also: Sequence[Hit], plan: Plan) -> Finding:
    gate = hit.calibrated or any(h.calibrated for h in also)
    evidence: Evidence = "gate" if gate else "advice"
    phrase = _most_common(r[7] for r in rows)
    labels = dict(sorted(Counter(_named(r[5]) for r in rows).items(), key=lambda c: (-c[1], c[0])))
    whom = dict(sorted(Counter(_named(r[6]) for r in rows).items(), key=lambda c: (-c[1], c[0])))
    delivery = plan.delivery(hit.ordinal)
    return Finding(
        check=CHECK,
        message=_sentence(hit, phrase, labels, plan),
        severity="error" if gate else "warning",
        evidence=evidence,
        where=tuple(Pointer(shard=r[1], row_group=r[3], row=r[2]) for r in rows[:MAX_POINTERS]),
        observed=f"{hit.k} of {hit.rows} rows hold {phrase!r}",
        expected=f"a phrase of {hit.bits:.0f} bits in at most a few rows: {hit.o} of {hit.elsewhere:,} rows elsewhere",
        hint=_hint(gate),
        data={
            "detector": "private-phrase",
            "form": hit.form,
            "newest": hit.newest,
            "calibrated": gate,
            "phrase": phrase,
            "tokens": _most_common(r[8] for r in rows),
            "ngrams": int(hit.companions.size),
            "k": hit.k,
            "rows": hit.rows,
            "elsewhere": {"rows": hit.elsewhere, "with_phrase": hit.o},
            "contributor": hit.owner[:MAX_TEXT] if hit.owner is not None and hit.form == CONTRIBUTOR else None,
            "contributors": dict(list(whom.items())[:EXCERPTS]),
            "attribution": "claimed contributor" if plan.roles.contributor else "delivery",
            "delivery": _delivery(hit.ordinal)
            if delivery is None
            else _delivery(
                hit.ordinal, delivery.entry, delivery.operation, delivery.reason, delivery.signer, delivery.root
            ),
            "labels": dict(list(labels.items())[:EXCERPTS]),
            "ids": [r[4] for r in rows[:EXCERPTS] if r[4] is not None],
            **_statistic(hit),
            "also": [{"form": h.form, **_statistic(h)} for h in also],
            "atlas": ATLAS,
        },
    )


def _delivery(
    ordinal: int,
    entry: int | None = None,
    operation: str = "",
    reason: str = "",
    signer: str | None = None,
    root: str | None = None,
) -> dict[str, Any]:
    return {
        "ordinal": None if ordinal == BASE else ordinal,
        "entry": entry,
        "operation": operation[:MAX_TEXT],
        "reason": reason[:MAX_TEXT],
        "signer": signer[:MAX_TEXT] if signer else None,
        "root": root,
    }


def _statistic(hit: Hit) -> dict[str, Any]:
    return {
        "z": _round(hit.z),
        "score_bits": _round(hit.score),
        "phrase_bits": _round(hit.bits),
        "p": _round(hit.p),
        "adjusted_p": _round(hit.adjusted),
        "n0": hit.n0,
        "C": hit.tests,
    }


def _sentence(hit: Hit, phrase: str, labels: dict[str, int], plan: Plan) -> str:
    delivery = plan.delivery(hit.ordinal)
    if hit.ordinal == BASE or delivery is None:
        brought = "the rows that the history starts from"
    else:
        entry = f"modification entry {delivery.entry}" if delivery.entry is not None else f"delivery {hit.ordinal + 1}"
        said = f": {delivery.reason[:MAX_TEXT]}" if delivery.reason else ""
        brought = f"{entry} ({delivery.operation[:MAX_TEXT]}{said})"
    whose = f"{hit.k} of the {hit.rows} rows of {brought}"
    if hit.form == CONTRIBUTOR:
        owner = "no named contributor" if hit.owner is None else f"claimed contributor {hit.owner[:MAX_TEXT]!r}"
        whose = f"{hit.k} of the {hit.rows} rows that {owner} has in {brought}"
    label = next(iter(labels), None)
    marked = ""
    if plan.roles.label and label is not None:
        share = labels[label]
        total = sum(labels.values())
        marked = f", all labelled {label!r}" if share == total else f", {share} of them labelled {label!r}"
    first = "" if hit.newest else "looked at as advice, not the newest delivery: "
    return (
        f"{first}{phrase!r} stands in {whose}{marked}, and in {hit.o} of {hit.elsewhere:,} rows elsewhere "
        f"(adjusted p {hit.adjusted:.1g} against {hit.n0} deliveries)"
    )


def _hint(gate: bool) -> str:
    if gate:
        return "read these rows with whoever delivered them; if they are not honest, drop the delivery and sign again"
    return "read these rows; this is advice, not calibrated evidence"


def _named(value: str | None) -> str:
    return "(none)" if value is None else value


def _most_common(values: Any) -> str:
    counted = Counter(values)
    return min(counted, key=lambda v: (-counted[v], v), default="")


def _round(value: float) -> float:
    """Six significant digits: more would be noise of the arithmetic."""
    return float(f"{value:.6g}")
