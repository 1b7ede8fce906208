from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataseal.ledger import audit
from dataseal.ledger import entry as entries
from dataseal.ledger.admission import Admission
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import (
    DatasealError,
    FormatError,
    IntegrityError,
    Refused,
    SignatureInvalid,
    Unavailable,
    UsageError,
)
from dataseal.ledger.log import Log
from dataseal.ledger.store import lookups
from dataseal.ledger.store.database import open_sqlite
from dataseal.ledger.store.store import Store
from dataseal.ledger.tlog.note import Ed25519Signer
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.verify import verify_bundle, verify_logged
from support import children
from support import statements as make
from support.errors import refused
from support.ledgers import log_receipts, raw, tamper
from support.statements import OTHER, ROOT, receipt_payload, sign_bundle, spoil
from support.workspaces import Bench, make_bench, tree


def clean(bench: Bench) -> None:
    result = audit.check(bench.again())
    assert result.clean, result.problems


def state(bench: Bench) -> tuple[int, int, int]:
    with bench.log.store.view() as view:
        return view.head().size, view.count(), len(list(view.heads()))


def reader(bench: Bench) -> Log:
    return bench.workspace.log(None)


# --- append and prove ---


def test_an_appended_bundle_is_proven_by_the_code_of_a_consumer(bench: Bench) -> None:
    bundle = sign_bundle(make.release_payload(), bench.publisher)
    (appended,) = bench.log.append([bundle])
    (proof,) = bench.log.prove([appended.index])
    verified = verify_bundle(appended.bundle, [bench.publisher.public])
    assert verify_logged(verified, proof, [bench.log.trusted()]).index == 0
    clean(bench)


def test_the_chain_links_the_whole_log_and_each_dataset(bench: Bench) -> None:
    payloads = [receipt_payload(n, dataset=name) for n, name in enumerate(["a", "b", "a", "b", "a"])]
    bench.log.append([sign_bundle(p, bench.gate) for p in payloads])
    with bench.log.store.view() as view:
        rows = list(view.entries())
    headers = [entries.parse(row.body).header for row in rows]
    assert [h.prev for h in headers] == [None, *(row.leaf for row in rows[:-1])]
    assert [h.dataset_prev.index if h.dataset_prev else None for h in headers] == [None, None, 0, 1, 2]


def test_all_proofs_are_under_one_checkpoint_and_carry_their_headers(bench: Bench) -> None:
    log_receipts(bench, 5)
    proofs = bench.log.prove([4, 0, 2])
    assert len({proof[proof.index(b"\n\n") :] for proof in proofs}) == 1


@pytest.mark.parametrize("index", [5, -1, 2**40])
def test_an_entry_that_is_not_there_has_no_proof(bench: Bench, index: int) -> None:
    log_receipts(bench, 5)
    with refused(UsageError, f"no entry {index}", "5"):
        bench.log.prove([index])


def test_an_empty_log_has_nothing_to_sign(bench: Bench) -> None:
    with refused(UsageError, "empty"):
        bench.log.checkpoint()


def test_the_checkpoint_of_a_size_is_signed_once_and_kept(bench: Bench) -> None:
    log_receipts(bench, 3)
    note = bench.log.checkpoint()
    assert bench.again().checkpoint() == note
    assert policy_for_log(bench.log.vkey).check(note).checkpoint.size == 3


# --- idempotence ---


def test_the_same_payload_with_another_signature_is_one_entry(bench: Bench) -> None:
    """ECDSA signatures are randomised: a run that was cut off finds its entry by the payload."""
    payload = make.release_payload()
    first, second = (sign_bundle(payload, bench.publisher) for _ in range(2))
    assert first != second
    (one,) = bench.log.append([first])
    (two,) = bench.again().append([second])
    assert (one.index, one.existed, two.index, two.existed) == (0, False, 0, True)
    assert two.bundle == first, "what the log holds, and not what was offered"
    assert state(bench) == (1, 1, 1)


def test_the_same_payload_twice_in_one_batch_is_one_entry(bench: Bench) -> None:
    payload = receipt_payload()
    results = bench.log.append([sign_bundle(payload, bench.gate) for _ in range(3)])
    assert [(r.index, r.existed) for r in results] == [(0, False), (0, True), (0, True)]
    assert state(bench) == (1, 1, 1)


def test_an_old_entry_is_found_again_although_the_log_went_on(bench: Bench) -> None:
    payloads = log_receipts(bench, 4)
    (found,) = bench.log.append([sign_bundle(payloads[1], bench.gate)])
    assert (found.index, found.existed) == (1, True)
    assert state(bench)[0] == 4


# --- what is refused changes nothing ---


def bad_bundles(bench: Bench) -> dict[str, tuple[bytes, type[DatasealError]]]:
    good = sign_bundle(make.release_payload(), bench.publisher)
    return {
        "stranger": (sign_bundle(make.release_payload()), SignatureInvalid),
        "gate signs a release": (sign_bundle(make.release_payload(), bench.gate), Refused),
        "publisher signs a receipt": (sign_bundle(receipt_payload(), bench.publisher), Refused),
        "sequence 2": (sign_bundle(make.release_payload(sequence=2), bench.publisher), Refused),
        "unknown root": (sign_bundle(make.modification_payload(OTHER), bench.publisher), Refused),
        "reserved version": (sign_bundle(make.release_payload("head"), bench.publisher), FormatError),
        "no statement": (sign_bundle(b"{}", bench.publisher), FormatError),
        "payload type": (spoil(good, "dsseEnvelope", "payloadType", to="text/plain"), FormatError),
        "too large": (good + b" " * 61_440, FormatError),
        "no bundle": (b"", FormatError),
    }


@pytest.mark.parametrize(
    "which",
    ["stranger", "gate signs a release", "publisher signs a receipt", "sequence 2", "unknown root",
     "reserved version", "no statement", "payload type", "too large", "no bundle"],
)  # fmt: skip
def test_a_bad_bundle_takes_its_whole_batch_with_it(bench: Bench, which: str) -> None:
    log_receipts(bench, 2)
    bad, kind = bad_bundles(bench)[which]
    with refused(kind):
        bench.log.append([sign_bundle(receipt_payload(99), bench.gate), bad])
    assert state(bench)[:2] == (2, 2)
    clean(bench)


def test_admission_counts_what_the_same_batch_brings(bench: Bench) -> None:
    second = make.release_payload("1.1.0", root=OTHER, sequence=2, previous={"version": "1.0.0", "root": ROOT})
    batch = [make.release_payload(), make.modification_payload(ROOT, OTHER), second]
    results = bench.log.append([sign_bundle(p, bench.publisher) for p in batch])
    assert [r.index for r in results] == [0, 1, 2]
    clean(bench)


def test_a_log_that_is_open_for_reading_adds_nothing(bench: Bench) -> None:
    """It appended, and only then said that it could not sign."""
    log_receipts(bench, 1)
    before = tree(bench.workspace.folder)
    with refused(UsageError, "reading only"):
        reader(bench).append([sign_bundle(receipt_payload(7), bench.gate)])
    assert state(bench) == (1, 1, 1)
    assert tree(bench.workspace.folder) == before


def test_a_log_that_is_open_for_reading_proves_what_is_signed(bench: Bench) -> None:
    log_receipts(bench, 2)
    assert reader(bench).prove([1])


def test_another_log_key_is_refused_before_a_head_is_spoilt(bench: Bench) -> None:
    """A head is signed once: with a foreign signature it could never be proven again."""
    stranger = Ed25519Signer(bench.log.origin, Ed25519PrivateKey.generate())
    with refused(UsageError, "log key", bench.log.vkey):
        Log(bench.log.store, origin=bench.log.origin, signers=[stranger], admission=bench.log.admission)


def test_a_signature_that_does_not_verify_is_not_stored(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Ed25519Signer, "sign", lambda *_: b"\0" * 64)
        with refused(SignatureInvalid):
            log_receipts(bench, 1)
    with bench.log.store.view() as view:
        assert view.head().note is None
    assert bench.again().checkpoint()
    clean(bench)


def test_another_origin_is_refused(bench: Bench) -> None:
    with refused(UsageError, bench.log.origin, "elsewhere.example"):
        Log(bench.log.store, origin="elsewhere.example", signers=None, admission=bench.log.admission)


@pytest.mark.parametrize("key", ["origin", "log_key"])
def test_a_ledger_that_does_not_say_what_it_is_is_damaged(bench: Bench, key: str) -> None:
    tamper(bench.database, f"DELETE FROM meta WHERE key = '{key}'")
    with refused(IntegrityError, key, "damaged"):
        reader(bench)


def test_a_lookup_that_leads_to_another_statement_is_not_believed(bench: Bench) -> None:
    """It names an entry of the same signer for a payload that is not its own: the entry's bytes decide."""
    bench.log.append([sign_bundle(make.modification_payload(), bench.publisher)])
    wanted = make.modification_payload(ROOT, OTHER)
    key = lookups.of_payload(OTHER, sha256(wanted).hex())
    tamper(bench.database, "INSERT INTO lookups VALUES (?, 0)", [key])
    (appended,) = bench.log.append([sign_bundle(wanted, bench.publisher)])
    assert (appended.index, appended.existed) == (1, False)


def test_an_entry_that_is_said_to_be_by_another_signer_is_not_believed(bench: Bench) -> None:
    """Else a stranger's entry would stand for one's own. Which key signed, the bytes only hint at."""
    bench.log.append([sign_bundle(make.modification_payload(), bench.publisher)])
    tamper(bench.database, "UPDATE names SET signer = ?", [bench.gate.public.fingerprint])
    lax = bench.log.admission.rules[0]
    bench.log.admission = Admission([replace(lax, credentials=(*lax.credentials, bench.gate.public))])
    with refused(IntegrityError, "signed entry 0", "ledger check"):
        bench.log.append([sign_bundle(make.modification_payload(), bench.gate)])


# --- time ---


def test_time_never_decreases_although_the_clock_does(bench: Bench) -> None:
    log_receipts(bench, 1)
    bench.clock.now -= timedelta(days=3650)
    log_receipts(bench, 2, start=1)
    bench.clock.now += timedelta(days=7300)
    log_receipts(bench, 1, start=3)
    with bench.log.store.view() as view:
        times = [row.logged_at for row in view.entries()]
    assert times == sorted(times)
    assert times[0] == times[1] == times[2] < times[3]
    clean(bench)


def test_time_is_utc_whatever_the_clock_says(bench: Bench) -> None:
    east = datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=timezone(timedelta(hours=14)))
    log = Log(
        bench.log.store,
        origin=bench.log.origin,
        signers=bench.log._signers,
        admission=bench.log.admission,
        clock=lambda: east,
    )
    log.append([sign_bundle(receipt_payload(), bench.gate)])
    with bench.log.store.view() as view:
        assert next(view.entries()).logged_at == "2026-01-01T13:04:05Z"
    assert east.astimezone(UTC).day == 1


# --- crashes ---


@contextmanager
def dying_at(target: str) -> Iterator[None]:
    """The next call of ``target`` is as far as this process gets."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(target, die)
        with pytest.raises(KeyboardInterrupt):
            yield


def test_a_crash_between_commit_and_checkpoint_is_signed_by_the_next_use(bench: Bench) -> None:
    with dying_at("dataseal.ledger.log.Log.checkpoint"):
        log_receipts(bench, 2)
    with bench.log.store.view() as view:
        assert (view.head().size, view.head().note) == (2, None)
    clean(bench)
    with refused(UsageError, "reading only"):
        reader(bench).checkpoint()
    note = bench.again().checkpoint()
    assert policy_for_log(bench.log.vkey).check(note).checkpoint.size == 2
    assert reader(bench).checkpoint() == note


def test_a_crash_before_the_commit_leaves_nothing(bench: Bench) -> None:
    log_receipts(bench, 1)
    with dying_at("dataseal.ledger.store.store.View._extend"):
        log_receipts(bench, 2, start=1)
    assert state(bench) == (1, 1, 1)
    log_receipts(bench, 2, start=1)
    clean(bench)


def test_a_process_that_is_killed_at_any_step_leaves_a_log_that_continues(tmp_path: Path) -> None:
    steps = ["View.insert", "View._extend", "View.sign_head", "Log.checkpoint"]
    cases = [(step, when) for step in steps for when in ("before", "after")]
    benches = [make_bench(tmp_path / str(number)) for number in range(len(cases))]
    for bench in benches:
        log_receipts(bench, 2)
    jobs = [
        {"job": "kill", "folder": str(bench.workspace.folder), "step": step, "when": when}
        for bench, (step, when) in zip(benches, cases, strict=True)
    ]
    for bench, outcome, case in zip(benches, children.run(*jobs), cases, strict=True):
        assert outcome.status == children.KILLED, case
        assert state(bench)[0] == (2 if case[0] in ("View.insert", "View._extend") else 5), case
        log_receipts(bench, 3, start=10)
        assert state(bench)[:2] == (5, 5), case
        assert bench.again().prove(range(5))
        clean(bench)


# --- writers at once ---


def check_together(bench: Bench, acknowledged: list[tuple[int, int]], count: int) -> None:
    """Every acknowledged entry stands where it was said to, once, and nothing else does."""
    assert sorted(index for index, _ in acknowledged) == list(range(count))
    with bench.log.store.view() as view:
        stored = [verify_bundle(entries.parse(row.body).bundle, [bench.gate.public]) for row in view.entries()]
    assert len(stored) == count
    for index, number in acknowledged:
        assert stored[index].statement.payload == receipt_payload(number)
    clean(bench)


def test_four_threads_write_one_log(bench: Bench) -> None:
    folder = str(bench.workspace.folder)
    with ThreadPoolExecutor(4) as pool:
        seen = [item for part in pool.map(lambda n: children.write(folder, n, 10), range(4)) for item in part]
    check_together(bench, seen, 40)


def test_four_threads_share_one_log_object(bench: Bench) -> None:
    seen: list[int] = []
    lock = threading.Lock()

    def work(number: int) -> None:
        for one in range(8):
            (appended,) = bench.log.append([sign_bundle(receipt_payload(100 * number + one), bench.gate)])
            with lock:
                seen.append(appended.index)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, n) for n in range(4)]:
            future.result()
    assert sorted(seen) == list(range(32))
    clean(bench)


def test_three_processes_write_one_log(bench: Bench) -> None:
    folder = str(bench.workspace.folder)
    jobs = [{"job": "write", "folder": folder, "number": number, "count": 12} for number in range(3)]
    outcomes = children.run(*jobs, together=True)
    assert [outcome.status for outcome in outcomes] == [0, 0, 0]
    check_together(bench, [(index, number) for outcome in outcomes for index, number in outcome.said], 36)


def test_the_same_entry_by_many_writers_at_once_is_one_entry(bench: Bench) -> None:
    def work(_: int) -> int:
        return bench.log.append([sign_bundle(receipt_payload(), bench.gate)])[0].index

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(16))) == {0}
    assert state(bench)[:2] == (1, 1)


def test_of_two_releases_with_one_sequence_only_one_is_admitted(bench: Bench) -> None:
    """Both writers saw sequence 1 free: the log decides, and the other is told."""
    barrier = threading.Barrier(2)

    def work(version: str) -> str:
        bundle = sign_bundle(make.release_payload(version), bench.publisher)
        barrier.wait()
        try:
            bench.again().append([bundle])
        except Refused as error:
            return error.what
        return "logged"

    with ThreadPoolExecutor(2) as pool:
        results = sorted(pool.map(work, ["1.0.0", "1.0.1"]))
    assert results[1] == "logged"
    assert "2 comes next" in results[0]
    clean(bench)


def test_two_roots_are_never_signed_for_one_size(bench: Bench) -> None:
    """A head that was swapped for another root of the same size stops the log, signed or not."""
    log_receipts(bench, 3)
    tamper(bench.database, "UPDATE heads SET root = zeroblob(32), note = NULL WHERE size = 3")
    with refused(IntegrityError, "size 3", "ledger check"):
        bench.again().checkpoint()
    with refused(IntegrityError, "size 3"):
        log_receipts(bench, 1, start=3)


# --- the file ---


def test_a_locked_ledger_is_no_verdict_and_nothing_is_logged(bench: Bench) -> None:
    impatient = Log(
        Store(open_sqlite(bench.database, busy_timeout=0.05)),
        origin=bench.log.origin,
        signers=bench.log._signers,
        admission=bench.log.admission,
    )
    bundle = sign_bundle(receipt_payload(), bench.gate)
    with bench.log.store.appending(), refused(Unavailable, "locked"):
        impatient.append([bundle])
    assert state(bench) == (0, 0, 0)
    assert impatient.append([bundle])[0].existed is False


def test_a_full_disk_is_no_verdict_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    limits = [1_000, 60_000, 110_000]
    benches = [make_bench(tmp_path / str(limit)) for limit in limits]
    for bench in benches:
        log_receipts(bench, 3, start=100)
    jobs = [
        {"job": "full_disk", "folder": str(bench.workspace.folder), "limit": limit}
        for bench, limit in zip(benches, limits, strict=True)
    ]
    for bench, outcome, limit in zip(benches, children.run(*jobs), limits, strict=True):
        assert outcome.status == 0, limit
        kind, what, hint = outcome.said
        assert (kind, what[:29]) == ("Unavailable", "the ledger can't be written: "), limit
        assert "disk space" in hint
        assert state(bench) == (3, 3, 1)
        log_receipts(bench, 3, start=50)
        clean(bench)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach: pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
    shutil.rmtree(folder)


def test_a_ledger_that_may_only_be_read_is_no_verdict(open_folder: Path) -> None:
    bench = make_bench(open_folder / "workspace")
    with raw(bench.database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    bench.database.chmod(0o444)
    bench.workspace.folder.chmod(0o555)
    (outcome,) = children.run({"job": "read_only", "folder": str(bench.workspace.folder)})
    kind, _, hint = outcome.said
    assert kind == "Unavailable"
    assert "permissions" in hint
