"""`dataseal gate`: what may start, what comes out, and the codes around it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataseal.verifiers.holds import recheck
from support.cli import PROGRAM, Said, dataseal, process, refused, sh
from support.datasets import NAME, World, flip, write


def touch(name: str) -> tuple[str, ...]:
    """A command that leaves a file when it runs."""
    return ("--", sys.executable, "-c", "import pathlib, sys; pathlib.Path(sys.argv[1]).touch()", name)


def last(said: Said) -> str:
    return said.err.rstrip("\n").rsplit("\n", 1)[-1]


def test_a_good_dataset_lets_the_command_start(world: World) -> None:
    said = dataseal("gate", world.copy(), *world.gate, *touch("ran"))
    assert (said.code, said.out) == (0, "")
    assert (world.here / "ran").exists()
    assert f"\nPASSED {NAME}@1.1.0\n" in said.err


def test_a_flipped_byte_blocks_before_the_start(world: World) -> None:
    copy = world.copy()
    flip(copy / "data" / "a.bin", 70_000)
    said = dataseal("gate", copy, *world.gate, *touch("ran"))
    assert (said.code, said.out) == (121, "")
    assert not (world.here / "ran").exists()
    assert "at    data/a.bin bytes 65536-131071" in said.err
    assert last(said) == f"BLOCKED {NAME}@1.1.0: rule files fail"


def test_without_a_command_the_codes_are_plain(world: World) -> None:
    copy = world.copy()
    good = dataseal("gate", copy, *world.gate)
    assert (good.code, good.last) == (0, f"PASSED {NAME}@1.1.0")
    flip(copy / "README.md", 0)
    bad = dataseal("gate", copy, *world.gate)
    assert bad.code == 1
    assert bad.last.startswith("BLOCKED ")


@pytest.mark.parametrize("code", [0, 1, 5, 120, 121, 255])
def test_the_exit_code_is_the_commands_own(world: World, code: int) -> None:
    assert dataseal("gate", world.copy(), *world.gate, *sh(f"exit {code}")).code == code


def test_stdout_belongs_to_the_command(world: World) -> None:
    said = process("gate", world.copy(), *world.gate, *sh("cat; echo out; echo err >&2"), keys="in\n")
    assert (said.code, said.out) == (0, "in\nout\n")
    assert "err\n" in said.err


def test_json_goes_to_stderr_around_a_command(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    said = dataseal("gate", world.copy(), *world.gate, "--format", "json", "-q", *sh("echo out"))
    assert (said.out, capfd.readouterr().out) == ("", "out\n")
    report = json.loads(said.err)
    assert set(report) == {"command", "receipts", "result", "targets"}
    assert report["result"] == "PASSED"
    assert report["targets"][0]["verdict"]["result"] == "PASSED"
    assert [r["index"] for r in report["receipts"]] == [5]


def test_the_words_after_the_dashes_are_not_ours(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    said = dataseal("gate", world.copy(), *world.gate, "--", "echo", "--help", "-q", "--", "--policy")
    assert said.code == 0
    assert capfd.readouterr().out == "--help -q -- --policy\n"


def test_a_missing_command_is_127_and_said(world: World) -> None:
    said = dataseal("gate", world.copy(), *world.gate, "--", "no-such-command-here")
    assert said.code == 127
    assert "dataseal: the command is not found" in said.err


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_command_that_cannot_run_is_126_and_said(world: World, what: str) -> None:
    thing = world.here / "thing"
    thing.mkdir() if what == "folder" else write(thing, b"\x7fELF")
    said = dataseal("gate", world.copy(), *world.gate, "--", "./thing")
    assert said.code == 126
    assert "dataseal: the command is not executable" in said.err


def test_a_command_that_ends_with_127_itself_was_found(world: World) -> None:
    said = dataseal("gate", world.copy(), *world.gate, *sh("exit 127"))
    assert said.code == 127
    assert "not found" not in said.err


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_killed_command_is_128_and_its_signal(world: World, number: int) -> None:
    assert dataseal("gate", world.copy(), *world.gate, *sh(f"kill -{int(number)} $$")).code == 128 + number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_reaches_the_command_which_decides(world: World, number: int) -> None:
    child = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(42))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [PROGRAM, "gate", str(world.copy()), *map(str, world.gate), "--", sys.executable, "-c", child],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as gate:  # fmt: skip
        assert gate.stdout is not None
        assert gate.stdout.readline() == "ready\n"
        gate.send_signal(number)
        _, err = gate.communicate()
    assert gate.returncode == 42
    assert "Traceback" not in err
    assert [r["verificationResult"] for r in world.receipts()] == ["PASSED", "PASSED"]


def test_what_the_caller_ignores_stays_ignored_in_the_command(world: World) -> None:
    probe = "import signal, sys; sys.exit(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"
    words = " ".join(map(str, ["gate", world.copy(), *world.gate]))
    script = f"trap '' HUP; exec {PROGRAM} {words} -- {sys.executable} -c '{probe}'"
    assert subprocess.run(["sh", "-c", script], check=False, capture_output=True).returncode == 1


def test_the_command_learns_where_the_data_is(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    copy = world.copy()
    dataseal("gate", copy.name, *world.gate, *sh('echo "$DATASEAL_DATA"; echo "$DATASEAL_POLICY_DIGEST"'))
    folder, digest = capfd.readouterr().out.splitlines()
    assert folder == str(copy)
    assert digest == world.receipts()[0]["policy"]["digest"]["sha256"]


def test_the_command_does_not_get_the_gates_passphrase(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATASEAL_KEY_PASSPHRASE", "secret")
    monkeypatch.setenv("OTHER", "kept")
    dataseal("gate", world.copy(), *world.gate, *sh('echo "<$DATASEAL_KEY_PASSPHRASE>$OTHER"'))
    assert capfd.readouterr().out == "<>kept\n"


# What changes while the command runs


def test_a_file_changed_meanwhile_is_120_and_named(world: World) -> None:
    copy = world.copy()
    said = dataseal("gate", copy, *world.gate, *sh(f"printf X | dd of={copy}/data/a.bin bs=1 conv=notrunc 2>&-"))
    assert said.code == 120
    assert "at    data/a.bin bytes 0-65535" in said.err
    assert last(said).startswith("BLOCKED the data changed while the command ran")


@pytest.mark.parametrize(
    ("script", "check"),
    [
        ("echo x > {}/new", "integrity.extra"),
        ("rm {}/data/b.bin", "integrity.missing"),
        ("mv {}/data/b.bin {}/data/x.bin", "integrity.renamed"),
        ("ln -s /etc {}/etc", "integrity.forbidden"),
        ("rm -r {}", "integrity.unstable"),
    ],
    ids=["added", "removed", "renamed", "linked", "all gone"],
)
def test_what_changed_meanwhile_is_120_whatever_the_command_says(world: World, script: str, check: str) -> None:
    copy = world.copy()
    said = dataseal("gate", copy, *world.gate, *sh(script.format(copy, copy) + "; exit 3"))
    assert said.code == 120
    assert f"fail  {check}: " in said.err
    assert "next  " in said.err
    assert world.receipts()[1]["verificationResult"] == "FAILED"


RUN = "https://dataseal.invalid/gate/v1#run"


def test_a_file_that_was_only_touched_is_fine_and_told(world: World) -> None:
    copy = world.copy()
    said = dataseal("gate", copy, *world.gate, *sh(f"touch {copy}/data/a.bin"))
    assert said.code == 0
    assert "integrity.touched" in said.err
    second = world.receipts()[1]
    assert second["verificationResult"] == "PASSED"
    assert (second[RUN]["recheck"], second[RUN]["touched"]) == ("touched", 1)


@pytest.mark.parametrize("what", ["data/a.bin", "data", ""])
def test_a_swap_that_was_undone_leaves_its_trace_in_the_receipt(world: World, what: str) -> None:
    copy = world.copy()
    place = f"{copy}/{what}".rstrip("/")
    script = f"mv {place} {place}.aside; mkdir {place}; rmdir {place}; mv {place}.aside {place}"
    assert dataseal("gate", copy, *world.gate, *sh(script)).code == 0
    assert world.receipts()[1][RUN]["recheck"] == "touched"


def test_what_nobody_touched_is_unchanged(world: World) -> None:
    copy = world.copy()
    said = dataseal("gate", copy, *world.gate, *sh(f"cat {copy}/data/* > x; ls -lR {copy}"))
    assert "touched" not in said.err
    assert world.receipts()[1][RUN]["recheck"] == "unchanged"
    assert "touched" not in world.receipts()[1][RUN]


def test_where_times_mean_nothing_everything_is_hashed_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recheck, "_stat", lambda _: (1,))  # as a server that tells what it likes
    monkeypatch.setattr(recheck, "why_not", lambda _: "a file system of type 'nfs4'")
    copy = world.copy()
    assert dataseal("gate", copy, *world.gate, *sh(f"ls {copy}")).code == 0
    assert world.receipts()[1][RUN]["times"] == "not believed"
    script = f"printf X | dd of={copy}/data/a.bin bs=1 conv=notrunc 2>&-"
    assert dataseal("gate", copy, *world.gate, *sh(script)).code == 120


def test_a_file_rewritten_with_the_same_bytes_is_fine(world: World) -> None:
    copy = world.copy()
    assert dataseal("gate", copy, *world.gate, *sh(f"cp {copy}/data/a.bin x && cp x {copy}/data/a.bin")).code == 0


def test_a_change_with_size_and_mtime_restored_is_found(world: World) -> None:
    copy = world.copy()
    path = copy / "data" / "a.bin"
    script = (
        "import os, sys; p = sys.argv[1]; s = os.stat(p); d = bytearray(open(p, 'rb').read()); d[0] ^= 1;"
        "open(p, 'r+b').write(d); os.utime(p, ns=(s.st_atime_ns, s.st_mtime_ns))"
    )
    assert dataseal("gate", copy, *world.gate, "--", sys.executable, "-c", script, path).code == 120


def test_without_the_recheck_nothing_is_looked_at_and_the_receipt_says_so(world: World) -> None:
    copy = world.copy()
    assert dataseal("gate", copy, *world.gate, "--hold", "none", *sh(f"rm {copy}/data/a.bin")).code == 0
    run = world.receipts()[1]["https://dataseal.invalid/gate/v1#run"]
    assert run["hold"] == "none"
    assert "recheck" not in run


def policy(world: World, mode: str) -> tuple[str, ...]:
    text = f"dataseal_policy: 1\nname: soft\nmode: {mode}\nextends: [{{policy: 'dataseal:baseline'}}]\n"
    path = write(world.here / f"{mode}.yaml", text.encode())
    return ("--policy", str(path), *world.gate[2:])


def test_warn_mode_starts_and_says_allowed_and_the_receipt_failed(world: World) -> None:
    copy = world.copy()
    write(copy / "extra", b"x")
    said = dataseal("gate", copy, *policy(world, "warn"), *sh("exit 7"))
    assert said.code == 7
    assert f"\nALLOWED {NAME}@1.1.0: rule files fail\n" in said.err
    assert [r["verificationResult"] for r in world.receipts()] == ["FAILED", "FAILED"]


@pytest.mark.parametrize("damage", ["extra", "missing", "changed", "link"])
def test_what_was_allowed_before_the_start_is_no_change_while_it_ran(world: World, damage: str) -> None:
    copy = world.copy()
    if damage == "extra":
        write(copy / "extra", b"x")
    elif damage == "missing":
        (copy / "README.md").unlink()
    elif damage == "link":
        (copy / "link").symlink_to("README.md")
    else:
        flip(copy / "data" / "a.bin", 0)
    assert dataseal("gate", copy, *policy(world, "audit"), *sh("exit 0")).code == 0
    assert dataseal("gate", copy, *policy(world, "audit"), *sh(f"echo >> {copy}/data/b.bin")).code == 120


def test_unsigned_data_under_audit_is_watched_by_its_stats(world: World) -> None:
    copy = world.copy()
    shutil.rmtree(copy / ".dataseal")
    assert dataseal("gate", copy, *policy(world, "audit"), *sh("exit 0")).code == 0
    assert dataseal("gate", copy, *policy(world, "audit"), *sh(f"echo >> {copy}/data/b.bin")).code == 120
    assert [r["verificationResult"] for r in world.receipts()] == ["FAILED"] * 4


# Several targets


def test_several_good_targets(world: World) -> None:
    a, b = world.copy(), world.copy(world.other, "other")
    said = dataseal("gate", a, b, *world.gate, "--dataset", "acme/other", *touch("ran"))
    assert said.code == 0, said.err
    assert f"\nPASSED {NAME}@1.1.0, acme/other@1.0.0\n" in said.err
    assert len(world.receipts()) == 4


@pytest.mark.parametrize("place", [0, 1])
def test_one_bad_target_blocks_all_and_the_last_line_says_so(world: World, place: int) -> None:
    targets = [world.copy(), world.copy(world.other, "other")]
    write(targets[place] / "extra", b"x")
    said = dataseal("gate", *targets, *world.gate, "--dataset", "acme/other", *touch("ran"))
    assert said.code == 121
    assert not (world.here / "ran").exists()
    assert last(said).startswith("BLOCKED 1 of 2 targets: ")
    assert sorted(r["verificationResult"] for r in world.receipts()) == ["FAILED", "PASSED"]
    assert all(r["https://dataseal.invalid/gate/v1#run"]["opened"] is False for r in world.receipts())


def test_a_missing_second_target_is_misuse(world: World) -> None:
    said = dataseal("gate", world.copy(), world.here / "nothing", *world.gate, *touch("ran"))
    refused(said, 122, "no such folder")


# Misuse: 122


def test_a_gate_needs_a_policy(world: World) -> None:
    refused(dataseal("gate", world.copy(), *world.gate[2:], *touch("ran")), 122, "a gate needs a policy")


def test_a_gate_that_binds_no_dataset_is_invalid(world: World) -> None:
    words = [w for w in world.gate if w not in ("--dataset", NAME)]
    copy = world.copy()
    refused(dataseal("gate", copy, *words, *touch("ran")), 122, "binds no dataset")
    refused(dataseal("gate", copy, *words), 2, "binds no dataset")


def test_a_policy_with_a_typo_names_line_and_column_and_what_was_meant(world: World) -> None:
    path = write(world.here / "typo.yaml", b"dataseal_policy: 1\nname: x\nmoode: audit\nrules: []\n")
    said = dataseal("gate", world.copy(), "--policy", path, *world.gate[2:], *touch("ran"))
    refused(said, 122, "typo.yaml:3:1", "did you mean 'mode'?")
    assert "    3 | moode: audit\n        | ^^^^^" in said.err


@pytest.mark.parametrize("ref", ["nothing.yaml", "dataseal:nothing", "dataseal:pretrainig"])
def test_a_missing_policy(world: World, ref: str) -> None:
    refused(dataseal("gate", world.copy(), "--policy", ref, *world.gate[2:], *touch("ran")), 122, ref)


def test_an_unknown_option(world: World) -> None:
    refused(dataseal("gate", world.copy(), *world.gate, "--holt", "none", *touch("ran")), 122, "--holt", "--hold")


def test_an_unknown_hold(world: World) -> None:
    refused(dataseal("gate", world.copy(), *world.gate, "--hold", "lock", *touch("ran")), 122, "--hold")


def test_dashes_without_a_command(world: World) -> None:
    refused(dataseal("gate", world.copy(), *world.gate, "--"), 122, "no command after --")


def test_no_target(world: World) -> None:
    refused(dataseal("gate", *world.gate, *touch("ran")), 122, "TARGET")


def test_a_gate_without_a_ledger_says_so_before_it_looks(world: World) -> None:
    words = world.gate[:-2]
    refused(
        dataseal("gate", world.copy(), *words, *touch("ran")), 122, "no workspace to log receipts in", "--no-ledger"
    )


def test_a_gate_key_with_the_wrong_passphrase(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataseal.ledger.signers import keyfile

    for name in ("gate.key", "gate.pub"):
        (world.ws / "keys" / name).unlink()
    keyfile.save(keyfile.generate(), world.ws / "keys" / "gate.key", b"right")
    monkeypatch.setenv("DATASEAL_KEY_PASSPHRASE", "wrong")
    said = dataseal("gate", world.copy(), *world.gate, *touch("ran"))
    refused(said, 122, "the passphrase does not open this key", "gate.key")


# Not known: 123


def test_a_locked_ledger_is_123_and_nothing_starts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataseal.ledger.store import database

    monkeypatch.setattr(database.open_sqlite, "__kwdefaults__", {"create": False, "busy_timeout": 0.05})
    other = sqlite3.connect(world.ws / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        said = dataseal("gate", world.copy(), *world.gate, *touch("ran"))
    finally:
        other.close()
    assert said.code == 123
    assert "the ledger is locked by another process" in said.err
    assert "next: " in said.err
    assert "PASSED" not in said.err
    assert not (world.here / "ran").exists()


def test_a_blocked_dataset_is_shown_even_when_the_ledger_is_locked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataseal.ledger.store import database

    monkeypatch.setattr(database.open_sqlite, "__kwdefaults__", {"create": False, "busy_timeout": 0.05})
    copy = world.copy()
    write(copy / "extra", b"x")
    other = sqlite3.connect(world.ws / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        said = dataseal("gate", copy, *world.gate, *touch("ran"))
    finally:
        other.close()
    assert said.code == 123
    assert "integrity.extra" in said.err
    assert "locked" in said.err


def test_a_missing_ledger(world: World) -> None:
    (world.ws / "ledger.sqlite").unlink()
    refused(dataseal("gate", world.copy(), *world.gate, *touch("ran")), 122, "no ledger at ")


def test_a_ledger_that_is_no_database(world: World) -> None:
    for rest in world.ws.glob("ledger.sqlite-*"):
        rest.unlink()
    (world.ws / "ledger.sqlite").write_bytes(b"not a database " * 100)
    said = dataseal("gate", world.copy(), *world.gate, *touch("ran"))
    assert said.code == 121
    assert "damaged or is not a ledger" in said.err


def test_a_screen_that_cannot_be_calibrated_is_123(world: World) -> None:
    words = ("--policy", "dataseal:pretraining", *world.gate[2:])
    said = dataseal("gate", world.copy(), *words, *touch("ran"))
    assert said.code == 123
    assert not (world.here / "ran").exists()
    assert last(said) == f"INDETERMINATE {NAME}@1.1.0: rule screen indeterminate"
    assert world.receipts()[0]["verificationResult"] == "FAILED"


def test_a_corrupt_parquet_in_a_signed_release_is_123(world: World, stranger: Path) -> None:
    folder = world.here / "corrupt"
    write(folder / "a.parquet", b"PAR1 not really PAR1")
    at = ("--workspace", world.ws)
    assert dataseal("sign", folder, "--dataset", "acme/bad", "--release", "1", *at).code == 0
    words = ("--policy", "dataseal:pretraining", *world.trust, "--dataset", "acme/bad", *at)
    said = dataseal("gate", folder, *words, *touch("ran"))
    assert said.code == 123
    assert "a.parquet" in said.err


def test_no_receipt_at_the_end_taints_a_command_that_ended_well(world: World) -> None:
    ledger = world.ws / "ledger.sqlite"
    said = dataseal("gate", world.copy(), *world.gate, *sh(f"mv {ledger} {ledger}.away"))
    assert said.code == 120
    assert last(said).startswith("BLOCKED the command has run, and its second receipt could not be written")
    assert dataseal("gate", world.copy(name="b"), *world.gate, *sh("exit 0")).code == 122


def test_no_receipt_at_the_end_leaves_a_failed_commands_code(world: World) -> None:
    ledger = world.ws / "ledger.sqlite"
    assert dataseal("gate", world.copy(), *world.gate, *sh(f"mv {ledger} {ledger}.away; exit 9")).code == 9


def test_a_full_stderr_is_123_and_nothing_starts(world: World) -> None:
    words = [PROGRAM, "gate", str(world.copy()), *map(str, world.gate), *touch("ran")]
    with open("/dev/full", "w") as full:
        assert subprocess.run(words, stderr=full, check=False).returncode == 123
    assert not (world.here / "ran").exists()


def test_a_closed_pipe_behind_stderr_is_123_and_nothing_starts(world: World) -> None:
    words = [PROGRAM, "gate", str(world.copy()), *map(str, world.gate), *touch("ran")]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert subprocess.run(words, stderr=writer, check=False).returncode == 123
    finally:
        os.close(writer)
    assert not (world.here / "ran").exists()


def test_a_stderr_that_closes_while_the_command_runs_does_not_change_its_code(world: World) -> None:
    words = [PROGRAM, "gate", str(world.copy()), *map(str, world.gate), "--", "sh", "-c", "read x; exit 4"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as gate:
        assert gate.stderr is not None
        assert gate.stdin is not None
        while not gate.stderr.readline().startswith(b"PASSED"):
            pass
        gate.stderr.close()
        gate.stdin.write(b"go\n")
        gate.stdin.close()
        assert gate.wait() == 4


# Dry runs, environment, configuration


def test_a_dry_run_starts_nothing_and_writes_nothing(world: World) -> None:
    said = dataseal("gate", world.copy(), *world.gate, "--dry-run", *touch("ran"))
    assert said.code == 0
    assert not (world.here / "ran").exists()
    assert world.receipts() == []


def test_a_dry_run_blocks_with_the_same_code(world: World) -> None:
    copy = world.copy()
    write(copy / "extra", b"x")
    assert dataseal("gate", copy, *world.gate, "--dry-run", *touch("ran")).code == 121
    assert dataseal("gate", copy, *world.gate, "--dry-run").code == 1


def test_no_ledger_runs_without_receipts(world: World) -> None:
    said = dataseal("gate", world.copy(), *world.gate[:-2], "--no-ledger", *sh("exit 6"))
    assert said.code == 6
    assert "receipt" not in said.err
    assert world.receipts() == []


@pytest.mark.parametrize(
    "name", ["POLICY", "PUBLISHER", "LOG", "DATASET", "HOLD", "DRY_RUN", "NO_LEDGER", "AT", "FAST"]
)
def test_no_variable_opens_a_gate(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    soft = policy(world, "audit")[1]
    value = {"POLICY": soft, "DATASET": NAME, "HOLD": "none", "PUBLISHER": str(world.pub), "LOG": world.vkey}
    for prefix in ("DATASEAL_", "DATASEAL_GATE_"):
        monkeypatch.setenv(prefix + name, value.get(name, "1"))
    copy = world.copy()
    write(copy / "extra", b"x")
    assert dataseal("gate", copy, *world.gate, *touch("ran")).code == 121
    assert len(world.receipts()) == 1


def test_a_configuration_inside_the_target_is_ignored_and_said_once(world: World, stranger: Path) -> None:
    copy = world.copy()
    config = (stranger / "dataseal.toml").read_text().replace("keys/", f"{stranger}/keys/")
    write(copy / "dataseal.toml", config.encode())
    said = dataseal("gate", copy, *world.gate, *touch("ran"))
    assert said.code == 121
    assert said.err.count("lies inside the target and was ignored") == 1
    assert f"{copy}/dataseal.toml" in said.err
    assert "integrity.extra" in said.err


def test_running_from_inside_the_target_does_not_find_its_configuration(
    world: World, stranger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = world.copy()
    write(copy / "data" / "dataseal.toml", (stranger / "dataseal.toml").read_bytes())
    monkeypatch.chdir(copy / "data")
    said = dataseal("gate", copy, *world.gate[:-2], *touch("ran"))
    assert said.code == 122
    assert "no workspace to log receipts in" in said.err
    assert "data/dataseal.toml lies inside the target and was ignored" in said.err


def test_a_workspace_above_the_target_is_found_from_inside_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(world.v2, world.ws / "data")
    monkeypatch.chdir(world.ws / "data" / "data")
    assert dataseal("gate", "..", *world.gate[:-2], *sh("exit 3")).code == 3


def test_a_workspace_named_inside_the_target_is_refused(world: World, stranger: Path) -> None:
    copy = world.copy()
    shutil.copytree(stranger, copy / "ws")
    said = dataseal("gate", copy, *world.gate[:-1], copy / "ws", *touch("ran"))
    refused(said, 122, "the workspace lies inside")


def test_the_gate_does_not_wait_longer_than_its_command(world: World) -> None:
    # A command that leaves a background process with the pipes open must not hold the gate.
    begin = time.monotonic()
    assert dataseal("gate", world.copy(), *world.gate, *sh("sleep 30 & exit 2")).code == 2
    assert time.monotonic() - begin < 25
