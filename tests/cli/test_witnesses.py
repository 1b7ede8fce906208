"""A publisher whose log has witnesses: what the commands say, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cli import Said, dataseal, refused
from support.served import serving
from support.witnessed import NOWHERE, W1, W2, configure, witnesses
from support.witnessing import stop_servers
from support.workspaces import Bench, make_bench, make_dataset, tree

NAME = "acme/reviews"


@pytest.fixture(scope="module", autouse=True)
def _servers() -> Iterator[None]:
    yield
    stop_servers()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    make_dataset(tmp_path / "data")
    return make_bench(tmp_path / "ws", "log.example/witnessed")


def run(bench: Bench, *args: object) -> Said:
    return dataseal(*args, "--workspace", bench.workspace.folder)


def sign(bench: Bench, *more: object) -> Said:
    return run(bench, "sign", "data", "--dataset", NAME, "--release", "1.0.0", *more)


def verify(bench: Bench, log: Path) -> Said:
    publisher = bench.workspace.folder / "keys" / "publisher.pub"
    return dataseal("verify", "data", "--dataset", NAME, "--publisher", publisher, "--log", log)


def test_what_is_signed_travels_with_the_witnesses_word(bench: Bench, tmp_path: Path) -> None:
    with witnesses(tmp_path / "w", bench.log.vkey, W1, W2) as (one, two):
        configure(bench, (W1, one), (W2, two))
        recorded = run(bench, "record", "collect", "none", "data", "--dataset", NAME, "--reason", "first")
        assert "entry 0 of log.example/witnessed; self-operated; witnesses 2/2" in recorded.out
        said = sign(bench, "--format", "json").json
        assert said["log"] == {
            "index": 1, "operator": "self-operated", "origin": "log.example/witnessed",
            "quorum_met": True, "witnesses": 2, "witnesses_known": 2,
        }  # fmt: skip
        assert "witnesses 2/2" in run(bench, "log").out.splitlines()[0]
        assert run(bench, "log", "--format", "json").json["checkpoint"]["witnesses"] == 2
        assert "W1, W2" in run(bench, "ledger", "stats").out
        assert run(bench, "ledger", "publish", "out").code == 0
    checked = verify(bench, bench.workspace.folder / "witnesses.policy")
    assert checked.code == 0
    assert "witnesses 2/2" in checked.out
    mirrored = dataseal("ledger", "mirror", "out", "copy", "--log", bench.workspace.folder / "witnesses.policy")
    assert mirrored.code == 0


def test_below_the_quorum_sign_is_no_verdict_and_a_second_run_finishes_it(bench: Bench, tmp_path: Path) -> None:
    configure(bench, (W1, NOWHERE))
    before = tree(tmp_path / "data")
    refused(sign(bench), 3, "does not meet quorum 'enough'", "W1: unavailable", "Run the same command again")
    assert tree(tmp_path / "data") == before, "no seal that nobody witnessed"
    assert run(bench, "ledger", "check").code == 0
    waiting = run(bench, "ledger", "stats").out
    assert "up to size 0: 1 entry waits for the log's witnesses" in waiting
    assert "witnesses 0/1, quorum not met" in waiting
    with witnesses(tmp_path / "w", bench.log.vkey, W1) as (url,):
        configure(bench, (W1, url))
        said = sign(bench)
    assert said.code == 0
    assert "in the ledger already" in said.out
    assert "witnesses 1/1" in said.out
    assert verify(bench, bench.workspace.folder / "witnesses.policy").code == 0


def test_a_record_that_waits_is_finished_by_the_same_command(bench: Bench, tmp_path: Path) -> None:
    """Its own entry is the head by then: a second run finds that, and not that nothing differs."""
    configure(bench, (W1, NOWHERE))
    sign(bench)
    (tmp_path / "data" / "new.txt").write_text("new")
    command = ["record", "append", f"{NAME}@head", "data", "--param", "n=1", "--reason"]
    refused(run(bench, *command, "more"), 3, "Run the same command again")
    refused(run(bench, *command, "another reason"), 2, "nothing differs")
    with witnesses(tmp_path / "w", bench.log.vkey, W1) as (url,):
        configure(bench, (W1, url))
        said = run(bench, *command, "more")
        assert said.code == 0, said
        assert "entry 1 of" in said.out
        assert "witnesses 1/1" in said.out
        refused(run(bench, *command, "more"), 2, "nothing differs")


def test_below_the_quorum_nothing_is_published(bench: Bench, tmp_path: Path) -> None:
    configure(bench, (W1, NOWHERE))
    sign(bench)
    refused(run(bench, "ledger", "publish", "out"), 3, "does not meet quorum")
    assert not (tmp_path / "out").exists()
    refused(run(bench, "ledger", "prove", "0"), 3, "does not meet quorum")
    assert run(bench, "ledger", "show", "0").code == 0, "one's own ledger may be looked at"


def test_publication_asks_again_and_goes_on_as_far_as_it_may(bench: Bench, tmp_path: Path) -> None:
    configure(bench, (W1, NOWHERE))
    sign(bench)
    with witnesses(tmp_path / "w", bench.log.vkey, W1) as (url,):
        configure(bench, (W1, url))
        said = run(bench, "ledger", "publish", "out")
        assert said.code == 0, said
        assert "size 1" in said.out
        assert "witnesses 1/1" in said.out
    configure(bench, (W1, NOWHERE))
    (tmp_path / "data" / "new.txt").write_text("new")
    run(bench, "record", "append", f"{NAME}@head", "data", "--reason", "more")
    said = run(bench, "ledger", "publish", "out")
    assert said.code == 3
    assert said.last.startswith("INDETERMINATE published at")
    assert "up to size 1; 1 entry waits" in said.last
    report = run(bench, "ledger", "publish", "out", "--format", "json").json
    assert (report["result"], report["waiting"]["entries"], report["head"]["size"]) == ("INDETERMINATE", 1, 1)
    proven = run(bench, "ledger", "prove", "0")
    assert proven.code == 0
    assert "proven at size 1" in proven.err


def test_fail_open_goes_on_and_says_so_everywhere(bench: Bench, tmp_path: Path) -> None:
    configure(bench, (W1, NOWHERE), fail_open=True)
    said = sign(bench)
    assert said.code == 0
    assert "witnesses 0/1, quorum not met" in said.out
    assert "note: published without its quorum, as configured (fail open)" in said.err
    published = run(bench, "ledger", "publish", "out")
    assert published.code == 0
    assert "witnesses 0/1, quorum not met" in published.out
    assert run(bench, "ledger", "publish", "out", "--format", "json").json["head"]["quorum_met"] is False


def test_offline_nothing_is_signed_that_witnesses_must_see(bench: Bench, tmp_path: Path) -> None:
    configure(bench, (W1, NOWHERE))
    refused(sign(bench, "--offline"), 2, "--offline", "witnesses", "dataseal.toml")
    refused(run(bench, "ledger", "serve", "--offline"), 2, "--offline", "witnesses")
    assert run(bench, "ledger", "stats", "--offline", "--format", "json").json["entries"] == 0


def test_offline_what_was_cosigned_before_is_published(bench: Bench, tmp_path: Path) -> None:
    with witnesses(tmp_path / "w", bench.log.vkey, W1) as (url,):
        configure(bench, (W1, url))
        sign(bench)
    assert run(bench, "ledger", "publish", "out", "--offline").code == 0


def test_a_restored_backup_is_blocked_with_both_checkpoints(bench: Bench, tmp_path: Path) -> None:
    import shutil

    with witnesses(tmp_path / "w", bench.log.vkey, W1) as (url,):
        configure(bench, (W1, url))
        shutil.copytree(bench.workspace.folder, tmp_path / "backup")
        sign(bench)
        said = dataseal("sign", "data", "--dataset", NAME, "--release", "1.1.0", "--workspace", tmp_path / "backup")
    refused(said, 1, "is beyond this ledger", "restored from an old copy")
    assert (
        json.loads(dataseal("ledger", "stats", "--workspace", tmp_path / "backup", "--format", "json").out)["entries"]
        == 0
    )


def test_another_logs_policy_is_refused_with_the_line_to_write(bench: Bench) -> None:
    configure(bench, (W1, NOWHERE))
    policy = bench.workspace.folder / "witnesses.policy"
    other = make_bench(bench.workspace.folder.parent / "other", "log.example/other")
    policy.write_text(policy.read_text().replace(bench.log.vkey, other.log.vkey))
    refused(sign(bench), 2, "another log", f"log {bench.log.vkey}")


def test_the_gates_receipts_wait_for_the_witnesses_too(bench: Bench, tmp_path: Path) -> None:
    """A run whose receipt nobody else has seen is not started."""
    with witnesses(tmp_path / "w", bench.log.vkey, W1) as (url,):
        configure(bench, (W1, url))
        assert sign(bench).code == 0
        folder = bench.workspace.folder
        trust = ["--publisher", folder / "keys/publisher.pub", "--log", folder / "witnesses.policy"]
        gate = ["gate", "data", "--policy", "dataseal:baseline", "--dataset", NAME, *trust, "--workspace", folder]
        assert dataseal(*gate, "--", "true").code == 0
    configure(bench, (W1, NOWHERE))
    said = dataseal(*gate, "--", "touch", str(tmp_path / "started"))
    assert said.code == 123, said
    assert not (tmp_path / "started").exists()


def test_ones_own_server_is_held_to_ones_own_witnesses(bench: Bench, tmp_path: Path) -> None:
    with witnesses(tmp_path / "w", bench.log.vkey, W1) as (url,), serving(configure(bench, (W1, url))) as served:
        said = sign(bench, "--ledger", served.url)
        assert said.code == 0, said
        assert "witnesses 1/1" in said.out
        assert "witnesses 1/1" in run(bench, "log", "--ledger", served.url).out.splitlines()[0]
