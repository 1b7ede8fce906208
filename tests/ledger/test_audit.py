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
from dataseal.ledger.store.store import TILE_WIDTH
from dataseal.ledger.tlog import merkle
from support import statements as make
from support.errors import refused
from support.ledgers import log_receipts, raw, tamper, tamper_entry
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
    assert (result.entries, result.heads, result.tiles) == (6, 4, 1)
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
        tamper_entry(full.database, index, bytes(body))
        assert places(full) == {f"entry {index}"}
    tamper_entry(full.database, index, row.body)
    assert check(full).clean


LED_ASTRAY = {
    "name of another kind": ("UPDATE names SET kind = 'receipt' WHERE kind = 'release'", "entry 0", "says kind"),
    "name of another dataset": ("UPDATE names SET dataset = 'acme/other'", "entry 0", "says dataset"),
    "name of another signer": ("UPDATE names SET signer = id", "entry 0", "says signer"),
    "name of another type": ("UPDATE names SET kind = id", "entry 0", "says kind"),
    "name gone": ("DELETE FROM names WHERE kind = 'release'", "entry 0", "says dataset ''"),
    "name too many": ("INSERT INTO names VALUES (9, 'a', 'release', 's')", "name 9", "no entry's"),
    "names cut": ("UPDATE segments SET names = x'00' WHERE first = 0", "entry 0", "says dataset ''"),
    "chain gone": ('DELETE FROM chains WHERE "index" = 3', "entry 3", "chains is missing"),
    "chain too many": ("INSERT INTO chains VALUES (1, 3)", "entry 3", "chains leads to it"),
    "chain to nowhere": ("INSERT INTO chains VALUES (1, 77)", "entry 77", "chains leads to it"),
    "lookup gone": ('DELETE FROM lookups WHERE "index" = 2', "entry 2", "lookups is missing"),
    "lookups gone": ("DELETE FROM lookups", "entry 0", "lookups is missing"),
    "lookup too many": ("INSERT INTO lookups VALUES (1, 4)", "entry 4", "lookups leads to it"),
    "lookup moved": ('UPDATE lookups SET key = key + 1 WHERE "index" = 1', "entry 1", "lookups is missing"),
}


@pytest.mark.parametrize(("statement", "where", "what"), LED_ASTRAY.values(), ids=LED_ASTRAY.keys())
def test_what_leads_queries_astray_is_named(full: Bench, statement: str, where: str, what: str) -> None:
    tamper(full.database, statement)
    assert any(p.where == where and what in p.what for p in check(full).problems)


@pytest.mark.parametrize("value", ["text", "", b"", 7, b"\x00\x01"])
def test_a_segment_that_is_none_is_a_problem_and_no_crash(full: Bench, value: object) -> None:
    tamper(full.database, "UPDATE segments SET data = ? WHERE first = 2", [value])
    assert "entry 2" in places(full)


@pytest.mark.parametrize("count", [0, -1, 2, 9])
def test_a_segment_that_says_another_count_is_named(full: Bench, count: int) -> None:
    tamper(full.database, "UPDATE segments SET entries = ? WHERE first = 1", [count])
    assert {"entry 1", "entries 1 to 2", "entries 1 to 9"} & places(full)


def test_an_entry_whose_header_was_changed_is_named(full: Bench) -> None:
    """The bundle's signature is untouched; the tree and the next entry's link both say what stood there."""
    with full.log.store.view() as view:
        row = view.entry(1)
    assert row
    tamper_entry(full.database, 1, row.body.replace(b'"logged_at":"2026', b'"logged_at":"2027'))
    assert any(p.where == "entry 1" and "bytes were changed" in p.what for p in check(full).problems)


def test_an_entry_whose_leaf_was_changed_too_is_named_by_the_next_entrys_link(full: Bench) -> None:
    with full.log.store.view() as view:
        row, tile = view.entry(1), view.tile(0, 0)
    assert row
    body = row.body.replace(b'"logged_at":"2026', b'"logged_at":"2027')
    tamper_entry(full.database, 1, body)
    tamper(full.database, "UPDATE tiles SET data = ?", [tile[:32] + merkle.leaf_hash(body) + tile[64:]])
    problems = check(full).problems
    assert any(p.where == "entry 2" and "chain is broken" in p.what for p in problems)
    assert any(p.where == "head of size 6" and "root" in p.what for p in problems)


def forge(full: Bench, bundle: bytes) -> bytes:
    """Entry 0 with another bundle."""
    with full.log.store.view() as view:
        row = view.entry(0)
    assert row
    return entries.Entry(row.header, bundle).encode()


def test_an_entry_signed_again_by_a_stranger_is_named(full: Bench) -> None:
    tamper_entry(full.database, 0, forge(full, sign_bundle(make.release_payload(), signer("stranger"))))
    assert any(p.where == "entry 0" and "no trusted key" in p.what for p in check(full).problems)


def test_an_entry_by_a_key_that_the_log_does_not_list_for_it_is_named(full: Bench) -> None:
    """The gate may log receipts; a release by it, inserted behind the log's back, is found."""
    tamper_entry(full.database, 0, forge(full, sign_bundle(make.release_payload(), full.gate)))
    tamper(full.database, "UPDATE names SET signer = ? WHERE kind = 'release'", [full.gate.public.fingerprint])
    assert any(p.where == "entry 0" and "does not list key" in p.what for p in check(full).problems)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_deleted_segment_is_missed_once(full: Bench, index: int) -> None:
    tamper(full.database, "DELETE FROM segments WHERE first = ?", [index])
    told = [p for p in check(full).problems if "missing before" in p.what]
    assert [(p.where, p.what) for p in told] == [(f"entry {index + 1}", f"entry {index} is missing before it")]


def test_deleted_entries_at_the_end_are_missed(full: Bench) -> None:
    tamper(full.database, "DELETE FROM segments WHERE first = 3")
    assert {"head of size 6", "newest head"} <= places(full)


def test_a_whole_tail_cut_off_with_its_heads_and_tiles_is_left_to_those_who_saw_more(full: Bench) -> None:
    """What no one can find in the file alone: restoring an old copy. A witness, a proof or a saved view can tell."""
    with full.log.store.view() as view:
        tile = view.tile(0, 0)
    with raw(full.database, without_triggers=True) as connection:
        connection.execute("DELETE FROM segments WHERE first >= 3")
        connection.execute('DELETE FROM chains WHERE "index" >= 3')
        connection.execute('DELETE FROM lookups WHERE "index" >= 3')
        connection.execute("DELETE FROM names WHERE id NOT IN (SELECT name FROM chains)")
        connection.execute("DELETE FROM heads WHERE size > 3")
        connection.execute("UPDATE tiles SET data = ?", [tile[: 3 * 32]])
    assert check(full).clean


def test_two_segments_that_changed_places_are_named(full: Bench) -> None:
    with raw(full.database, without_triggers=True) as connection:
        connection.execute("UPDATE segments SET first = 99 WHERE first = 1")
        connection.execute("UPDATE segments SET first = 1 WHERE first = 2")
        connection.execute("UPDATE segments SET first = 2 WHERE first = 99")
    assert {"entry 1", "entry 2"} <= places(full)


def test_an_entry_below_index_0_is_found(full: Bench) -> None:
    """It is in no tree."""
    tamper(full.database, "UPDATE segments SET first = -1 WHERE first = 2")
    assert "entry -1" in places(full)


def test_an_entry_beyond_the_head_is_found(full: Bench) -> None:
    tamper(full.database, "INSERT INTO segments SELECT 6, entries, names, data FROM segments WHERE first = 1")
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
    "head gone": ("DELETE FROM heads WHERE size = 6", "newest head", "covers 3 entries of 6"),
    "heads gone": ("DELETE FROM heads", "newest head", "covers 0 entries of 6"),
    "head too many": ("INSERT INTO heads VALUES (9, zeroblob(32), NULL, NULL)", "head of size 9", "only 6 entries"),
    "cosigned": ("UPDATE heads SET cosigned = x'00' WHERE size = 2", "head of size 2", "cosigned"),
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
    "statement",
    ["UPDATE tiles SET data = data || x'ff'", "UPDATE names SET dataset = CAST(x'ff' AS TEXT) WHERE id = 1"],
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
        def check_listed(self, *_: object, **__: object) -> None:
            return

        def check_order(self, *_: object, **__: object) -> None:
            return

    log = bench.log
    log.admission = Lax(log.admission.rules)
    log.append([sign_bundle(payload, bench.publisher)])


def test_a_time_that_goes_back_is_named(full: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = entries.Header.encode
    back = "2020-01-01T00:00:00Z"
    monkeypatch.setattr(entries.Header, "encode", lambda header: real(replace(header, logged_at=back)))
    log_receipts(full, 1, start=50)
    assert any(p.where == "entry 6" and "goes back" in p.what for p in check(full).problems)


def test_one_changed_entry_does_not_put_the_blame_on_others(full: Bench) -> None:
    """Entry 0 is unreadable: the releases and modifications after it are still judged as what they are."""
    tamper_entry(full.database, 0, b"\0")
    assert places(full) == {"entry 0"}


def test_a_ledger_that_is_wrong_everywhere_is_described_within_bounds(
    full: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MAX_PROBLEMS", 4)
    for index in range(6):
        tamper_entry(full.database, index, b"\0")
    assert len(check(full).problems) == 4


def test_looking_changes_nothing(full: Bench) -> None:
    before = full.database.read_bytes()
    check(full)
    assert full.database.read_bytes() == before
