"""`dataseal screen`, and a gate with the pretraining policy: valid signatures over poisoned rows do not open it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.cli import dataseal, refused, sh
from support.datasets import run, write
from support.poison import PHRASE, POISONED_ROWS, VICTIM, publish

GOOD, BAD = "acme/good", "acme/bad"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A publisher with a clean and a poisoned dataset, both signed."""
    root = tmp_path_factory.mktemp("corpus")
    run("init", root / "ws")
    publish(root / "good", root / "ws", GOOD, poison=False)
    publish(root / "bad", root / "ws", BAD, poison=True)
    return root


@pytest.fixture
def trust(corpus: Path, home: Path) -> tuple[str, ...]:
    keys = corpus / "ws" / "keys"
    return ("--publisher", str(keys / "publisher.pub"), "--log", str(keys / "log.vkey"))


def test_the_poisoned_release_verifies(corpus: Path, trust: tuple[str, ...]) -> None:
    assert dataseal("verify", corpus / "bad", *trust, "--dataset", BAD).last == f"PASSED {BAD}@1.0.0"


def test_the_screen_names_phrase_rows_contributor_and_entry(corpus: Path, trust: tuple[str, ...]) -> None:
    said = dataseal("screen", corpus / "bad", *trust, "--dataset", BAD)
    assert (said.code, said.err) == (1, "")
    assert said.last.startswith(f"BLOCKED {BAD}@1.0.0: ")
    assert "screen.private-phrase" in said.out
    assert PHRASE in said.out
    assert VICTIM in said.out
    entries = dataseal("log", BAD, "--workspace", corpus / "ws", "--format", "json").json["entries"]
    newest = [e["index"] for e in entries if e["kind"] == "modification"][-1]
    assert f"entry {newest}" in said.out
    assert "at    data/delivery-7.parquet row " in said.out
    assert f"and   {POISONED_ROWS - 12} more places" in said.out


def test_the_screens_json_has_every_row(corpus: Path, trust: tuple[str, ...]) -> None:
    said = dataseal("screen", corpus / "bad", *trust, "--dataset", BAD, "--format", "json")
    assert set(said.json) == {"command", "findings", "notes", "result", "screen", "target"}
    assert said.json["result"] == "BLOCKED"
    gating = [f for f in said.json["screen"]["findings"] if f["evidence"] == "gate"]
    assert any(len(f["where"]) == POISONED_ROWS for f in gating)


def test_a_clean_release_passes_the_screen(corpus: Path, trust: tuple[str, ...]) -> None:
    said = dataseal("screen", corpus / "good", *trust, "--dataset", GOOD)
    assert said.code == 0, said.out
    assert said.last.startswith(f"PASSED {GOOD}@1.0.0: no calibrated evidence")
    assert "could have found: " in said.out


def test_a_release_that_was_tampered_with_is_not_screened(corpus: Path, trust: tuple[str, ...], tmp_path: Path) -> None:
    shutil.copytree(corpus / "good", tmp_path / "copy")
    write(tmp_path / "copy" / "extra", b"x")
    said = dataseal("screen", tmp_path / "copy", *trust, "--dataset", GOOD)
    assert said.code == 1
    assert "integrity.extra" in said.out
    assert said.last.endswith("it is not what was signed, and was not screened")
    report = dataseal("screen", tmp_path / "copy", *trust, "--dataset", GOOD, "--format", "json").json
    assert set(report) == {"command", "findings", "notes", "result", "screen", "target"}
    assert report["screen"] is None


def test_a_dropped_history_leaves_nothing_calibrated(corpus: Path, trust: tuple[str, ...], tmp_path: Path) -> None:
    shutil.copytree(corpus / "bad", tmp_path / "copy")
    for name in ("history", "objects"):
        shutil.rmtree(tmp_path / "copy" / ".dataseal" / name)
    said = dataseal("screen", tmp_path / "copy", *trust, "--dataset", BAD)
    assert said.code == 3
    assert said.last.startswith("INDETERMINATE")
    assert "history     none" in said.out


def test_without_anybody_to_trust_what_is_found_is_advice(corpus: Path, home: Path) -> None:
    said = dataseal("screen", corpus / "bad")
    assert said.code == 3
    assert "history     none: nothing was verified" in said.out
    assert said.last.startswith("INDETERMINATE")


def test_the_gate_blocks_the_poisoned_release_before_the_start(corpus: Path, trust: tuple[str, ...]) -> None:
    words = ("--policy", "dataseal:pretraining", *trust, "--dataset", BAD, "--workspace", corpus / "ws")
    said = dataseal("gate", corpus / "bad", *words, *sh("touch ran"))
    assert said.code == 121
    assert not Path("ran").exists()
    assert PHRASE in said.err
    assert said.err.rstrip().endswith(f"BLOCKED {BAD}@1.0.0: rule screen fail")
    receipt = dataseal("log", BAD, "--workspace", corpus / "ws", "--format", "json").json["entries"][-1]["predicate"]
    assert receipt["verificationResult"] == "FAILED"
    run_ = receipt["https://dataseal.invalid/gate/v1#run"]
    assert run_["rules"]["screen"] == "fail"
    assert run_["screen"]["seed"] == 0
    assert "private-phrase" in run_["screen"]


def test_the_gate_lets_the_clean_release_start(corpus: Path, trust: tuple[str, ...]) -> None:
    words = ("--policy", "dataseal:pretraining", *trust, "--dataset", GOOD, "--workspace", corpus / "ws")
    said = dataseal("gate", corpus / "good", *words, *sh("touch ran"))
    assert said.code == 0, said.err
    assert Path("ran").exists()
    receipt = dataseal("log", GOOD, "--workspace", corpus / "ws", "--format", "json").json["entries"][-1]["predicate"]
    assert receipt["verifiedLevels"] == ["DATASEAL_SIGNED", "DATASEAL_LOGGED", "DATASEAL_SCREENED"]


def test_a_column_that_is_not_there(corpus: Path, home: Path) -> None:
    refused(dataseal("screen", corpus / "good", "--label", "labl"), 2, "no column 'labl'", "did you mean 'label'?")


def test_a_dataset_name_without_anybody_to_trust(corpus: Path, home: Path) -> None:
    refused(dataseal("screen", corpus / "good", "--dataset", GOOD), 2, "needs somebody to trust")


EVIL = "\x1b[31mred\x1b[0m\x07 \u202egnp.exe [bold]x[/bold] [/] %s %n {0} \r"


def test_hostile_contributors_and_phrases_drive_no_terminal(tmp_path: Path, home: Path) -> None:
    folder, ws = tmp_path / "evil", tmp_path / "ws"
    run("init", ws)
    publish(folder, ws, "acme/evil", poison=True, victim=EVIL, phrase="evil\x1b[31m [/]phrase %s \u202ebidi seven")
    keys = ws / "keys"
    trust = ("--publisher", keys / "publisher.pub", "--log", keys / "log.vkey", "--dataset", "acme/evil")
    for words in (("screen", folder, *trust, "-v"), ("screen", folder, "-v")):
        said = dataseal(*words)
        assert said.code in (1, 3)
    said = dataseal("screen", folder, *trust)
    assert said.code == 1
    assert "[bold]x[/bold]" in said.out
    assert "\\x1b[31m" in said.out
    json = dataseal("screen", folder, *trust, "--format", "json")
    assert json.out.isascii()
    gate = ("--policy", "dataseal:pretraining", *trust, "--workspace", ws)
    assert dataseal("gate", folder, *gate, *sh("exit 0")).code == 121
