"""Which head may leave: chosen by what verifies, among few or many, and never by what was chosen before alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataseal.ledger.store.store import Head, Store, View
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from dataseal.ledger.tlog.policy import LogPolicy
from dataseal.ledger.witness import quorum
from dataseal.ledger.witness.quorum import Quorum
from support.ledgers import stored
from support.witnessing import ORIGIN, Tree, cosigner, policy

W1, W2 = cosigner("w1"), cosigner("w2")
LOG = Tree().signer


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "ledger.sqlite", origin=ORIGIN, log_key=LOG.vkey)


def grow(store: Store, *cosigners: tuple[object, ...]) -> None:
    """One more head for each: signed, and cosigned by these."""
    for keys in cosigners:
        with store.appending() as view:
            head = view.insert(stored(view.head().size, 1))
            note = sign_checkpoint(Checkpoint(ORIGIN, head.size, head.root), [LOG])
            view.sign_head(head.size, note)
            if keys:
                read = notes.parse(note)
                view.cosign_head(head.size, notes.sign(read.text, [k.at(5) for k in keys], read.signatures))  # type: ignore[attr-defined]


def cosign_late(store: Store, size: int) -> None:
    with store.appending() as view:
        head = view.head_at(size)
        assert head
        assert head.note
        read = notes.parse(head.note)
        view.cosign_head(size, notes.sign(read.text, [W1.at(5), W2.at(5)], read.signatures))


def both() -> LogPolicy:
    return policy((W1, None), (W2, None))


def newest(chosen: Quorum, store: Store) -> int:
    with store.view() as view:
        return chosen.newest(view).size


def test_the_newest_that_meets_the_quorum(store: Store) -> None:
    chosen = Quorum(both())
    assert newest(chosen, store) == 0
    for keys, size in (((), 0), ((W1,), 0), ((W1, W2), 3), ((W2,), 3), ((W1, W2), 5), ((), 5)):
        grow(store, keys)
        assert newest(chosen, store) == size
        assert newest(Quorum(both()), store) == size, "as another process finds it"


def test_an_old_one_behind_many_that_have_too_few(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quorum, "RECENT", 2)
    grow(store, (W1, W2), *[(W1,)] * 8, ())
    chosen = Quorum(both())
    assert newest(chosen, store) == 1
    grow(store, *[(W2,)] * 5)
    assert newest(chosen, store) == 1


def test_one_that_was_cosigned_late_is_found(store: Store) -> None:
    chosen = Quorum(both())
    grow(store, (W1, W2), (), ())
    assert newest(chosen, store) == 1
    cosign_late(store, 2)
    assert newest(chosen, store) == 2


def test_one_that_was_cosigned_late_is_found_though_none_was_before(store: Store) -> None:
    """A server that looked in vain serves it without being started anew."""
    chosen = Quorum(both())
    grow(store, (), (W1,), ())
    assert newest(chosen, store) == 0
    cosign_late(store, 1)
    assert newest(chosen, store) == 1
    cosign_late(store, 2)
    assert newest(chosen, store) == 2


def test_heads_that_nobody_cosigned_are_looked_through_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quorum, "RECENT", 1)
    grow(store, *[()] * 5)
    chosen, asked = Quorum(both()), []
    real = View.cosigned_heads

    def watched(self: View, least: int = 0) -> object:
        asked.append(least)
        return real(self, least)

    monkeypatch.setattr(View, "cosigned_heads", watched)
    assert [newest(chosen, store) for _ in range(3)] == [0, 0, 0]
    assert asked == [0, 5, 5]


def test_no_signature_is_verified_twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(store, (W1, W2), (W1,))
    chosen, checked = Quorum(both()), []
    real = LogPolicy.check

    def check(self: LogPolicy, data: bytes, *, require_quorum: bool = True) -> object:
        checked.append(data)
        return real(self, data, require_quorum=require_quorum)

    monkeypatch.setattr(LogPolicy, "check", check)
    assert [newest(chosen, store) for _ in range(5)] == [1] * 5
    assert len(checked) == 1, "and what claims too few is not verified at all"


def test_a_head_that_was_imported_with_its_cosignatures(store: Store) -> None:
    with store.appending() as view:
        head = view.insert(stored(0, 3))
        note = notes.parse(sign_checkpoint(Checkpoint(ORIGIN, head.size, head.root), [LOG]))
        view.sign_head(3, notes.sign(note.text, [W1.at(5), W2.at(5)], note.signatures))
    chosen = Quorum(both())
    assert newest(chosen, store) == 3
    grow(store, ())
    assert newest(Quorum(both()), store) == 3


def test_what_was_chosen_before_is_not_believed_in_another_store(store: Store, tmp_path: Path) -> None:
    chosen = Quorum(both())
    grow(store, (W1, W2), (W1, W2))
    assert newest(chosen, store) == 2
    replaced = Store.create(tmp_path / "other.sqlite", origin=ORIGIN, log_key=LOG.vkey)
    grow(replaced, (), ())
    assert newest(chosen, replaced) == 0


def test_a_witness_counts_once_and_strangers_never(store: Store) -> None:
    stranger = cosigner("stranger")
    grow(store, (W1, stranger))
    read = Quorum(both())
    assert newest(read, store) == 0
    any_one = Quorum(policy((W1, None), (W2, None), groups="group g 1 W1 W2\n", quorum="g"))
    assert newest(any_one, store) == 1


def test_damaged_bytes_are_no_quorum(store: Store) -> None:
    grow(store, (W1, W2))
    with store.view() as view:
        head = view.head()
    assert head.cosigned
    chosen = Quorum(both())
    assert chosen.met(head)
    for at in range(0, len(head.cosigned), 7):
        damaged = head.cosigned[:at] + bytes([head.cosigned[at] ^ 1]) + head.cosigned[at + 1 :]
        assert not chosen.met(Head(head.size, head.root, head.note, damaged))


def test_failing_open_is_over_while_there_is_doubt(store: Store) -> None:
    grow(store, (W1, W2), ())
    chosen = Quorum(both(), fail_open=True)
    with store.view() as view:
        assert chosen.publishable(view).size == 2
        chosen.doubted = True
        assert chosen.publishable(view).size == 1
    assert chosen.demanded.check(_note(store, 2)).checkpoint.size == 2


def _note(store: Store, size: int) -> bytes:
    with store.view() as view:
        head = view.head_at(size)
    assert head
    assert head.note
    return head.note
