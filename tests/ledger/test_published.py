"""A published log is written to by publishers without a ledger: none loses an entry, and no size has two roots."""

from __future__ import annotations

import os
import re
import shutil
import textwrap
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataseal.ledger import bundle as bundles
from dataseal.ledger import claims, closing, places, published
from dataseal.ledger import entry as entries
from dataseal.ledger import workspace as workspaces
from dataseal.ledger.audit import check
from dataseal.ledger.claims import HOME, Claim, claim_path
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import (
    FormatError,
    IntegrityError,
    ProofInvalid,
    Refused,
    Rollback,
    SignatureInvalid,
    Unavailable,
    UsageError,
)
from dataseal.ledger.follow import Fork, open_tree
from dataseal.ledger.mirror import recheck
from dataseal.ledger.places import Bucket, Destination, Folder, open_destination
from dataseal.ledger.publish import publish
from dataseal.ledger.published import PublishedLog
from dataseal.ledger.record import sign
from dataseal.ledger.remote.open import open_log, with_ledger
from dataseal.ledger.resources import CHECKPOINT, StoreResources
from dataseal.ledger.signers import keyfile
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import open_checkpoint
from dataseal.ledger.tlog.keys import parse_vkey
from dataseal.ledger.tlog.note import Ed25519Signer
from support.errors import refused
from support.ledgers import log_receipts
from support.statements import receipt_payload, sign_bundle
from support.witnessed import NOWHERE, W1, configure, witnesses
from support.workspaces import Bench, no_passphrase, tree


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(published, "PAUSE", 0.001)


class Home:
    """A published log, and the machines that write to it: each with a workspace of its own, and nothing else."""

    def __init__(self, bench: Bench, folder: Path, url: str) -> None:
        self.bench, self.folder, self.url = bench, folder, url
        self.signed: dict[int, set[bytes]] = defaultdict(set)
        log_receipts(bench, 3)
        self.place = open_destination(url)
        publish(StoreResources(bench.log.store, "first"), self.place, bench.log.trusted().policy)

    def workspace(self, name: str, url: str | None = None) -> workspaces.Workspace:
        """The workspace of a machine; made when it is new."""
        folder = self.folder / name
        if not folder.exists():
            away = shutil.ignore_patterns("ledger.sqlite*", "state")
            shutil.copytree(self.bench.workspace.folder, folder, ignore=away)
        return with_ledger(workspaces.load(folder), url or self.url)

    def open(self, name: str = "a", *, write: bool = True, url: str | None = None) -> PublishedLog:
        log = open_log(self.workspace(name, url), no_passphrase if write else None)
        assert isinstance(log, PublishedLog)
        return log

    @property
    def key(self) -> Ed25519Signer:
        """The log's key."""
        private = keyfile.load(self.bench.workspace.folder / "keys" / "log.key", no_passphrase).private
        assert isinstance(private, Ed25519PrivateKey)
        return Ed25519Signer(self.bench.log.origin, private)

    def bundle(self, number: int) -> bytes:
        return sign_bundle(receipt_payload(number), self.bench.gate)

    def tree(self) -> Any:
        """What is published, every entry and tile of it checked."""
        return recheck(self.place, self.bench.log.trusted().policy)

    def payloads(self) -> list[str]:
        """The digests of what is published, in order."""
        bodies = [leaf.body for leaf in self.tree().entries()]
        return [sha256(bundles.parse(entries.parse(body).bundle).payload).hex() for body in bodies]


@pytest.fixture
def home(bench: Bench, tmp_path: Path) -> Home:
    return Home(bench, tmp_path / "machines", str(tmp_path / "out"))


@pytest.fixture(params=["folder", "bucket"])
def any_home(request: pytest.FixtureRequest, bench: Bench, tmp_path: Path) -> Home:
    url = str(tmp_path / "out") if request.param == "folder" else f"memory://{uuid.uuid4()}"
    return Home(bench, tmp_path / "machines", url)


@pytest.fixture(autouse=True)
def roots(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, set[bytes]]]:
    """Whatever is signed in a test, by whom ever: at its end, each size has one root."""
    found: dict[int, set[bytes]] = defaultdict(set)
    for module in (published, __import__("dataseal.ledger.log", fromlist=["log"])):
        real = module.sign_checkpoint

        def note(checkpoint: Any, signers: Any, real: Any = real) -> bytes:
            found[checkpoint.size].add(checkpoint.root)
            signed: bytes = real(checkpoint, signers)
            return signed

        monkeypatch.setattr(module, "sign_checkpoint", note)
    yield found
    assert found
    assert all(len(each) == 1 for each in found.values()), "two roots were signed for one size"


def digest(number: int) -> str:
    return sha256(receipt_payload(number)).hex()


class TestWrites:
    def test_an_entry_is_appended_and_published(self, any_home: Home) -> None:
        log = any_home.open()
        (appended,) = log.append([any_home.bundle(7)])
        assert (appended.index, appended.existed) == (3, False)
        assert any_home.payloads() == [digest(number) for number in (0, 1, 2, 7)]
        assert len(log.prove([0, 3])) == 2
        assert check(log).clean

    def test_another_machine_goes_on(self, any_home: Home) -> None:
        for number, name in enumerate("abcb", 10):
            assert any_home.open(name).append([any_home.bundle(number)])[0].index == number - 7
        assert any_home.tree().size == 7

    def test_an_open_log_sees_what_others_published(self, home: Home) -> None:
        first, second = home.open("a"), home.open("b")
        first.append([home.bundle(7)])
        assert second.append([home.bundle(8)])[0].index == 4
        assert first.append([home.bundle(9)])[0].index == 5
        with first.store.view() as view:
            assert view.head().size == 6

    def test_again_finds_what_is_there_from_any_machine(self, home: Home) -> None:
        home.open("a").append([home.bundle(7)])
        again = home.open("b").append([home.bundle(7), home.bundle(1)])
        assert [(found.index, found.existed) for found in again] == [(3, True), (1, True)]
        assert home.tree().size == 4

    def test_many_entries_across_tiles(self, home: Home) -> None:
        log = home.open()
        for start in (100, 400):
            log.append([home.bundle(number) for number in range(start, start + 300)])
        assert home.tree().size == 603
        assert check(home.open("b")).clean

    def test_admission_holds_as_anywhere(self, home: Home) -> None:
        log = home.open()
        with refused(Refused, "does not list"):
            log.append([sign_bundle(receipt_payload(9), home.bench.publisher)])
        assert home.place.read(claim_path(3)) is None
        assert log.append([home.bundle(9)])[0].index == 3

    def test_a_kept_copy_imports_only_what_is_new(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        home.open("a").append([home.bundle(7)])
        home.open("b").append([home.bundle(8)])
        taken: list[int] = []
        real = published.take_tree

        def take(log: Any, view: Any, replay: Any, tree: Any) -> None:
            taken.append(view.head().size)
            real(log, view, replay, tree)

        monkeypatch.setattr(published, "take_tree", take)
        home.open("a")
        home.open("c")
        assert taken == [4, 0]

    def test_it_is_closed_like_any_other(self, home: Home) -> None:
        log = home.open()
        log.close(lambda payload: sign(payload, home.bench.publisher, now=home.bench.clock.now), reason="r")
        for name in "ab":
            with refused(Refused, "closed"):
                home.open(name).append([home.bundle(9)])
        assert home.tree().size == 4

    def test_without_the_key_it_is_read(self, home: Home) -> None:
        log = home.open(write=False)
        with log.store.view() as view:
            assert view.head().size == 3
        with refused(UsageError, "reading only"):
            log.append([home.bundle(7)])


class TestRaces:
    def test_machines_at_once(self, any_home: Home) -> None:
        """Each logs five entries, one after the other, without a look at the others."""
        machines = 3
        done: list[int] = []
        failed: list[BaseException] = []

        def work(name: str, start: int) -> None:
            try:
                log = any_home.open(name)
                for number in range(start, start + 5):
                    while True:
                        try:
                            done.append(log.append([any_home.bundle(number)])[0].index)
                            break
                        except Unavailable:  # others were faster, again and again
                            continue
            except BaseException as error:
                failed.append(error)
                raise

        threads = [Thread(target=work, args=(f"m{i}", 100 * (i + 1))) for i in range(machines)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        assert sorted(done) == list(range(3, 3 + 5 * machines))
        assert len(set(any_home.payloads())) == 3 + 5 * machines

    def test_threads_of_one_machine(self, home: Home) -> None:
        log = home.open()
        threads = [Thread(target=lambda n=n: log.append([home.bundle(n)])) for n in range(10, 16)]  # type: ignore[misc]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert home.tree().size == 9

    def test_the_slower_one_has_signed_nothing(self, home: Home, roots: dict[int, set[bytes]]) -> None:
        """Between its look and its claim, another publisher did everything."""
        slow, fast = home.open("a"), home.open("b")
        before = published.decide

        def late(place: Destination, claim: Claim, bodies: list[bytes], signer: Any) -> bool:
            published.decide = before
            fast.append([home.bundle(8)])
            return before(place, claim, bodies, signer)

        published.decide = late
        try:
            assert slow.append([home.bundle(7)])[0].index == 4
        finally:
            published.decide = before
        assert home.payloads()[3:] == [digest(8), digest(7)]
        assert not [path for path in tree(Path(home.url)) if path.endswith(".entries")]

    def test_a_late_checkpoint_forks_nothing(self, home: Home) -> None:
        """A slow publisher puts the older checkpoint over the newer one, as can happen where no lock is known."""
        log = home.open("a")
        log.append([home.bundle(7)])
        old = home.place.read(CHECKPOINT)
        assert old is not None
        log.append([home.bundle(8)])
        home.place.put(CHECKPOINT, old)
        shutil.rmtree(home.folder.parent / "state")  # nobody remembers
        assert home.open("fresh").append([home.bundle(9)])[0].index == 5
        assert home.payloads()[3:] == [digest(7), digest(8), digest(9)]


class Died(BaseException):
    """The process ended there."""


class Mortal:
    """A place that ends its process behind its n-th change."""

    def __init__(self, place: Destination, at: int) -> None:
        self._place, self._left = place, at
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._place, name)
        if name not in ("put", "create", "remove", "settle", "discard_partials"):
            return real

        def call(*arguments: Any) -> Any:
            self.calls += 1
            result = real(*arguments)
            if self.calls == self._left:
                raise Died
            return result

        return call


class TestCrashes:
    def dies(self, home: Home, monkeypatch: pytest.MonkeyPatch, at: int, name: str) -> bool:
        """Appends an entry; whether the machine died on it."""
        mortal: list[Mortal] = []

        def place(url: str, **options: Any) -> Any:
            mortal.append(Mortal(open_destination(url, **options), at))
            return mortal[-1]

        with monkeypatch.context() as patch:
            patch.setattr(published, "open_destination", place)
            try:
                home.open(name).append([home.bundle(7)])
            except Died:
                return True
        return False

    @pytest.mark.parametrize("kept", [False, True], ids=["copy lost", "copy kept"])
    def test_at_every_change_of_the_place(
        self,
        bench: Bench,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        roots: dict[int, set[bytes]],
        *,
        kept: bool,
    ) -> None:
        """Another machine, or the same one, goes on; what it logs is not what the dead one logged."""
        died = 0
        for at in range(1, 40):
            home = Home(bench, tmp_path / f"machines{at}", f"memory://{uuid.uuid4()}")
            if not self.dies(home, monkeypatch, at, "dead"):
                break
            died += 1
            log = home.open("dead" if kept else "next")
            log.append([home.bundle(8)])
            found = home.payloads()
            assert found[:3] == [digest(n) for n in range(3)]
            assert found[3:] in ([digest(7), digest(8)], [digest(8)])
            again = home.open("third").append([home.bundle(7)])[0]
            assert again.existed == (digest(7) in found)
            assert check(home.open("third")).clean
            shutil.rmtree(tmp_path / "state")
            assert all(len(each) == 1 for each in roots.values())
            roots.clear()  # the next log has the same key
        assert died >= 8

    def test_before_the_head_is_signed(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        """Claimed, committed in its copy, and dead: the next machine signs the very same root."""
        log = home.open("dead")
        with monkeypatch.context() as patch:
            patch.setattr(PublishedLog, "_sign", self.die)
            with pytest.raises(Died):
                log.append([home.bundle(7)])
        assert home.tree().size == 3
        with home.open("next", write=False).store.view() as view:
            assert view.head().size == 3  # a reader finishes nothing
        with home.open("next").store.view() as view:
            assert view.head().size == 4
        assert home.payloads()[3:] == [digest(7)]

    @staticmethod
    def die(*_: object, **__: object) -> Any:
        raise Died

    def test_a_place_that_fails_after_the_claim(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        log = home.open()
        with monkeypatch.context() as patch:
            patch.setattr(published, "replicate", self.unavailable)
            with refused(Unavailable, "no space", "published by the next command"):
                log.append([home.bundle(7)])
        assert home.open().append([home.bundle(7)])[0].existed
        assert home.payloads()[3:] == [digest(7)]

    @staticmethod
    def unavailable(*_: object, **__: object) -> Any:
        raise Unavailable("no space")


class TestStores:
    def test_one_without_a_conditional_put_is_refused(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        url = f"memory://{uuid.uuid4()}"
        other = Home(home.bench, home.folder, url)
        monkeypatch.setattr(places, "EXCLUSIVE", frozenset())
        with refused(UsageError, "could fork the log", "single_writer"):
            other.open()
        with other.open(write=False).store.view() as view:
            assert view.head().size == 3

    def test_a_single_writer_may(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        other = Home(home.bench, home.folder, f"memory://{uuid.uuid4()}")
        monkeypatch.setattr(places, "EXCLUSIVE", frozenset())
        path = other.workspace("a").folder / "dataseal.toml"
        path.write_text(path.read_text().replace("[ledger]", "[ledger]\nsingle_writer = true"))
        assert other.open("a").append([home.bundle(7)])[0].index == 3

    def test_a_server_that_does_not_know_the_condition(self, monkeypatch: pytest.MonkeyPatch, roots: Any) -> None:
        roots[0].add(b"")  # nothing is signed here
        bucket = Bucket(f"memory://{uuid.uuid4()}")
        real = bucket._files.pipe_file
        monkeypatch.setattr(bucket, "_files", Overwriting(bucket._files, real))
        with refused(UsageError, "overwrites", "single_writer"):
            bucket.create(claim_path(3), b"one")
        assert bucket.read(claim_path(3)) is None, "what is refused is not there for somebody to finish"
        assert not [path for path in bucket._files.store if path.startswith(bucket._root)], "nor is what was tried"

    def test_such_a_server_overwrites_nobodys_claim(self, monkeypatch: pytest.MonkeyPatch, roots: Any) -> None:
        """Neither one that was there, nor one that comes between the look and the put."""
        roots[0].add(b"")
        bucket = Bucket(f"memory://{uuid.uuid4()}")
        real, read = bucket._files.pipe_file, bucket.read
        monkeypatch.setattr(bucket, "_files", Overwriting(bucket._files, real))
        monkeypatch.setattr(bucket, "read", lambda path: [read(path), bucket.put(path, b"theirs")][0])
        with refused(UsageError, "overwrites"):
            bucket.create(claim_path(3), b"ours")
        monkeypatch.setattr(bucket, "read", read)
        assert not bucket.create(claim_path(3), b"ours")
        assert bucket.read(claim_path(3)) == b"theirs"

    def test_a_single_writer_needs_no_condition(self, monkeypatch: pytest.MonkeyPatch, roots: Any) -> None:
        """What the refusal advises helps, at a store that should know the condition too."""
        roots[0].add(b"")
        bucket = Bucket(f"memory://{uuid.uuid4()}", single_writer=True)
        real = bucket._files.pipe_file
        monkeypatch.setattr(bucket, "_files", Overwriting(bucket._files, real))
        assert bucket.create(claim_path(3), b"one")
        assert not bucket.create(claim_path(3), b"two")
        assert bucket.read(claim_path(3)) == b"one"

    def test_a_store_that_creates_is_tried_once(self, monkeypatch: pytest.MonkeyPatch, roots: Any) -> None:
        roots[0].add(b"")
        bucket = Bucket(f"memory://{uuid.uuid4()}")
        puts: list[str] = []
        real = bucket._create
        monkeypatch.setattr(bucket, "_create", lambda path, data: [puts.append(path), real(path, data)][1])
        assert all(bucket.create(claim_path(n), b"one") for n in range(3))
        assert [path for path in puts if not path.endswith(".probe")] == [claim_path(n) for n in range(3)]
        assert len(puts) == 5

    @pytest.mark.parametrize("written", [True, False])
    def test_an_answer_that_is_lost(self, monkeypatch: pytest.MonkeyPatch, roots: Any, *, written: bool) -> None:
        roots[0].add(b"")
        bucket = Bucket(f"memory://{uuid.uuid4()}")
        monkeypatch.setattr(bucket, "_files", Silent(bucket._files, written=written))
        if written:
            assert bucket.create(claim_path(3), b"one")
        else:
            with refused(Unavailable, "time-out"):
                bucket.create(claim_path(3), b"one")

    def test_a_folder_that_two_containers_share(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roots: Any
    ) -> None:
        """Their processes have the same numbers: neither writes into what the other is about to link."""
        roots[0].add(b"")
        monkeypatch.setattr(places.os, "getpid", lambda: 1)
        ours, theirs = Folder(tmp_path), Folder(tmp_path)
        link, inner = os.link, []

        def slow(source: Path, target: Path) -> None:
            monkeypatch.setattr(places.os, "link", link)
            inner.append(theirs.create(claim_path(3), b"theirs"))  # all of it, between our write and our link
            link(source, target)

        monkeypatch.setattr(places.os, "link", slow)
        assert not ours.create(claim_path(3), b"ours")
        assert inner == [True]
        assert ours.read(claim_path(3)) == b"theirs"
        assert tree(tmp_path) == {claim_path(3): b"theirs"}

    @pytest.mark.parametrize("there", [b"ours", b"theirs"])
    def test_what_a_share_holds_counts_and_not_what_it_answers(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roots: Any, there: bytes
    ) -> None:
        """A link that is reported made, or not, and the other is so."""
        roots[0].add(b"")
        place = Folder(tmp_path)

        def answer(source: Path, target: Path) -> None:
            target.write_bytes(there)
            if there == b"ours":
                raise FileExistsError

        monkeypatch.setattr(places.os, "link", answer)
        assert place.create(claim_path(3), b"ours") == (there == b"ours")

    def test_more_than_can_be_read_again_is_not_claimed(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        """Else nobody could ever finish it, and the log would stand still."""
        monkeypatch.setattr(claims, "MAX_CLAIMED_BYTES", 3000)
        before = tree(Path(home.url))
        with refused(UsageError, "at most 3,000", "several requests"):
            home.open().append([home.bundle(number) for number in range(7, 12)])
        assert tree(Path(home.url)) == before
        assert home.open().append([home.bundle(7)])[0].index == 3

    @pytest.mark.parametrize("kind", ["folder", "bucket"])
    def test_created_once(self, tmp_path: Path, roots: Any, kind: str) -> None:
        roots[0].add(b"")
        place: Destination = Folder(tmp_path / "x") if kind == "folder" else Bucket(f"memory://{uuid.uuid4()}")
        won: list[int] = []
        threads = [
            Thread(target=lambda n=n: place.create(claim_path(1), b"%d" % n) and won.append(n))  # type: ignore[misc,func-returns-value]
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert place.read(claim_path(1)) == b"%d" % won[0]
        assert place.create(claim_path(1), b"%d" % won[0])


class Overwriting:
    """Files of a server that ignores the condition."""

    def __init__(self, files: Any, real: Callable[..., None]) -> None:
        self._files, self._real = files, real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)

    def pipe_file(self, path: str, data: bytes, mode: str = "overwrite") -> None:
        self._real(path, data)


class Silent(Overwriting):
    """Files of a server whose answers to puts are lost, after it took them or before."""

    def __init__(self, files: Any, *, written: bool) -> None:
        super().__init__(files, files.pipe_file if written else lambda *_: None)

    def pipe_file(self, path: str, data: bytes, mode: str = "overwrite") -> None:
        super().pipe_file(path, data)
        raise TimeoutError("time-out")


class TestHostile:
    def test_a_checkpoint_that_went_back_is_noticed_by_who_remembers(self, home: Home) -> None:
        old = home.place.read(CHECKPOINT)
        assert old is not None
        home.open().append([home.bundle(7)])
        home.place.put(CHECKPOINT, old)
        home.place.remove(claim_path(3))
        shutil.rmtree(home.folder / "a" / "state" / "published")
        for write in (True, False):
            with refused(Rollback, "size 4"):
                home.open(write=write)

    @pytest.mark.parametrize("kept", ["copy", "claims"])
    def test_a_checkpoint_that_went_back_is_put_right(self, home: Home, kept: str) -> None:
        old = home.place.read(CHECKPOINT)
        assert old is not None
        home.open().append([home.bundle(7)])
        home.place.put(CHECKPOINT, old)
        if kept == "copy":
            home.place.remove(claim_path(3))
        else:
            shutil.rmtree(home.folder / "a" / "state" / "published")
        with refused(Rollback, "size 4"):
            home.open(write=False)
        home.open()
        assert home.payloads()[3:] == [digest(7)]

    def test_a_claim_with_another_publishers_unlisted_entry(self, home: Home) -> None:
        """Whoever has the log's key too can't log with it."""
        bundle = sign_bundle(receipt_payload(66), home.bench.publisher)
        log = home.open("a", write=False)
        with log.store.view() as view:
            last = view.entry(2)
        assert last is not None
        header = entries.Header("receipt", last.dataset, "2026-01-02T03:04:59Z", last.leaf, entries.Link(2, last.leaf))
        self.claim(home, entries.join(header.encode(), bundle))
        with refused(Refused, "does not list", "entry 3"):
            home.open("a")
        assert home.tree().size == 3

    def test_a_claim_whose_entries_do_not_lead_to_its_root(self, home: Home) -> None:
        log = home.open("dead")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PublishedLog, "_sign", TestCrashes.die)
            with pytest.raises(Died):
                log.append([home.bundle(7)])
        data = home.place.read(claim_path(3))
        assert data is not None
        claim = Claim.open(data, 3, home.key.verifier)
        false = Claim(3, 4, b"\0" * 32)
        home.place.put(false.entries_path, home.place.read(claim.entries_path) or b"")
        home.place.put(false.path, false.sign(home.key))
        with refused(IntegrityError, "the entries lead to"):
            home.open("next")
        home.place.put(claim.path, claim.sign(home.key))
        assert home.open("next").append([home.bundle(7)])[0].existed

    @pytest.mark.parametrize("claim", [Claim(2, 4, b"\0" * 32), Claim(3, 3, b"\0" * 32), b"", b"{}"])
    def test_a_claim_that_is_none(self, home: Home, claim: Claim | bytes) -> None:
        home.place.put(claim_path(3), claim if isinstance(claim, bytes) else claim.sign(home.key))
        with refused(FormatError, "claims/3"):
            home.open()

    def thief(self, home: Home) -> Ed25519Signer:
        """Somebody who may write to the place, and has a key of the log's name."""
        return Ed25519Signer(home.bench.log.origin, Ed25519PrivateKey.generate())

    def demand_untouched(self, home: Home) -> None:
        with refused(SignatureInvalid, "claims/3", "who"):
            home.open("next").append([home.bundle(8)])
        assert home.tree().size == 3

    def test_a_closed_entry_that_somebody_without_the_logs_key_claims(self, home: Home) -> None:
        """A key that is listed for `closed` ends nothing alone, whoever its holder can have publish it."""
        there = home.tree()
        successor = Ed25519Signer("thief.example/log", Ed25519PrivateKey.generate()).vkey
        payload = closing.closed(home.bench.log.vkey, size=3, root=there.root, reason="moved", successor=successor)
        header = self.header(home, "closed", dataset=there.checkpoint.origin, first=True)
        self.claim(home, entries.join(header.encode(), sign_bundle(payload, home.bench.publisher)), self.thief(home))
        self.demand_untouched(home)

    def test_an_entry_of_the_log_that_somebody_without_any_key_claims_again(self, home: Home) -> None:
        self.claim(home, self.replayed(home, "9999-12-31T23:59:59Z"), self.thief(home))
        self.demand_untouched(home)

    def test_a_claim_whose_signer_is_nobody(self, home: Home) -> None:
        claim = Claim(3, 4, b"\0" * 32)
        home.place.put(claim.path, claim.sign(home.key).partition(b"\n\n")[0])
        with refused(FormatError, "claims/3"):
            home.open()

    def test_a_claim_with_a_line_behind_it(self, home: Home) -> None:
        claim, other = Claim(3, 4, b"\0" * 32), self.thief(home)
        home.place.put(claim.path, claim.sign(home.key) + claim.sign(other).partition(b"\n\n")[2])
        with refused(FormatError, "one signature"):
            home.open()

    def test_another_logs_claim_by_the_same_key(self, home: Home) -> None:
        """The signature covers the log's name: a key with two logs signs for one of them at a time."""
        claim, key = Claim(3, 4, b"\0" * 32), home.key
        other = notes.parse(claim.sign(Ed25519Signer("log.example/other", key.private_key)))
        relabelled = notes.Signature(key.name, key.key_id, other.signatures[0].signature)
        home.place.put(claim.path, notes.encode(other.text, [relabelled]))
        with refused(FormatError, "not a claim"):
            home.open()

    def test_a_checkpoint_is_no_claim_and_a_claim_no_checkpoint(self, home: Home) -> None:
        checkpoint = home.place.read(CHECKPOINT)
        assert checkpoint is not None
        home.place.put(claim_path(3), checkpoint)
        with refused(FormatError, "claim"):
            home.open()
        note = Claim(3, 4, b"\0" * 32).sign(home.key)
        with refused(FormatError, "lines"):
            open_checkpoint(note, [home.key.verifier], origin=home.key.name)

    def test_a_statement_that_is_claimed_twice(self, home: Home) -> None:
        """By a publisher who has the log's key, and does not keep to the rules."""
        self.claim(home, self.replayed(home, "2026-01-03T00:00:00Z"))
        with refused(Refused, "holds this statement", "entry 3"):
            home.open("next")

    def test_an_entry_that_is_dated_ahead(self, home: Home) -> None:
        header = self.header(home, "receipt", when="9999-12-31T23:59:59Z")
        self.claim(home, entries.join(header.encode(), home.bundle(7)))
        with refused(Refused, "dated 9999", "entry 3", "clocks"):
            home.open("next")

    def test_a_head_of_what_is_not_there_is_not_signed(self, home: Home, roots: dict[int, set[bytes]]) -> None:
        """A claim whose entries are removed, with a root that the published tiles do not lead to."""
        home.open("a").append([home.bundle(7)])
        home.place.put(CHECKPOINT, open_note_of(home, 3))
        false = Claim(3, 4, b"\7" * 32)
        home.place.put(false.path, false.sign(home.key))
        shutil.rmtree(home.folder.parent / "state")
        with pytest.raises(ProofInvalid):
            home.open("fresh")
        assert b"\7" * 32 not in roots[4]

    def test_a_claim_whose_entries_are_gone(self, home: Home) -> None:
        home.place.put(claim_path(3), Claim(3, 4, b"\1" * 32).sign(home.key))
        with refused(IntegrityError, "are gone"):
            home.open()

    def test_claims_that_were_removed_are_noticed_by_the_copy(self, home: Home, roots: dict[int, set[bytes]]) -> None:
        """Another publisher then signs a second root of the size that this one has signed: only a memory can tell."""
        log = home.open("a")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(published, "replicate", TestCrashes.unavailable)
            with refused(Unavailable, "no space"):
                log.append([home.bundle(7)])
        body = home.place.read(claim_path(3))
        assert body is not None
        twin = self.twin(home)
        home.place.put(CHECKPOINT, twin)
        with refused(Fork, "somebody removed claims"):
            log.append([home.bundle(8)])
        assert len(roots.pop(4)) == 2

    def twin(self, home: Home) -> bytes:
        """Publishes another fourth entry by the log's own key, from the ledger that was its home."""
        home.bench.log.append([home.bundle(99)])
        place = Folder(Path(home.url))
        shutil.rmtree(Path(home.url) / "claims")
        done = publish(StoreResources(home.bench.log.store, "first"), place, home.bench.log.trusted().policy)
        return done.tree.note

    def claim(self, home: Home, body: bytes, signer: Ed25519Signer | None = None) -> None:
        leaves = [leaf.leaf for leaf in home.tree().entries()] + [merkle.leaf_hash(body)]
        claims.decide(home.place, Claim(3, 4, merkle.root_from_leaves(leaves)), [body], signer or home.key)

    def header(
        self, home: Home, kind: str, *, when: str = "", dataset: str = "", first: bool = False
    ) -> entries.Header:
        """The header of an entry that follows the three."""
        last = home.tree().entry(2)
        before = entries.parse(last.body).header
        link = None if first else entries.Link(last.index, last.leaf)
        return entries.Header(kind, dataset or before.dataset, when or before.logged_at, last.leaf, link)

    def replayed(self, home: Home, when: str) -> bytes:
        """The log's newest entry again, at another time."""
        bundle = entries.parse(home.tree().entry(2).body).bundle
        return entries.join(self.header(home, "receipt", when=when).encode(), bundle)


def open_note_of(home: Home, size: int) -> bytes:
    """The checkpoint of the log when it had that many entries."""
    with home.bench.log.store.view() as view:
        head = view.head_at(size)
    assert head is not None
    assert head.note is not None
    return head.note


def test_the_claim_of_the_docstring(roots: Any) -> None:
    roots[0].add(b"")  # no head is signed here
    shown = re.search(r"a test opens it\)::\n\n(.*?)\n\nWhat is read", claims.__doc__ or "", re.DOTALL)
    assert shown is not None
    vkey, _, note = textwrap.dedent(shown[1] + "\n").partition("\n\n")
    leaves = [merkle.leaf_hash(body) for body in (b"one", b"two", b"three", b"four", b"five")]
    claim = Claim(3, 5, merkle.root_from_leaves(leaves))
    assert Claim.open(note.encode(), 3, parse_vkey(vkey)) == claim


class TestPlaces:
    def test_nothing_is_published_there(self, home: Home, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with refused(UsageError, "no checkpoint", "ledger publish"):
            home.open("b", url=str(tmp_path / "empty"))

    def test_a_log_that_lost_its_checkpoint(self, home: Home) -> None:
        home.open()
        (Path(home.url) / "checkpoint").unlink()
        with refused(Unavailable, "no checkpoint"):
            home.open()

    def test_another_log(self, home: Home, tmp_path: Path) -> None:
        from support.workspaces import make_bench

        other = make_bench(tmp_path / "other", "log.example/other")
        log_receipts(other, 1)
        publish(StoreResources(other.log.store, "o"), Folder(tmp_path / "o"), other.log.trusted().policy)
        with pytest.raises(Exception, match="checkpoint is of log"):
            home.open("b", url=str(tmp_path / "o"))

    def test_a_workspace_is_no_published_log(self, home: Home) -> None:
        with refused(UsageError, "workspace"):
            home.open("b", url=str(home.bench.workspace.folder))

    def test_a_ledger_elsewhere_publishes_there_no_more(self, home: Home) -> None:
        home.open().append([home.bundle(7)])
        assert home.place.read(HOME) is not None
        policy = home.bench.log.trusted().policy
        with refused(UsageError, "not its home"):
            publish(StoreResources(home.bench.log.store, "first"), home.place, policy)
        assert open_tree(home.place, policy).size == 4


class TestWitnesses:
    def test_a_head_that_no_witness_saw_is_claimed_and_waits(self, bench: Bench, tmp_path: Path) -> None:
        """The next publisher, whom the witness answers, publishes the very same head."""
        with witnesses(tmp_path / "w", bench.log.vkey, W1) as (url,):
            watched = configure(bench, (W1, url))
            home = Home(watched, tmp_path / "machines", str(tmp_path / "out"))
            home.open("a").append([home.bundle(7)])
            policy = watched.log.trusted().policy
            assert open_tree(home.place, policy).size == 4  # cosigned, as the policy demands
            alone = home.workspace("b").folder / "witnesses.policy"
            alone.write_text(alone.read_text().replace(url, NOWHERE))
            with refused(Unavailable, "0 of 1 witnesses", "Run the same command again"):
                home.open("b").append([home.bundle(8)])
            assert open_tree(home.place, policy).size == 4
            assert home.place.read(claim_path(4)) is not None
            assert home.open("a").append([home.bundle(9)])[0].index == 5
            assert open_tree(home.place, policy).size == 6
            assert home.payloads()[3:] == [digest(7), digest(8), digest(9)]
