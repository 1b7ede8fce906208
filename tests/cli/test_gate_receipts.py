"""`dataseal gate`: the receipts that it signs and logs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dataseal.ledger import canonical
from dataseal.ledger.digest import sha256
from dataseal.ledger.publickey import PublicKey
from support.cli import PROGRAM, dataseal, sh
from support.datasets import NAME, World, run, write

RUN = "https://dataseal.invalid/gate/v1#run"


def log(world: World) -> list[dict]:
    return dataseal("log", "--workspace", world.ws, "--format", "json").json["entries"]


def fingerprint(path: Path) -> str:
    return PublicKey.from_pem(path.read_bytes(), where=str(path)).fingerprint


def test_two_receipts_around_a_run(world: World) -> None:
    assert dataseal("gate", world.copy(), *world.gate, *sh("exit 5")).code == 5
    first, second = world.receipts()
    assert (first[RUN]["phase"], second[RUN]["phase"]) == ("start", "end")
    assert "exit_code" not in first[RUN]
    assert second[RUN]["exit_code"] == 5
    assert second[RUN]["recheck"] == "unchanged"
    assert first[RUN]["opened"] is True


def test_a_receipt_is_a_verification_summary(world: World) -> None:
    dataseal("gate", world.copy(), *world.gate, *sh("exit 0"))
    receipt = world.receipts()[0]
    assert set(receipt) == {
        "inputAttestations", "policy", "resourceUri", "slsaVersion", "timeVerified", "verificationResult",
        "verifiedLevels", "verifier", RUN,
    }  # fmt: skip
    assert receipt["verifier"]["id"] == "https://dataseal.invalid/gate/v1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", receipt["timeVerified"])
    assert receipt["resourceUri"] == f"dataseal:{NAME}@1.1.0"
    assert receipt["verificationResult"] == "PASSED"
    assert receipt["verifiedLevels"] == ["DATASEAL_SIGNED", "DATASEAL_LOGGED"]
    assert receipt["slsaVersion"] == "1.1"
    assert receipt["policy"]["uri"] == "dataseal:baseline"
    bundle = (world.v2 / ".dataseal" / "release" / "1.sigstore.json").read_bytes()
    assert receipt["inputAttestations"] == [
        {"uri": ".dataseal/release/1.sigstore.json", "digest": {"sha256": sha256(bundle).hex()}}
    ]


def test_the_gates_key_signs_and_not_the_publishers(world: World) -> None:
    dataseal("gate", world.copy(), *world.gate, *sh("exit 0"))
    receipts = [e for e in log(world) if e["kind"] == "receipt"]
    assert {e["signer"] for e in receipts} == {fingerprint(world.ws / "keys" / "gate.pub")}
    assert fingerprint(world.pub) not in {e["signer"] for e in receipts}


def test_the_publishers_key_is_refused_for_receipts(world: World) -> None:
    config = world.ws / "dataseal.toml"
    config.write_text(config.read_text().replace('gate = "keys/gate.key"', 'gate = "keys/publisher.key"'))
    said = dataseal("gate", world.copy(), *world.gate, *sh("touch ran"))
    assert said.code == 121
    assert "does not list key" in said.err
    assert not (world.here / "ran").exists()


def test_the_subject_is_the_releases(world: World) -> None:
    dataseal("gate", world.copy(), *world.gate, *sh("exit 0"))
    entries = log(world)
    release = next(e for e in entries if (e["dataset"], e["version"]) == (NAME, "1.1.0"))
    receipt = entries[-1]
    assert [receipt[k] for k in ("dataset", "version", "root")] == [release[k] for k in ("dataset", "version", "root")]


def test_the_first_receipt_is_in_the_ledger_when_the_command_starts(world: World) -> None:
    look = f"{PROGRAM} log --workspace {world.ws} --format json > seen.json"
    assert dataseal("gate", world.copy(), *world.gate, *sh(look)).code == 0
    seen = json.loads((world.here / "seen.json").read_text())["entries"]
    assert seen[-1]["kind"] == "receipt"
    assert seen[-1]["predicate"][RUN]["phase"] == "start"


def test_the_receipts_of_one_run_share_an_id_and_no_other_run_has_it(world: World) -> None:
    copy = world.copy()
    for _ in range(2):
        dataseal("gate", copy, *world.gate, "--", "true")
    a, b, c, d = [r[RUN]["id"] for r in world.receipts()]
    assert a == b
    assert c == d
    assert a != c


def test_the_ledger_with_receipts_checks(world: World) -> None:
    dataseal("gate", world.copy(), *world.gate, *sh("exit 0"))
    said = dataseal("ledger", "check", "--workspace", world.ws)
    assert said.code == 0
    assert "7 entries" in said.out


def test_a_blocked_run_leaves_one_failed_receipt(world: World) -> None:
    copy = world.copy()
    write(copy / "extra", b"x")
    dataseal("gate", copy, *world.gate, *sh("exit 0"))
    (receipt,) = world.receipts()
    assert receipt["verificationResult"] == "FAILED"
    assert receipt["verifiedLevels"] == ["FAILED"]
    assert receipt[RUN]["rules"] == {"publisher": "pass", "files": "fail", "log": "pass"}
    assert receipt[RUN]["result"] == "BLOCKED"
    assert receipt[RUN]["opened"] is False


def test_unsigned_data_gets_a_failed_receipt_over_the_bytes_that_are_there(world: World) -> None:
    folder = world.here / "unsigned"
    write(folder / "x.bin", b"x")
    assert dataseal("gate", folder, *world.gate, *sh("exit 0")).code == 121
    entry = log(world)[-1]
    assert (entry["dataset"], entry["version"]) == (NAME, "unverified")
    assert entry["predicate"]["verificationResult"] == "FAILED"
    assert entry["predicate"]["inputAttestations"] == []
    write(folder / "x.bin", b"y")
    dataseal("gate", folder, *world.gate, *sh("exit 0"))
    assert log(world)[-1]["root"] != entry["root"]


def test_the_resolved_policy_is_bound_by_its_digest(world: World) -> None:
    copy = world.copy()
    for text in ("mode: enforce", "mode: enforce\n# a comment", "mode: warn"):
        head = f"dataseal_policy: 1\nname: p\n{text}\nextends: [{{policy: 'dataseal:baseline'}}]\n"
        path = write(world.here / "p.yaml", head.encode())
        dataseal("gate", copy, "--policy", path, *world.gate[2:])
    enforce, comment, warn = [r["policy"]["digest"]["sha256"] for r in world.receipts()]
    assert enforce == comment
    assert enforce != warn


def test_the_commands_words_are_bound_and_not_shown(world: World) -> None:
    copy = world.copy()
    dataseal("gate", copy, *world.gate, "--", "true", "--token", "hunter2")
    dataseal("gate", copy, *world.gate, "--", "true", "--token hunter2")
    digests = [r[RUN]["command"] for r in world.receipts()]
    assert digests[0] == digests[1] != digests[2]
    assert digests[0] == sha256(canonical.encode(["true", "--token", "hunter2"])).hex()
    assert b"hunter2" not in (world.ws / "ledger.sqlite").read_bytes()


def test_a_changed_dataset_taints_the_second_receipt_only(world: World) -> None:
    copy = world.copy()
    dataseal("gate", copy, *world.gate, *sh(f"echo >> {copy}/README.md"))
    first, second = world.receipts()
    assert (first["verificationResult"], second["verificationResult"]) == ("PASSED", "FAILED")
    assert second[RUN]["recheck"] == "changed"
    assert second[RUN]["exit_code"] == 0


@pytest.mark.parametrize(("script", "code"), [("exit 126", 126), ("kill -9 $$", 137), ("exit 0", 0)])
def test_the_second_receipt_has_the_exit_code(world: World, script: str, code: int) -> None:
    assert dataseal("gate", world.copy(), *world.gate, *sh(script)).code == code
    assert world.receipts()[1][RUN]["exit_code"] == code


def test_a_receipt_is_told_with_its_place(world: World) -> None:
    origin = world.vkey.split("+")[0]
    said = dataseal("gate", world.copy(), *world.gate, *sh("exit 0"))
    assert f"receipt     entry 5 of {origin}\nPASSED " in said.err
    assert said.err.endswith(f"receipt     entry 6 of {origin}\n")


def test_a_gate_without_a_command_leaves_a_receipt_too(world: World) -> None:
    assert dataseal("gate", world.copy(), *world.gate).code == 0
    (receipt,) = world.receipts()
    assert receipt[RUN]["command"] == sha256(canonical.encode([])).hex()


def test_two_signers_are_two_input_attestations(world: World, stranger: Path) -> None:
    from support.datasets import second

    copy = world.copy()
    second(copy, stranger / "keys" / "publisher.key")
    path = write(
        world.here / "p.yaml",
        b"dataseal_policy: 1\nname: two\nrules:\n"
        b"  - {id: both, rule: publisher, datasets: [acme/*], all_of: [{signers: 'group:publishers', threshold: 2}]}\n"
        b"  - {id: files, rule: integrity}\n",
    )
    words = ("--policy", path, *world.trust, "--publisher", stranger / "keys" / "publisher.pub")
    assert dataseal("gate", copy, *words, "--workspace", world.ws, *sh("exit 0")).code == 0
    assert [i["uri"] for i in world.receipts()[0]["inputAttestations"]] == [
        ".dataseal/release/1.sigstore.json",
        ".dataseal/release/2.sigstore.json",
    ]


def test_log_shows_receipts_with_their_result(world: World) -> None:
    dataseal("gate", world.copy(), *world.gate, *sh("exit 4"))
    said = run("log", "--workspace", world.ws)
    assert "PASSED under dataseal:baseline, start of the run" in said.out
    assert "PASSED under dataseal:baseline, end of the run, exit code 4" in said.out
