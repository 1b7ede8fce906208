"""``dataseal ledger …`` as people call it: results, errors with what comes next, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataseal.cli.commands.ledger import COMMANDS
from support.cli import Said, dataseal, refused
from support.hostile_log import HostileLog, publisher
from support.statements import receipt_payload, sign_bundle
from support.static_log import write
from support.workspaces import Bench, make_bench, tree


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A workspace whose log holds three receipts."""
    bench = make_bench(tmp_path / "ws", "log.example/one")
    bench.log.append([sign_bundle(receipt_payload(n), bench.gate) for n in range(3)])
    return bench


@pytest.fixture
def vkey(bench: Bench) -> Path:
    return bench.workspace.folder / "keys" / "log.vkey"


def ledger(bench: Bench, *args: object) -> Said:
    return dataseal("ledger", *args, "--workspace", bench.workspace.folder)


def passed(said: Said, words: str) -> None:
    assert said.code == 0, said
    assert said.err == ""
    assert said.last.startswith("PASSED")
    assert words in said.last


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_file_below_its_limit(name: str) -> None:
    said = dataseal("ledger", name, "--help")
    assert said.code == 0
    assert "Usage: dataseal ledger" in said.out


def test_commands_stay_short() -> None:
    folder = Path(__file__).parents[2] / "cli" / "commands" / "ledger_group"
    for path in folder.glob("*.py"):
        assert len(path.read_text().splitlines()) < 200, path


def test_a_mistyped_command_gets_a_suggestion() -> None:
    refused(dataseal("ledger", "publsh"), 2, "Did you mean 'publish'?")


class TestPublish:
    def test_publishes_and_says_so(self, bench: Bench, tmp_path: Path) -> None:
        said = ledger(bench, "publish", tmp_path / "out")
        passed(said, str(tmp_path / "out"))
        assert "2 files" in said.out
        assert set(tree(tmp_path / "out")) == {"checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"}
        report = ledger(bench, "publish", tmp_path / "out", "--format", "json").json
        assert (report["size_before"], report["files_written"], report["head"]["size"]) == (3, 0, 3)

    def test_never_into_a_workspace(self, bench: Bench) -> None:
        refused(ledger(bench, "publish", bench.workspace.folder), 2, "private keys")

    def test_a_restored_backup_is_blocked(self, bench: Bench, tmp_path: Path) -> None:
        shutil.copytree(bench.workspace.folder, tmp_path / "backup")
        bench.log.append([sign_bundle(receipt_payload(9), bench.gate)])
        ledger(bench, "publish", tmp_path / "out")
        said = dataseal("ledger", "publish", tmp_path / "out", "--workspace", tmp_path / "backup")
        refused(said, 1, "ahead of this ledger", "backup", "ledger import")

    def test_offline_reaches_no_bucket(self, bench: Bench) -> None:
        refused(ledger(bench, "publish", "s3://bucket/log", "--offline"), 2, "--offline")


class TestMirror:
    def test_copies_and_rechecks(self, bench: Bench, vkey: Path, tmp_path: Path) -> None:
        ledger(bench, "publish", tmp_path / "out")
        said = dataseal("ledger", "mirror", tmp_path / "out", tmp_path / "copy", "--log", vkey, "--recheck")
        passed(said, str(tmp_path / "copy"))
        assert "all 3 entries" in said.out
        assert tree(tmp_path / "copy") == tree(tmp_path / "out")

    def test_a_workspace_is_a_source_too(self, bench: Bench, vkey: Path, tmp_path: Path) -> None:
        passed(dataseal("ledger", "mirror", bench.workspace.folder, tmp_path / "copy", "--log", vkey), "mirrored")

    def test_needs_a_key_to_believe(self, tmp_path: Path) -> None:
        refused(dataseal("ledger", "mirror", "a", "b"), 2, "--log", "log.vkey")

    def test_nothing_there_is_no_verdict(self, vkey: Path, tmp_path: Path) -> None:
        refused(dataseal("ledger", "mirror", tmp_path / "none", tmp_path / "copy", "--log", vkey), 3, "no checkpoint")

    def test_an_altered_tile_blocks(self, bench: Bench, vkey: Path, tmp_path: Path) -> None:
        ledger(bench, "publish", tmp_path / "out")
        path = tmp_path / "out" / "tile/0/000.p/3"
        path.write_bytes(path.read_bytes()[::-1])
        refused(
            dataseal("ledger", "mirror", tmp_path / "out", tmp_path / "copy", "--log", vkey), 1, "tiles do not lead"
        )


class TestImport:
    def test_goes_on_in_a_new_workspace(self, bench: Bench, tmp_path: Path) -> None:
        ledger(bench, "publish", tmp_path / "out")
        heir = make_bench(tmp_path / "heir", "log.example/one").workspace.folder
        for name in ("keys/log.key", "keys/gate.pub", "keys/gate.key"):
            (heir / name).unlink()
            shutil.copy(bench.workspace.folder / name, heir / name)
        args = ("ledger", "import", tmp_path / "out", "--workspace", heir)
        refused(dataseal(*args), 2, "made with", "remove it")
        (heir / "ledger.sqlite").unlink()
        refused(dataseal(*args), 2, "--same-log-stopped")
        passed(dataseal(*args, "--same-log-stopped"), "continues log.example/one")
        passed(dataseal("ledger", "check", "--workspace", heir), "unchanged")
        passed(dataseal("ledger", "publish", tmp_path / "out", "--workspace", heir), "published")

    def test_another_log_is_refused(self, bench: Bench, tmp_path: Path) -> None:
        ledger(bench, "publish", tmp_path / "out")
        other = make_bench(tmp_path / "other", "log.example/two").workspace.folder
        said = dataseal("ledger", "import", tmp_path / "out", "--same-log-stopped", "--workspace", other)
        refused(said, 1, "log.example/two", "dataseal init --origin")


class TestProofs:
    def prove(self, bench: Bench, tmp_path: Path, *more: object) -> tuple[Path, Path]:
        proof, bundle = tmp_path / "p.tlog-proof", tmp_path / "b.json"
        passed(ledger(bench, "prove", *(more or (1,)), "--to", proof, "--bundle-to", bundle), "proof of entry 1")
        return proof, bundle

    def test_a_proof_is_verified_elsewhere(self, bench: Bench, vkey: Path, tmp_path: Path) -> None:
        proof, bundle = self.prove(bench, tmp_path)
        args = ("ledger", "verify-proof", proof, "--bundle", bundle, "--log", vkey)
        said = dataseal(*args)
        passed(said, "entry 1")
        assert "not checked (no --publisher)" in said.out
        gate = bench.workspace.folder / "keys" / "gate.pub"
        assert dataseal(*args, "--publisher", gate, "--format", "json").json["signer"] == bench.gate.public.fingerprint

    def test_by_the_statement_s_digest_or_the_bundle(self, bench: Bench, tmp_path: Path) -> None:
        import hashlib

        proof, bundle = self.prove(bench, tmp_path)
        expected = proof.read_bytes()
        digest = hashlib.sha256(receipt_payload(1)).hexdigest()
        assert self.prove(bench, tmp_path, "--payload", digest)[0].read_bytes() == expected
        assert self.prove(bench, tmp_path, "--bundle", bundle)[0].read_bytes() == expected

    def test_from_a_published_log(self, bench: Bench, vkey: Path, tmp_path: Path) -> None:
        proof, _ = self.prove(bench, tmp_path)
        ledger(bench, "publish", tmp_path / "out")
        args = ("ledger", "prove", 1, "--from", tmp_path / "out", "--to", tmp_path / "q")
        refused(dataseal(*args), 2, "--log")
        passed(dataseal(*args, "--log", vkey), "entry 1")
        assert (tmp_path / "q").read_bytes() == proof.read_bytes()

    def test_another_publisher_s_signature_blocks(self, bench: Bench, vkey: Path, tmp_path: Path) -> None:
        proof, bundle = self.prove(bench, tmp_path)
        other = bench.workspace.folder / "keys" / "publisher.pub"
        args = ("ledger", "verify-proof", proof, "--bundle", bundle, "--log", vkey, "--publisher", other)
        refused(dataseal(*args), 1, "no trusted key")

    def test_another_bundle_blocks(self, bench: Bench, vkey: Path, tmp_path: Path) -> None:
        proof, bundle = self.prove(bench, tmp_path)
        bundle.write_bytes(sign_bundle(receipt_payload(2), bench.gate))
        refused(dataseal("ledger", "verify-proof", proof, "--bundle", bundle, "--log", vkey), 1, "proof")

    def test_another_log_s_key_blocks(self, bench: Bench, tmp_path: Path) -> None:
        proof, bundle = self.prove(bench, tmp_path)
        other = make_bench(tmp_path / "other", "log.example/one").workspace.folder / "keys" / "log.vkey"
        refused(dataseal("ledger", "verify-proof", proof, "--bundle", bundle, "--log", other), 1, "no trusted log")

    @pytest.mark.parametrize(
        ("args", "words"),
        [((), "which entry"), ((1, "--payload", "ab"), "which entry"), (("--payload", "ab"), "--payload"),
         (("--payload", "0" * 64), "does not hold"), ((3,), "no entry 3"), ((1, "--to", "none/x"), "folder"),
         ((1, "--log", "x+y+z"), "--from")],
    )  # fmt: skip
    def test_misuse(self, bench: Bench, args: tuple[object, ...], words: str) -> None:
        refused(ledger(bench, "prove", *args), 2, words)

    def test_verify_proof_without_a_log_is_misuse(self, tmp_path: Path) -> None:
        refused(dataseal("ledger", "verify-proof", "p", "--bundle", "b"), 2, "no log to believe")


class TestShow:
    def test_for_people_and_for_programs(self, bench: Bench) -> None:
        said = ledger(bench, "show", 1)
        assert said.code == 0
        assert bench.gate.public.fingerprint in said.out
        shown = ledger(bench, "show", 1, "--format", "json").json
        assert shown["header"]["dataset_prev"]["index"] == 0
        assert shown["statement"]["predicate"]["number"] == 1
        assert shown["signer"] == bench.gate.public.fingerprint

    def test_a_published_entry_s_signer_is_not_believed_unasked(self, bench: Bench, vkey: Path, tmp_path: Path) -> None:
        ledger(bench, "publish", tmp_path / "out")
        args = ("ledger", "show", 1, "--from", tmp_path / "out", "--log", vkey)
        assert "not checked" in dataseal(*args).out
        shown = dataseal(*args, "--format", "json").json
        assert (shown["signer"], shown["claimed_signer"]) == (None, bench.gate.public.fingerprint)


def test_stats(bench: Bench) -> None:
    said = ledger(bench, "stats")
    assert said.code == 0
    assert "3 receipt" in said.out
    report = ledger(bench, "stats", "--format", "json").json
    assert report["kinds"] == {"receipt": 3}
    assert (report["size"], report["signed_size"], report["entries"]) == (3, 3, 3)
    assert report["file_bytes"] >= report["entry_bytes"] > 0


def serve(log: HostileLog, folder: Path) -> Path:
    """A hostile log as a folder, and its key in a file."""
    for path, data in log.served.items():
        if data is not None:
            write(folder, path, data)
    (folder.parent / "log.vkey").write_text(log.key.vkey + "\n")
    return folder


class TestMonitor:
    def look(self, folder: Path, *more: object) -> tuple[int, list[str]]:
        said = dataseal("ledger", "monitor", folder, "--log", folder.parent / "log.vkey", "--once", *more)
        return said.code, [json.loads(line)["event"] for line in said.out.splitlines()]

    def test_all_well_then_an_alarm_then_no_verdict(self, tmp_path: Path) -> None:
        (tmp_path / "ours.pub").write_bytes(publisher().public.pem())
        log = HostileLog().grow(2)
        folder = serve(log, tmp_path / "log")
        args = ("--publisher", tmp_path / "ours.pub")
        assert self.look(folder, *args) == (0, ["entry", "entry", "head"])
        assert self.look(folder, *args) == (0, ["head"])
        serve(log.grow(1, signer=publisher("thief")), folder)
        assert self.look(folder, *args) == (1, ["entry", "unexpected-signer", "head"])
        serve(log.publish(1), folder)
        assert self.look(folder, *args) == (1, ["rollback"])
        shutil.rmtree(folder)
        folder.mkdir()
        assert self.look(folder, *args) == (3, ["unavailable"])

    def test_other_questions_start_anew(self, tmp_path: Path) -> None:
        folder = serve(HostileLog().grow(2), tmp_path / "log")
        assert self.look(folder)[1] == ["entry", "entry", "head"]
        assert self.look(folder, "--dataset", "acme/*")[1] == ["entry", "entry", "head"]
        assert self.look(folder, "--dataset", "acme/*")[1] == ["head"]
        assert self.look(folder, "--state", tmp_path / "mine")[1] == ["entry", "entry", "head"]

    def test_a_webhook_that_is_down_is_no_verdict(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from dataseal.ledger import alarms

        monkeypatch.setattr(alarms, "PAUSES", ())
        log = HostileLog().grow(1)
        log.put(b"x")
        folder = serve(log.publish(), tmp_path / "log")
        hook = ("--webhook", "http://127.0.0.1:9/")
        assert self.look(folder, *hook) == (1, ["entry", "bad-entry", "head", "undelivered"])
        assert self.look(folder, *hook) == (3, ["head", "undelivered"])

    def test_hostile_text_drives_no_terminal(self, tmp_path: Path) -> None:
        log = HostileLog()
        log.put(b'{"dataset":"\x1b[31m"}\n\x1b[2J')
        assert self.look(serve(log.publish(), tmp_path / "log")) == (1, ["bad-entry", "head"])

    def test_needs_a_key_to_believe(self) -> None:
        refused(dataseal("ledger", "monitor", "x", "--once"), 2, "--log")

    def test_ends_on_term_with_what_it_found(self, tmp_path: Path) -> None:
        log = HostileLog()
        log.put(b"x")
        folder = serve(log.publish(), tmp_path / "log")
        call = "from dataseal.cli.main import main; main()"
        args = ["ledger", "monitor", str(folder), "--log", str(tmp_path / "log.vkey"), "--interval", "60"]
        with subprocess.Popen([sys.executable, "-c", call, *args], stdout=subprocess.PIPE, env=os.environ) as run:
            assert run.stdout is not None
            lines = [json.loads(run.stdout.readline())["event"] for _ in range(2)]
            time.sleep(0.3)
            run.send_signal(signal.SIGTERM)
            assert run.wait(20) == 1
        assert lines == ["bad-entry", "head"]


class TestClose:
    def test_it_asks_or_is_told_yes(self, bench: Bench) -> None:
        refused(ledger(bench, "close"), 2, "can't be undone", "--yes")
        said = ledger(bench, "close", "--yes")
        passed(said, "closed at size 4")

    def test_it_names_the_successor_and_what_comes_next(self, bench: Bench, tmp_path: Path) -> None:
        heir = make_bench(tmp_path / "heir", "log.example/two")
        heir_vkey = heir.workspace.folder / "keys" / "log.vkey"
        options = ("--reason", "a new key", "--yes", "--successor", heir_vkey)
        said = ledger(bench, "close", *options)
        assert f"dataseal ledger import PLACE --log '{bench.log.vkey}'" in said.out
        again = ledger(bench, "close", *options, "--format", "json").json
        assert (again["index"], again["existed"], again["successor"]) == (3, True, heir.log.vkey)
        refused(ledger(bench, "close", "--reason", "r", "--yes"), 2, "closed", heir.log.vkey)
        data = tmp_path / "data"
        (data / "x").mkdir(parents=True)
        (data / "x" / "a.txt").write_text("text")
        name = ("--dataset", "acme/reviews", "--release", "1.0.0", "--workspace", bench.workspace.folder)
        refused(dataseal("sign", data, *name), 1, "the log is closed", heir.log.vkey)

    def test_the_successor_imports_and_goes_on(self, bench: Bench, tmp_path: Path, vkey: Path) -> None:
        made = dataseal("init", tmp_path / "heir", "--origin", "log.example/two", "--format", "json").json
        for name in ("publisher.pub", "gate.pub"):
            shutil.copy(bench.workspace.folder / "keys" / name, tmp_path / "heir" / "keys" / name)
        passed(ledger(bench, "close", "--reason", "r", "--yes", "--successor", made["log"]), "closed")
        passed(ledger(bench, "publish", tmp_path / "out"), "published")
        here = ("--workspace", tmp_path / "heir")
        refused(dataseal("ledger", "import", tmp_path / "out", *here), 1, "--log", made["log"])
        said = dataseal("ledger", "import", tmp_path / "out", "--log", vkey, *here)
        passed(said, "continues log.example/one")
        assert dataseal("ledger", "check", *here).code == 0

    @pytest.mark.parametrize("successor", ["nothing", "a+b", "no/such/file.vkey"])
    def test_no_successor_to_name(self, bench: Bench, successor: str) -> None:
        refused(ledger(bench, "close", "--reason", "r", "--yes", "--successor", successor), 2, "--successor")
        assert bench.log.closing() is None

    def test_closed_entries_are_listed(self, bench: Bench) -> None:
        ledger(bench, "close", "--reason", "the end", "--yes")
        said = dataseal("log", "--workspace", bench.workspace.folder)
        assert "closed" in said.out
        assert "the end" in said.out
