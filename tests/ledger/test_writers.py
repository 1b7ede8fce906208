"""Several writers of one ledger: what each remembers of its end is what the ledger says, whoever wrote last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataseal.ledger import audit
from dataseal.ledger.entry import Link
from dataseal.ledger.log import Appended
from support.statements import receipt_payload, sign_bundle
from support.workspaces import Bench, make_bench, open_bench

WRITERS = 3
_numbers = count()


@pytest.fixture(scope="module")
def writers(tmp_path_factory: pytest.TempPathFactory) -> list[Bench]:
    """Three who opened one ledger, as three processes do; their clocks disagree."""
    folder = tmp_path_factory.mktemp("writers") / "workspace"
    opened = [make_bench(folder), *(open_bench(folder) for _ in range(WRITERS - 1))]
    for number, bench in enumerate(opened):
        bench.clock.now += timedelta(hours=number)
    return opened


def log(bench: Bench, *datasets: str) -> list[Appended]:
    bundles = [sign_bundle(receipt_payload(next(_numbers), dataset=name), bench.gate) for name in datasets]
    return bench.log.append(bundles)


def test_what_another_writer_logged_is_linked_although_one_knew_the_dataset_before(bench: Bench) -> None:
    """A's second entry makes what it remembers current again: also what it knew of a/x before B wrote."""
    other = open_bench(bench.workspace.folder)
    log(bench, "a/x")
    between = log(other, "a/x")[0]
    log(bench, "b/y")
    link = log(bench, "a/x")[0].header.dataset_prev
    assert link is not None
    assert link.index == between.index == 1
    assert audit.check(bench.again()).problems == []


@given(st.lists(st.tuples(st.integers(0, WRITERS - 1), st.lists(st.sampled_from("xyz"), min_size=1, max_size=3))))
@settings(max_examples=25)
def test_in_any_order_of_writers_every_link_names_the_entry_before(
    writers: list[Bench], steps: Sequence[tuple[int, list[str]]]
) -> None:
    run = next(_numbers)  # datasets of its own for each example, in one ledger
    newest: dict[str, Link] = {}
    last: Appended | None = None
    for writer, names in steps:
        datasets = [f"run{run}/{name}" for name in names]
        for dataset, appended in zip(datasets, log(writers[writer], *datasets), strict=True):
            header = appended.header
            assert header.dataset_prev == newest.get(dataset)
            if last is not None:
                assert appended.index == last.index + 1
                assert header.logged_at >= last.header.logged_at
            row = entry(writers[0], appended.index)
            assert header.prev == (entry(writers[0], appended.index - 1).leaf if appended.index else None)
            newest[dataset], last = row, appended


def entry(bench: Bench, index: int) -> Link:
    with bench.log.store.view() as view:
        row = view.entry(index)
    assert row is not None
    return Link(row.index, row.leaf)


def test_the_ledger_of_all_those_orders_is_whole(writers: list[Bench]) -> None:
    log(writers[0], "last/one")
    assert audit.check(writers[0].again()).problems == []
