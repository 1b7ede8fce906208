"""`ledger check`: whatever is changed in the database is found, and named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dataseal.ledger import audit
from dataseal.ledger import entry as entries
from dataseal.ledger.admission import Admission
from dataseal.ledger.audit import Audit
from dataseal.ledger.errors import IntegrityError
from dataseal.ledger.log import Log
from dataseal.ledger.store.store import TILE_WIDTH
from dataseal.ledger.tlog import merkle
from support import statements as make
from support.errors import refused
from support.ledgers import log_receipts, raw, tamper
from support.statements import OTHER, ROOT, sign_bundle, signer
from support.workspaces import Bench, make_bench, open_bench


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six entries: a release, a modification, a second release, and receipts."""
    bench = make_bench(tmp_path_factory.mktemp("audit") / "workspace")
    second = make.release_payload("1.1.0", root=OTHER, sequence=2, previous={"version": "1.0.0", "root": ROOT})
    for payload in (make.release_payload(), make.modification_payload(ROOT, OTHER), second):
        bench.log.append([sign_bundle(payload, bench.publisher)])
    log_receipts(bench, 3)
    return bench.workspace.folder


@pytest.fixture
def full(template: Path, tmp_path: Path) -> Bench:
    """A copy of it, to be tampered with."""
    return open_bench(Path(shutil.copytree(template, tmp_path / "workspace")))


def check(bench: Bench) -> Audit:
    return audit.check(bench.workspace.log(None))


def places(bench: Bench) -> set[str]:
    return {problem.where for problem in check(bench).problems}


def test_a_ledger_as_it_was_written_is_clean_and_says_what_was_checked(full: Bench) -> None:
    seen: list[int] = []
    result = audit.check(full.log, seen.append)
    assert result.clean
    assert (result.entries, result.heads, result.tiles, result.proofs) == (6, 6, 1, 6)
    assert sum(seen) == 6


def test_an_empty_ledger_is_clean(bench: Bench) -> None:
    assert check(bench).clean


def test_a_ledger_of_more_than_one_tile_is_clean(bench: Bench) -> None:
    log_receipts(bench, TILE_WIDTH + 2)
    result = check(bench)
    assert result.clean
    assert result.tiles == 3


@pytest.mark.parametrize("index", range(6))
def test_any_changed_byte_of_an_entry_names_that_entry(full: Bench, index: int) -> None:
    with full.log.store.view() as view:
        row = view.entry(index)
    assert row
    for at in range(index, len(row.body), len(row.body) // 5):
        body = bytearray(row.body)
        body[at] ^= 1
        tamper(full.database, 'UPDATE entries SET body = ? WHERE "index" = ?', [bytes(body), index])
        assert places(full) == {f"entry {index}"}
    tamper(full.database, 'UPDATE entries SET body = ? WHERE "index" = ?', [row.body, index])
    assert check(full).clean


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("kind", "receipt"),
        ("dataset", "acme/other"),
        ("version", "9.9.9"),
        ("sequence", 7),
        ("sequence", None),
        ("sequence", "one"),
        ("root", "00" * 32),
        ("table_digest", "00" * 32),
        ("signer", "00" * 32),
        ("payload", "00" * 32),
        ("logged_at", "2020-01-01T00:00:00Z"),
        ("logged_at", 7),
        ("kind", b"release"),
    ],
)
def test_a_changed_column_names_its_entry(full: Bench, column: str, value: object) -> None:
    tamper(full.database, f'UPDATE entries SET {column} = ? WHERE "index" = 0', [value])
    result = check(full)
    assert "entry 0" in {p.where for p in result.problems}
    assert any(column in p.what for p in result.problems if p.where == "entry 0")


@pytest.mark.parametrize("column", ["body", "leaf"])
@pytest.mark.parametrize("value", ["text", "", b"", 7])
def test_a_blob_of_another_type_is_a_problem_and_no_crash(full: Bench, column: str, value: object) -> None:
    tamper(full.database, f'UPDATE entries SET {column} = ? WHERE "index" = 2', [value])
    assert "entry 2" in places(full)


def test_an_entry_whose_leaf_was_recomputed_is_named_by_the_tree(full: Bench) -> None:
    """Header changed, leaf hash made to fit, the bundle's signature untouched."""
    with full.log.store.view() as view:
        row = view.entry(1)
    assert row
    body = row.body.replace(b'"logged_at":"2026', b'"logged_at":"2025')
    tamper(
        full.database,
        'UPDATE entries SET body = ?, leaf = ?, logged_at = replace(logged_at, 2026, 2025) WHERE "index" = 1',
        [body, merkle.leaf_hash(body)],
    )
    problems = check(full).problems
    assert any("entry 1" in p.where + p.what for p in problems if p.where.startswith("tile 0 of level 0"))
    assert any(p.where == "entry 2" and "chain is broken" in p.what for p in problems)


def test_an_entry_signed_again_by_a_stranger_is_named(full: Bench) -> None:
    payload = make.release_payload()
    with full.log.store.view() as view:
        row = view.entry(0)
    assert row
    forged = entries.Entry(entries.parse(row.body).header, sign_bundle(payload, signer("stranger"))).encode()
    values = [forged, merkle.leaf_hash(forged), signer("stranger").public.fingerprint]
    tamper(full.database, 'UPDATE entries SET body = ?, leaf = ?, signer = ? WHERE "index" = 0', values)
    assert any(p.where == "entry 0" and "no trusted key" in p.what for p in check(full).problems)


def test_an_entry_by_a_key_that_the_log_does_not_list_for_it_is_named(full: Bench) -> None:
    """The gate may log receipts; a release by it, inserted behind the log's back, is found."""
    with full.log.store.view() as view:
        row = view.entry(0)
    assert row
    forged = entries.Entry(entries.parse(row.body).header, sign_bundle(make.release_payload(), full.gate)).encode()
    values = [forged, merkle.leaf_hash(forged), full.gate.public.fingerprint]
    tamper(full.database, 'UPDATE entries SET body = ?, leaf = ?, signer = ? WHERE "index" = 0', values)
    assert any(p.where == "entry 0" and "does not list key" in p.what for p in check(full).problems)


@pytest.mark.parametrize("index", [0, 2, 4])
def test_a_deleted_entry_is_missed_once(full: Bench, index: int) -> None:
    tamper(full.database, 'DELETE FROM entries WHERE "index" = ?', [index])
    told = [p for p in check(full).problems if "missing" in p.what and p.where.startswith("entry")]
    assert [(p.where, p.what) for p in told] == [(f"entry {index + 1}", f"entry {index} is missing before it")]


def test_deleted_entries_at_the_end_are_missed(full: Bench) -> None:
    tamper(full.database, 'DELETE FROM entries WHERE "index" >= 4')
    assert {"head of size 5", "head of size 6", "newest head"} <= places(full)


def test_a_whole_tail_cut_off_with_its_heads_and_tiles_is_left_to_those_who_saw_more(full: Bench) -> None:
    """What no one can find in the file alone: restoring an old copy. A witness, a proof or a saved view can tell."""
    with full.log.store.view() as view:
        tile = view.tile(0, 0)
    with raw(full.database, without_triggers=True) as connection:
        connection.execute('DELETE FROM entries WHERE "index" >= 4')
        connection.execute("DELETE FROM heads WHERE size > 4")
        connection.execute("UPDATE tiles SET data = ?", [tile[: 4 * 32]])
    assert check(full).clean


def test_two_entries_that_changed_places_are_named(full: Bench) -> None:
    with raw(full.database, without_triggers=True) as connection:
        connection.execute('UPDATE entries SET "index" = 99 WHERE "index" = 3')
        connection.execute('UPDATE entries SET "index" = 3 WHERE "index" = 4')
        connection.execute('UPDATE entries SET "index" = 4 WHERE "index" = 99')
    assert {"entry 3", "entry 4"} <= places(full)


def test_an_entry_below_index_0_is_found(full: Bench) -> None:
    """Queries by dataset, payload or root would find it, and it is in no tree."""
    tamper(full.database, 'UPDATE entries SET "index" = -1 WHERE "index" = 5')
    assert {"entries", "newest head"} <= places(full)


def test_an_entry_beyond_the_head_is_found(full: Bench) -> None:
    columns = "leaf, body, kind, dataset, version, sequence, root, table_digest, signer, 'x', logged_at"
    tamper(full.database, f'INSERT INTO entries SELECT 6, {columns} FROM entries WHERE "index" = 5')
    assert {"entry 6", "newest head"} <= places(full)


TREE = {
    "tile": ("UPDATE tiles SET data = CAST(x'00' || substr(data, 2) AS BLOB)", "tile 0 of level 0", "entry 0"),
    "tile inside": (
        "UPDATE tiles SET data = CAST(substr(data, 1, 96) || x'00' || substr(data, 98) AS BLOB)",
        "tile 0 of level 0",
        "entry 3",
    ),
    "tile cut": ("UPDATE tiles SET data = substr(data, 1, 160)", "tile 0 of level 0", "entry 5"),
    "tile longer": ("UPDATE tiles SET data = CAST(data || zeroblob(32) AS BLOB)", "tile 0 of level 0", "differs"),
    "tile text": ("UPDATE tiles SET data = 'text'", "tile 0 of level 0", "differs"),
    "tile gone": ("DELETE FROM tiles", "tile 0 of level 0", "missing"),
    "tile too many": ("INSERT INTO tiles VALUES (3, 7, x'00')", "tile 7 of level 3", "no entries"),
    "head root": ("UPDATE heads SET root = zeroblob(32) WHERE size = 3", "head of size 3", "root"),
    "head gone": ("DELETE FROM heads WHERE size = 6", "newest head", "covers 5 entries of 6"),
    "heads gone": ("DELETE FROM heads", "newest head", "covers 0 entries of 6"),
    "head too many": ("INSERT INTO heads VALUES (9, zeroblob(32), NULL)", "head of size 9", "only 6 entries"),
    "checkpoint": ("UPDATE heads SET note = x'00' WHERE size = 2", "head of size 2", ""),
    "checkpoint text": ("UPDATE heads SET note = 'text' WHERE size = 2", "head of size 2", ""),
    "checkpoint of another size": (
        "UPDATE heads SET note = (SELECT note FROM heads WHERE size = 1) WHERE size = 2",
        "head of size 2",
        "another origin, size or root",
    ),
}


@pytest.mark.parametrize(("statement", "where", "what"), TREE.values(), ids=TREE.keys())
def test_a_changed_tile_head_or_checkpoint_is_named(full: Bench, statement: str, where: str, what: str) -> None:
    tamper(full.database, statement)
    assert any(p.where == where and what in p.what for p in check(full).problems)


@pytest.mark.parametrize(
    "statement", ["UPDATE tiles SET data = data || x'ff'", "UPDATE entries SET dataset = CAST(x'ff' AS TEXT)"]
)
def test_text_that_is_not_utf_8_is_damage_and_no_crash(full: Bench, statement: str) -> None:
    tamper(full.database, statement)
    with refused(IntegrityError, "damaged", "column"):
        check(full)


def test_a_sequence_gap_is_named(full: Bench) -> None:
    """A release by the right key that no log would have admitted: the third sequence is missing."""
    payload = make.release_payload("2.0.0", root=OTHER, sequence=4, previous={"version": "1.1.0", "root": OTHER})
    tamper_in(full, payload)
    assert any(p.where == "entry 6" and "has sequence 4; 3 comes next" in p.what for p in check(full).problems)


def test_a_modification_from_an_unknown_root_is_named(full: Bench) -> None:
    tamper_in(full, make.modification_payload("dd" * 32, "ee" * 32))
    assert any(p.where == "entry 6" and "no recorded state" in p.what for p in check(full).problems)


def tamper_in(bench: Bench, payload: bytes) -> None:
    """Logs a statement without admission, as a log's operator could."""

    class Lax(Admission):
        def check(self, *_: object) -> None:
            return

    log = bench.log
    log.admission = Lax(log.admission.rules)
    log.append([sign_bundle(payload, bench.publisher)])


def test_a_time_that_goes_back_is_named(full: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Log._header
    monkeypatch.setattr(Log, "_header", lambda *a: replace(real(*a), logged_at="2020-01-01T00:00:00Z"))
    log_receipts(full, 1, start=50)
    assert any(p.where == "entry 6" and "goes back" in p.what for p in check(full).problems)


def test_one_changed_entry_does_not_put_the_blame_on_others(full: Bench) -> None:
    """Entry 0 is unreadable: the releases and modifications after it are still judged as what they are."""
    tamper(full.database, "UPDATE entries SET body = x'00' WHERE \"index\" = 0")
    assert places(full) == {"entry 0"}


def test_a_ledger_that_is_wrong_everywhere_is_described_within_bounds(
    full: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MAX_PROBLEMS", 4)
    tamper(full.database, "UPDATE entries SET body = x'00'")
    assert len(check(full).problems) == 4


def test_looking_changes_nothing(full: Bench) -> None:
    before = full.database.read_bytes()
    check(full)
    assert full.database.read_bytes() == before
