"""Tables of counts: merging is addition, whatever the order; bytes are canonical and read strictly."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataseal.ledger.errors import FormatError
from dataseal.verifiers.screen.counts import Cells, Counts, contains, documents
from dataseal.verifiers.screen.phrase_state import Spelling, Tally
from dataseal.verifiers.screen.wire import pack, unpack

cell = st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(1, 5))


def table(cells: list[tuple[int, int, int]]) -> Cells:
    summed: Counter[tuple[int, int]] = Counter()
    for gram, block, n in cells:
        summed[gram, block] += n
    rows = sorted((g, b, n) for (g, b), n in summed.items())
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return np.array(columns[0], np.uint64), np.array(columns[1], np.uint64), np.array(columns[2], np.int64)


def rows(cells: Cells) -> list[tuple[int, int, int]]:
    return sorted(zip(*(a.tolist() for a in cells), strict=True))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(cell, max_size=6), max_size=25), st.randoms(use_true_random=False))
def test_any_order_of_merging_gives_the_same_bytes(parts: list[list[tuple[int, int, int]]], rng: object) -> None:
    states = [Tally({("c", 1): len(p)}, Counts.of(table(p))) for p in parts]
    straight = Tally()
    for state in states:
        straight = straight.merge(state)
    waiting = [Tally(), *states]
    while len(waiting) > 1:
        rng.shuffle(waiting)  # type: ignore[attr-defined]
        waiting = [waiting[0].merge(waiting[1]), *waiting[2:]]
    assert waiting[0].to_bytes() == straight.to_bytes()
    expected = table([c for p in parts for c in p])
    assert rows(straight.counts.cells()) == rows(expected)


def test_round_trip() -> None:
    words = np.array([[1, 2, 0, 0], [3, 4, 5, 0]], np.uint64)
    state = Tally(
        {(None, -1): 3, ("é\n", 2): 7},
        Counts.of(table([(1, 2, 3), (2**63, 1, 1)])),
        Spelling(((np.array([7, 9], np.uint64), words),)),
    )
    data = state.to_bytes()
    assert Tally.from_bytes(data).to_bytes() == data
    assert Tally.from_bytes(Tally().to_bytes()).to_bytes() == Tally().to_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"{}\n",
        b'{"arrays":[["gram","<u8",2]],"values":{}}\n1234567812345678x',
        b'{"arrays":[["gram","<u8",2]],"values":{}}\n12345678',
        b'{"arrays":[["gram","|O",0]],"values":{}}\n',
        b'{"arrays":[["gram","<u8",-1]],"values":{}}\n',
        b'{"arrays":[],"values":{"blocks":[]}}\n',
        b'{"arrays":[],"values":{}}\n',
    ],
)
def test_malformed_states_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        Tally.from_bytes(data)


def test_wire_is_canonical() -> None:
    arrays = {"b": np.array([1.5]), "a": np.array([1, 2], np.uint64)}
    data = pack({"z": 1, "a": "é"}, arrays)
    assert data == pack({"a": "é", "z": 1}, dict(reversed(arrays.items())))
    values, back = unpack(data)
    assert values == {"a": "é", "z": 1}
    assert back["a"].tolist() == [1, 2]


def test_documents_counts_a_gram_once_a_document() -> None:
    gram = np.array([5, 5, 6, 5, 6, 6], np.uint64)
    doc = np.array([0, 0, 0, 1, 2, 2])
    block = np.array([10, 10, 20], np.uint64)
    got = [a.tolist() for a in documents(gram, doc, block)]
    assert got == [[5, 6, 6], [10, 10, 20], [2, 1, 1]]


def test_contains() -> None:
    values = np.array([2, 5], np.uint64)
    assert contains(values, np.array([1, 2, 5, 9], np.uint64)).tolist() == [False, True, True, False]
    assert not contains(values[:0], values).any()
