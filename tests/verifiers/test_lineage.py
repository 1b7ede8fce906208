"""Which modification brought which shard; and what is no history."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataseal.ledger import delta as deltas
from dataseal.ledger import seal
from dataseal.ledger.delta import Delta
from dataseal.ledger.signers import keyfile
from dataseal.verifiers.lineage import History, shard_owner
from support.history import Simulated, manifest
from support.shards import shard

A = {"a": b"1"}
AB = {"a": b"1", "b": b"2"}
ABC = {"a": b"1", "b": b"2", "c": b"3"}


def owners(history: History) -> dict[str, int | None]:
    """The entry that brought each shard that somebody brought."""
    return {path: delivery.entry for path, delivery in shard_owner(history.deliveries).items()}


def broken(history: History, *parts: str) -> None:
    assert history.deliveries == ()
    assert history.status.startswith("broken: ")
    assert history.findings
    assert all(part in history.status for part in parts), history.status
    assert all(f.hint for f in history.findings)


@pytest.fixture
def log() -> Simulated:
    return Simulated()


def test_a_straight_chain(log: Simulated) -> None:
    first, second, third = log.modify(None, A, operation="collect"), log.modify(A, AB), log.modify(AB, ABC)
    history = log.read(log.release(ABC), ABC)
    assert history.status == "verified: 3 deliveries"
    assert history.findings == ()
    assert owners(history) == {"a": first, "b": second, "c": third}
    assert [(d.ordinal, d.entry, d.operation) for d in history.deliveries] == [
        (0, first, "collect"),
        (1, second, "append"),
        (2, third, "append"),
    ]
    assert {d.signer for d in history.deliveries} == {"amy"}
    assert [d.root for d in history.deliveries] == [manifest(s).root.hex() for s in (A, AB, ABC)]


def test_a_changed_shard_belongs_to_who_changed_it_last(log: Simulated) -> None:
    log.modify(None, AB)
    log.modify(AB, {"a": b"x", "b": b"2"})
    last = log.modify({"a": b"x", "b": b"2"}, {"a": b"y", "b": b"2"})
    files = {"a": b"y", "b": b"2"}
    assert owners(log.read(log.release(files), files)) == {"a": last, "b": 0}


def test_a_removed_shard_belongs_to_nobody(log: Simulated) -> None:
    log.modify(None, AB)
    log.modify(AB, A, operation="remove")
    history = log.read(log.release(A), A)
    assert owners(history) == {"a": 0}
    assert history.deliveries[1].shards == frozenset()


def test_a_shard_that_came_back_belongs_to_who_brought_it_back(log: Simulated) -> None:
    log.modify(None, AB), log.modify(AB, A), log.modify(A, AB)
    assert owners(log.read(log.release(AB), AB)) == {"a": 0, "b": 2}


def test_a_renamed_shard_belongs_to_who_renamed_it(log: Simulated) -> None:
    renamed = {"a": b"1", "z": b"2"}
    log.modify(None, AB), log.modify(AB, renamed)
    assert owners(log.read(log.release(renamed), renamed)) == {"a": 0, "z": 1}


def test_what_a_release_had_before_anything_was_recorded_belongs_to_no_delivery(log: Simulated) -> None:
    log.release(A, "0.9.0")
    log.modify(A, AB)
    history = log.read(log.release(AB, "1.0.0", 2), AB)
    assert history.status == "verified: 1 delivery"
    assert owners(history) == {"b": 1}


def test_a_start_that_nothing_leads_to_is_broken(log: Simulated) -> None:
    log.modify(A, AB)
    broken(log.read(log.release(AB), AB), "entry 0 starts from root", "no entry beside it leads there")


def test_a_release_after_the_change_is_no_start_for_it(log: Simulated) -> None:
    log.modify(A, AB)
    log.release(A, "0.9.0")
    broken(log.read(log.release(AB, "1.0.0", 2), AB), "entry 0 starts from root")


def test_a_release_that_no_change_leads_to(log: Simulated) -> None:
    log.modify(None, A)
    broken(log.read(log.release(AB), AB), "no recorded modification leads to the release's root")


@pytest.mark.parametrize("kept", [(0, 1), (1, 2), (0, 2)])
def test_an_entry_left_out(log: Simulated, kept: tuple[int, ...]) -> None:
    log.modify(None, A), log.modify(A, AB), log.modify(AB, ABC)
    broken(log.read(log.release(ABC), ABC, *kept))


def test_other_branches_bring_nothing(log: Simulated) -> None:
    log.modify(None, A)
    log.modify(A, {"a": b"1", "other": b"x"})
    wanted = log.modify(A, AB)
    history = log.read(log.release(AB), AB)
    assert owners(history) == {"a": 0, "b": wanted}
    assert [d.entry for d in history.deliveries] == [0, wanted]


def test_two_ways_to_one_state_the_newest_counts(log: Simulated) -> None:
    log.modify(None, A)
    log.modify(A, AB)
    again = log.modify(A, AB, operation="merge")
    assert owners(log.read(log.release(AB), AB)) == {"a": 0, "b": again}


def test_a_cycle_ends(log: Simulated) -> None:
    log.modify(None, A), log.modify(A, AB), log.modify(AB, A), log.modify(A, AB), log.modify(AB, A)
    history = log.read(log.release(A), A)
    assert [d.entry for d in history.deliveries] == [0, 1, 2, 3, 4]
    assert owners(history) == {"a": 0}


def test_a_state_that_was_left_and_came_back_is_followed_by_index(log: Simulated) -> None:
    # The release over AB stands before the second visit to AB: the later entry is not its history.
    log.modify(None, A), log.modify(A, AB)
    release = log.release(AB)
    log.modify(AB, A), log.modify(A, AB)
    history = log.read(release, AB)
    assert [d.entry for d in history.deliveries] == [0, 1]


def test_an_entry_behind_the_release_is_tampering(log: Simulated) -> None:
    log.modify(None, A)
    release = log.release(A)
    later = log.modify(A, AB)
    history = log.read(release, A, 0, later)
    assert [f.check for f in history.findings] == ["integrity.history"]
    assert "does not stand before the release" in history.findings[0].message


def test_a_start_from_nothing_that_leaves_shards_behind(log: Simulated) -> None:
    lie = Delta((deltas.bare([shard("a", b"1")])["a"],), (), ())
    log.modify(None, AB, delta=lie)
    broken(log.read(log.release(AB), AB), "claims to start from nothing, and 1 shards are older")


def test_a_delta_that_leaves_a_shard_out(log: Simulated) -> None:
    log.modify(None, A)
    lie = Delta((deltas.bare([shard("b", b"2")])["b"],), (), ())
    log.modify(A, ABC, delta=lie)
    broken(log.read(log.release(ABC), ABC), "its delta does not lead from the root that it names")


def test_a_delta_that_claims_a_shard_it_did_not_bring(log: Simulated) -> None:
    log.modify(None, A)
    both = deltas.bare([shard("a", b"1"), shard("b", b"2")])
    log.modify(A, AB, delta=Delta((both["a"], both["b"]), (), ()))
    broken(log.read(log.release(AB), AB), "does not lead from the root")


def test_a_delta_over_a_shard_that_is_not_there(log: Simulated) -> None:
    log.modify(None, A)
    lie = Delta((deltas.bare([shard("zz", b"2")])["zz"],), (), ())
    log.modify(A, AB, delta=lie)
    broken(log.read(log.release(AB), AB), "takes away a shard that is not there")


def test_history_of_another_dataset(log: Simulated) -> None:
    log.modify(None, A, name="acme/other")
    history = log.read(log.release(A), A)
    assert "another dataset" in history.findings[0].message
    assert history.deliveries == ()


def test_a_signer_whom_nobody_trusts_is_no_evidence_and_no_tampering(log: Simulated) -> None:
    log.modify(None, A, key=keyfile.generate())
    log.modify(A, AB)
    history = log.read(log.release(AB), AB)
    broken(history, "entry 1 starts from root")
    assert [f.severity for f in history.findings] == ["warning", "warning"]
    assert len(history.objects) == 2


def test_an_unknown_signers_entry_that_the_log_does_not_hold_is_tampering(log: Simulated) -> None:
    log.modify(None, A, key=keyfile.generate())
    other = Simulated()
    other.modify(None, A, key=keyfile.generate())
    log.modify(A, AB)
    change = {seal.history_name(0, "sigstore.json"): other.bodies[0][1]}
    history = log.read(log.release(AB), AB, change=change)
    assert history.findings[0].check == "integrity.history"
    assert "it was altered" in history.findings[0].message


def test_no_history(log: Simulated) -> None:
    release = log.release(A)
    history = log.read(release, A)
    assert (history.deliveries, history.status, history.findings) == ((), "none", ())


Edit = tuple[str, bytes | None]
edits = st.lists(
    st.lists(st.tuples(st.sampled_from("abcd"), st.one_of(st.none(), st.binary(max_size=2))), min_size=1, max_size=3),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(edits)
def test_every_shard_belongs_to_the_entry_that_touched_it_last(steps: list[list[Edit]]) -> None:
    log = Simulated()
    state: dict[str, bytes] | None = None
    owner: dict[str, int] = {}
    for step in steps:
        after = dict(state or {})
        for path, data in step:
            after.pop(path, None)
            if data is not None:
                after[path] = data
        before = state or {}
        if not after or (state is not None and after == before):
            continue
        index = log.modify(state, after)
        for path in after:
            if before.get(path) != after[path]:
                owner[path] = index
        owner = {p: i for p, i in owner.items() if p in after}
        state = after
    if state is None:
        return
    assert owners(log.read(log.release(state), state)) == owner
