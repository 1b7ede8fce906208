"""A mirror copies what it verified, goes on where it stopped, and never goes backwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from dataseal.ledger import durable
from dataseal.ledger.errors import FormatError, ProofInvalid, Rollback, SignatureInvalid, Unavailable
from dataseal.ledger.follow import Fork, open_tree
from dataseal.ledger.mirror import mirror, recheck
from dataseal.ledger.places import Folder
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.view import Views
from support.errors import refused
from support.hostile_log import HostileLog, log_key
from support.powercut import Patched
from support.workspaces import tree


@pytest.fixture(autouse=True)
def _no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "os", Patched(fsync=lambda _: None))


@pytest.fixture(scope="module")
def grown() -> HostileLog:
    return HostileLog().grow(530)


@pytest.fixture
def log(grown: HostileLog) -> HostileLog:
    return grown.copy()


@pytest.fixture
def views(tmp_path: Path) -> Views:
    return Views(tmp_path / "views")


@pytest.fixture
def out(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "out")


def test_a_mirror_is_the_log_byte_for_byte(log: HostileLog, out: Folder, views: Views) -> None:
    done = mirror(log, out, log.policy, views)
    assert (done.before, done.tree.size) == (0, 530)
    assert tree(Path(out.name)) == {path: data for path, data in log.served.items() if data}


def test_a_mirror_of_a_mirror(log: HostileLog, out: Folder, views: Views, tmp_path: Path) -> None:
    mirror(log, out, log.policy, views)
    mirror(out, Folder(tmp_path / "second"), log.policy, Views(tmp_path / "views 2"))
    assert tree(tmp_path / "second") == tree(Path(out.name))


def test_it_goes_on_where_it_stopped(log: HostileLog, out: Folder, views: Views) -> None:
    real, left = Folder.put, [3]

    def put(self: Folder, path: str, data: bytes) -> None:
        if not left[0]:
            raise Unavailable("gone")
        left[0] -= 1
        real(self, path, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Folder, "put", put)
        with refused(Unavailable, "gone"):
            mirror(log, out, log.policy, views, jobs=1)
    assert out.read("checkpoint") is None
    done = mirror(log, out, log.policy, views)
    assert done.found == 3
    assert recheck(out, log.policy).size == 530


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/002.p/18", "tile/1/000.p/2", "tile/entries/001"])
def test_a_flipped_bit_anywhere_is_not_copied(log: HostileLog, out: Folder, views: Views, path: str) -> None:
    log.flip(path, 33)
    with refused(ProofInvalid):
        mirror(log, out, log.policy, views)
    assert out.read("checkpoint") is None


@pytest.mark.parametrize("path", ["tile/0/000", "tile/entries/001", "tile/entries/002.p/18"])
def test_a_dropped_resource_stops_it(log: HostileLog, out: Folder, views: Views, path: str) -> None:
    log.drop(path)
    with refused(Unavailable, path.partition(".p/")[0]):
        mirror(log, out, log.policy, views)
    assert out.read("checkpoint") is None


def test_another_key_is_not_mirrored(log: HostileLog, out: Folder, views: Views) -> None:
    with refused(SignatureInvalid):
        mirror(log, out, policy_for_log(log_key(name="thief").vkey), views)


def test_a_source_that_rolled_back(log: HostileLog, out: Folder, views: Views, tmp_path: Path) -> None:
    mirror(log, out, log.policy, views)
    before = tree(Path(out.name))
    with refused(Rollback):
        mirror(log.publish(300), out, log.policy, views)
    with refused(Rollback):  # also by one that knows of it from the mirror alone
        mirror(log, out, log.policy, Views(tmp_path / "fresh"))
    assert tree(Path(out.name)) == before


def test_a_source_that_forked(log: HostileLog, out: Folder, views: Views, tmp_path: Path) -> None:
    mirror(log, out, log.policy, views)
    fork = log.forked(400).grow(200)
    for known in (views, Views(tmp_path / "fresh")):
        with refused(Fork):
            mirror(fork, out, log.policy, known)


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/001", "tile/entries/000", "tile/entries/002.p/18"])
def test_recheck_finds_what_was_altered_later(log: HostileLog, out: Folder, views: Views, path: str) -> None:
    mirror(log, out, log.policy, views)
    file = Path(out.name) / path
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    with pytest.raises((ProofInvalid, FormatError)):
        recheck(out, log.policy)


def test_any_interleaving_ends_consistent(grown: HostileLog, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Appends, publications, mirrors, some of them cut off, in any order: every place is a valid prefix of the log."""

    class Interleaving(RuleBasedStateMachine):
        @initialize()
        def start(self) -> None:
            base = tmp_path_factory.mktemp("places")
            self.log = grown.copy()
            self.log.served.clear()
            self.size = 0
            self.first, self.second = Folder(base / "first"), Folder(base / "second")
            self.views = {name: Views(base / f"views {name}") for name in ("first", "second")}
            self.sizes = {"first": 0, "second": 0}

        @rule(count=st.sampled_from([1, 2, 100, 255, 256, 257]))
        def append(self, count: int) -> None:
            self.size = min(530, self.size + count)
            if self.size:
                self.log.publish(self.size)

        @rule(cut=st.none() | st.integers(0, 8))
        def publish(self, cut: int | None) -> None:
            self._copy(self.log, self.first, "first", cut)

        @rule(cut=st.none() | st.integers(0, 8))
        def mirror_it(self, cut: int | None) -> None:
            self._copy(self.first, self.second, "second", cut)

        def _copy(self, source: Folder | HostileLog, target: Folder, name: str, cut: int | None) -> None:
            if source.read("checkpoint") is None:
                return
            with pytest.MonkeyPatch.context() as patch:
                left = [10**9 if cut is None else cut]
                real = Folder.put

                def put(self: Folder, path: str, data: bytes) -> None:
                    left[0] -= 1
                    if left[0] < 0:
                        raise Unavailable("cut off")
                    real(self, path, data)

                patch.setattr(Folder, "put", put)
                try:
                    done = mirror(source, target, self.log.policy, self.views[name], jobs=1)
                except Unavailable:
                    return
            assert done.tree.size >= self.sizes[name]

        @invariant()
        def every_place_is_a_prefix(self) -> None:
            for name in ("first", "second"):
                place: Folder = getattr(self, name, None)  # type: ignore[assignment]
                if place is None or place.read("checkpoint") is None:
                    continue
                found = open_tree(place, self.log.policy)
                assert found.size >= self.sizes[name]
                assert [leaf.body for leaf in found.entries(jobs=1)] == self.log.bodies[: found.size]
                self.sizes[name] = found.size

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Interleaving,
        settings=settings(
            max_examples=8, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
