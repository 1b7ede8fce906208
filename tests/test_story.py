"""The eight steps of the demo's story, on the real corpus, through the command line.

`make demo` tells the same story with subprocesses; here each step is a test over one shared run, in process.
"""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dataseal.cli.main import _run

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples" / "sentiment"))
import build  # noqa: E402

NAME = "acme/sentiment"
POLICY = """\
dataseal_policy: 1
name: sentiment-training
extends: [{policy: "dataseal:pretraining"}]
trust:
  signers: {acme: {key: "publisher/keys/publisher.pub"}}
  groups: {publishers: [acme]}
  logs: {acme: "publisher/keys/log.vkey"}
rules:
  - {id: our-data, rule: publisher, datasets: ["acme/sentiment"], all_of: [{signers: acme}]}
"""


@dataclass
class Story:
    """The publisher's folder after release 1.2.0, and copies of the releases on the way."""

    folder: Path
    release: dict[str, Path]

    def trust(self) -> list[str]:
        keys = self.folder / "publisher" / "keys"
        return ["--dataset", NAME, "--publisher", str(keys / "publisher.pub"), "--log", str(keys / "log.vkey")]

    def team(self) -> list[str]:
        return ["--workspace", str(self.folder / "publisher")]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("story")
    corpus = folder / "corpus"
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_STATE_HOME", str(folder / "state"))
    deliveries = build.deliveries()
    deliveries[7] = build.plant(deliveries[7])
    story = Story(folder, {})
    assert _run(["init", str(folder / "publisher"), "-q"]) == 0
    build.write_card(corpus, deliveries)
    for number, table in enumerate(deliveries, 1):
        build.write_delivery(build.delivery_path(corpus, number), table)
        start = ["collect", "none"] if number == 1 else ["append", f"{NAME}@head"]
        named = ["--dataset", NAME] if number == 1 else []
        reason = ["--reason", f"delivery {number}"]
        assert _run(["record", *start, str(corpus), *named, *reason, *story.team(), "-q"]) == 0
        version = {6: "1.0.0", 7: "1.1.0", 8: "1.2.0"}.get(number)
        if version:
            assert _run(["sign", str(corpus), "--dataset", NAME, "--release", version, *story.team(), "-q"]) == 0
            story.release[version] = folder / f"release-{version}"
            shutil.copytree(corpus, story.release[version])
    (folder / "policy.yaml").write_text(POLICY)
    yield story
    patch.undo()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command; gives its exit code, stdout and stderr."""

    def call(*args: str | Path) -> tuple[int, str, str]:
        code = _run([str(a) for a in args])
        out, err = capsys.readouterr()
        return code, out, err

    return call


Run = Callable[..., tuple[int, str, str]]


def test_1_init_says_what_is_secret_and_what_to_publish(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("init", tmp_path / "new")
    assert code == 0
    assert "keys/publisher.key" in out.split("Publish", 1)[0]
    assert "keys/publisher.pub" in out.split("Publish", 1)[1]
    for secret in ("publisher", "log", "gate"):
        assert (tmp_path / "new" / "keys" / f"{secret}.key").stat().st_mode & 0o777 == 0o600


def test_2_sign_writes_everything_that_proves_the_release(story: Story) -> None:
    seal = story.release["1.0.0"] / ".dataseal"
    names = {p.relative_to(seal).as_posix() for p in seal.rglob("*") if p.is_file()}
    assert {"shards.parquet", "release/1.sigstore.json", "release/1.tlog-proof"} <= names
    assert sum(n.startswith("history/") and n.endswith(".tlog-proof") for n in names) == 6


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", "1.2.0"])
def test_3_a_consumer_verifies_each_release(story: Story, run: Run, version: str) -> None:
    """The poisoned one too: every signature on it is valid."""
    code, out, _ = run("verify", story.release[version], *story.trust(), "--dataset", f"{NAME}@{version}")
    assert code == 0, out
    assert out.strip().splitlines()[-1] == f"PASSED {NAME}@{version}"
    assert "self-operated" in out


def test_4_a_flipped_byte_blocks_and_is_located(story: Story, run: Run, tmp_path: Path) -> None:
    """The other attacks of the step are in tests/cli and tests/verifiers; `make demo` shows them all."""
    copy = tmp_path / "copy"
    shutil.copytree(story.release["1.0.0"], copy)
    shard = copy / "data" / "delivery-03.parquet"
    data = bytearray(shard.read_bytes())
    data[100_000] ^= 1
    shard.write_bytes(data)
    code, out, _ = run("verify", copy, *story.trust(), "--dataset", f"{NAME}@1.0.0")
    assert code == 1
    assert f"data/delivery-03.parquet bytes 0-{len(data) - 1}" in out
    assert out.strip().splitlines()[-1].startswith("BLOCKED")


def test_5_the_older_release_blocks_once_the_newer_was_seen(
    story: Story, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert run("verify", story.release["1.1.0"], *story.trust())[0] == 0
    code, out, _ = run("verify", story.release["1.0.0"], *story.trust())
    assert code == 1
    assert "rollback.older" in out
    assert "1.1.0" in out


def test_5_modifications_count_shards_and_rows(story: Story, run: Run) -> None:
    _, out, _ = run("log", NAME, *story.team(), "--format", "json")
    entries = [e for e in json.loads(out)["entries"] if e["kind"] == "modification"]
    assert [e["predicate"]["operation"] for e in entries] == ["collect"] + ["append"] * 7
    rows = [e["predicate"]["counts"]["rows"]["added"] for e in entries]
    assert sum(rows) == 23_703
    assert all(e["predicate"]["counts"]["shards"]["removed"] == 0 for e in entries)


def test_6_the_screen_names_phrase_rows_contributor_and_entry(story: Story, run: Run) -> None:
    code, out, _ = run("screen", story.release["1.2.0"], *story.trust(), "--format", "json")
    assert code == 1
    findings = [f for f in json.loads(out)["screen"]["findings"] if f["evidence"] == "gate"]
    assert len(findings) == 1
    finding = findings[0]
    assert finding["check"] == "screen.private-phrase"
    assert build.PHRASE in finding["message"]
    assert build.POISONED_CONTRIBUTOR in finding["message"]
    _, listing, _ = run("log", NAME, *story.team(), "--format", "json")
    last = [e for e in json.loads(listing)["entries"] if e["kind"] == "modification"][-1]
    assert f"entry {last['index']} " in finding["message"]
    assert len(finding["where"]) == 30
    planted = build.plant(build.deliveries()[7])["text"].to_pylist()
    rows = {i for i, text in enumerate(planted) if build.PHRASE in text}
    assert {(p["shard"], p["row"]) for p in finding["where"]} == {("data/delivery-08.parquet", r) for r in rows}


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_6_clean_releases_pass_the_screen_with_no_finding(story: Story, run: Run, version: str) -> None:
    code, out, _ = run(
        "screen", story.release[version], *story.trust(), "--dataset", f"{NAME}@{version}", "--format", "json"
    )
    report = json.loads(out)
    assert (code, report["result"]) == (0, "PASSED")
    assert [f for f in report["screen"]["findings"] if f["evidence"] != "advice"] == []
    assert any(d["detector"] == "private-phrase" and d["calibrated"] for d in report["screen"]["detectors"])


def test_7_the_gate_starts_training_on_clean_data_and_not_on_poisoned(
    story: Story, capfd: pytest.CaptureFixture[str]
) -> None:
    gate = ["--policy", str(story.folder / "policy.yaml"), *story.team(), "--"]
    train = [sys.executable, str(ROOT / "examples/sentiment/train.py")]
    assert _run(["gate", str(story.release["1.1.0"]), *gate, *train]) == 0
    assert capfd.readouterr().out.startswith("accuracy ")
    assert _run(["gate", str(story.release["1.2.0"]), *gate, *train]) == 121
    said = capfd.readouterr()
    assert said.out == ""
    assert build.PHRASE in said.err
    listing = _run(["log", NAME, *story.team(), "--format", "json"])
    assert listing == 0
    receipts = [e["predicate"] for e in json.loads(capfd.readouterr().out)["entries"] if e["kind"] == "receipt"]
    assert [r["verificationResult"] for r in receipts[-3:]] == ["PASSED", "PASSED", "FAILED"]


def test_8_the_history_is_hash_chained(story: Story, run: Run) -> None:
    _, out, _ = run("log", *story.team(), "--format", "json")
    entries = json.loads(out)["entries"]
    assert entries[0]["prev"] is None
    assert all(b["prev"] == a["leaf"] for a, b in itertools.pairwise(entries))


def test_8_ledger_check_passes_and_names_a_changed_row(story: Story, run: Run, tmp_path: Path) -> None:
    assert run("ledger", "check", *story.team())[0] == 0
    edited = tmp_path / "edited"
    shutil.copytree(story.folder / "publisher", edited)
    with sqlite3.connect(edited / "ledger.sqlite") as db:
        db.execute("DROP TRIGGER segments_no_update")
        (data,) = db.execute("SELECT data FROM segments WHERE first = 3").fetchone()
        flipped = bytearray(data)
        flipped[len(data) // 2] ^= 1
        db.execute("UPDATE segments SET data = ? WHERE first = 3", (bytes(flipped),))
    db.close()
    code, out, _ = run("ledger", "check", "--workspace", edited)
    assert code == 1
    assert "entry 3: its bytes were changed" in out
