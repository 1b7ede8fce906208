"""A log and its own witnesses: what is logged is acknowledged; what leaves, the quorum has seen."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import textwrap
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from dataseal.ledger import audit
from dataseal.ledger import workspace as workspaces
from dataseal.ledger.errors import IntegrityError, Rollback, SignatureInvalid, Unavailable, UsageError
from dataseal.ledger.log import Log
from dataseal.ledger.mirror import recheck
from dataseal.ledger.places import Folder
from dataseal.ledger.publish import publish
from dataseal.ledger.published import PublishedLog
from dataseal.ledger.record import sign
from dataseal.ledger.remote.open import open_log, with_ledger
from dataseal.ledger.resources import CHECKPOINT, StoreResources
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.tlog.proof import parse_proof
from dataseal.ledger.witness import client, configured, cosigning
from dataseal.ledger.witness.answer import Foreign
from dataseal.ledger.witness.configured import WitnessesConfig
from dataseal.ledger.witness.quorum import Quorum, merged
from support import children
from support.errors import refused
from support.witnessed import NOWHERE, W1, W2, configure, log_one, log_some, published, reopened, witnesses
from support.witnessing import http, lying, size_answer, stop_servers
from support.workspaces import Bench, no_passphrase


@pytest.fixture(scope="module", autouse=True)
def _servers() -> Iterator[None]:
    yield
    stop_servers()


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    """Where the witnesses remember."""
    return tmp_path / "witnesses"


def size_of(bench: Bench) -> int:
    with bench.log.store.view() as view:
        return view.head().size


def witnesses_on(bench: Bench, proof: bytes) -> tuple[str, ...]:
    checked = bench.log.trusted().policy.check(parse_proof(proof).checkpoint, require_quorum=False)
    return tuple(seen.name for seen in checked.cosignatures)


# --- with the quorum ---


def test_what_is_appended_is_cosigned_and_proven_under_it(bench: Bench, seen: Path) -> None:
    with witnesses(seen, bench.log.vkey, W1, W2) as (one, two):
        bench = configure(bench, (W1, one), (W2, two))
        for number in range(3):
            log_one(bench.log, bench, number)
            (proof,) = bench.log.prove([number])
            assert witnesses_on(bench, proof) == ("W1", "W2")
    checked = published(reopened(bench.workspace.folder, bench).log)
    assert checked
    assert (checked.checkpoint.size, checked.witnesses_seen, checked.quorum_met) == (3, 2, True)
    assert (bench.workspace.folder / "witness-sizes.json").is_file()
    assert audit.check(bench.log).clean


def test_the_checkpoint_that_is_published_carries_the_cosignatures(bench: Bench, seen: Path) -> None:
    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        log_one(bench.log, bench, 0)
    note = StoreResources(bench.log.store, "x", bench.log.publishable).read(CHECKPOINT)
    assert note
    assert bench.log.trusted().policy.check(note).quorum_met
    assert note.startswith(bench.log.checkpoint())


def test_it_works_inside_an_event_loop(bench: Bench, seen: Path) -> None:
    """In a notebook, say: `asyncio.run` refuses to run there."""

    async def work() -> int:
        return log_one(bench.log, bench, 0)

    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        assert asyncio.run(work()) == 0
    assert published(bench.log)


# --- without it ---


def test_without_the_quorum_an_entry_is_logged_and_nothing_leaves(bench: Bench, seen: Path) -> None:
    bench = configure(bench, (W1, NOWHERE))
    assert log_one(bench.log, bench, 0) == 0
    with refused(Unavailable, "does not meet quorum 'enough'", "W1: unavailable", "nothing is lost"):
        bench.log.prove([0])
    assert published(bench.log) is None
    assert StoreResources(bench.log.store, "x", bench.log.publishable).read(CHECKPOINT) is None
    with bench.log.store.view() as view:
        assert view.head().note is not None, "it is signed, and kept"


def test_a_second_run_finishes_what_the_witnesses_held_up(bench: Bench, seen: Path) -> None:
    bench = configure(bench, (W1, NOWHERE))
    log_some(bench, range(3))
    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        assert log_one(bench.log, bench, 1) == 1, "it is found, and not logged again"
        (proof,) = bench.log.prove([1])
    assert witnesses_on(bench, proof) == ("W1",)
    assert size_of(bench) == 3


def test_an_older_cosigned_checkpoint_still_proves_what_it_covers(bench: Bench, seen: Path) -> None:
    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        log_one(bench.log, bench, 0)
    bench = configure(bench, (W1, NOWHERE))
    log_one(bench.log, bench, 1)
    (proof,) = bench.log.prove([0])
    assert witnesses_on(bench, proof) == ("W1",)
    checked = published(bench.log)
    assert checked
    assert checked.checkpoint.size == 1
    with refused(Unavailable, "does not meet"):
        bench.log.prove([0, 1])


def test_witnesses_that_failed_are_not_asked_again_at_once(bench: Bench) -> None:
    """One command asks once, although it appends, proves, and proves its history."""
    with lying(lambda *_: http(503)) as busy:
        bench = configure(bench, (W1, busy.url))
        log_one(bench.log, bench, 0)
        for _ in range(3):
            with refused(Unavailable, "503"):
                bench.log.prove([0])
        assert [path for path, _ in busy.requests].count("/add-checkpoint") == 1


def test_they_are_asked_again_after_a_pause(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosigning, "PAUSE", 0)
    with lying(lambda *_: http(503)) as busy:
        bench = configure(bench, (W1, busy.url))
        log_one(bench.log, bench, 0)
        with suppress(Unavailable):
            bench.log.prove([0])
        assert [path for path, _ in busy.requests].count("/add-checkpoint") == 2


def test_too_few_cosignatures_are_kept_until_others_bring_the_rest(bench: Bench, seen: Path) -> None:
    with witnesses(seen, bench.log.vkey, W1) as (one,):
        bench = configure(bench, (W1, one), (W2, NOWHERE))
        log_one(bench.log, bench, 0)
        with refused(Unavailable, "1 of 2 witnesses cosigned"):
            bench.log.prove([0])
    with witnesses(seen, bench.log.vkey, W2) as (two,):
        bench = configure(bench, (W1, NOWHERE), (W2, two))
        (proof,) = bench.log.prove([0])
    assert witnesses_on(bench, proof) == ("W1", "W2")


def test_more_witnesses_than_the_quorum_needs_are_asked_all_the_same(bench: Bench, seen: Path) -> None:
    with witnesses(seen, bench.log.vkey, W1, W2) as (one, two):
        bench = configure(bench, (W1, one), (W2, two), quorum="none")
        log_one(bench.log, bench, 0)
        assert set(witnesses_on(bench, bench.log.prove([0])[0])) == {"W1", "W2"}


def test_a_quorum_that_was_raised_holds_back_what_the_old_one_let_go(bench: Bench, seen: Path) -> None:
    with witnesses(seen, bench.log.vkey, W1) as (one,):
        bench = configure(bench, (W1, one), (W2, NOWHERE), quorum="any")
        log_one(bench.log, bench, 0)
        assert published(bench.log)
        bench = configure(bench, (W1, one), (W2, NOWHERE), quorum="all")
        assert published(bench.log) is None


def test_cosignatures_in_the_store_are_verified_and_not_counted(bench: Bench, seen: Path) -> None:
    bench = configure(bench, (W1, NOWHERE))
    log_one(bench.log, bench, 0)
    note = bench.log.checkpoint()
    forged = notes.Signature(W1.name, W1.verifier.key_id, (1).to_bytes(8) + bytes(64))
    bench.log.cosign(1, notes.encode(notes.parse(note).text, [*notes.parse(note).signatures, forged]))
    assert published(bench.log) is None
    assert [problem.where for problem in audit.check(bench.log).problems] == ["head of size 1"]


# --- fail open ---


def test_fail_open_hands_out_what_nobody_cosigned_and_says_so(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench = configure(bench, (W1, NOWHERE), fail_open=True)
    with caplog.at_level(logging.WARNING):
        log_one(bench.log, bench, 0)
        (proof,) = bench.log.prove([0])
    assert witnesses_on(bench, proof) == ()
    checked = published(bench.log)
    assert checked
    assert (checked.witnesses_seen, checked.witnesses_known, checked.quorum_met) == (0, 1, False)
    assert "published without its quorum, as configured" in caplog.text


def test_fail_open_prefers_what_the_quorum_cosigned(bench: Bench, seen: Path) -> None:
    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url), fail_open=True)
        log_one(bench.log, bench, 0)
    bench = configure(bench, (W1, NOWHERE), fail_open=True)
    log_one(bench.log, bench, 1)
    assert witnesses_on(bench, bench.log.prove([0])[0]) == ("W1",)
    assert witnesses_on(bench, bench.log.prove([1])[0]) == ()


def test_fail_open_never_passes_over_a_rollback(bench: Bench, seen: Path, tmp_path: Path) -> None:
    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url), fail_open=True)
        backup = tmp_path / "backup"
        shutil.copytree(bench.workspace.folder, backup)
        log_some(bench, range(3))
        with refused(Rollback, "restored"):
            log_one(reopened(backup, bench).log, bench, 9)


def test_fail_open_hands_out_no_fork(bench: Bench, seen: Path, tmp_path: Path) -> None:
    """What was signed before the fork was found stays where it is."""
    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url), fail_open=True)
        log_one(bench.log, bench, 0)
        copy = tmp_path / "copy"
        shutil.copytree(bench.workspace.folder, copy)
        other = reopened(copy, bench)
        other.log.cosigning.look(other.log.store, other.log.origin)  # type: ignore[union-attr]
        log_one(bench.log, bench, 1)
        with refused(Rollback, "is not of this ledger's tree"):
            other.log.append([_receipt(bench, n) for n in (20, 21)])
        assert size_of(other) == 3
    with refused(Rollback, "is not of this ledger's tree"):  # the witness is away: that takes no doubt away
        log_one(other.log, bench, 22)
    with refused(Rollback, "is not of this ledger's tree"):
        other.log.witness()
    assert size_of(other) == 3
    checked = published(other.log)
    assert checked
    assert checked.checkpoint.size == 1


# --- what a witness can tell ---


@pytest.mark.parametrize("entries", [0, 2])
def test_a_restored_backup_is_told_before_anything_is_logged(
    bench: Bench, seen: Path, tmp_path: Path, entries: int
) -> None:
    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        log_some(bench, range(entries))
        backup = tmp_path / "backup"
        shutil.copytree(bench.workspace.folder, backup)
        log_some(bench, range(10, 13))
        restored = reopened(backup, bench)
        for _ in range(2):
            with refused(Rollback, "is beyond this ledger", f"size {entries + 3}", "restored from an old copy"):
                log_one(restored.log, bench, 99)
        with restored.log.store.view() as view:
            assert view.head().size == entries, "nothing was logged, and no second root was signed"
        assert log_one(bench.log, bench, 50) == entries + 3, "the newest copy goes on"


class Answers:
    """Witnesses that show one thing after the other, and cosign nothing."""

    def __init__(self, *shown: tuple[Foreign, ...]) -> None:
        self.coming, self.asked = list(shown), 0

    def shown(self, _origin: str) -> tuple[Foreign, ...]:
        self.asked += 1
        return self.coming.pop(0)


def looking(bench: Bench, answers: Answers, now: list[float]) -> cosigning.Cosigning:
    quorum = Quorum(policy_for_log(bench.log.vkey))
    return cosigning.Cosigning(quorum, cast(Any, answers), clock=lambda: now[0])


def foreign(bench: Bench, *, size: int | None = None) -> Foreign:
    """What a witness that saw our newest head shows; or one of a tree of ``size`` that we don't have."""
    with bench.log.store.view() as view:
        head = view.signed_head()
    tree = Checkpoint(bench.log.origin, size or head.size, head.root)
    return Foreign("W1", tree, head.note or b"")


def test_a_witness_that_was_away_is_asked_again_and_tells_of_a_restored_backup(bench: Bench) -> None:
    """Nobody who could be reached at the first look is no answer."""
    log_some(bench, range(2))
    answers, now = Answers((), (), (foreign(bench, size=5),)), [100.0]
    own = looking(bench, answers, now)
    for at, asked in ((100.0, 1), (101.0, 1), (105.5, 2), (106.0, 2)):
        now[0] = at
        own.look(bench.log.store, bench.log.origin)
        assert answers.asked == asked  # once a pause
    now[0] = 200.0
    with refused(Rollback, "is beyond this ledger"):
        own.look(bench.log.store, bench.log.origin)


def test_a_witness_that_has_shown_its_checkpoint_is_not_asked_again(bench: Bench) -> None:
    log_some(bench, range(2))
    answers, now = Answers((foreign(bench),)), [100.0]
    own = looking(bench, answers, now)
    for at in (100.0, 200.0):
        now[0] = at
        own.look(bench.log.store, bench.log.origin)
    assert answers.asked == 1


def test_the_first_contact_shows_nothing_and_ends_with_the_first_cosignature(
    bench: Bench, seen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    shown = client.Witnesses.shown
    monkeypatch.setattr(client.Witnesses, "shown", lambda self, o: looks.append(o) or shown(self, o))
    monkeypatch.setattr(cosigning, "PAUSE", 0)
    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        log_some(bench, range(3))
    assert len(looks) == 1


def test_a_copy_that_goes_on_beside_the_log_is_told_what_the_witness_holds(
    bench: Bench, seen: Path, tmp_path: Path
) -> None:
    """Both looked before either logged: the second one's checkpoint is refused, and it logs nothing more."""
    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        log_one(bench.log, bench, 0)
        copy = tmp_path / "copy"
        shutil.copytree(bench.workspace.folder, copy)
        other = reopened(copy, bench)
        other.log.cosigning.look(other.log.store, other.log.origin)  # type: ignore[union-attr]
        log_some(bench, range(1, 3))
        with refused(Rollback, "is not of this ledger's tree", "size 3"):
            other.log.append([bundle for n in range(20, 23) for bundle in [_receipt(bench, n)]])
        assert size_of(other) == 4
        with refused(Rollback, "is not of this ledger's tree"):
            log_one(other.log, bench, 30)
        assert size_of(other) == 4
        checked = published(other.log)
        assert checked
        assert checked.checkpoint.size == 1, "what forked does not leave"


def _receipt(bench: Bench, number: int) -> bytes:
    from support.statements import receipt_payload, sign_bundle

    return sign_bundle(receipt_payload(number), bench.gate)


def test_a_size_that_a_witness_only_claims_is_no_rollback(bench: Bench) -> None:
    """It shows no checkpoint by our key: it is not believed, and it cosigned nothing."""

    def claim(path: str, _body: bytes, _send: Any) -> bytes:
        return size_answer(10**6) if path == "/add-checkpoint" else http(404)

    with lying(claim) as liar:
        bench = configure(bench, (W1, liar.url))
        assert log_one(bench.log, bench, 0) == 0
        with refused(Unavailable, "1000000", "shows no checkpoint"):
            bench.log.prove([0])


def test_words_of_a_witness_drive_no_terminal(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with lying(lambda *_: http(403, b"\x1b[2Jgone")) as liar:
        bench = configure(bench, (W1, liar.url), fail_open=True)
        log_one(bench.log, bench, 0)
    assert "\x1b" not in caplog.text
    assert "gone" in caplog.text


# --- other writers ---


def test_another_writer_that_was_faster_is_no_rollback_and_holds_our_entry(
    bench: Bench, seen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        other = reopened(bench.workspace.folder, bench)
        _interrupt(monkeypatch, lambda: log_one(other.log, bench, 1))
        log_one(bench.log, bench, 0)
        assert witnesses_on(bench, bench.log.prove([0])[0]) == ("W1",)
        checked = published(bench.log)
        assert checked
        assert checked.checkpoint.size == 2


def test_another_writer_that_died_before_it_kept_the_cosignatures_loses_none(
    bench: Bench, seen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The witness knows a checkpoint that the store holds without its line: it is asked about that one again."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        other = reopened(bench.workspace.folder, bench)

        def crash() -> None:
            with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
                patch.setattr(other.log, "cosign", die)
                log_one(other.log, bench, 1)

        _interrupt(monkeypatch, crash)
        log_one(bench.log, bench, 0)
        (proof,) = bench.log.prove([0])
    assert parse_proof(proof).checkpoint.split(b"\n")[1] == b"2"
    assert witnesses_on(bench, proof) == ("W1",)


def test_writers_that_are_faster_again_and_again_are_waited_for_only_so_often(
    bench: Bench, seen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        other = reopened(bench.workspace.folder, bench)
        # They have theirs cosigned, and keep it from the store.
        monkeypatch.setattr(other.log, "cosign", lambda *_: None)
        numbers = iter(range(1, 100))
        real, calls = client.Witnesses.ask, []

        def late(self: client.Witnesses, *arguments: Any) -> Any:
            if self is not bench.log.cosigning._witnesses:  # type: ignore[union-attr]
                return real(self, *arguments)
            calls.append(1)
            log_one(other.log, bench, next(numbers))
            return real(self, *arguments)

        monkeypatch.setattr(client.Witnesses, "ask", late)
        assert log_one(bench.log, bench, 0) == 0
        assert len(calls) == cosigning.ATTEMPTS


def _interrupt(monkeypatch: pytest.MonkeyPatch, action: Any) -> None:
    """Lets something happen between a checkpoint's signature and the first request for a cosignature."""
    real = client.Witnesses.ask

    def ask(self: client.Witnesses, *arguments: Any) -> Any:
        monkeypatch.setattr(client.Witnesses, "ask", real)
        action()
        return real(self, *arguments)

    monkeypatch.setattr(client.Witnesses, "ask", ask)


def test_three_processes_with_witnesses_never_fork_and_lose_no_cosignature(bench: Bench, seen: Path) -> None:
    with witnesses(seen, bench.log.vkey, W1, W2) as (one, two):
        bench = configure(bench, (W1, one), (W2, two))
        folder = str(bench.workspace.folder)
        jobs = [{"job": "write", "folder": folder, "number": number, "count": 5} for number in range(3)]
        outcomes = children.run(*jobs, together=True)
        assert [outcome.status for outcome in outcomes] == [0, 0, 0]
        told = sorted(index for outcome in outcomes for index, _ in outcome.said)
        assert told == list(range(15))
        bench.log.prove(range(15))
    checked = published(bench.log)
    assert checked
    assert (checked.checkpoint.size, checked.witnesses_seen) == (15, 2)
    with bench.log.store.view() as view:
        roots = {head.size: bench.log.quorum.check(head).checkpoint.root for head in view.heads() if head.note}
        assert all(view.head_at(size).root == root for size, root in roots.items())  # type: ignore[union-attr]
    assert audit.check(bench.log).clean


# --- cosignatures ---


def test_cosignatures_are_added_and_none_is_lost(bench: Bench) -> None:
    log_one(bench.log, bench, 0)
    note = bench.log.checkpoint()
    lines = [notes.sign(notes.parse(note).text, [key.at(5)], notes.parse(note).signatures) for key in (W1, W2)]
    for line in (*lines, lines[0]):
        bench.log.cosign(1, line)
    with bench.log.store.view() as view:
        stored = view.head().cosigned
    assert stored
    assert [s.name for s in notes.parse(stored).signatures] == [bench.log.origin, W1.name, W2.name]
    again = notes.sign(notes.parse(note).text, [W1.at(9)], notes.parse(note).signatures)
    bench.log.cosign(1, again)
    with bench.log.store.view() as view:
        assert view.head().cosigned == stored, "what was handed out once does not change"


def test_a_cosignature_without_a_time_gives_way_to_one_that_has_it() -> None:
    text, key = "x\n1\n" + "A" * 43 + "=\n", W1.verifier.key_id
    own = notes.Signature("x", b"1234", bytes(64))
    undated, dated = (notes.Signature(W1.name, key, bytes(7) + bytes([n]) + bytes(64)) for n in (0, 1))
    note = notes.encode(text.encode(), [own])
    for stored, wanted in ((undated, dated), (dated, dated)):
        both = merged(note, notes.encode(text.encode(), [own, stored]), notes.encode(text.encode(), [own, dated]))
        assert notes.parse(both).signatures == (own, wanted)


def test_cosignatures_on_another_checkpoint_are_refused(bench: Bench) -> None:
    log_some(bench, range(2))
    with bench.log.store.view() as view:
        first = view.head_at(1)
    assert first
    assert first.note
    with refused(IntegrityError, "not on the checkpoint of size 2"):
        bench.log.cosign(2, first.note)
    with refused(IntegrityError, "size 7"):
        bench.log.cosign(7, first.note)
    stranger = notes.Ed25519Signer("other.example", W1.private_key)
    with refused(SignatureInvalid):
        bench.log.cosign(1, sign_checkpoint(Checkpoint("other.example", 1, bytes(32)), [stranger]))


# --- publication, once it may be ---


def test_hooks_are_told_what_may_leave_and_nothing_else(bench: Bench, seen: Path) -> None:
    told: list[bytes] = []
    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, NOWHERE))
        bench.log.after_checkpoint.append(lambda note, _store: told.append(note))
        log_one(bench.log, bench, 0)
        assert told == []
        bench = configure(bench, (W1, url))
        bench.log.after_checkpoint.append(lambda note, _store: told.append(note))
        bench.log.prove([0])
    (note,) = told
    assert bench.log.trusted().policy.check(note).quorum_met


def test_a_hook_that_fails_leaves_the_entry_logged(bench: Bench) -> None:
    def fail(_note: bytes, _store: object) -> None:
        raise Unavailable("the place can't be written")

    def full(_note: bytes, _store: object) -> None:
        raise OSError(28, "No space left on device")

    bench.log.after_checkpoint.append(full)
    with pytest.raises(OSError, match="No space"):
        log_one(bench.log, bench, 0)
    bench.log.after_checkpoint[:] = []
    assert log_one(bench.log, bench, 0) == 0
    assert size_of(bench) == 1


def test_a_restored_backup_is_not_closed_either(bench: Bench, seen: Path, tmp_path: Path) -> None:
    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        log_one(bench.log, bench, 0)
        backup = tmp_path / "backup"
        shutil.copytree(bench.workspace.folder, backup)
        log_one(bench.log, bench, 1)
        restored = reopened(backup, bench)
        with refused(Rollback, "is beyond this ledger"):
            restored.log.close(lambda payload: sign(payload, bench.publisher, now=bench.clock.now), reason="moved")
        assert restored.log.closing() is None
        bench.log.close(lambda payload: sign(payload, bench.publisher, now=bench.clock.now), reason="moved")
    checked = published(bench.log)
    assert checked
    assert checked.checkpoint.size == 3


# --- configuration ---


def test_the_docstrings_table_is_read_and_says_the_defaults() -> None:
    shown = re.search(r"::\n\n(.*?)\n\n", configured.__doc__ or "", re.DOTALL)
    assert shown
    table = tomllib.loads(textwrap.dedent(shown[1]))["ledger"]["witnesses"]
    assert WitnessesConfig(**table) == WitnessesConfig(policy="witnesses.policy")


def written(bench: Bench, text: str) -> None:
    configure(bench, (W1, NOWHERE))
    (bench.workspace.folder / "witnesses.policy").write_text(text)


def bad_policies(vkey: str) -> dict[str, tuple[str, str]]:
    witness = f"witness W {W1.vkey} {NOWHERE}\n"
    other = notes.Ed25519Signer("other.example/log", W1.private_key).vkey
    return {
        "another log": (f"log {other}\nwitness W {W2.vkey} {NOWHERE}\nquorum W\n", "another log"),
        "two logs": (f"log {vkey}\nlog {other}\nwitness W {W2.vkey} {NOWHERE}\nquorum W\n", "another log"),
        "no log": (f"{witness}quorum W\n", "another log"),
        "no witness": (f"log {vkey}\nquorum none\n", "names 0 with a URL"),
        "no URL": (f"log {vkey}\nwitness W {W1.vkey}\nquorum W\n", "can't meet its quorum"),
        "too few URLs": (
            f"log {vkey}\n{witness}witness V {W2.vkey}\ngroup G all W V\nquorum G\n",
            "can't meet its quorum",
        ),
        "no policy": ("hello\n", "not a policy line"),
        "a bad URL": (f"log {vkey}\nwitness W {W1.vkey} ftp://x\nquorum W\n", "submission prefix"),
    }


@pytest.mark.parametrize(
    "which", ["another log", "two logs", "no log", "no witness", "no URL", "too few URLs", "no policy", "a bad URL"]
)
def test_a_policy_that_can_not_be_for_this_log_is_refused(bench: Bench, which: str) -> None:
    text, why = bad_policies(bench.log.vkey)[which]
    written(bench, text)
    with refused(UsageError, why):
        workspaces.load(bench.workspace.folder).log(no_passphrase)


def test_a_policy_that_is_missing_is_refused(bench: Bench) -> None:
    configure(bench, (W1, NOWHERE))
    (bench.workspace.folder / "witnesses.policy").unlink()
    with refused(UsageError, "witnesses' policy", "witnesses.policy"):
        workspaces.load(bench.workspace.folder).log(None)


@pytest.mark.parametrize("line", ["timeout = 0", "timeout = 1e9", 'policy = ""', "fail-open = true"])
def test_a_table_that_is_wrong_is_refused(bench: Bench, line: str) -> None:
    configure(bench, (W1, NOWHERE))
    config = bench.workspace.folder / workspaces.CONFIG
    key = line.partition(" ")[0]
    kept = [old for old in config.read_text().splitlines() if not old.startswith(f"{key} =")]
    config.write_text("\n".join([*kept, line]) + "\n")
    with refused(UsageError, "ledger.witnesses"):
        workspaces.load(bench.workspace.folder)


def test_offline_nothing_is_logged_that_witnesses_must_see(bench: Bench) -> None:
    configure(bench, (W1, NOWHERE))
    workspace = workspaces.load(bench.workspace.folder)
    with refused(UsageError, "--offline", "witnesses"):
        workspace.log(no_passphrase, offline=True)
    assert isinstance(workspace.log(None, offline=True), Log)


# --- a published log that is written to ---


@pytest.fixture
def machines(bench: Bench, seen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[PublishedLog]]:
    """Two publishers without a ledger, which log to one published log with witnesses."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    out = tmp_path / "out"
    with witnesses(seen, bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        log_some(bench, range(2))
        publish(StoreResources(bench.log.store, "first", bench.log.publishable), Folder(out), bench.log.quorum.demanded)
        opened = []
        for name in ("a", "b"):
            away = shutil.ignore_patterns("ledger.sqlite*", "state")
            shutil.copytree(bench.workspace.folder, tmp_path / name, ignore=away)
            opened.append(open_log(with_ledger(workspaces.load(tmp_path / name), str(out)), no_passphrase))
        yield opened  # type: ignore[misc]


def test_publishers_in_ci_have_the_published_log_cosigned(bench: Bench, machines: list[PublishedLog]) -> None:
    for number, log in enumerate([*machines, *machines], 2):
        assert log_one(log, bench, number) == number
        note = Folder(Path(log.place)).read(CHECKPOINT)
        assert note
        assert log.trusted().policy.check(note).checkpoint.size == number + 1


def test_a_publisher_that_others_overtake_is_not_called_a_restored_backup(
    bench: Bench, machines: list[PublishedLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The witness knows what another one published since the copy was brought up to date."""
    first, second = machines
    real = PublishedLog._refresh

    def refresh(self: PublishedLog) -> None:
        real(self)
        if self is second:
            monkeypatch.setattr(PublishedLog, "_refresh", real)
            log_one(first, bench, 10)

    monkeypatch.setattr(PublishedLog, "_refresh", refresh)
    assert log_one(second, bench, 11) == 3
    assert log_one(first, bench, 12) == 4


def test_a_published_log_that_went_back_is_told_by_its_witness(
    bench: Bench, machines: list[PublishedLog], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place was restored from a backup, and a new machine remembers nothing of the log."""
    first = machines[0]
    place = Path(first.place)
    shutil.copytree(place, tmp_path / "backup")
    for number in range(10, 13):
        log_one(first, bench, number)
    shutil.rmtree(place)
    shutil.copytree(tmp_path / "backup", place)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    shutil.copytree(tmp_path / "a", tmp_path / "new", ignore=shutil.ignore_patterns("state"))
    fresh = open_log(with_ledger(workspaces.load(tmp_path / "new"), str(place)), no_passphrase)
    with refused(Rollback, "is beyond this ledger", "size 5"):
        fresh.append([_receipt(bench, 20)])
    assert recheck(Folder(place), bench.log.trusted().policy, jobs=1).size == 2
