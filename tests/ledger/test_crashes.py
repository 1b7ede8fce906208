"""A process that is killed at any step of an append with witnesses and publication, and state that is half there.

Afterwards the log goes on: every acknowledged entry is there, no second root was signed for any size, the witnesses and
the published log are of the same tree, and the next run finishes what the killed one began.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import audit
from dataseal.ledger import workspace as workspaces
from dataseal.ledger.errors import IntegrityError, Rollback, UsageError
from dataseal.ledger.follow import Fork
from dataseal.ledger.mirror import recheck
from dataseal.ledger.places import Folder
from dataseal.ledger.publish import publish
from dataseal.ledger.resources import StoreResources
from dataseal.ledger.store.store import Store
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import parse_body
from support import children
from support.errors import refused
from support.ledgers import raw, tamper
from support.statements import receipt_payload, sign_bundle
from support.witnessed import W1, W2, configure, log_some, published, reopened, witnesses
from support.witnessing import stop_servers
from support.workspaces import Bench, Clock, make_bench, no_passphrase

STEPS: list[dict[str, Any]] = [
    {"step": "View.insert", "when": "before"},
    {"step": "View._extend", "when": "after"},
    {"step": "View.insert", "when": "after"},  # not committed yet
    {"step": "Log._transact", "when": "after"},
    {"step": "View.sign_head", "when": "before"},
    {"step": "View.sign_head", "when": "after"},  # not committed yet
    {"step": "Log._sign", "when": "after"},
    {"step": "Witnesses.ask", "when": "before"},
    {"step": "Exchange._cosigned", "when": "after"},  # one of two has answered
    {"step": "Witnesses.ask", "when": "after"},  # both have, and nothing is kept
    {"step": "View.cosign_head", "when": "after"},  # not committed yet
    {"step": "Log.cosign", "when": "after"},
    {"step": "Folder.put", "when": "before"},
    {"step": "Folder.put", "when": "after", "call": 2},
    {"step": "Folder.settle", "when": "after"},
    {"step": "Folder.put", "when": "before", "call": 3},  # the checkpoint
    {"step": "Folder.put", "when": "after", "call": 3},
    {"step": "Folder.discard_partials", "when": "before"},  # never: nothing is discarded at this size
]
_NEVER = STEPS[-1]
UNCOMMITTED = STEPS[:3]


@pytest.fixture(scope="module", autouse=True)
def _servers() -> Iterator[None]:
    yield
    stop_servers()


def put(bench: Bench, out: Path) -> int:
    """Publishes; the size that is published then."""
    source = StoreResources(bench.log.store, "the ledger", bench.log.publishable)
    return publish(source, Folder(out), bench.log.quorum.demanded, jobs=1).tree.size


def roots(bench: Bench) -> dict[int, bytes]:
    """The root that was signed for each size."""
    with bench.log.store.view() as view:
        return {head.size: parse_body(notes.parse(head.note).text).root for head in view.heads() if head.note}


def finish(bench: Bench, out: Path, before: int, case: object) -> Bench:
    """What the next process finds, and does: the same entries once more, and some others."""
    bench = reopened(bench.workspace.folder, bench)
    with bench.log.store.view() as view:
        held = view.head().size
    assert held in (before, before + 3), case
    assert audit.check(bench.log).clean, case
    if (out / "checkpoint").exists():
        there = recheck(Folder(out), bench.log.trusted().policy, jobs=1)
        assert there.size in (before, before + 3), case
    signed = roots(bench)
    done = bench.log.append([sign_bundle(receipt_payload(n), bench.gate) for n in range(10, 13)])
    assert [one.index for one in done] == list(range(before, before + 3)), case
    bench.log.prove(range(before + 3))
    assert signed.items() <= roots(bench).items(), case
    checked = published(bench.log)
    assert checked, case
    assert (checked.checkpoint.size, checked.witnesses_seen) == (before + 3, 2), case
    assert put(bench, out) == before + 3, case
    assert recheck(Folder(out), bench.log.trusted().policy, jobs=1).size == before + 3, case
    assert not list(out.rglob("*.new")), case
    return bench


def test_a_process_that_is_killed_at_any_step_leaves_a_log_that_goes_on(tmp_path: Path) -> None:
    benches = [make_bench(tmp_path / f"ws-{n}", f"log.example/crash-{n}") for n in range(len(STEPS))]
    outs = [tmp_path / f"out-{n}" for n in range(len(STEPS))]
    with witnesses(tmp_path / "seen", [bench.log.vkey for bench in benches], W1, W2) as (one, two):
        benches = [configure(bench, (W1, one), (W2, two)) for bench in benches]
        for bench, out in zip(benches, outs, strict=True):
            bench.log.append([sign_bundle(receipt_payload(n), bench.gate) for n in range(2)])
            put(bench, out)
        jobs = [
            {"job": "kill", "folder": str(bench.workspace.folder), "out": str(out), **case}
            for bench, out, case in zip(benches, outs, STEPS, strict=True)
        ]
        for bench, out, outcome, case in zip(benches, outs, children.run(*jobs), STEPS, strict=True):
            assert outcome.status == (0 if case is _NEVER else children.KILLED), case
            finish(bench, out, 2, case)


def test_the_same_in_postgresql(tmp_path: Path, url: str) -> None:
    """One ledger through all of them: what one process left half done, the next one finds."""
    workspace = workspaces.create(tmp_path / "ws", origin="log.example/crash", url=url)
    publisher, gate = (workspace.signer(name, no_passphrase) for name in ("publisher", "gate"))
    bench = Bench(workspace, workspace.log(no_passphrase), publisher, gate, Clock())
    out = tmp_path / "out"
    with witnesses(tmp_path / "seen", bench.log.vkey, W1, W2) as (one, two):
        bench = configure(bench, (W1, one), (W2, two))
        cases = [case for case in STEPS if case is not _NEVER]
        jobs = [
            {"job": "kill", "folder": str(workspace.folder), "out": str(out), "start": 3 * number, **case}
            for number, case in enumerate(cases)
        ]
        assert [outcome.status for outcome in children.run(*jobs)] == [children.KILLED] * len(jobs)
        bench = reopened(workspace.folder, bench)
        signed = roots(bench)
        with bench.log.store.view() as view:
            assert view.head().size == 3 * (len(cases) - len(UNCOMMITTED))
        every = [sign_bundle(receipt_payload(n), gate) for n in range(10, 10 + 3 * len(cases))]
        done = bench.log.append(every)
        assert sorted(one.index for one in done) == list(range(len(every)))
        assert sum(not one.existed for one in done) == 3 * len(UNCOMMITTED)
        bench.log.prove(range(len(every)))
        assert signed.items() <= roots(bench).items()
        assert put(bench, out) == len(every)
    assert recheck(Folder(out), bench.log.trusted().policy, jobs=1).size == len(every)
    result = audit.check(bench.log)
    assert result.clean, result.problems


# --- state that is half there ---


def gone(bench: Bench, *tables: str) -> None:
    with raw(bench.database, without_triggers=True) as connection:
        for table in tables:
            connection.execute(f"DELETE FROM {table}")


HALVES = {
    "no head beside entries and tiles": (("heads",), "the ledger's head says 0 entries; it holds 3"),
    "no entries beside a head and tiles": (("segments",), "the bytes of entry 2 are not those"),
    "no tiles beside entries and a head": (("tiles",), "tile"),
    "tiles alone": (("heads", "segments"), "holds tiles of a tree, and neither entries nor a head"),
    "entries alone": (("heads", "tiles"), "the ledger's head says 0 entries; it holds 3"),
    "a head alone": (("segments", "tiles"), "the bytes of entry 2 are not those"),
}


@pytest.mark.parametrize("which", HALVES)
def test_state_that_is_half_there_stops_the_log(bench: Bench, which: str) -> None:
    log_some(bench, range(3))
    tables, why = HALVES[which]
    gone(bench, *tables)
    bench = reopened(bench.workspace.folder, bench)
    with refused(IntegrityError, why):
        log_some(bench, [3])
    assert not audit.check(bench.log).clean


def test_a_head_that_is_gone_stops_the_log_although_older_ones_are_there(bench: Bench) -> None:
    log_some(bench, range(3))
    tamper(bench.database, "DELETE FROM heads WHERE size = 3")
    with refused(IntegrityError, "the ledger's head says 2 entries; it holds 3", "ledger check"):
        log_some(reopened(bench.workspace.folder, bench), [3])


def test_a_ledger_that_is_gone_beside_its_keys_is_not_made_anew(bench: Bench) -> None:
    log_some(bench, range(3))
    bench.log.store.close()
    bench.database.unlink()
    with refused(UsageError, "no ledger at"):
        reopened(bench.workspace.folder, bench)
    assert not bench.database.exists()


def test_an_empty_ledger_beside_what_was_published_publishes_nothing(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "out"
    log_some(bench, range(3))
    put(bench, out)
    origin, vkey = bench.log.origin, bench.log.vkey
    bench.log.store.close()
    bench.database.unlink()
    Store.create(bench.database, origin=origin, log_key=vkey).close()
    fresh = reopened(bench.workspace.folder, bench)
    with refused(UsageError, "nothing to publish"):
        put(fresh, out)
    log_some(fresh, range(1))
    with refused(Rollback, "ahead of this ledger", "size 1", "size 3"):
        put(fresh, out)
    log_some(fresh, range(5, 9))
    with refused(Fork, "disagree"):
        put(fresh, out)
    assert recheck(Folder(out), bench.log.trusted().policy, jobs=1).size == 3


def test_published_tiles_without_their_checkpoint_are_held_against_the_log(bench: Bench, tmp_path: Path) -> None:
    """The same tiles: a first publication that crashed. Others: they are not replaced."""
    out = tmp_path / "out"
    log_some(bench, range(3))
    put(bench, out)
    (out / "checkpoint").unlink()
    assert put(bench, out) == 3
    (out / "checkpoint").unlink()
    tile = out / "tile/0/000.p/3"
    tile.write_bytes(tile.read_bytes()[::-1])
    with refused(IntegrityError, "holds other bytes than the log's", "tile/0/000.p/3"):
        put(bench, out)
