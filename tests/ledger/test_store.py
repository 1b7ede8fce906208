from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger.errors import IntegrityError, Unavailable, UsageError
from dataseal.ledger.store import triggers
from dataseal.ledger.store.database import open_sqlite
from dataseal.ledger.store.models import REVISION, StoredEntry
from dataseal.ledger.store.store import EMPTY, TILE_WIDTH, Store
from dataseal.ledger.tlog import merkle
from support.errors import refused
from support.ledgers import made_up, raw, stored, tamper
from support.statements import ROOT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def store(path: Path) -> Store:
    return Store.create(path, origin="log.example", log_key="vkey")


def grow(store: Store, *counts: int) -> list[bytes]:
    """Inserts batches of these sizes; returns all leaves."""
    for count in counts:
        with store.appending() as view:
            view.insert(stored(view.head().size, count))
    with store.view() as view:
        return [row.leaf for row in view.entries()]


# --- append-only ---

EVERY_TABLE = {
    "segments": ("UPDATE segments SET data = x'00'", "DELETE FROM segments"),
    "names": ("UPDATE names SET kind = 'x'", "DELETE FROM names"),
    "chains": ('UPDATE chains SET "index" = 9', "DELETE FROM chains"),
    "lookups": ("UPDATE lookups SET key = key + 1", "DELETE FROM lookups"),
    "tiles": ("UPDATE tiles SET data = x'00'", "DELETE FROM tiles"),
    "heads": ("UPDATE heads SET root = x'00'", "DELETE FROM heads"),
    "meta": ("UPDATE meta SET value = 'x'", "DELETE FROM meta"),
}


@pytest.mark.parametrize("statement", [*itertools.chain(*EVERY_TABLE.values())])
def test_update_and_delete_are_refused_on_every_table(store: Store, path: Path, statement: str) -> None:
    grow(store, 3)
    with raw(path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)


def test_the_test_above_names_every_table(store: Store, path: Path) -> None:
    with raw(path) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert {name for (name,) in tables} - {"alembic_version"} == set(EVERY_TABLE)


@pytest.mark.parametrize("table", sorted(set(EVERY_TABLE) - {"chains", "lookups"}))
@pytest.mark.parametrize("verb", ["REPLACE", "INSERT OR REPLACE", "INSERT OR IGNORE"])
def test_replacing_a_row_is_refused_on_every_table(store: Store, path: Path, table: str, verb: str) -> None:
    """REPLACE deletes the row in its way, and fires no DELETE trigger. Rows that are all key replace themselves."""
    grow(store, 3)
    with raw(path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(f"{verb} INTO {table} SELECT * FROM {table}")


def test_replacing_by_the_other_unique_key_is_refused(store: Store, path: Path) -> None:
    """(dataset, kind, signer) is unique too: a row with a new number would have deleted the old one."""
    grow(store, 1)
    with raw(path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("REPLACE INTO names SELECT 7, dataset, kind, signer FROM names")


def test_an_upsert_is_refused(store: Store, path: Path) -> None:
    grow(store, 1)
    upsert = "INSERT INTO heads VALUES (1, x'00', NULL, NULL) ON CONFLICT (size) DO UPDATE SET root = x'00'"
    with raw(path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(upsert)


@pytest.mark.parametrize(
    "data",
    ["data", "x''", "substr(data, 1, 32)", "x'00' || substr(data, 2) || x'0000'", "data || x''"],
    ids=["same", "emptied", "cut", "another first byte", "same length"],
)
def test_a_tile_only_grows_and_keeps_its_prefix(store: Store, path: Path, data: str) -> None:
    grow(store, 3)
    with raw(path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(f"UPDATE tiles SET data = {data}")


def test_a_heads_checkpoint_is_written_once(store: Store, path: Path) -> None:
    grow(store, 1)
    with store.appending() as view:
        view.sign_head(1, b"first")
        view.sign_head(1, b"second")
    with store.view() as view:
        assert view.head().note == b"first"
    for statement in ("UPDATE heads SET note = x'00'", "UPDATE heads SET note = NULL"):
        with raw(path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)


def test_a_triggers_refusal_is_an_integrity_error_of_ours(store: Store) -> None:
    grow(store, 1)
    with refused(IntegrityError, "append-only"), store.appending() as view:
        view._connection.exec_driver_sql("DELETE FROM segments")


def test_every_trigger_is_in_the_database(store: Store, path: Path) -> None:
    with raw(path) as connection:
        count = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()
    assert count == (len(triggers.SQLITE),)


# --- the tree ---


def test_an_empty_log_has_the_empty_head(store: Store) -> None:
    with store.view() as view:
        assert view.head() == EMPTY
        assert view.count() == 0
        assert list(view.tiles()) == []


@pytest.mark.parametrize("batches", [(1,), (1, 1, 1), (255, 1, 1), (256,), (257,), (300, 212, 1), (511, 2), (1000,)])
def test_root_and_proofs_from_tiles_are_those_of_the_leaves(store: Store, batches: tuple[int, ...]) -> None:
    leaves = grow(store, *batches)
    size = len(leaves)
    with store.view() as view:
        assert view.head().root == merkle.root_from_leaves(leaves)
        for index in {0, 1, 254, 255, 256, size - 1} & set(range(size)):
            assert merkle.prove_inclusion(view, size=size, index=index) == merkle.inclusion_proof(leaves, index)
        for old in {1, 255, 256, 257, size} & set(range(1, size + 1)):
            assert merkle.prove_consistency(view, old=old, new=size) == merkle.consistency_proof(leaves, old)


def test_a_full_tile_alone_is_hashed_upward(store: Store) -> None:
    """Size 255 has no tile of level 1, size 256 has one of one hash."""
    leaves = grow(store, 255)
    with store.view() as view:
        assert [(level, number, len(data)) for level, number, data in view.tiles()] == [(0, 0, 255 * 32)]
    leaves = grow(store, 1)
    with store.view() as view:
        assert view.tile(0, 0) == b"".join(leaves)
        assert view.tile(1, 0) == merkle.root_from_leaves(leaves)
        assert view.tile(0, 1) == b""


def test_tiles_grow_across_65_536(store: Store, path: Path) -> None:
    """The third level begins. The first 65,530 leaves go in by their tiles, a segment and their head alone."""
    start = 65_530
    leaves = [merkle.leaf_hash(b"%d" % n) for n in range(start)]
    with raw(path) as connection:
        level, hashes = 0, leaves
        while hashes:
            parts = [hashes[i : i + TILE_WIDTH] for i in range(0, len(hashes), TILE_WIDTH)]
            rows = [(level, number, b"".join(part)) for number, part in enumerate(parts)]
            connection.executemany("INSERT INTO tiles VALUES (?, ?, ?)", rows)
            hashes = [merkle.root_from_leaves(part) for part in parts if len(part) == TILE_WIDTH]
            level += 1
        connection.execute("INSERT INTO heads VALUES (?, ?, NULL, NULL)", (start, merkle.root_from_leaves(leaves)))
        connection.execute("INSERT INTO segments VALUES (0, ?, x'', x'')", (start,))
    leaves += [row.leaf for row in stored(start, 10)]
    for at, count in ((start, 5), (start + 5, 1), (start + 6, 4)):
        with store.appending() as view:
            view.insert(stored(at, count))
        with store.view() as view:
            assert view.head().root == merkle.root_from_leaves(leaves[: at + count])
            assert len(view.tile(2, 0)) == (32 if at + count >= 65_536 else 0)
    with store.view() as view:
        assert view.tile(0, 256) == b"".join(leaves[65_536:])
        assert merkle.prove_inclusion(view, size=65_540, index=65_537) == merkle.inclusion_proof(leaves, 65_537)


# --- compare-and-set ---


@pytest.mark.parametrize("start", [0, 2, 4, 100])
def test_rows_that_do_not_continue_the_head_are_refused(store: Store, start: int) -> None:
    grow(store, 3)
    with refused(IntegrityError, "do not continue the log", "3"), store.appending() as view:
        view.insert(stored(start, 1))
    with store.view() as view:
        assert (view.head().size, view.count()) == (3, 3)


def test_a_batch_with_a_gap_or_with_nothing_is_refused(store: Store) -> None:
    for rows in ([], [*stored(0, 1), *stored(2, 1)], stored(0, 2)[::-1]):
        with refused(IntegrityError, "do not continue"), store.appending() as view:
            view.insert(rows)


def test_an_error_after_an_insert_leaves_nothing(store: Store) -> None:
    def crash() -> None:
        with store.appending() as view:
            view.insert(stored(0, 300))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash()
    with store.view() as view:
        assert (view.head(), view.count(), list(view.tiles())) == (EMPTY, 0, [])


def test_a_view_does_not_see_what_is_appended_meanwhile(store: Store) -> None:
    with store.view() as view:
        assert view.head() == EMPTY
        grow(store, 5)
        assert view.head() == EMPTY
        assert view.count() == 0


TAMPERED = {
    "tile": "UPDATE tiles SET data = CAST(x'00' || substr(data, 2) AS BLOB) WHERE level = 0",
    "tile cut": "UPDATE tiles SET data = substr(data, 1, 32) WHERE level = 0",
    "tile gone": "DELETE FROM tiles",
    "tile grown": "UPDATE tiles SET data = CAST(data || data AS BLOB) WHERE level = 0",
    "tile text": "UPDATE tiles SET data = data || data WHERE level = 0",
    "head": "UPDATE heads SET root = x'00'",
    "head gone": "DELETE FROM heads",
    "head ahead": "INSERT INTO heads VALUES (9, x'00', NULL, NULL)",
    "entries ahead": "INSERT INTO segments SELECT 3, entries, names, data FROM segments",
    "entries gone": "DELETE FROM segments",
    "segment longer": "UPDATE segments SET entries = 4",
    "segment shorter": "UPDATE segments SET entries = 2",
    "next tile there": "INSERT INTO tiles VALUES (1, 0, x'00')",
}  # fmt: skip


@pytest.mark.parametrize("statement", TAMPERED.values(), ids=TAMPERED.keys())
def test_nothing_is_added_to_a_tree_that_does_not_hold(store: Store, path: Path, statement: str) -> None:
    """The sad paths: what is appended must not stand, and be signed, on top of what was changed."""
    grow(store, 3)
    tamper(path, statement)
    with raw(path) as connection:
        before = [connection.execute(f"SELECT count(*) FROM {t}").fetchone() for t in ("segments", "tiles", "heads")]
    with refused(IntegrityError), store.appending() as view:
        view.insert(stored(3, 256))
    with raw(path) as connection:
        after = [connection.execute(f"SELECT count(*) FROM {t}").fetchone() for t in ("segments", "tiles", "heads")]
    assert before == after


# --- queries ---


R1, R2, R3 = "11" * 32, "22" * 32, "33" * 32


@pytest.fixture
def queried(store: Store) -> tuple[Store, list[StoredEntry]]:
    """Six entries of two datasets and two signers, at two times."""
    rows = [
        made_up(0),
        made_up(1, "release", version="1.0", root=R1),
        made_up(2, "modification", root=R2),
        made_up(3, "release", version="1.1", root=R2, sequence=2),
        made_up(4, "release", dataset="b", version="1.0", root=R1, logged_at="2026-01-02T03:04:06Z"),
        made_up(5, signer="t", table=R3, logged_at="2026-01-02T03:04:06Z"),
    ]
    with store.appending() as view:
        view.insert(rows)
    return store, rows


def test_queries_find_by_dataset_kind_version_root_payload_and_signer(
    queried: tuple[Store, list[StoredEntry]],
) -> None:
    store, rows = queried
    with store.view() as view:
        assert view.entry(2) == rows[2]
        assert view.entry(6) is None
        assert view.entry(-1) is None
        assert [r.index for r in view.entries(2, 4)] == [2, 3]
        assert [r.index for r in view.of_dataset("a", "release", "modification")] == [1, 2, 3]
        assert view.newest("a") == rows[5]
        assert view.newest("a", "release") == rows[3]
        assert view.newest("c") is None
        assert view.release("a", "1.0") == rows[1]
        assert view.release("a", "1") is None
        assert view.state("a", R2) == rows[3]
        assert view.state("b", R2) is None
        assert view.state("a", ROOT) is None, "a receipt makes no state"
        assert view.find(rows[4].payload, "s") == view.find(rows[4].payload, "s", R1) == rows[4]
        assert view.find(rows[4].payload, "other") is None
        assert view.find(rows[4].payload, "s", R2) is None
        assert view.datasets() == ["a", "b"]
        assert [tuple(t)[:3] for t in view.tally()] == [
            ("a", "modification", 1), ("a", "receipt", 2), ("a", "release", 2), ("b", "release", 1)
        ]  # fmt: skip


SEARCHES: dict[str, tuple[dict[str, object], list[int]]] = {
    "all": ({}, [5, 4, 3, 2, 1, 0]),
    "dataset": ({"dataset": "a"}, [5, 3, 2, 1, 0]),
    "kind": ({"kind": "release"}, [4, 3, 1]),
    "signer": ({"signer": "t"}, [5]),
    "root": ({"subject": R1}, [4, 1]),
    "table": ({"subject": R3}, [5]),
    "unknown subject": ({"subject": "44" * 32}, []),
    "since": ({"since": "2026-01-02T03:04:06Z"}, [5, 4]),
    "until": ({"until": "2026-01-02T03:04:05Z"}, [3, 2, 1, 0]),
    "before": ({"before": 3, "kind": "release"}, [1]),
    "several": ({"dataset": "a", "kind": "release", "subject": R2, "signer": "s"}, [3]),
    "nobody": ({"signer": "nobody"}, []),
}


@pytest.mark.parametrize(("wanted", "found"), SEARCHES.values(), ids=SEARCHES.keys())
def test_searches_give_what_matches_newest_first(
    queried: tuple[Store, list[StoredEntry]], wanted: dict[str, Any], found: list[int]
) -> None:
    with queried[0].view() as view:
        assert [row.index for row in view.search(**wanted)] == found


MISLED = {
    "root": ('UPDATE lookups SET "index" = 5 WHERE "index" = 2', {"subject": R2}, [3]),
    "dataset": ("UPDATE names SET dataset = 'b' WHERE signer = 't'", {"dataset": "b"}, [4]),
    "kind": ("UPDATE names SET kind = 'release' WHERE signer = 't'", {"kind": "release"}, [4, 3, 1]),
    "nowhere": ('UPDATE chains SET "index" = 77 WHERE "index" = 4', {"dataset": "b"}, []),
}


@pytest.mark.parametrize(("statement", "wanted", "found"), MISLED.values(), ids=MISLED.keys())
def test_no_query_believes_a_lookup_against_the_entrys_bytes(
    queried: tuple[Store, list[StoredEntry]], path: Path, statement: str, wanted: dict[str, Any], found: list[int]
) -> None:
    tamper(path, statement)
    with queried[0].view() as view:
        assert [row.index for row in view.search(**wanted)] == found


# --- the file ---


def test_a_ledger_is_never_overwritten(store: Store, path: Path) -> None:
    with refused(UsageError, "never overwritten"):
        Store.create(path, origin="x", log_key="y")


def test_a_ledger_that_is_gone_does_not_come_back_empty(store: Store, path: Path) -> None:
    path.unlink()
    with refused(UsageError, "no ledger at", str(path), "dataseal init"):
        Store.open(path)
    with refused(Unavailable, "can't be opened"), store.view() as view:
        view.head()
    assert not path.exists()


def test_another_schema_is_refused(store: Store, path: Path) -> None:
    tamper(path, "UPDATE alembic_version SET version_num = '9999'")
    with refused(UsageError, "schema 9999", "newer dataseal", f"reads {REVISION}"):
        Store.open(path)


DAMAGES = {
    "empty": lambda data: b"",
    "text": lambda data: b"this is no database\n" * 100,
    "cut in the header": lambda data: data[:50],
    "cut": lambda data: data[: len(data) // 2],
    "zeros": lambda data: b"\0" * len(data),
    "another database": None,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_file_that_is_no_ledger_is_an_integrity_error(store: Store, path: Path, damage: object) -> None:
    grow(store, 3)
    with raw(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = path.read_bytes()
    if damage is None:
        path.unlink()
        with raw(path) as connection:
            connection.execute("CREATE TABLE meta (name TEXT)")
    else:
        path.write_bytes(damage(data))  # type: ignore[operator]
    with refused(IntegrityError, "damaged or is not a ledger", "backup"), Store.open(path).view() as view:
        list(view.entries())


def test_a_locked_ledger_is_no_verdict(store: Store, path: Path) -> None:
    impatient = Store(open_sqlite(path, busy_timeout=0.05))
    with store.appending() as writing:
        writing.insert(stored(0, 1))
        with refused(Unavailable, "locked by another process", "again"), impatient.appending() as view:
            view.insert(stored(0, 1))
        with impatient.view() as view:
            assert view.head() == EMPTY, "readers do not wait"


def test_an_exclusively_locked_ledger_is_no_verdict_for_readers_either(store: Store, path: Path) -> None:
    impatient = Store(open_sqlite(path, busy_timeout=0.05))
    store.close()
    with raw(path) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("INSERT INTO meta VALUES ('a', 'b')")
        with refused(Unavailable, "locked"), impatient.view() as view:
            view.head()


@pytest.mark.parametrize("name", ["100%.sqlite", "a?b.sqlite", "a#b.sqlite", "a b&c=d.sqlite", "é.sqlite"])
def test_any_file_name_is_a_file_name(tmp_path: Path, name: str) -> None:
    grow(Store.create(tmp_path / name, origin="o", log_key="k"), 1)
    assert (tmp_path / name).stat().st_size
    assert {p.name for p in tmp_path.iterdir()} <= {name, f"{name}-wal", f"{name}-shm"}
    grow(Store.open(tmp_path / name), 1)


def test_a_commit_is_on_the_disk(store: Store, path: Path) -> None:
    """WAL, and FULL (2): a commit that returned outlives a power cut."""
    with store.appending() as view:
        assert view._connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert view._connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
