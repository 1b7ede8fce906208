"""What a client believes of a log moves only forward; what contradicts it raises and is kept."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dataseal.ledger import view as module
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import ProofInvalid, Rollback, Unavailable, UsageError
from dataseal.ledger.follow import Fork, open_tree
from dataseal.ledger.tlog.checkpoint import parse_body
from dataseal.ledger.tlog.cosignature import Ed25519Cosigner
from dataseal.ledger.tlog.note import parse
from dataseal.ledger.tlog.policy import parse_policy, policy_for_log
from dataseal.ledger.view import Views, follow, log_name, views_of
from support.errors import refused
from support.hostile_log import ORIGIN, HostileLog, log_key, seeded


@pytest.fixture(scope="module")
def grown() -> HostileLog:
    return HostileLog().grow(12)


@pytest.fixture
def log(grown: HostileLog) -> HostileLog:
    return grown.copy()


@pytest.fixture
def views(tmp_path: Path) -> Views:
    return Views(tmp_path / "logs")


def believed(views: Views, log: HostileLog) -> int | None:
    found = views.newest(log.policy, ORIGIN)
    return found.checkpoint.size if found else None


class TestForward:
    def test_first_contact_is_believed_and_kept_as_served(self, log: HostileLog, views: Views) -> None:
        assert believed(views, log) is None
        follow(log, log.policy, views)
        (path,) = views.folder.glob("*.checkpoint")
        assert path.read_bytes() == log.served["checkpoint"]
        assert path.name == f"dataseal.invalid_0123456789abcdef-{sha256(log.key.vkey.encode()).hex()[:16]}.checkpoint"

    def test_every_step_forward(self, log: HostileLog, views: Views) -> None:
        for size in (1, 1, 2, 5, 12):
            follow(log.publish(size), log.policy, views)
            assert believed(views, log) == size

    def test_each_log_has_its_own(self, log: HostileLog, views: Views) -> None:
        other = HostileLog(log_key("other.example/log")).grow(2)
        follow(log, log.policy, views)
        follow(other, other.policy, views)
        assert believed(views, log) == 12
        assert len(list(views.folder.glob("*.checkpoint"))) == 2

    @pytest.mark.parametrize("origin", ["../../etc", "a/b", "....", "日本", "x" * 250])
    def test_no_origin_leaves_the_folder(self, origin: str) -> None:
        name = log_name(log_key(origin).verifier)
        assert "/" not in name
        assert not name.startswith(".")
        assert len(name) < 120


class TestBackward:
    def test_a_rollback_raises_names_both_and_keeps_both(self, log: HostileLog, views: Views) -> None:
        follow(log, log.policy, views)
        newer, older = log.served["checkpoint"], log.checkpoint(5)
        with pytest.raises(Rollback) as caught:
            follow(log.publish(5), log.policy, views)
        kept = sorted((views.folder / "evidence").iterdir())
        assert sorted(p.read_bytes() for p in kept) == sorted([newer, older])
        assert all(str(p) in (caught.value.detail or "") for p in kept)
        assert "size 12" in (caught.value.detail or "")
        assert "size 5" in (caught.value.detail or "")
        assert believed(views, log) == 12

    @pytest.mark.parametrize(("at", "size"), [(0, 13), (6, 13), (11, 12), (11, 20)])
    def test_a_fork_raises_and_is_kept(self, log: HostileLog, views: Views, at: int, size: int) -> None:
        follow(log, log.policy, views)
        fork = log.forked(at).grow(size - at)
        for _ in range(2):  # meeting it again changes nothing
            with pytest.raises(Fork):
                follow(fork, log.policy, views)
        sizes = sorted(parse_body(parse(p.read_bytes()).text).size for p in (views.folder / "evidence").iterdir())
        assert sizes == sorted([12, size])
        assert believed(views, log) == 12

    def test_a_fork_is_told_though_the_evidence_can_t_be_written(self, log: HostileLog, views: Views) -> None:
        follow(log, log.policy, views)
        (views.folder / "evidence").write_text("a file in the way")
        with pytest.raises(Fork) as caught:
            follow(log.forked(3).grow(20), log.policy, views)
        assert "can't keep the evidence" in (caught.value.detail or "")

    def test_nothing_unchecked_is_believed(self, log: HostileLog, views: Views) -> None:
        """Signed, but its tiles lead elsewhere; signed, but not witnessed."""
        follow(log.publish(5), log.policy, views)
        log.publish(12).flip("tile/0/000.p/12")
        with refused(ProofInvalid):
            follow(log, log.policy, views)
        assert believed(views, log) == 5
        log.publish(12)
        policy = parse_policy(f"log {log.key.vkey}\nwitness w {Ed25519Cosigner('w', seeded('w')).vkey}\nquorum w\n")
        with refused(ProofInvalid, "quorum"):
            follow(log, policy, views)
        assert believed(views, log) == 5

    @pytest.mark.parametrize("first", [0, 1])
    def test_a_second_key_of_the_log_forgets_nothing(self, log: HostileLog, views: Views, first: int) -> None:
        """A policy with two keys of one log: a fork signed by the other key alone is a fork."""
        other = log_key(name="second key")
        vkeys = (log.key.vkey, other.vkey)
        both = parse_policy(f"log {vkeys[first]}\nlog {vkeys[1 - first]}\nquorum none\n")
        follow(log, both, views)
        fork = log.forked(3)
        fork.key = other
        with pytest.raises(Fork):
            follow(fork.grow(12), both, views)


class TestKeeping:
    def test_a_workspace_that_forgot_does_not_make_the_user_forget(self, log: HostileLog, tmp_path: Path) -> None:
        own = tmp_path / "own"
        follow(log, log.policy, Views(tmp_path / "one", also=own))
        with pytest.raises(Rollback):
            follow(log.publish(3), log.policy, Views(tmp_path / "fresh", also=own))

    def test_the_user_s_state_may_be_unwritable(self, log: HostileLog, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        views = Views(tmp_path / "one", also=tmp_path / "file" / "logs")
        follow(log, log.policy, views)
        assert believed(views, log) == 12

    def test_a_view_that_can_t_be_written_is_no_verdict(self, log: HostileLog, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with refused(Unavailable, "rollback can't be told"):
            follow(log, log.policy, Views(tmp_path / "file" / "logs"))

    @pytest.mark.parametrize("damage", [b"", b"garbage", b"x" * 600_000])
    def test_a_damaged_view_stops(self, log: HostileLog, views: Views, damage: bytes) -> None:
        follow(log, log.policy, views)
        (path,) = views.folder.glob("*.checkpoint")
        path.write_bytes(damage)
        with refused(UsageError, "damaged", str(path)):
            follow(log, log.policy, views)

    def test_where_views_live(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        assert views_of(None).folder == tmp_path / "dataseal" / "logs"
        assert views_of(tmp_path / "ws").folder == tmp_path / "ws" / "state" / "logs"


class TestCompareAndSet:
    def test_a_view_that_moved_meanwhile_is_asked_again(self, log: HostileLog, views: Views) -> None:
        """Between our check and our write, another process believes a newer head: ours must not replace it."""
        follow(log.publish(2), log.policy, views)
        mine = open_tree(log.copy().publish(5), log.policy)
        real, other = module._store, log.copy().publish(12)

        def slow(path: Path, expected: bytes | None, data: bytes) -> bool:
            module._store = real  # type: ignore[attr-defined]
            follow(other, log.policy, views)
            return real(path, expected, data)

        module._store = slow
        assert views.advance(mine, log.policy) is False
        assert believed(views, log) == 12

    def test_many_threads_end_at_the_newest(self, log: HostileLog, views: Views) -> None:
        ends = [log.copy().publish(size) for size in range(1, 13)]

        def run(end: HostileLog) -> None:
            for _ in range(4):
                try:
                    follow(end, log.policy, views)
                except Rollback:
                    return

        threads = [threading.Thread(target=run, args=(end,)) for end in ends]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        follow(ends[-1], log.policy, views)
        assert believed(views, log) == 12

    def test_gives_up_rather_than_spin(self, log: HostileLog, views: Views, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Views, "advance", lambda *_: False)
        with refused(Unavailable, "other processes"):
            follow(log, policy_for_log(log.key.vkey), views)
