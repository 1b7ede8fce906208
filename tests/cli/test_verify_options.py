"""`dataseal verify`: options, formats, exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support.cli import blocked, dataseal, passed, process, refused
from support.datasets import NAME, World, flip, write

KEYS = {
    "command", "complete", "digests", "fast", "findings", "history", "log", "notes", "partial", "policy",
    "release", "screen", "screen_error", "target", "time", "verdict",
}  # fmt: skip


def test_tree_digests_say_that_whole_files_are_not_checked(world: World) -> None:
    said = world.verify(world.copy())
    assert "note        whole-file SHA-256 not checked" in said.out
    assert "note        revocations: not checked" in said.out


def test_all_digests_are_checked_on_request(world: World) -> None:
    said = world.verify(world.copy(), "--digests", "all")
    passed(said, f"{NAME}@1.1.0")
    assert "not checked (--digests" not in said.out
    assert "chunk digests and whole-file SHA-256 as signed" in said.out


def test_all_digests_find_a_flip_too(world: World) -> None:
    copy = world.copy()
    flip(copy / "data" / "a.bin", 70_000)
    blocked(world.verify(copy, "--digests", "all"), "integrity.changed", "bytes 65536-131071")


def test_no_log_is_said_in_every_line_where_it_matters(world: World) -> None:
    said = dataseal("verify", world.copy(), "--publisher", world.pub, "--no-log", "--dataset", NAME)
    passed(said, f"{NAME}@1.1.0")
    assert "log: not checked" in said.out
    assert "rule log" not in said.out


def test_no_log_does_not_let_a_flip_through(world: World) -> None:
    copy = world.copy()
    flip(copy / "README.md", 0)
    blocked(dataseal("verify", copy, "--publisher", world.pub, "--no-log"), "integrity.changed")


def test_the_log_is_called_self_operated_and_unwitnessed(world: World) -> None:
    said = world.verify(world.copy())
    assert f"log         self-operated {world.vkey.split('+')[0]}, entry 3 of 4; witnesses 0/0" in said.out


def test_json_has_the_same_verdict_and_stable_keys(world: World) -> None:
    copy = world.copy()
    good = world.verify(copy, "--format", "json")
    assert (good.code, good.err) == (0, "")
    assert set(good.json) == KEYS
    assert good.json["verdict"]["result"] == "PASSED"
    assert set(good.json["verdict"]) == {"mode", "result", "rules"}
    assert [r["rule"] for r in good.json["verdict"]["rules"]] == ["publisher", "files", "log"]
    assert good.json["release"]["dataset"] == NAME
    assert good.json["release"]["version"] == "1.1.0"
    assert good.json["findings"] == []
    flip(copy / "data" / "a.bin", 70_000)
    bad = world.verify(copy, "--format", "json")
    assert (bad.code, set(bad.json)) == (1, KEYS)
    assert bad.json["verdict"]["result"] == "BLOCKED"
    finding = bad.json["findings"][0]
    assert finding["check"] == "integrity.changed"
    assert finding["where"] == [{"shard": "data/a.bin", "start": 65536, "end": 131072}]
    assert finding["hint"]
    assert finding["severity"] == "error"


def test_json_without_a_release_has_the_same_keys(world: World) -> None:
    said = dataseal("verify", world.here, *world.trust, "--format", "json")
    assert said.code == 1
    assert set(said.json) == KEYS
    assert said.json["release"] is None


def test_json_is_ascii(world: World) -> None:
    copy = world.copy()
    write(copy / "data" / "\x1b[31mé\u202e.bin", b"x")
    said = world.verify(copy, "--format", "json")
    assert said.out.isascii()
    assert any("\x1b[31mé\u202e" in f["where"][0]["shard"] for f in said.json["findings"])


def test_a_json_file_beside_the_human_output(world: World) -> None:
    report, text = world.here / "report.json", world.here / "report.txt"
    said = world.verify(world.copy(), "-o", f"json={report}", "-o", f"human={text}")
    passed(said, f"{NAME}@1.1.0")
    assert json.loads(report.read_text())["verdict"]["result"] == "PASSED"
    assert text.read_text() == said.out
    assert [p.name for p in world.here.iterdir() if p.name.startswith(".")] == []


def test_a_report_is_replaced_as_a_whole(world: World) -> None:
    report = write(world.here / "report.json", b"old" * 10_000)
    world.verify(world.copy(), "-o", f"json={report}")
    assert json.loads(report.read_text())["verdict"]["result"] == "PASSED"


def test_a_report_can_go_to_a_device(world: World) -> None:
    passed(world.verify(world.copy(), "-o", f"json={os.devnull}"), f"{NAME}@1.1.0")
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("output", ["json", "xml=x", "json=", "json=/nonexistent/report.json", "json=/"])
def test_a_report_that_cannot_be_written_is_told_before_anything_is_done(world: World, output: str) -> None:
    refused(world.verify(world.copy(), "-o", output), 2, "-o", output)


def test_quiet_leaves_the_result_and_nothing_else(world: World) -> None:
    said = world.verify(world.copy(), "-q")
    passed(said, f"{NAME}@1.1.0")


def test_results_go_to_stdout_and_errors_to_stderr(world: World) -> None:
    good = process("verify", world.copy(), *world.trust)
    assert (good.code, good.err) == (0, "")
    bad = process("verify", world.here / "nothing", *world.trust)
    refused(bad, 2, "no such folder")


def test_verbose_shows_whole_reasons(world: World) -> None:
    copy = world.copy()
    write(copy / "extra", b"x")
    assert len(world.verify(copy, "-v").out) > len(world.verify(copy).out)


def test_environment_twins_exist_for_what_loosens_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASEAL_FORMAT", "json")
    monkeypatch.setenv("DATASEAL_JOBS", "1")
    assert world.verify(world.copy()).json["verdict"]["result"] == "PASSED"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POLICY", "dataseal:baseline"), ("PUBLISHER", "{pub}"), ("PUBLISHERS", "{pub}"), ("LOG", "{vkey}"),
        ("DATASET", NAME), ("THRESHOLD", "1"), ("NO_LOG", "1"), ("AT", "2020-01-01"), ("FAST", "1"),
    ],
)  # fmt: skip
def test_nothing_in_the_environment_makes_anybody_trusted(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for prefix in ("DATASEAL_", "DATASEAL_VERIFY_"):
        monkeypatch.setenv(prefix + name, value.format(pub=world.pub, vkey=world.vkey))
    refused(dataseal("verify", world.copy()), 2, "nobody to trust")


def test_an_environment_that_names_a_dataset_pins_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASEAL_DATASET", "acme/else")
    assert "identity not pinned" in dataseal("verify", world.copy(), *world.trust).out


def test_an_environment_that_wants_no_log_is_not_heard(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASEAL_NO_LOG", "1")
    copy = world.copy()
    (copy / ".dataseal" / "release" / "1.tlog-proof").unlink()
    blocked(world.verify(copy), "log.missing")


@pytest.mark.parametrize("jobs", ["1", "2", "256"])
def test_the_verdict_does_not_depend_on_the_threads(world: World, jobs: str) -> None:
    copy = world.copy()
    flip(copy / "data" / "a.bin", 0)
    blocked(world.verify(copy, "-j", jobs), "integrity.changed", "bytes 0-65535")


def test_contradicting_options_are_misuse(world: World) -> None:
    copy = world.copy()
    refused(world.verify(copy, "--no-log"), 2, "contradict")
    refused(world.verify(copy, "--policy", "dataseal:baseline", "--threshold", "2"), 2, "--threshold")
    refused(world.verify(copy, "--threshold", "2"), 2, "can't be met")


def test_the_colour_goes_to_terminals_only(world: World) -> None:
    assert "\x1b" not in process("verify", world.copy(), *world.trust).out
