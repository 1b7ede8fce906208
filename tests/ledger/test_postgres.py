"""The same log in PostgreSQL: a server of our own, in a folder of the test's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError as DuplicateError

from dataseal.ledger import audit
from dataseal.ledger.batch import Batch
from dataseal.ledger.errors import IntegrityError, Refused, Unavailable, UsageError
from dataseal.ledger.log import ATTEMPTS, Log
from dataseal.ledger.store.database import Contended
from dataseal.ledger.store.store import EMPTY, Store
from dataseal.ledger.tlog import merkle
from support import statements as make
from support.errors import refused
from support.ledgers import stored
from support.statements import receipt_payload, sign_bundle
from support.workspaces import Bench


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    made = Store.create(url, origin="log.example", log_key="vkey")
    yield made
    made.close()


@pytest.fixture
def log(url: str, bench: Bench) -> Callable[[], Log]:
    """Opens a log in PostgreSQL, each time as another process would, with the bench's keys and rules."""
    Store.create(url, origin=bench.log.origin, log_key=bench.log.vkey)

    def open_log() -> Log:
        return Log(
            Store.open(url),
            origin=bench.log.origin,
            signers=bench.log._signers,
            admission=bench.log.admission,
            clock=bench.clock,
        )

    return open_log


def raw(url: str) -> Engine:
    return create_engine(url)


def receipts(bench: Bench, *numbers: int) -> list[bytes]:
    return [sign_bundle(receipt_payload(number), bench.gate) for number in numbers]


def test_a_log_in_postgresql_is_appended_proven_and_checked(log: Callable[[], Log], bench: Bench) -> None:
    one = log()
    one.append([sign_bundle(make.release_payload(), bench.publisher)])
    one.append(receipts(bench, *range(300)))
    assert len(one.prove([0, 256, 300])) == 3
    result = audit.check(log())
    assert result.clean, result.problems
    assert (result.entries, result.heads) == (301, 2)


def test_the_tree_is_the_same_as_in_sqlite(store: Store, tmp_path: Path) -> None:
    other = Store.create(tmp_path / "ledger.sqlite", origin="log.example", log_key="vkey")
    for count in (1, 255, 300):
        heads = []
        for each in (store, other):
            with each.appending() as view:
                heads.append(view.insert(stored(view.head().size, count)))
        assert heads[0] == heads[1]
    with store.view() as here, other.view() as there:
        assert list(here.tiles()) == list(there.tiles())
        assert [row.leaf for row in here.entries()] == [row.leaf for row in there.entries()]
        assert here.head().root == merkle.root_from_leaves([row.leaf for row in here.entries()])


REFUSED = [
    "UPDATE segments SET data = ''",
    "DELETE FROM segments",
    "TRUNCATE segments",
    "UPDATE heads SET root = ''",
    "DELETE FROM heads",
    "TRUNCATE heads",
    "UPDATE tiles SET data = ''",
    "UPDATE tiles SET data = data",
    "DELETE FROM tiles",
    "UPDATE names SET kind = 'x'",
    "DELETE FROM chains",
    "UPDATE lookups SET key = key + 1",
    "TRUNCATE lookups",
    "UPDATE meta SET value = 'x'",
    "INSERT INTO heads VALUES (3, '', NULL, NULL) ON CONFLICT (size) DO UPDATE SET root = ''",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_logged_rows_stay(store: Store, url: str, statement: str) -> None:
    with store.appending() as view:
        view.insert(stored(0, 3))
    engine = raw(url)
    with pytest.raises(DuplicateError, match="append-only"), engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_a_heads_checkpoint_is_written_once_and_cosigned_behind_its_own_lines(store: Store) -> None:
    with store.appending() as view:
        view.insert(stored(0, 1))
        view.sign_head(1, b"note")
        view.cosign_head(1, b"note and more")
    with refused(IntegrityError, "append-only"), store.appending() as view:
        view.cosign_head(1, b"other and more")
    with store.view() as view:
        assert (view.head().note, view.cosigned_head().cosigned) == (b"note", b"note and more")


def test_a_view_does_not_see_what_is_appended_meanwhile(store: Store) -> None:
    with store.view() as view:
        assert view.head() == EMPTY
        with store.appending() as other:
            other.insert(stored(0, 5))
        assert (view.head(), view.count()) == (EMPTY, 0)


def test_writers_take_turns_and_one_that_waits_too_long_is_no_verdict(store: Store, url: str) -> None:
    impatient = Store.open(url, busy_timeout=0.2)
    with store.appending() as writing:
        writing.insert(stored(0, 1))
        with refused(Unavailable, "locked"), impatient.appending():
            pass
    with impatient.appending() as view:
        assert view.head().size == 1
    impatient.close()


def test_eight_writers_never_fork_the_log_nor_lose_an_entry(log: Callable[[], Log], bench: Bench) -> None:
    """Four logs of their own connections, as four processes have, and two threads on each."""
    logs = [log() for _ in range(4)]
    bundles = receipts(bench, *range(64))

    def work(number: int) -> list[int]:
        mine = bundles[number * 8 : number * 8 + 8]
        return [logs[number % 4].append([bundle])[0].index for bundle in mine]

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(work, range(8)))
    assert all(part == sorted(part) for part in seen)
    assert sorted(index for part in seen for index in part) == list(range(64))
    result = audit.check(logs[0])
    assert result.clean, result.problems


def test_of_two_releases_with_one_sequence_only_one_is_admitted(log: Callable[[], Log], bench: Bench) -> None:
    barrier = threading.Barrier(2)

    def work(version: str) -> str:
        mine = log()
        barrier.wait()
        try:
            mine.append([sign_bundle(make.release_payload(version), bench.publisher)])
        except Refused as error:
            return error.what
        return "logged"

    with ThreadPoolExecutor(2) as pool:
        results = sorted(pool.map(work, ["1.0.0", "1.0.1"]))
    assert results[1] == "logged"
    assert "2 comes next" in results[0]


def test_a_transaction_that_is_given_up_is_tried_again(
    log: Callable[[], Log], bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Batch.expect, []

    def contended(self: Batch, *arguments: object) -> None:
        calls.append(1)
        if len(calls) < ATTEMPTS:
            self._view._connection.execute(
                text("DO $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = 'serialization_failure'; END $$")
            )
        real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Batch, "expect", contended)
    assert log().append(receipts(bench, 1))[0].index == 0
    assert len(calls) == ATTEMPTS


def test_a_transaction_that_is_given_up_again_and_again_is_no_verdict(
    log: Callable[[], Log], bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contended(*_: object) -> None:
        raise Contended("given up")

    monkeypatch.setattr(Batch, "expect", contended)
    with refused(Unavailable, "given up"):
        log().append(receipts(bench, 1))


def terminate(url: str, pid: int) -> None:
    engine = raw(url)
    with engine.begin() as connection:
        connection.execute(text(f"SELECT pg_terminate_backend({pid})"))
    engine.dispose()


def test_a_lost_connection_is_no_verdict_and_the_next_append_goes_on(
    log: Callable[[], Log], url: str, bench: Bench
) -> None:
    one = log()
    one.append(receipts(bench, 0))
    with refused(Unavailable, "lost", "nothing is recorded twice"), one.store.appending() as view:
        pid = view._connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        terminate(url, pid)
        view.insert(stored(1, 1))
    assert one.append(receipts(bench, 1))[0].index == 1


def test_a_server_that_is_not_there_is_no_verdict() -> None:
    with refused(Unavailable, "connection"):
        Store.open("postgresql+psycopg://nobody@127.0.0.1:9/none")


def test_a_database_that_holds_tables_is_never_overwritten(store: Store, url: str) -> None:
    with refused(UsageError, "never overwritten", "segments"):
        Store.create(url, origin="x", log_key="y")


def test_an_empty_database_is_no_ledger(url: str) -> None:
    with refused(IntegrityError, "is not a ledger"):
        Store.open(url)


@pytest.mark.parametrize("where", ["postgresql+psycopg://h:x/y", "postgres://:::"])
def test_a_url_that_is_none_is_a_usage_error(where: str) -> None:
    with refused(UsageError, "not the URL"):
        Store.open(where)
