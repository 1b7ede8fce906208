"""Signatures and admission: in one process or in several, and what is left to check without them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from dataseal.ledger import audit
from dataseal.ledger.admission import Admission
from dataseal.ledger.audit import Problem
from dataseal.ledger.checks import statements
from support import statements as make
from support.ledgers import log_receipts, tamper, tamper_entry
from support.statements import OTHER, ROOT, sign_bundle, signer
from support.workspaces import Bench

Told = list[tuple[str, str]]


@pytest.fixture
def full(bench: Bench) -> Bench:
    """A release, a modification, a second release, and receipts."""
    second = make.release_payload("1.1.0", root=OTHER, sequence=2, previous={"version": "1.0.0", "root": ROOT})
    for payload in (make.release_payload(), make.modification_payload(ROOT, OTHER), second):
        bench.log.append([sign_bundle(payload, bench.publisher)])
    log_receipts(bench, 3)
    return bench


def told(bench: Bench, **options: Any) -> Told:
    return [(p.where, p.what) for p in audit.check(bench.workspace.log(None), **options).problems]


def log_unadmitted(bench: Bench, payload: bytes) -> None:
    """Logs a statement without admission, as a log's operator could."""

    class Lax(Admission):
        def check_listed(self, *_: object, **__: object) -> None:
            return

        def check_order(self, *_: object, **__: object) -> None:
            return

    log = bench.log
    log.admission = Lax(log.admission.rules)
    log.append([sign_bundle(payload, bench.publisher)])


LATE: dict[str, tuple[Callable[[], bytes], str]] = {
    "sequence": (
        lambda: make.release_payload("9.0.0", sequence=9, previous={"version": "8.0.0", "root": ROOT}),
        "9; 3",
    ),
    "version": (
        lambda: make.release_payload("1.1.0", sequence=3, previous={"version": "1.1.0", "root": OTHER}),
        "released already",
    ),
    "root": (lambda: make.modification_payload("dd" * 32, "ee" * 32), "no recorded state"),
    "from nothing": (lambda: make.modification_payload(None, "ee" * 32), "has states already"),
    "other dataset": (
        lambda: make.release_payload("2.0.0", dataset="b", sequence=2, previous={"version": "1.0.0", "root": ROOT}),
        "1 comes next",
    ),
}


@pytest.mark.parametrize("spoiled", [0, 1, 3])
@pytest.mark.parametrize(("payload", "what"), LATE.values(), ids=LATE.keys())
def test_an_unreadable_entry_hides_no_later_breach_of_order(
    full: Bench, payload: Callable[[], bytes], what: str, spoiled: int
) -> None:
    """One entry's unreadability used to silence the rules for every entry behind it."""
    log_unadmitted(full, payload())
    tamper_entry(full.database, spoiled, b"\0")
    found = told(full)
    # An entry that can't be read may have brought one unknown root. Entry 0's excuse is what entry 1 starts from.
    excused = what == "no recorded state" and spoiled != 0
    assert excused != any(where == "entry 6" and what in text for where, text in found), found
    assert {where for where, _ in found} <= {f"entry {spoiled}", "entry 6"}


def test_processes_find_what_one_process_finds(full: Bench) -> None:
    log_receipts(full, 600, start=100)
    with full.log.store.view() as view:
        row = view.entry(400)
    assert row
    stranger = sign_bundle(make.receipt_payload(494), signer("stranger"))
    tamper_entry(full.database, 400, row.body.partition(b"\n")[0] + b"\n" + stranger)
    tamper(full.database, "UPDATE names SET signer = 'x' WHERE kind = 'modification'")
    for start in ("dd" * 32, "ee" * 32):  # of which the entry that can't be verified may have brought one
        log_unadmitted(full, make.modification_payload(start, "ff" * 32))
    alone, together = told(full, jobs=1), told(full, jobs=2)
    assert sorted(together) == sorted(alone)
    assert any(where == "entry 1" and "signer 'x'" in what for where, what in alone)
    assert any(where == "entry 400" and "no trusted key" in what for where, what in alone)
    assert any(where == "entry 607" and "no recorded state" in what for where, what in alone)


def test_processes_that_die_leave_their_work_to_this_one(full: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dead:
        def __init__(self, *_: object, **__: object) -> None:
            return

        def submit(self, *_: object) -> None:
            raise BrokenProcessPool

        def shutdown(self, **_: object) -> None:
            return

    monkeypatch.setattr(statements, "ProcessPoolExecutor", Dead)
    with full.log.store.view() as view:
        row = view.entry(4)
    assert row
    assert told(full, jobs=2) == []
    bundle = sign_bundle(make.receipt_payload(1), signer("stranger"))
    tamper_entry(full.database, 4, row.body.partition(b"\n")[0] + b"\n" + bundle)
    assert any("no trusted key" in what for _, what in told(full, jobs=2))


def test_few_entries_are_not_worth_a_process() -> None:
    assert statements.processes(statements.PARALLEL - 1) == 1
    assert statements.processes(statements.PARALLEL) >= 1


def test_a_hook_is_told_every_problem_also_beyond_those_that_are_kept(
    full: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MAX_PROBLEMS", 2)
    for index in range(6):
        tamper_entry(full.database, index, b"\0")
    heard: list[Problem] = []
    result = audit.check(full.log, found=heard.append)
    assert len(result.problems) == 2
    assert {p.where for p in heard} == {f"entry {index}" for index in range(6)}


# --- without signatures ---

NEWEST = "(SELECT max(size) FROM heads)"
SPOIL = "UPDATE heads SET note = CAST(substr(note, 1, length(note) - 10) || 'AAAAAAAAA' || x'0a' AS BLOB) WHERE size = "


def test_without_signatures_the_newest_checkpoints_is_verified_nevertheless(full: Bench) -> None:
    tamper(full.database, SPOIL + NEWEST)
    assert [where for where, _ in told(full, signatures=False)] == ["head of size 6"]


def test_without_signatures_an_older_checkpoint_must_say_what_its_head_says(full: Bench) -> None:
    tamper(full.database, SPOIL + "2")
    assert told(full, signatures=False) == [], "this is what is left out"
    assert [where for where, _ in told(full)] == ["head of size 2"]
    tamper(full.database, "UPDATE heads SET note = (SELECT note FROM heads WHERE size = 1) WHERE size = 2")
    assert [where for where, _ in told(full, signatures=False)] == ["head of size 2"]


def test_without_signatures_statements_and_what_leads_to_them_are_left_out(full: Bench) -> None:
    log_unadmitted(full, make.modification_payload("dd" * 32, "ee" * 32))
    tamper(full.database, "DELETE FROM lookups")
    assert told(full, signatures=False) == []
    assert {"entry 0", "entry 6"} <= {where for where, _ in told(full)}


@pytest.mark.parametrize("index", range(6))
def test_without_signatures_any_changed_byte_names_its_entry(full: Bench, index: int) -> None:
    with full.log.store.view() as view:
        row = view.entry(index)
    assert row
    for at in range(index, len(row.body), len(row.body) // 7):
        body = bytearray(row.body)
        body[at] ^= 1
        tamper_entry(full.database, index, bytes(body))
        assert {where for where, _ in told(full, signatures=False)} == {f"entry {index}"}


@pytest.mark.parametrize("signatures", [True, False])
@pytest.mark.parametrize("at", [0, 100, 8191])
@pytest.mark.parametrize(("level", "number"), [(0, 0), (0, 3), (1, 0)])
def test_every_hash_of_every_tile_of_a_large_log_is_looked_at(
    large: Bench, level: int, number: int, at: int, signatures: bool
) -> None:
    """Proofs of a thousand entries used to be tried, of however many."""
    with large.log.store.view() as view:
        data = view.tile(level, number)
    at = min(at, len(data) - 1)
    where = "level = ? AND number = ?"
    spoiled = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    tamper(large.database, f"UPDATE tiles SET data = ? WHERE {where}", [spoiled, level, number])
    try:
        [(place, what)] = told(large, signatures=signatures)
    finally:
        tamper(large.database, f"UPDATE tiles SET data = ? WHERE {where}", [data, level, number])
    assert place == f"tile {number} of level {level}"
    assert f"differs from the entries at hash {at // 32}" in what


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A thousand and two entries."""
    from support.workspaces import make_bench

    bench = make_bench(tmp_path_factory.mktemp("large") / "workspace")
    log_receipts(bench, 1002)
    assert told(bench) == []
    return bench
