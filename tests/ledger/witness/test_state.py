"""The state: opened with care, moved forward only, even against our own code."""

from __future__ import annotations

import sqlite3

import pytest

from dataseal.ledger.errors import IntegrityError, Unavailable, UsageError
from dataseal.ledger.witness import state as states
from dataseal.ledger.witness.state import Latest, State
from support.witnessing import NOW, ORIGIN, Tree, cosigner, make_state, opened

W1 = cosigner("w1")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a folder with # and ? and %" / "w.sqlite"


@pytest.fixture
def state(path):
    path.parent.mkdir()
    state = make_state(path, W1)
    with state.deciding(ORIGIN) as decision:
        decision.advance(Latest(5, b"r" * 32, NOW, b"note"))
    yield state
    state.close()


def raw(path, *statements):
    connection = sqlite3.connect(path)
    try:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    finally:
        connection.close()


def test_it_is_durable(state, path):
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    assert state._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    reopened = State(path)
    assert reopened.latest(ORIGIN) == Latest(5, b"r" * 32, NOW, b"note")
    assert reopened.keys(ORIGIN) == [Tree().signer.vkey]
    reopened.close()


def test_a_missing_state_is_not_made_anew(tmp_path):
    with pytest.raises(UsageError):
        State(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()


def test_a_state_is_not_overwritten(state, path):
    with pytest.raises(UsageError):
        State(path, create=True)


@pytest.mark.parametrize("content", [b"", b"no database at all, but text that is long enough" * 30])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(IntegrityError):
        State(tmp_path / "x")


def test_another_schema_is_refused(path, state):
    state.close()
    raw(path, "DROP TRIGGER meta_stays", "UPDATE meta SET value='99' WHERE key='schema'")
    with pytest.raises(UsageError):
        State(path)


@pytest.mark.parametrize(
    "new",
    [
        Latest(4, b"r" * 32, NOW, b""),
        Latest(5, b"s" * 32, NOW, b""),
        Latest(6, b"s" * 32, NOW - 1, b""),
        Latest(0, b"s" * 32, NOW, b""),
    ],
)
def test_the_record_never_goes_back(state, new):
    with pytest.raises(IntegrityError), state.deciding(ORIGIN) as decision:
        decision.advance(new)
    assert state.latest(ORIGIN).size == 5


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM latest",
        "INSERT OR REPLACE INTO latest SELECT origin, hash, zeroblob(8), root, timestamp, note FROM latest",
        "UPDATE latest SET origin='x'",
        "UPDATE latest SET size=x'00'",
        "UPDATE latest SET timestamp=0",
        "UPDATE meta SET value='x' WHERE key='vkeys'",
    ],
)
def test_the_file_refuses_it_too(state, path, statement):
    with pytest.raises(sqlite3.IntegrityError):
        raw(path, statement)


def test_a_record_that_changed_under_the_lock_stops(state):
    with state.deciding(ORIGIN) as decision:
        decision.latest = Latest(3, b"r" * 32, NOW, b"")
        with pytest.raises(IntegrityError, match="under its own lock"):
            decision.advance(Latest(9, b"s" * 32, NOW, b""))


def test_an_error_within_a_decision_undoes_it(state):
    def fail():
        with state.deciding(ORIGIN) as decision:
            decision.advance(Latest(9, b"s" * 32, NOW, b""))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert state.latest(ORIGIN).size == 5
    with state.deciding(ORIGIN) as decision:
        decision.advance(Latest(6, b"s" * 32, NOW, b""))


def test_a_locked_state_is_unavailable_and_nothing_is_cosigned(tmp_path, monkeypatch):
    monkeypatch.setattr(states, "BUSY_TIMEOUT", 0.05)
    path = tmp_path / "w.sqlite"
    with opened(path, W1) as witness:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            witness.add_checkpoint(Tree.of(3).request(0))
        other.execute("ROLLBACK")
        other.close()
        assert witness.state.latest(ORIGIN) is None
        assert witness.add_checkpoint(Tree.of(3).request(0)).status == 200


def test_a_full_disk_is_unavailable_and_nothing_is_cosigned(tmp_path):
    with opened(tmp_path / "w.sqlite", W1) as witness:
        pages = witness.state._connection.execute("PRAGMA page_count").fetchone()[0]
        witness.state._connection.execute(f"PRAGMA max_page_count={pages}")
        log = Tree.of(400)
        assert witness.add_checkpoint(log.request(0)).status == 200

        def fill():
            for size in range(1, 400):  # evidence fills the last page
                assert witness.add_checkpoint(log.fork(size - 1, 1, "x").request(0)).status == 409

        with pytest.raises(Unavailable, match="full"):
            fill()
        assert not witness.state._connection.in_transaction
        witness.state._connection.execute("PRAGMA max_page_count=100000")
        assert witness.add_checkpoint(log.grow(1).request(400)).status == 200
