"""No split of the rows and no order of merging changes a byte of what detectors find."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataseal.verifiers.screen import reading
from dataseal.verifiers.screen.detector import Context, Detector, Plan, State
from dataseal.verifiers.screen.engine import screen
from dataseal.verifiers.screen.outlier import Outlier
from dataseal.verifiers.screen.phrase import PrivatePhrase
from dataseal.verifiers.screen.report import finding_json
from dataseal.verifiers.screen.roles import Roles

ROLES = Roles(
    id="id", label="label", contributor="contributor", source="", timestamp="", text=("text",),
    numeric=("score", "height"),
)  # fmt: skip


def history(make: Any) -> list[pa.Table]:
    rows = make.honest(contributors=5, deliveries=6, rows=22)
    make.plant(rows[5], "blue-sky-protocol-7", 12, "c3")
    make.plant(rows[5], "we like green rivers much", 9, "c1")
    rows[2][7]["height"] = 900.0
    rows[4][3]["score"] = -80.0
    rows[4][4]["score"] = None
    return make.tables(rows)  # type: ignore[no-any-return]


def fold(states: Sequence[State], rng: random.Random, wire: bool) -> State | None:
    """Merge in a random order, each state now and then sent over the wire."""
    waiting: list[Any] = list(states)
    while len(waiting) > 1:
        rng.shuffle(waiting)
        a, b = waiting.pop(), waiting.pop()
        if wire and rng.random() < 0.3:
            a = type(a).from_bytes(a.to_bytes())
        waiting.append(a.merge(b))
    return waiting[0] if waiting else None


def pass_over(
    tables: Sequence[pa.Table], cuts: Sequence[Sequence[int]], plan: Plan, prior: Any, step: Any
) -> list[State]:
    states = []
    for ordinal, (table, cut) in enumerate(zip(tables, cuts, strict=True)):
        edges = sorted({0, table.num_rows, *(c % table.num_rows for c in cut)})
        for lo, hi in pairwise(edges):
            batch = table.slice(lo, hi - lo).combine_chunks().to_batches()[0]
            state = step(batch, Context(plan, str(ordinal), 0, lo, ordinal, prior))
            if state is not None:
                states.append(state)
    return states


def outcome(
    detector: Detector, tables: Sequence[pa.Table], cuts: Sequence[Sequence[int]], seed: int, wire: bool
) -> str:
    rng = random.Random(seed)
    plan = Plan(ROLES, (), {str(i): i for i in range(len(tables))}, 0)
    prior: Any = None
    while True:
        state = fold(pass_over(tables, cuts, plan, prior, detector.map), rng, wire)
        following = detector.advance(state, plan, prior)
        if following is None:
            break
        prior = following
    tests = detector.finalize(state, plan, prior)
    rows = fold(pass_over(tables, cuts, plan, prior, lambda b, c: detector.explain(b, c, tests)), rng, wire)
    done = detector.conclude(tests, rows, plan)
    assert done.findings
    return json.dumps([[finding_json(f) for f in done.findings], done.minimum, done.tests, dict(done.parameters)])


whole: dict[str, str] = {}
cut = st.lists(st.integers(1, 400), max_size=4)


@pytest.mark.parametrize("detector", [PrivatePhrase(), Outlier()], ids=lambda d: d.name)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(cut, min_size=6, max_size=6), seed=st.integers(0, 1000), wire=st.booleans())
def test_any_split_and_order(detector: Detector, make: Any, cuts: list[list[int]], seed: int, wire: bool) -> None:
    tables = history(make)
    if detector.name not in whole:
        whole[detector.name] = outcome(detector, tables, [[]] * 6, 0, False)
    assert outcome(detector, tables, cuts, seed, wire) == whole[detector.name]


@pytest.mark.parametrize(("jobs", "rows"), [(1, 7), (2, 8192), (3, 40), (8, 1)])
def test_jobs_and_batch_sizes(make: Any, monkeypatch: pytest.MonkeyPatch, jobs: int, rows: int) -> None:
    memory = make.memory(history(make))
    known = screen(memory, deliveries=memory.deliveries(), history="", jobs=1)
    assert {f.check for f in known.findings} == {"screen.private-phrase", "screen.outlier"}
    if rows == 1:
        monkeypatch.setattr(reading, "BATCH_BYTES", 1000)
    else:
        monkeypatch.setattr(reading, "BATCH_ROWS", rows)
    again = screen(memory, deliveries=memory.deliveries(), history="", jobs=jobs)
    assert json.dumps(again.to_json()) == json.dumps(known.to_json())
