"""Publication: only forward, only one log, checkpoint last; whatever stops it leaves a valid log."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import durable
from dataseal.ledger.errors import FormatError, IntegrityError, ProofInvalid, Rollback, Unavailable, UsageError
from dataseal.ledger.follow import Fork, open_tree
from dataseal.ledger.mirror import Copied, recheck
from dataseal.ledger.places import Destination, Folder, open_destination
from dataseal.ledger.publish import publish
from dataseal.ledger.resources import StoreResources
from support.errors import refused
from support.hostile_log import HostileLog, log_key
from support.powercut import Disk, Patched, PowerCut
from support.statements import receipt_payload, sign_bundle
from support.workspaces import Bench, make_bench, tree


@pytest.fixture(scope="module")
def grown() -> HostileLog:
    return HostileLog().grow(530)


@pytest.fixture
def log(grown: HostileLog) -> HostileLog:
    return grown.copy()


@pytest.fixture(autouse=True)
def _no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests judge the order of calls; that nothing waits for a real disk makes them quick."""
    monkeypatch.setattr(durable, "os", Patched(fsync=lambda _: None))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def put(log: HostileLog, size: int, out: Path | Destination) -> Copied:
    place = out if not isinstance(out, Path) else Folder(out)
    return publish(log.publish(size), place, log.policy, jobs=1)


class TestWrites:
    @pytest.mark.parametrize("sizes", [(1,), (255, 256, 257), (300, 513, 530), (1, 2, 3, 530)])
    def test_what_a_second_implementation_writes(self, log: HostileLog, out: Path, sizes: tuple[int, ...]) -> None:
        for size in sizes:
            log.served.clear()
            done = put(log, size, out)
            assert done.tree.size == size
            assert {k: v for k, v in log.served.items() if v}.items() <= tree(out).items()
            assert recheck(Folder(out), log.policy, jobs=1).size == size

    def test_only_what_is_new(self, log: HostileLog, out: Path) -> None:
        put(log, 512, out)
        times = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
        done = put(log, 530, out)
        assert done.written == 2  # a partial bundle and its tile; the level above did not change
        changed = {p.name for p, at in times.items() if not p.exists() or p.stat().st_mtime_ns != at}
        assert changed == {"checkpoint"}

    def test_again_changes_nothing(self, log: HostileLog, out: Path) -> None:
        put(log, 300, out)
        before = tree(out)
        assert put(log, 300, out).written == 0
        assert tree(out) == before

    def test_partials_stay_until_their_full_tile_is_there(self, log: HostileLog, out: Path) -> None:
        put(log, 100, out)
        put(log, 200, out)
        assert {"tile/0/000.p/100", "tile/0/000.p/200", "tile/entries/000.p/100"} <= set(tree(out))
        put(log, 300, out)
        assert not [name for name in tree(out) if "/000.p/" in name and not name.startswith("tile/1")]
        assert "tile/1/000.p/1" in tree(out)

    def test_a_reader_of_an_older_checkpoint_goes_on(self, log: HostileLog, out: Path) -> None:
        put(log, 100, out)
        old = open_tree(Folder(out), log.policy)
        put(log, 300, out)
        assert [leaf.body for leaf in old.entries()] == log.bodies[:100]

    def test_a_bucket(self, log: HostileLog) -> None:
        place = open_destination(f"memory://{uuid.uuid4()}")
        for size in (3, 300, 300, 530):
            put(log, size, place)
            assert recheck(place, log.policy).size == size

    def test_more_cosignatures_for_the_same_head(self, log: HostileLog, out: Path) -> None:
        put(log, 5, out)
        extra = (log.served["checkpoint"] or b"") + HostileLog(log_key("w.example/w")).grow(1).served[
            "checkpoint"
        ].split(b"\n\n")[1]  # type: ignore[union-attr]
        log.served["checkpoint"] = extra
        done = publish(log, Folder(out), log.policy)
        assert (done.before, done.written) == (5, 0)
        assert (out / "checkpoint").read_bytes() == extra


class TestStore:
    def logged(self, bench: Bench, numbers: range) -> None:
        bench.log.append([sign_bundle(receipt_payload(n), bench.gate) for n in numbers])

    def publish(self, bench: Bench, out: Path) -> Copied:
        source = StoreResources(bench.log.store, str(bench.database))
        return publish(source, Folder(out), bench.log.trusted().policy)

    def test_a_store_is_published_step_by_step(self, bench: Bench, out: Path) -> None:
        for numbers in (range(3), range(3, 258)):
            self.logged(bench, numbers)
            assert self.publish(bench, out).tree.size == numbers.stop
            assert recheck(Folder(out), bench.log.trusted().policy).size == numbers.stop

    def test_an_empty_log_has_nothing_to_publish(self, bench: Bench, out: Path) -> None:
        with refused(UsageError, "nothing to publish"):
            self.publish(bench, out)
        assert not out.exists()

    def test_a_restored_backup_is_told(self, bench: Bench, out: Path, tmp_path: Path) -> None:
        self.logged(bench, range(3))
        backup = tmp_path / "backup"
        shutil.copytree(bench.workspace.folder, backup)
        self.logged(bench, range(3, 9))
        self.publish(bench, out)
        restored = make_restored(bench, backup)
        before = tree(out)
        with refused(Rollback, "ahead of this ledger", "backup", "size 3", "size 9"):
            self.publish(restored, out)
        assert tree(out) == before

    def test_a_restored_backup_that_went_on_is_a_fork(self, bench: Bench, out: Path, tmp_path: Path) -> None:
        self.logged(bench, range(3))
        backup = tmp_path / "backup"
        shutil.copytree(bench.workspace.folder, backup)
        self.logged(bench, range(3, 9))
        self.publish(bench, out)
        restored = make_restored(bench, backup)
        self.logged(restored, range(50, 60))
        before = tree(out)
        with refused(Fork, "disagree", "size 9", "size 13"):
            self.publish(restored, out)
        assert tree(out) == before


def make_restored(bench: Bench, backup: Path) -> Bench:
    from dataseal.ledger import workspace as workspaces
    from support.workspaces import no_passphrase

    workspace = workspaces.load(backup)
    return Bench(workspace, workspace.log(no_passphrase), bench.publisher, bench.gate, bench.clock)


class TestRefuses:
    def test_a_place_that_is_ahead(self, log: HostileLog, out: Path) -> None:
        put(log, 300, out)
        before = tree(out)
        with refused(Rollback, "size 299", "size 300"):
            put(log, 299, out)
        assert tree(out) == before

    @pytest.mark.parametrize("at", [0, 255, 299])
    def test_another_history(self, log: HostileLog, out: Path, at: int) -> None:
        put(log, 300, out)
        before = tree(out)
        with refused(Fork, "disagree"):
            put(log.forked(at).grow(400 - at), 400, out)
        assert tree(out) == before

    def test_another_log(self, log: HostileLog, out: Path) -> None:
        other = HostileLog(log_key("other.example/log")).grow(2)
        put(other, 2, out)
        before = tree(out)
        with refused(UsageError, "another log is published there", "other.example/log"):
            put(log, 300, out)
        assert tree(out) == before

    def test_a_log_of_the_same_origin_and_another_key(self, log: HostileLog, out: Path) -> None:
        put(HostileLog(log_key(name="thief")).grow(2), 2, out)
        with refused(UsageError, "another log is published there"):
            put(log, 300, out)

    def test_a_checkpoint_there_that_is_none(self, log: HostileLog, out: Path) -> None:
        out.mkdir()
        (out / "checkpoint").write_bytes(b"hello\n")
        with refused(FormatError):
            put(log, 300, out)
        assert (out / "checkpoint").read_bytes() == b"hello\n"

    def test_published_tiles_that_do_not_lead_to_their_checkpoint(self, log: HostileLog, out: Path) -> None:
        put(log, 300, out)
        path = out / "tile/0/001.p/44"
        path.write_bytes(path.read_bytes()[::-1])
        with refused(ProofInvalid, str(out)):
            put(log, 301, out)

    def test_a_tile_that_is_there_with_other_bytes(self, log: HostileLog, out: Path) -> None:
        """A first publication that crashed, of another history: nothing that was once served is replaced."""
        (out / "tile/0").mkdir(parents=True)
        (out / "tile/0/000").write_bytes(b"x" * 8192)
        with refused(IntegrityError, "other bytes", "tile/0/000"):
            put(log, 300, out)
        assert not (out / "checkpoint").exists()
        assert (out / "tile/0/000").read_bytes() == b"x" * 8192

    def test_a_store_whose_tiles_do_not_lead_to_its_head(self, log: HostileLog, out: Path) -> None:
        log.publish(300).flip("tile/entries/000", 700)
        with refused(ProofInvalid, "its bytes were changed"):
            publish(log, Folder(out), log.policy)
        assert not (out / "checkpoint").exists()

    def test_another_publisher_at_the_same_moment(self, log: HostileLog, out: Path) -> None:
        """A bucket knows no locks: a checkpoint that changed since it was read is not replaced."""
        put(log, 100, out)
        faster = log.checkpoint(200)
        place = _Racing(Folder(out), faster)
        with refused(Unavailable, "another publisher was faster"):
            put(log, 150, place)
        assert (out / "checkpoint").read_bytes() == faster


class _Racing:
    """A place without locks, where somebody publishes once we have read the checkpoint."""

    def __init__(self, place: Folder, checkpoint: bytes) -> None:
        self._place = place
        self._checkpoint = checkpoint

    def __getattr__(self, name: str) -> Any:
        return getattr(self._place, name)

    def settle(self) -> None:
        self._place.put("checkpoint", self._checkpoint)


STEPS = [(1, 3), (250, 260), (256, 300)]


@pytest.mark.parametrize("sizes", STEPS)
class TestCrash:
    """Whatever fails, and whenever: the place holds the old log or the new one, whole, and the next run ends it."""

    @pytest.mark.parametrize("operation", ["open", "write", "fsync", "replace"])
    @pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PowerCut()], ids=["fails", "dies"])
    def test_at_every_call(
        self, log: HostileLog, tmp_path: Path, sizes: tuple[int, int], operation: str, error: BaseException
    ) -> None:
        old, new = sizes
        start = tmp_path / "start"
        put(log, old, start)
        for at in range(200):
            out = tmp_path / f"out-{at}"
            shutil.copytree(start, out)
            with pytest.MonkeyPatch.context() as patch:
                calls = _fail(patch, operation, at, error)
                with suppress(Unavailable, PowerCut):
                    put(log, new, out)
            ended = recheck(Folder(out), log.policy, jobs=1).size
            assert ended in (old, new)
            put(log, new, out)
            assert recheck(Folder(out), log.policy, jobs=1).size == new
            assert not [name for name in tree(out) if name.endswith(".new")]
            if calls() <= at:
                assert at >= 3
                return
        raise AssertionError("the calls never ended")

    def test_a_power_cut_behind_every_step(self, log: HostileLog, tmp_path: Path, sizes: tuple[int, int]) -> None:
        old, new = sizes
        out, disk = tmp_path / "out", Disk()
        put(log, old, out)
        before = tree(out)
        with pytest.MonkeyPatch.context() as patch:
            disk.record(patch)
            put(log, new, out)
        assert disk.steps[-1] == ("folder", out.resolve())
        for cut in range(len(disk.steps) + 1):
            for seed in range(2):
                after = tmp_path / "after"
                disk.after(cut, out, before, after, seed)
                assert recheck(Folder(after), log.policy, jobs=1).size in (old, new)
                put(log, new, after)
                assert recheck(Folder(after), log.policy, jobs=1).size == new


def _fail(patch: pytest.MonkeyPatch, operation: str, at: int, error: BaseException) -> Any:
    real, calls = getattr(os, operation), [0]

    def call(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == at + 1:
            raise error
        return real(*arguments, **options)

    patch.setattr(durable, "os", Patched(**{"fsync": lambda _: None, operation: call}))
    return lambda: calls[0]


def test_the_first_publication_dies_at_every_call(log: HostileLog, tmp_path: Path) -> None:
    for at in range(0, 40, 3):
        out = tmp_path / str(at)
        with pytest.MonkeyPatch.context() as patch:
            _fail(patch, "fsync", at, PowerCut())
            with suppress(PowerCut):
                put(log, 300, out)
        put(log, 300, out)
        assert recheck(Folder(out), log.policy, jobs=1).size == 300


def test_another_workspace_of_the_same_origin(tmp_path: Path) -> None:
    """Two workspaces of one origin have two keys: the second may not publish over the first."""
    one, two = make_bench(tmp_path / "1", "log.example/a"), make_bench(tmp_path / "2", "log.example/a")
    for bench in (one, two):
        bench.log.append([sign_bundle(receipt_payload(1), bench.gate)])
    publish(StoreResources(one.log.store, "1"), Folder(tmp_path / "out"), one.log.trusted().policy)
    with refused(UsageError, "another log"):
        publish(StoreResources(two.log.store, "2"), Folder(tmp_path / "out"), two.log.trusted().policy)
