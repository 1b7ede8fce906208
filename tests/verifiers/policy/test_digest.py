"""The digest binds what decides, and nothing else."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import canonical
from dataseal.ledger.tlog.cosignature import Ed25519CosignatureVerifier
from dataseal.verifiers.policy import load

Write = Callable[..., str]
World = Any
POLICY = """dataseal_policy: 1
name: team
mode: enforce
expires: 2027-06-30
trust:
  signers: {amy: {key: keys/amy.pub}, ben: {key: keys/ben.pub}}
  groups: {publishers: [amy, ben]}
  logs: {main: {policy: keys/main.tlog-policy, operator: self-operated}}
rules:
  - id: ours
    rule: publisher
    datasets: ["a/b"]
    min_sequence: 2
    all_of: [{signers: "group:publishers", threshold: 1}]
  - {id: files, rule: integrity, digests: tree}
  - {id: log, rule: transparency, min: self}
  - {id: rows, rule: screen, required_detectors: [private-phrase], coverage: 1.0}
"""


@pytest.fixture
def digest(write: Write) -> Callable[..., str]:
    return lambda text, **options: load(write(text, head=""), **options).digest


def same(digest: Callable[..., str], text: str) -> None:
    assert text != POLICY
    assert digest(text) == digest(POLICY)


def test_shape(digest: Callable[..., str]) -> None:
    assert re.fullmatch("[0-9a-f]{64}", digest(POLICY))


def test_comments_and_description_do_not_count(digest: Callable[..., str]) -> None:
    same(digest, "# a comment\n" + POLICY.replace("name: team\n", "name: team   # ours\ndescription: other words\n"))


def test_order_and_style_do_not_count(digest: Callable[..., str]) -> None:
    head, rules = POLICY.split("rules:\n")
    ours, rest = rules.split("  - {id: files", 1)
    rules = "  - {id: files" + rest + ours
    shuffled = "rules:\n" + rules + head.replace("[amy, ben]", "[ben, amy]")
    same(digest, shuffled)
    same(
        digest,
        POLICY.replace("{id: log, rule: transparency, min: self}", "min: self\n    rule: transparency\n    id: log"),
    )


def test_written_defaults_do_not_count(digest: Callable[..., str]) -> None:
    same(
        digest,
        POLICY.replace(", digests: tree", ", fast: deny").replace(", coverage: 1.0", "").replace("mode: enforce\n", ""),
    )


def test_file_paths_do_not_count(digest: Callable[..., str], folder: Path) -> None:
    os.rename(folder / "keys", folder / "trusted")
    moved = digest(POLICY.replace("keys/", "trusted/"))
    os.rename(folder / "trusted", folder / "keys")
    assert moved == digest(POLICY)


def test_inline_and_file_keys_are_the_same_keys(digest: Callable[..., str], world: World) -> None:
    pem = world.amy.pem().decode().replace("\n", "\\n")
    same(digest, POLICY.replace("key: keys/amy.pub", f'key: "{pem}"'))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: team", "name: other"),
        ("mode: enforce", "mode: audit"),
        ("2027-06-30", "2027-07-01"),
        ("expires: 2027-06-30\n", ""),
        ("amy: {key: keys/amy.pub}", "amy: {key: keys/ben.pub}"),
        ("[amy, ben]", "[amy]"),
        ("operator: self-operated", "operator: independent"),
        ('["a/b"]', '["a/c"]'),
        ("min_sequence: 2", "min_sequence: 3"),
        ("threshold: 1", "threshold: 2"),
        ("digests: tree", "digests: all"),
        ("min: self", "min: witnessed"),
        ("coverage: 1.0", "coverage: 0.9"),
        ("[private-phrase]", "[outlier]"),
        ("id: files", "id: bytes"),
        ("rule: screen,", "rule: screen, on_advice: warn,"),
        ("  - {id: log, rule: transparency, min: self}\n", ""),
        ("digests: tree", "severity: warning"),
    ],
)
def test_everything_that_decides_counts(digest: Callable[..., str], old: str, new: str) -> None:
    assert old in POLICY
    assert digest(POLICY.replace(old, new)) != digest(POLICY)


def test_the_log_key_counts(digest: Callable[..., str], folder: Path, world: World) -> None:
    before = digest(POLICY)
    (folder / "keys" / "main.tlog-policy").write_text(f"log {world.vkey(22)}\nquorum none\n")
    assert digest(POLICY) != before
    (folder / "keys" / "main.tlog-policy").write_text(f"# x\nlog {world.vkey(21)} https://example.org/\nquorum none\n")
    assert digest(POLICY) == before


def test_witnesses_and_quorum_count(digest: Callable[..., str], folder: Path, world: World) -> None:
    def witness(name: str, key: bytes) -> str:
        return f"witness {name} {Ed25519CosignatureVerifier('example.org/w', key).vkey}\n"

    ways = [
        "quorum none\n",
        witness("W", b"1" * 32) + "quorum none\n",
        witness("W", b"2" * 32) + "quorum none\n",
        witness("W", b"1" * 32) + "quorum W\n",
        witness("W", b"1" * 32) + witness("V", b"2" * 32) + "group G any W V\nquorum G\n",
        witness("W", b"1" * 32) + witness("V", b"2" * 32) + "group G all W V\nquorum G\n",
    ]
    found = set()
    for way in ways:
        (folder / "keys" / "main.tlog-policy").write_text(f"log {world.vkey(21)}\n{way}")
        found.add(digest(POLICY))
    assert len(found) == len(ways)


def test_the_command_line_counts(digest: Callable[..., str], world: World) -> None:
    assert digest(POLICY) != digest(POLICY, datasets=["a/b"])
    opened = POLICY.replace("publishers:", "curators:")
    assert digest(opened, publishers=[world.amy]) != digest(opened, publishers=[world.eve])


def test_resolved_is_json_and_names_every_origin(write: Write) -> None:
    path = write(POLICY, head="")
    policy = load(path)
    resolved = json.loads(json.dumps(policy.resolved()))
    assert canonical.encode(resolved)
    assert resolved["digest"] == policy.digest
    assert [rule["origin"] for rule in resolved["rules"]] == [f"{path}:{line}:5" for line in (10, 15, 16, 17)]
    assert resolved["rules"][1] == {
        "id": "files",
        "rule": "integrity",
        "severity": "error",
        "extra_files": "deny",
        "partial": "deny",
        "digests": "tree",
        "fast": "deny",
        "origin": f"{path}:15:5",
    }
