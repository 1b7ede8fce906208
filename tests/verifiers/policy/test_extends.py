"""Inheritance only adds: nothing of a parent is replaced, widened by accident, or swapped unseen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataseal.verifiers.policy import load

Refused = Callable[..., str]
Write = Callable[..., str]
World = Any
OURS = '  - {id: ours, rule: publisher, datasets: ["corpus-lab/*"], all_of: [{signers: "group:publishers"}]}\n'
BASE = 'extends: [{policy: "dataseal:baseline"}]\n'


def pinned(path: str, *, digest: str | None = None) -> str:
    sha256 = digest or hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return f"extends: [{{policy: {Path(path).name}, sha256: {sha256}}}]\n"


def test_rules_of_parent_and_child(write: Write, world: World) -> None:
    policy = load(write(BASE + "rules:\n" + OURS), publishers=[world.amy], logs=[world.log])
    assert [p.rule.id for p in policy.rules] == ["publisher", "files", "log", "ours"]
    assert policy.rules[0].where.startswith("dataseal:baseline:")
    assert policy.name == "team"


def test_a_child_may_only_supply_trust(write: Write) -> None:
    trust = "trust:\n  signers: {amy: {key: keys/amy.pub}}\n  groups: {publishers: [amy]}\n"
    trust += "  logs: {main: keys/main.tlog-policy}\n"
    assert len(load(write(BASE + trust)).rules) == 3


def test_a_rule_of_the_parent_can_not_be_replaced(refused: Refused) -> None:
    message = refused(BASE + "rules:\n  - {id: files, rule: integrity, severity: warning}\n")
    assert "team.yaml:5:10: a second rule with the id 'files'" in message
    assert "the first is at dataseal:baseline:" in message


def test_unknown_shipped_parent(refused: Refused) -> None:
    message = refused('extends: [{policy: "dataseal:baselin"}]\nrules:\n' + OURS)
    assert (
        "team.yaml:3:20: no policy 'dataseal:baselin' ships with dataseal; did you mean 'dataseal:baseline'?" in message
    )


def test_parent_from_a_file_needs_its_digest(refused: Refused, write: Write) -> None:
    write("rules:\n" + OURS, name="parent.yaml")
    assert "needs its digest" in refused("extends: [{policy: parent.yaml}]\n")


def test_parent_from_a_file(write: Write, world: World) -> None:
    parent = write("mode: audit\nexpires: 2027-01-01\nrules:\n" + OURS, name="parent.yaml")
    policy = load(
        write(pinned(parent) + "mode: warn\nexpires: 2028-01-01\nrules:\n  - {id: files, rule: integrity}\n"),
        publishers=[world.amy],
    )
    assert [p.rule.id for p in policy.rules] == ["ours", "files"]
    assert policy.mode == "warn"
    assert str(policy.expires) == "2027-01-01"


def test_the_strictest_mode_holds(write: Write, world: World) -> None:
    parent = write("mode: enforce\nrules:\n" + OURS, name="parent.yaml")
    policy = load(write(pinned(parent) + "mode: audit\n"), publishers=[world.amy])
    assert policy.mode == "enforce"


def test_shipped_policies_leave_the_mode_to_the_child(write: Write, world: World) -> None:
    assert load(write(BASE + "mode: audit\n"), publishers=[world.amy], logs=[world.log]).mode == "audit"


def test_parent_that_changed_since_it_was_pinned(refused: Refused, write: Write) -> None:
    parent = write("rules:\n" + OURS, name="parent.yaml")
    message = refused(pinned(parent, digest="0" * 64))
    assert "the file has the SHA-256" in message
    assert f"expected {'0' * 64}" in message


def test_parent_from_the_network(refused: Refused) -> None:
    ref = f'extends: [{{policy: "https://example.org/p.yaml", sha256: {"a" * 64}}}]\n'
    assert "not fetched" in refused(ref)


def test_digest_of_a_shipped_parent(refused: Refused) -> None:
    assert "not pinned by digest" in refused(f'extends: [{{policy: "dataseal:baseline", sha256: {"a" * 64}}}]\n')


def test_a_pinned_parent_may_name_no_files(refused: Refused, write: Write) -> None:
    """Its digest would not cover them: whoever swaps the key file would swap the publisher."""
    parent = write("trust: {signers: {amy: {key: keys/amy.pub}}}\nrules:\n" + OURS, name="parent.yaml")
    message = refused(pinned(parent))
    assert "parent.yaml:3:30: 'amy': this policy may name no files" in message


def test_mistakes_of_parent_and_child_are_told_together(refused: Refused, write: Write) -> None:
    parent = write("rules:\n" + OURS.replace("datasets", "dataset"), name="parent.yaml")
    message = refused(pinned(parent) + "mode: enforced\n")
    assert "parent.yaml:4:33: unknown field 'dataset'" in message
    assert "team.yaml:4:7: unknown value 'enforced'" in message


@pytest.mark.parametrize(
    ("block", "other"),
    [
        ("signers: {amy: {key: keys/ben.pub}}", "signer 'amy'"),
        ("groups: {publishers: [ben], x: [ben]}, signers: {ben: {key: keys/ben.pub}}", "group 'publishers'"),
    ],
)
def test_trust_of_the_parent_can_not_be_replaced(
    refused: Refused, write: Write, world: World, block: str, other: str
) -> None:
    pem = world.amy.pem().decode().replace("\n", "\\n")
    parent = write(
        f'trust: {{signers: {{amy: {{key: "{pem}"}}}}, groups: {{publishers: [amy]}}}}\nrules:\n' + OURS,
        name="parent.yaml",
    )
    message = refused(pinned(parent) + f"trust: {{{block}}}\n")
    assert f"{other} is defined by a parent policy, with another meaning" in message
    assert "team.yaml:4:" in message


def test_a_parent_shared_by_two_counts_once(write: Write, world: World) -> None:
    both = 'extends: [{policy: "dataseal:pretraining"}, {policy: "dataseal:baseline"}]\n'
    policy = load(write(both), publishers=[world.amy], logs=[world.log])
    assert [p.rule.id for p in policy.rules] == ["publisher", "files", "log", "screen"]


def test_a_chain_without_end(write: Write) -> None:
    path = write("rules:\n" + OURS, name="p0.yaml")
    for number in range(1, 20):
        path = write(pinned(path), name=f"p{number}.yaml")
    message = "more than 16 files|may extend shipped ones only"
    with pytest.raises(Exception, match=message):
        load(path)
