"""A served log with witnesses: its newest *publishable* checkpoint is served, and nothing newer is proven."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dataseal.ledger.audit import check
from dataseal.ledger.errors import Unavailable
from dataseal.ledger.server import limits
from dataseal.ledger.server.service import Service
from dataseal.ledger.tlog.proof import parse_proof
from dataseal.ledger.view import views_of
from dataseal.ledger.witness import cosigning
from support.errors import refused
from support.served import Served, receipt, serving
from support.witnessed import NOWHERE, W1, configure, log_some, reopened, witnesses
from support.witnessing import stop_servers
from support.workspaces import Bench


@pytest.fixture(scope="module", autouse=True)
def _servers() -> Iterator[None]:
    yield
    stop_servers()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Witnesses that failed are asked again at once, and in the background soon."""
    monkeypatch.setattr(cosigning, "PAUSE", 0)
    monkeypatch.setattr(limits, "WITNESS_SECONDS", 0.1)


def cosigned(bench: Bench, note: bytes) -> int:
    """The size of a checkpoint that the quorum cosigned."""
    return bench.log.trusted().policy.check(note).checkpoint.size


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_post_is_answered_under_a_cosigned_checkpoint_that_is_served(bench: Bench, tmp_path: Path) -> None:
    with witnesses(tmp_path / "w", bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        with serving(bench) as served:
            answer = served.post(receipt(bench.gate, 1))
            assert answer.status_code == 201
            note = served.client.get("/checkpoint").content
            assert note.decode() == answer.json()["checkpoint"] == served.client.get("/entries").json()["checkpoint"]
            assert cosigned(bench, note) == 1
            assert "<dt>witnesses</dt><dd>1/1</dd>" in served.client.get("/").text
            assert "dataseal_waiting_entries 0.0" in served.client.get("/metrics").text


def test_a_post_below_the_quorum_is_logged_and_told_to_wait(bench: Bench, quick: None, tmp_path: Path) -> None:
    bench = configure(bench, (W1, NOWHERE))
    bundle = receipt(bench.gate, 1)
    with serving(bench) as served:
        answer = served.post(bundle)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == str(limits.UNWITNESSED_SECONDS)
        assert "it is logged" in answer.json()["what"]
        assert "127.0.0.1" not in answer.text, "who its witnesses are is the log's own business"
        assert served.client.get("/checkpoint").status_code == 404
        entries = served.client.get("/entries").json()
        assert (entries["size"], entries["checkpoint"]) == (0, None)
        assert served.client.get("/readyz").status_code == 200
        assert "dataseal_waiting_entries 1.0" in served.client.get("/metrics").text
    with witnesses(tmp_path / "w", bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        with serving(bench) as served:
            again = served.post(bundle)
            assert again.status_code == 200
            (item,) = again.json()["entries"]
            assert (item["index"], item["existed"]) == (0, True)
            assert cosigned(bench, parse_proof(item["proof"].encode()).checkpoint) == 1
    assert check(bench.log).entries == 1


def test_an_old_entry_is_proven_beside_a_new_one_that_waits(bench: Bench, quick: None, tmp_path: Path) -> None:
    with witnesses(tmp_path / "w", bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        old = receipt(bench.gate, 1)
        bench.log.append([old])
    bench = configure(bench, (W1, NOWHERE))
    with serving(bench) as served:
        assert served.post(receipt(bench.gate, 2)).status_code == 503
        assert served.post(old).status_code == 200
        assert cosigned(bench, served.client.get("/checkpoint").content) == 1


def test_the_server_goes_on_asking_after_an_error_that_nobody_expected(
    bench: Bench, quick: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[int] = []

    def failing(self: Service) -> None:
        asked.append(1)
        raise ValueError("an answer that no code foresaw")

    monkeypatch.setattr(Service, "witness", failing)
    with serving(configure(bench, (W1, NOWHERE))):
        until(lambda: len(asked) >= 3)
    assert "an answer that no code foresaw" in caplog.text


def test_a_checkpoint_that_waits_is_served_once_the_witnesses_are_back(
    bench: Bench, quick: None, tmp_path: Path
) -> None:
    """Nobody posts: what a crash, or witnesses that were away, left behind is finished by the server itself."""
    bench = configure(bench, (W1, NOWHERE))
    log_some(bench, range(3))
    with witnesses(tmp_path / "w", bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        with serving(bench) as served:
            until(lambda: served.client.get("/checkpoint").status_code == 200)
            assert cosigned(bench, served.client.get("/checkpoint").content) == 3


def test_fail_open_serves_what_is_signed(bench: Bench, quick: None) -> None:
    bench = configure(bench, (W1, NOWHERE), fail_open=True)
    with serving(bench) as served:
        assert served.post(receipt(bench.gate, 1)).status_code == 201
        note = served.client.get("/checkpoint").content
        checked = bench.log.trusted().policy.check(note, require_quorum=False)
        assert (checked.checkpoint.size, checked.quorum_met) == (1, False)
        assert "<dt>witnesses</dt><dd>0/1</dd>" in served.client.get("/").text


def test_a_client_of_the_server_sees_the_same(bench: Bench, quick: None, tmp_path: Path) -> None:
    """Its own append is no verdict while the witnesses are away, and is found when they are back."""
    views = views_of(tmp_path / "client")

    def append(served: Served) -> tuple[int, bool]:
        with closing(served.remote(views)) as remote:
            (done,) = remote.append([receipt(bench.gate, 1)])
        return done.index, done.existed

    configure(bench, (W1, NOWHERE))
    with serving(reopened(bench.workspace.folder, bench)) as served, refused(Unavailable, "503", "it is logged"):
        append(served)
    with witnesses(tmp_path / "w", bench.log.vkey, W1) as (url,), serving(configure(bench, (W1, url))) as served:
        assert append(served) == (0, True)


def test_a_restored_server_takes_nothing(bench: Bench, tmp_path: Path) -> None:
    import shutil

    with witnesses(tmp_path / "w", bench.log.vkey, W1) as (url,):
        bench = configure(bench, (W1, url))
        backup = tmp_path / "backup"
        shutil.copytree(bench.workspace.folder, backup)
        log_some(bench, range(2))
        restored = reopened(backup, bench)
        with serving(restored) as served:
            answer = served.post(receipt(bench.gate, 9))
            assert answer.status_code == 500
            assert "operator" in answer.text
    assert check(restored.log).entries == 0
