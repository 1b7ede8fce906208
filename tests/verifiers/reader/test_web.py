"""Reading over HTTP from a server that lies: one attack a test, on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dataseal.ledger.errors import IntegrityError, Unavailable, UsageError
from dataseal.verifiers import OpenDataset, open_dataset
from dataseal.verifiers.reader import web
from dataseal.verifiers.reader.errors import ChunkInvalid, TargetUnavailable
from support.datasets import CHUNK
from support.reading import Shelf
from support.webstore import WebStore, webstore

X = "deep/er/x.bin"


@pytest.fixture
def store(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebStore]:
    """A server of the shelf; its victim is the five-chunk shard."""
    monkeypatch.setattr(web, "PAUSE_SECONDS", 0.001)
    with webstore(shelf.root) as server:
        server.victim = "x.bin"
        yield server


@pytest.fixture
def data(shelf: Shelf, store: WebStore) -> Iterator[OpenDataset]:
    """The shelf, opened over HTTP."""
    with open_dataset(f"{store.url}/data", **shelf.trust, cache_bytes=0) as opened:
        yield opened


def test_a_good_server(shelf: Shelf, store: WebStore, data: OpenDataset) -> None:
    for name in data.shards():
        assert data.open(name).read() == shelf.bytes(name)
    assert all(ranges for ranges in store.asked("x.bin"))


def test_one_small_read_asks_for_one_chunk(data: OpenDataset, store: WebStore) -> None:
    file = data.open(X)
    file.seek(3 * CHUNK + 7)
    file.read(5)
    assert store.asked("x.bin") == [f"bytes={3 * CHUNK}-{4 * CHUNK - 1}"]


def test_reading_on_fetches_ahead(shelf: Shelf, store: WebStore) -> None:
    with open_dataset(f"{store.url}/data", **shelf.trust) as data:
        file = data.open(X)
        for _ in range(5):
            assert len(file.read(1000)) == 1000
        while len(store.asked("x.bin")) < 5:
            pass
        assert file.read() == shelf.bytes(X)[5000:]
        assert len(store.asked("x.bin")) == 5  # each chunk once


def test_a_server_that_ignores_range_is_refused_before_it_sends_the_file(data: OpenDataset, store: WebStore) -> None:
    store.ignore_range = True
    with pytest.raises(TargetUnavailable, match="ignores Range"):
        data.open(X).read(10)
    with pytest.raises(TargetUnavailable, match="ignores Range"):
        data.fs.cat_file(X, 2 * CHUNK, 2 * CHUNK + 1)


def test_a_server_without_ranges_can_serve_what_is_asked_for_whole(
    shelf: Shelf, data: OpenDataset, store: WebStore
) -> None:
    store.ignore_range = True
    assert data.open(X).read() == shelf.bytes(X)


def test_a_body_of_the_same_size_that_was_altered(data: OpenDataset, store: WebStore) -> None:
    store.flip = True
    with pytest.raises(ChunkInvalid, match="not what was signed"):
        data.open(X).read(10)


def test_a_body_altered_only_at_the_second_request(shelf: Shelf, data: OpenDataset, store: WebStore) -> None:
    store.flip, store.after = True, 1
    file = data.open(X)
    assert file.read(10) == shelf.bytes(X)[:10]
    file.seek(CHUNK)
    with pytest.raises(ChunkInvalid):
        file.read(10)


def test_a_short_answer_that_admits_it(data: OpenDataset, store: WebStore) -> None:
    store.short = 3
    with pytest.raises(ChunkInvalid, match="ends at byte"):
        data.open(X).read(10)


def test_a_connection_that_ends_early_is_no_verdict(data: OpenDataset, store: WebStore) -> None:
    store.cut = 3
    with pytest.raises(TargetUnavailable, match="no answer"):
        data.open(X).read(10)
    assert len(store.asked("x.bin")) == 3  # tried again


def test_another_range_than_the_one_asked_for(data: OpenDataset, store: WebStore) -> None:
    store.shift = 100
    with pytest.raises(TargetUnavailable, match="another range"):
        data.open(X).read(10)


def test_another_range_that_claims_to_be_the_one_asked_for(data: OpenDataset, store: WebStore) -> None:
    store.shift, store.claim = 100, True
    with pytest.raises(ChunkInvalid):
        data.open(X).read(10)


def test_more_bytes_than_were_asked_for(data: OpenDataset, store: WebStore) -> None:
    store.extra = b"!" * 100
    with pytest.raises(TargetUnavailable, match="longer"):
        data.open(X).read(10)


def test_a_packed_answer(data: OpenDataset, store: WebStore) -> None:
    store.pack = True
    with pytest.raises(TargetUnavailable, match="packs"):
        data.open(X).read(10)


def test_a_server_that_is_busy_twice_is_asked_again(shelf: Shelf, data: OpenDataset, store: WebStore) -> None:
    store.fail = 2
    assert data.open(X).read(10) == shelf.bytes(X)[:10]


def test_a_server_that_stays_busy(data: OpenDataset, store: WebStore) -> None:
    store.fail = 99
    with pytest.raises(TargetUnavailable, match="503"):
        data.open(X).read(10)


def test_a_branch_that_moves_between_two_reads(shelf: Shelf, data: OpenDataset) -> None:
    file = data.open(X)
    assert file.read(10) == shelf.bytes(X)[:10]
    (shelf.data / X).write_bytes(bytes(reversed(shelf.bytes(X))))  # the next release, served under the same address
    file.seek(CHUNK)
    with pytest.raises(ChunkInvalid):
        file.read(10)


def test_a_shard_that_is_gone(shelf: Shelf, data: OpenDataset) -> None:
    (shelf.data / X).unlink()
    with pytest.raises(ChunkInvalid, match="missing"):
        data.open(X).read(10)


def test_no_seal_is_no_dataset(shelf: Shelf, store: WebStore) -> None:
    with pytest.raises(UsageError, match="no dataset here"):
        open_dataset(f"{store.url}/publisher", **shelf.trust)


def test_a_table_swapped_between_verification_and_the_workers_start(shelf: Shelf, data: OpenDataset) -> None:
    import pickle

    frozen = pickle.dumps(data)
    table = shelf.data / ".dataseal" / "shards.parquet"
    table.write_bytes(table.read_bytes() + b"x")
    with pytest.raises(IntegrityError, match="SHA-256"):
        pickle.loads(frozen)


def test_a_server_that_is_not_there(shelf: Shelf, store: WebStore) -> None:
    with pytest.raises(Unavailable, match="no answer"):
        open_dataset("http://127.0.0.1:1/data", **shelf.trust)


def test_unknown_options_of_the_place(shelf: Shelf, store: WebStore) -> None:
    with pytest.raises(UsageError, match="unknown options for a web server: verify"):
        open_dataset(f"{store.url}/data", **shelf.trust, storage_options={"verify": False})
