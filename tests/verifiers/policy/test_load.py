"""From files and options to a policy: keys, groups, logs, thresholds, and what a command line adds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger.errors import UsageError
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.trust import Signer, TrustedLog
from dataseal.verifiers.policy import builtin_names, command_line, load, require_bound

Refused = Callable[..., str]
Write = Callable[..., str]
World = Any
TRUST = """trust:
  signers: {amy: {key: keys/amy.pub}, ben: {key: keys/ben.pub}}
  groups: {publishers: [amy, ben]}
  logs: {main: keys/main.tlog-policy}
"""
OURS = '  - {id: ours, rule: publisher, datasets: ["corpus-lab/*"], all_of: [{signers: "group:publishers"}]}\n'
RULES = "rules:\n" + OURS


def test_a_whole_policy(write: Write, world: World) -> None:
    path = write("description: ours\nmode: warn\nexpires: 2027-06-30\n" + TRUST + RULES)
    policy = load(path)
    assert (policy.name, policy.uri, policy.mode.value, str(policy.expires)) == (
        "team",
        path,
        "warn",
        "2027-06-30",
    )
    assert policy.trust.signers["amy"].fingerprints == {world.amy.fingerprint}
    assert policy.trust.logs["main"].operator == "self-operated"
    assert policy.datasets == ("corpus-lab/*",)
    assert [p.where for p in policy.rules] == [f"{path}:11:5"]
    assert not policy.needs_screen
    require_bound(policy)


def test_inline_key(write: Write, world: World) -> None:
    lines = [f"        {line}" for line in world.amy.pem().decode().splitlines()]
    body = "trust:\n  signers:\n    amy:\n      key: |\n" + "\n".join(lines) + "\n  groups: {publishers: [amy]}\n"
    policy = load(write(body + RULES))
    assert policy.trust.signers["amy"].fingerprints == {world.amy.fingerprint}


def test_log_with_an_operator(write: Write) -> None:
    trust = TRUST.replace("keys/main.tlog-policy", "{policy: keys/main.tlog-policy, operator: independent}")
    assert load(write(trust + RULES)).trust.logs["main"].operator == "independent"


def test_missing_key_file(refused: Refused) -> None:
    message = refused("trust: {signers: {amy: {key: keys/any.pub}}}\n" + RULES)
    assert "team.yaml:3:30: 'amy': the key file" in message
    assert "No such file or directory" in message


def test_key_path_to_a_folder(refused: Refused) -> None:
    assert "is not a regular file" in refused("trust: {signers: {amy: {key: keys}}}\n" + RULES)


def test_key_path_to_a_pipe_does_not_hang(refused: Refused, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert "is not a regular file" in refused("trust: {signers: {amy: {key: pipe}}}\n" + RULES)


def test_key_path_with_a_null_byte(refused: Refused) -> None:
    assert "can't be read" in refused('trust: {signers: {amy: {key: "keys\\0/amy.pub"}}}\n' + RULES)


def test_key_file_outside_that_is_no_key(refused: Refused) -> None:
    message = refused("trust: {signers: {amy: {key: ../../../../../../etc/passwd}}}\n" + RULES)
    assert "not a PEM public key" in message
    assert "root:" not in message


def test_private_key_as_a_public_one(refused: Refused, folder: Path) -> None:
    (folder / "secret").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    message = refused("trust: {signers: {amy: {key: secret}}}\n" + RULES)
    assert "this is a private key" in message
    assert "AAAA" not in message


def test_huge_key_file(refused: Refused, folder: Path) -> None:
    (folder / "big").write_bytes(b"x" * 100_000)
    assert "has more than 16,384 bytes" in refused("trust: {signers: {amy: {key: big}}}\n" + RULES)


def test_log_file_that_is_no_tlog_policy(refused: Refused) -> None:
    assert "team.yaml:3:22: 'main'" in refused("trust: {logs: {main: keys/amy.pub}}\n" + RULES)


def test_tlog_policy_without_a_log(refused: Refused, folder: Path) -> None:
    (folder / "none").write_text("quorum none\n")
    assert "names no log" in refused("trust: {logs: {main: none}}\n" + RULES)


@pytest.mark.parametrize("block", ["signers: {}", "groups: {}", "logs: {}", "groups: {g: []}"])
def test_empty_trust(refused: Refused, block: str) -> None:
    assert "it is empty" in refused(f"trust: {{{block}}}\n" + RULES)


def test_unknown_signer(refused: Refused) -> None:
    message = refused(TRUST + RULES.replace("group:publishers", "amyy"))
    assert "unknown signer 'amyy'; did you mean 'amy'?" in message
    assert "signers: amy, ben" in message


def test_unknown_group(refused: Refused) -> None:
    assert "unknown group 'publisher'; did you mean 'publishers'?" in refused(
        TRUST + RULES.replace("group:publishers", "group:publisher")
    )


def test_group_named_without_its_prefix(refused: Refused) -> None:
    assert "write 'group:publishers'" in refused(TRUST + RULES.replace("group:publishers", "publishers"))


def test_unknown_member_of_a_group(refused: Refused) -> None:
    assert "unknown signer 'eve'" in refused(TRUST.replace("[amy, ben]", "[amy, eve]") + RULES)


def test_unknown_log(refused: Refused) -> None:
    message = refused(TRUST + RULES + "  - {id: l, rule: transparency, min: self, logs: [main, mian]}\n")
    assert "team.yaml:9:57: unknown log 'mian'; did you mean 'main'?" in message


def test_threshold_above_the_number_of_keys(refused: Refused) -> None:
    rule = OURS.replace('publishers"}', 'publishers", threshold: 4}')
    assert "threshold 4 can't be met by 2 distinct keys" in refused(TRUST + "rules:\n" + rule)


def test_threshold_of_one_key_under_two_names(refused: Refused) -> None:
    trust = (
        "trust:\n  signers: {amy: {key: keys/amy.pub}, amelia: {key: keys/amy.pub}}\n  groups: {two: [amy, amelia]}\n"
    )
    rule = OURS.replace('publishers"}', 'publishers", threshold: 2}').replace("group:publishers", "group:two")
    assert "threshold 2 can't be met by 1 distinct key" in refused(trust + "rules:\n" + rule)


def test_duplicate_rule_id(refused: Refused) -> None:
    message = refused(RULES + "  - {id: ours, rule: integrity}\n")
    assert "team.yaml:5:10: a second rule with the id 'ours'" in message
    assert "the first is at" in message


def test_no_rules(write: Write) -> None:
    with pytest.raises(UsageError, match="has no rules"):
        load(write(TRUST))


def test_no_publisher_rule(write: Write) -> None:
    with pytest.raises(UsageError, match="no publisher rule"):
        load(write(TRUST + "rules:\n  - {id: files, rule: integrity}\n"))


def test_publisher_rule_that_never_blocks(write: Write) -> None:
    with pytest.raises(UsageError, match="no publisher rule of severity error"):
        load(write(TRUST + RULES.replace("rule: publisher", "rule: publisher, severity: warning")))


def test_group_publishers_that_nobody_supplied(write: Write) -> None:
    with pytest.raises(UsageError, match="nobody said who the publishers are") as caught:
        load(write(RULES))
    assert "give --publisher KEY.pub, or define trust.groups.publishers" in str(caught.value.hint)


def test_no_log_where_one_is_needed(write: Write, world: World) -> None:
    with pytest.raises(UsageError, match="no log is trusted"):
        load(write(RULES + "  - {id: l, rule: transparency, min: self}\n"), publishers=[world.amy])


def test_command_line_keys_join_the_group(write: Write, world: World) -> None:
    policy = load(write(RULES), publishers=[world.amy, Signer.of("ben", world.ben)])
    members = policy.trust.resolve("group:publishers")
    assert {f for s in members for f in s.fingerprints} == {world.amy.fingerprint, world.ben.fingerprint}
    assert policy.trust.names(world.amy.fingerprint) == (f"publisher:{world.amy.fingerprint[:16]}",)


SIGNERS = "trust:\n  signers: {amy: {key: keys/amy.pub}}\n"


def test_command_line_key_that_the_policy_names_keeps_its_name(write: Write, world: World) -> None:
    policy = load(write(SIGNERS + RULES), publishers=[world.amy])
    assert policy.trust.groups["publishers"] == ("amy",)


def test_command_line_key_under_a_taken_name(write: Write, world: World) -> None:
    with pytest.raises(UsageError, match="another key than the signer of that name"):
        load(write(SIGNERS + RULES), publishers=[Signer.of("amy", world.eve)])


@pytest.mark.parametrize("whose", ["amy", "eve"])
def test_a_command_line_key_does_not_widen_a_policy_that_names_its_publishers(
    write: Write, world: World, whose: str
) -> None:
    with pytest.raises(UsageError, match="--publisher can't add to the policy"):
        load(write(TRUST + RULES), publishers=[getattr(world, whose)])


def test_a_command_line_log_does_not_widen_a_policy_that_names_its_logs(write: Write, world: World) -> None:
    with pytest.raises(UsageError, match="--log can't add to the policy"):
        load(write(TRUST + RULES), logs=[TrustedLog("other", policy_for_log(world.vkey(22)))])


def test_a_verifier_key_alone_names_a_log(write: Write, world: World, folder: Path) -> None:
    (folder / "log.vkey").write_text(world.vkey(21) + "\n")
    policy = load(write("trust:\n  logs: {main: log.vkey}\n" + RULES), publishers=[world.amy])
    assert policy.trust.logs["main"].policy == policy_for_log(world.vkey(21))


def test_unbound(world: World) -> None:
    policy = load("dataseal:baseline", publishers=[world.amy], logs=[world.log])
    assert policy.datasets == ()
    with pytest.raises(UsageError, match="binds no dataset") as caught:
        require_bound(policy)
    assert "--dataset NAME" in str(caught.value.hint)
    require_bound(load("dataseal:baseline", publishers=[world.amy], logs=[world.log], datasets=[world.dataset]))


def test_a_warning_does_not_bind(write: Write, world: World) -> None:
    rules = (
        'rules:\n  - {id: a, rule: publisher, all_of: [{signers: "group:publishers"}]}\n'
        "  - {id: b, rule: publisher, severity: warning, datasets: [a/b], "
        'all_of: [{signers: "group:publishers"}]}\n'
    )
    with pytest.raises(UsageError, match="binds no dataset"):
        require_bound(load(write(rules), publishers=[world.amy]))


def test_command_line_policy(world: World) -> None:
    policy = command_line(publishers=[world.amy], logs=[world.log], datasets=[world.dataset], digests="all")
    assert [p.rule.rule for p in policy.rules] == ["publisher", "integrity", "transparency"]
    assert {p.where for p in policy.rules} == {"command line"}
    assert policy.resolved()["rules"][1]["digests"] == "all"
    assert len(command_line(publishers=[world.amy], no_log=True).rules) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"publishers": []}, "nobody to trust"),
        ({"logs": []}, "no log to trust"),
        ({"no_log": True}, "contradict"),
        ({"threshold": 0}, "at least 1"),
        ({"threshold": 2}, "threshold 2 can't be met by 1 distinct key"),
        ({"datasets": ["*"]}, "does not bind a dataset"),
    ],
)
def test_command_line_policy_that_trusts_nobody(world: World, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        command_line(**{"publishers": [world.amy], "logs": [world.log], **options})


def test_one_key_given_twice_is_one_signer(world: World) -> None:
    with pytest.raises(UsageError, match="1 distinct key "):
        command_line(publishers=[world.amy, Signer.of("amelia", world.amy)], logs=[world.log], threshold=2)


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("dataseal:pretrainin", "did you mean 'dataseal:pretraining'"),
        ("dataseal:../baseline", "ships with dataseal"),
        ("dataseal:", "ships with dataseal"),
        ("baseline", "did you mean 'dataseal:baseline'"),
        ("nowhere.yaml", "can't be read: No such file"),
        ("https://example.org/p.yaml", "not fetched"),
        ("/", "not a regular file"),
    ],
)
def test_reference_to_no_policy(ref: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load(ref)


def test_builtin_names() -> None:
    assert {"baseline", "pretraining"} <= set(builtin_names())
