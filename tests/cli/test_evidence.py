"""``dataseal attest`` and ``dataseal evidence``, through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import evidence
from dataseal.ledger import statement as statements
from dataseal.ledger.signers import keyfile
from support.cli import Said, dataseal, refused
from support.statements import sign_bundle, signer
from support.workspaces import DATASET, flip, make_dataset

SCAN = "https://example.org/scan/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
BUILD = {
    "buildDefinition": {"buildType": "https://example.org/etl/v1", "externalParameters": {}},
    "runDetails": {"builder": {"id": "https://example.org/builder"}},
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace, a release in it, and its evidence: a provenance, in ``out``."""
    folder = tmp_path_factory.mktemp("template")
    assert dataseal("init", folder / "ws").code == 0
    make_dataset(folder / "data", shards=1)
    keyfile.save(signer("stranger"), folder / "stranger.key", None)
    (folder / "build.json").write_text(json.dumps(BUILD))
    (folder / "scan.json").write_text('{"clean": true}')
    said = dataseal("sign", folder / "data", "--workspace", folder / "ws", "--dataset", DATASET, "--release", "1.0.0")
    assert said.code == 0, said.err
    said = attest(folder, "--predicate", folder / "build.json", "--type", PROVENANCE, "--to", folder / "out")
    assert said.code == 0, said.err
    assert said.last == f"ATTESTED {DATASET}@1.0.0"
    return folder


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Path:
    """A copy of the template."""
    return shutil.copytree(template, tmp_path / "place")


def attest(place: Path, *options: object) -> Said:
    return dataseal("attest", place / "data", "--workspace", place / "ws", *options)


def verify(place: Path, *options: object, file: Path | None = None) -> Said:
    trust = ("--publisher", place / "ws/keys/publisher.pub", "--log", place / "ws/keys/log.vkey")
    return dataseal("evidence", "verify", file or bundle(place), *trust, *options)


def bundle(place: Path) -> Path:
    return next((place / "out").glob("*.sigstore.json"))


def subject(place: Path) -> dict[str, Any]:
    return dataseal("evidence", "subject", place / "data").json  # type: ignore[no-any-return]


def blocked(said: Said, *words: str) -> None:
    assert said.code == 1, said
    assert said.last.startswith("BLOCKED 0 of 1")
    assert all(word in said.out for word in words), said.out


def test_evidence_passes_for_its_release(place: Path) -> None:
    said = verify(place, "--target", place / "data", "--type", PROVENANCE)
    assert said.code == 0, said
    assert said.last == "PASSED 1 of 1 verified"
    assert "(published shape)" in said.out


def test_it_says_when_no_release_was_named(place: Path) -> None:
    assert "identity not pinned" in verify(place).out
    assert "identity not pinned" not in verify(place, "--dataset", f"{DATASET}@1.0.0").out


def test_evidence_is_listed_and_exported(place: Path) -> None:
    said = dataseal("evidence", "list", f"{DATASET}@1.0.0", "--workspace", place / "ws", "--to", place / "again",
                    "--format", "json")  # fmt: skip
    assert said.code == 0, said.err
    assert [item["type"] for item in said.json["evidence"]] == [PROVENANCE]
    again = next((place / "again").glob("*.sigstore.json"))
    assert again.read_bytes() == bundle(place).read_bytes()
    assert verify(place, "--target", place / "data", file=again).code == 0


def test_the_log_shows_it(place: Path) -> None:
    said = dataseal("log", "--workspace", place / "ws")
    assert f"evidence about {DATASET}@1.0.0: {PROVENANCE}" in said.out


def test_the_ledger_checks(place: Path) -> None:
    assert dataseal("ledger", "check", "--workspace", place / "ws").code == 0


def test_evidence_about_another_release(place: Path) -> None:
    shutil.copytree(place / "data", place / "other", ignore=shutil.ignore_patterns(".dataseal"))
    (place / "other/more.txt").write_text("more")
    base = ("--workspace", place / "ws", "--dataset", DATASET, "--release", "2.0.0")
    assert dataseal("sign", place / "other", *base).code == 0
    blocked(verify(place, "--target", place / "other"), "another subject", "2.0.0")
    blocked(verify(place, "--dataset", f"{DATASET}@2.0.0"), "expected acme/reviews@2.0.0")


def test_another_predicate_type(place: Path) -> None:
    blocked(verify(place, "--type", SCAN), f"its predicate type is {PROVENANCE}; expected {SCAN}")


def test_evidence_by_an_unlisted_signer(place: Path) -> None:
    trust = ("--publisher", place / "stranger.pub", "--log", place / "ws/keys/log.vkey")
    blocked(dataseal("evidence", "verify", bundle(place), *trust), "no trusted key made this signature")


def test_the_log_does_not_list_the_signer(place: Path) -> None:
    said = attest(place, "--predicate", place / "scan.json", "--type", SCAN, "--key", place / "stranger.key")
    assert said.code == 1, said
    assert "no trusted key" in said.err


def test_a_target_by_somebody_else_pins_nothing(place: Path) -> None:
    shutil.rmtree(place / "data/.dataseal/release")
    said = verify(place, "--target", place / "data")
    refused(said, 2, "no signed release")


def test_a_truncated_bundle(place: Path) -> None:
    path = bundle(place)
    path.write_bytes(path.read_bytes()[:-10])
    blocked(verify(place), "bundle")


def test_an_altered_proof(place: Path) -> None:
    flip(next((place / "out").glob("*.tlog-proof")), at=-5)
    blocked(verify(place))


def test_no_proof(place: Path) -> None:
    next((place / "out").glob("*.tlog-proof")).unlink()
    blocked(verify(place), "no proof that a log holds it")
    said = dataseal("evidence", "verify", bundle(place), "--publisher", place / "ws/keys/publisher.pub", "--no-log")
    assert said.code == 0
    assert "log not checked" in said.out


def test_a_release_bundle_is_no_evidence(place: Path) -> None:
    blocked(verify(place, file=place / "data/.dataseal/release/1.sigstore.json"), "it is a release")


def test_evidence_is_no_release(place: Path) -> None:
    shutil.copy(bundle(place), place / "data/.dataseal/release/1.sigstore.json")
    shutil.copy(next((place / "out").glob("*.tlog-proof")), place / "data/.dataseal/release/1.tlog-proof")
    said = dataseal("verify", place / "data", "--publisher", place / "ws/keys/publisher.pub",
                    "--log", place / "ws/keys/log.vkey", "--dataset", DATASET)  # fmt: skip
    assert said.code == 1
    assert "it is evidence, not a release" in said.out


def test_one_bad_file_of_two_blocks(place: Path) -> None:
    other = place / "bad.sigstore.json"
    other.write_text("{}")
    said = dataseal("evidence", "verify", bundle(place), other, "--publisher", place / "ws/keys/publisher.pub",
                    "--log", place / "ws/keys/log.vkey", "--format", "json")  # fmt: skip
    assert said.code == 1
    assert [item["passed"] for item in said.json["files"]] == [True, False]


def test_a_bundle_of_another_tool(place: Path) -> None:
    value = {"_type": statements.STATEMENT, "predicateType": SCAN, "predicate": {}, "subject": [subject(place)]}
    key = keyfile.load(place / "ws/keys/publisher.key", lambda _: None)
    (place / "foreign.json").write_bytes(sign_bundle(json.dumps(value, indent=2).encode(), key))
    said = attest(place, "--bundle", place / "foreign.json", "--to", place / "kept")
    assert said.code == 0, said.err
    kept = next((place / "kept").glob("*.sigstore.json"))
    assert kept.read_bytes() == (place / "foreign.json").read_bytes()
    assert verify(place, "--target", place / "data", "--type", SCAN, file=kept).code == 0


def test_a_large_predicate_travels_beside_its_bundle(place: Path) -> None:
    (place / "sbom.json").write_text(json.dumps({"packages": ["package"] * 5000}))
    said = attest(place, "--predicate", place / "sbom.json", "--type", SCAN, "--to", place / "sbom")
    assert said.code == 0, said.err
    file = next((place / "sbom").glob("*.sigstore.json"))
    assert verify(place, file=file).code == 0
    attached = next((place / "sbom").glob("*.predicate"))
    attached.write_bytes(attached.read_bytes().replace(b"package", b"paddage", 1))
    blocked(verify(place, file=file), "not the one that was signed")
    attached.unlink()
    said = verify(place, file=file)
    assert said.code == 3
    assert said.last.startswith("INDETERMINATE")


def test_a_provenance_of_another_shape_is_not_signed(place: Path) -> None:
    (place / "build.json").write_text('{"buildDefinition": {}}')
    said = attest(place, "--predicate", place / "build.json", "--type", PROVENANCE)
    refused(said, 2, "buildDefinition.buildType") if "next" in said.err else None
    assert said.code == 2
    assert "buildDefinition.buildType" in said.err


@pytest.mark.parametrize(
    "options", [(), ("--type", SCAN), ("--bundle", "x", "--type", SCAN), ("--bundle", "x", "--key", "y")]
)
def test_options_that_do_not_go_together(place: Path, options: tuple[str, ...]) -> None:
    refused(attest(place, *options), 2, "--predicate FILE --type URI")


def test_a_release_that_is_not_in_the_ledger(place: Path) -> None:
    refused(dataseal("evidence", "list", f"{DATASET}@7", "--workspace", place / "ws"), 2, "holds no release")


def test_nobody_to_trust(place: Path) -> None:
    refused(dataseal("evidence", "verify", bundle(place)), 2, "nobody to trust")


def test_a_predicate_that_is_too_large(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MAX_PREDICATE", 5)
    refused(attest(place, "--predicate", place / "scan.json", "--type", SCAN), 2, "more than 5 bytes")
