from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger import canonical
from dataseal.ledger import delta as deltas
from dataseal.ledger.delta import Delta, apply, bare, between, parse, root_of
from dataseal.ledger.errors import FormatError, IntegrityError
from dataseal.ledger.manifest import MIN_CHUNK, Manifest, Parameters, Shard, build
from support.errors import refused
from support.shards import SMALL, shard

STATES = st.dictionaries(st.sampled_from("abcdefgh"), st.binary(max_size=2), max_size=6)


def made(**contents: bytes) -> Manifest:
    return build([shard(path, data) for path, data in contents.items()], SMALL)


OLD = made(a=b"1", b=b"2", c=b"3")
NEW = made(a=b"1", b=b"two", d=b"4")


def document(**changes: Any) -> bytes:
    value = json.loads(between(OLD, NEW).encode())
    return canonical.encode({**value, **changes})


def as_json(item: Shard) -> dict[str, Any]:
    return {"path": item.path, "root": item.root.hex(), "sha256": item.sha256.hex(), "size": item.size}


def test_docstring_example_has_the_encoded_shape() -> None:
    shown = re.search(r"\{\"added\".*?\"v\":1\}", deltas.__doc__ or "", re.DOTALL)
    assert shown
    text = shown[0].replace("\n", "").replace("<hex>", "0" * 64).replace(" ", "")
    shape = json.loads(text.replace("{…}", "{}"))
    ours = json.loads(between(None, NEW).encode())
    assert set(shape) == set(ours)
    assert set(shape["added"][0]) == set(ours["added"][0])
    assert set(shape["changed"][0]) == {"old", "new"}


def test_a_delta_names_what_was_added_removed_and_changed() -> None:
    delta = between(OLD, NEW)
    assert [s.path for s in delta.added] == ["d"]
    assert [s.path for s in delta.removed] == ["c"]
    assert [(old.path, new.path) for old, new in delta.changed] == [("b", "b")]
    assert delta.touched() == ("d", "b")
    assert not delta.empty


def test_no_difference_is_an_empty_delta() -> None:
    assert between(OLD, OLD).empty


@given(STATES, STATES)
def test_applying_a_delta_gives_the_next_states_root(old: dict[str, bytes], new: dict[str, bytes]) -> None:
    before, after = made(**old), made(**new)
    delta = parse(between(before, after).encode())
    assert root_of(apply(bare(before.shards), delta).values(), SMALL) == after.root


@given(STATES, STATES)
def test_a_delta_is_taken_back_by_its_reverse(old: dict[str, bytes], new: dict[str, bytes]) -> None:
    before, after = made(**old), made(**new)
    delta = between(before, after)
    reverse = Delta(delta.removed, delta.added, tuple((b, a) for a, b in delta.changed))
    assert root_of(apply(bare(after.shards), reverse).values(), SMALL) == before.root


@pytest.mark.parametrize("left_out", ["added", "removed", "changed"])
def test_a_delta_that_leaves_something_out_leads_to_another_root(left_out: str) -> None:
    delta = between(OLD, NEW)
    lists = {name: getattr(delta, name) for name in ("added", "removed", "changed")}
    shorter = Delta(**lists | {left_out: ()})
    assert root_of(apply(bare(OLD.shards), shorter).values(), SMALL) != NEW.root


def test_a_delta_that_lies_about_content_leads_to_another_root() -> None:
    lie = Delta((Shard("d", 1, b"\1" * 32, b"\2" * 32, b""),), between(OLD, NEW).removed, between(OLD, NEW).changed)
    assert root_of(apply(bare(OLD.shards), lie).values(), SMALL) != NEW.root


@pytest.mark.parametrize(
    "delta",
    [
        Delta((), tuple(bare([shard("z")]).values()), ()),
        Delta((), tuple(bare([shard("a", b"else")]).values()), ()),
        Delta((), (), ((bare([shard("z")])["z"], bare([shard("z", b"2")])["z"]),)),
    ],
    ids=["not there", "other content", "changed, not there"],
)
def test_a_delta_that_takes_away_what_is_not_there_is_refused(delta: Delta) -> None:
    with refused(IntegrityError, "not there"):
        apply(bare(OLD.shards), delta)


def test_a_delta_that_adds_what_is_there_is_refused() -> None:
    with refused(IntegrityError, "there already", "a"):
        apply(bare(OLD.shards), Delta(tuple(bare([shard("a", b"else")]).values()), (), ()))


def test_applying_leaves_the_old_state_alone() -> None:
    state = bare(OLD.shards)
    apply(state, between(OLD, NEW))
    assert set(state) == {"a", "b", "c"}


def test_states_of_other_parameters_have_no_delta() -> None:
    with refused(FormatError, "chunk sizes", "hash the new one"):
        between(OLD, build([], Parameters(2 * MIN_CHUNK)))


A, B = as_json(shard("a")), as_json(shard("b"))
A2 = as_json(shard("a", b"else"))
BAD = {
    "version": document(v=2),
    "version true": document(v=True),
    "unknown field": document(more=1),
    "no list": document(added={}),
    "not a shard": document(added=["a"]),
    "shard field": document(added=[{**A, "chunks": []}]),
    "shard misses": document(added=[{"path": "a"}]),
    "bad path": document(added=[{**A, "path": "../a"}]),
    "bad digest": document(added=[{**A, "root": "00"}]),
    "size bool": document(added=[{**A, "size": True}]),
    "size negative": document(added=[{**A, "size": -1}]),
    "size text": document(added=[{**A, "size": "1"}]),
    "unsorted": document(added=[B, A]),
    "twice in a list": document(added=[A, A]),
    "added and removed": document(added=[A], removed=[A2], changed=[]),
    "renamed as changed": document(changed=[{"old": A, "new": B}]),
    "changed to itself": document(added=[], removed=[], changed=[{"old": A, "new": A}]),
    "changed without old": document(changed=[{"new": A}]),
    "changed and more": document(changed=[{"new": A, "old": A2, "by": "me"}]),
    "not canonical": document() + b"\n",
    "not an object": b"[]",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_a_delta_with_two_readings_is_refused(data: bytes) -> None:
    with refused(FormatError):
        parse(data)


def test_a_delta_that_no_verifier_would_read_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deltas, "MAX_DELTA", 100)
    with refused(FormatError, "at most 100", "several steps"):
        between(OLD, NEW).encode()
    with refused(FormatError, "at most 100"):
        parse(document())
