"""Mistakes in the vocabulary, one a test: the place, the caret, and what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.errors import UsageError
from dataseal.verifiers.policy import PolicyError, load, model
from dataseal.verifiers.policy.names import bound, matches

Refused = Callable[..., str]
PUBLISHER = '  - {id: ours, rule: publisher, all_of: [{signers: "group:publishers"}]}\n'
RULES = "rules:\n" + PUBLISHER


def test_the_documented_example_loads(folder: Path, write: Callable[..., str]) -> None:
    example = re.split(r"::\n\n", model.__doc__ or "")[1].split("\nWhat POLICY.md")[0]
    policy = load(write(example.replace("\n    ", "\n").strip() + "\n", head=""))
    assert [p.rule.id for p in policy.rules] == ["publisher", "files", "log", "ours", "screen"]
    assert policy.needs_screen
    assert str(policy.expires) == "2027-06-30"


def test_unknown_field_of_a_rule(refused: Refused) -> None:
    message = refused(
        'rules:\n  - id: ours\n    rule: publisher\n    min_sequnce: 3\n    all_of: [{signers: "group:publishers"}]\n'
    )
    assert "team.yaml:6:5: unknown field 'min_sequnce'; did you mean 'min_sequence'?" in message
    assert "    6 |     min_sequnce: 3\n      |     ^^^^^^^^^^^\n" in message
    assert "fields here: all_of, datasets, id, min_sequence, rule, severity" in message


def test_unknown_field_at_the_top(refused: Refused) -> None:
    assert "team.yaml:3:1: unknown field 'expire'; did you mean 'expires'?" in refused("expire: x\n" + RULES)


def test_unknown_field_of_a_requirement(refused: Refused) -> None:
    rules = 'rules:\n  - {id: a, rule: publisher, all_of: [{signers: "group:publishers", treshold: 2}]}\n'
    assert "unknown field 'treshold'; did you mean 'threshold'?" in refused(rules)


def test_unknown_field_of_a_signer(refused: Refused) -> None:
    assert "unknown field 'keys'; did you mean 'key'?" in refused(
        "trust: {signers: {amy: {key: keys/amy.pub, keys: x}}}\n" + RULES
    )


def test_unknown_rule_kind(refused: Refused) -> None:
    message = refused(RULES + "  - {id: b, rule: integrty}\n")
    assert "team.yaml:5:19: unknown rule kind 'integrty'; did you mean 'integrity'?" in message
    assert "                  ^^^^^^^^" in message


def test_rule_without_a_kind(refused: Refused) -> None:
    assert "team.yaml:5:5: the field 'rule' is missing" in refused(RULES + "  - {id: b}\n")


@pytest.mark.parametrize("kind", sorted(model.LATER_KINDS))
def test_planned_rule_kind_is_refused_not_ignored(refused: Refused, kind: str) -> None:
    assert f"rule kind '{kind}' is not supported by this version" in refused(RULES + f"  - {{id: b, rule: {kind}}}\n")


@pytest.mark.parametrize("field", ["receipts: {max_age: 24h}", "waivers: {dir: waivers/}", "effective_on: 2027-01-01"])
def test_planned_field_is_refused_not_ignored(refused: Refused, field: str) -> None:
    name = field.split(":")[0]
    assert f"team.yaml:3:1: field '{name}' is not supported by this version" in refused(f"{field}\n" + RULES)


@pytest.mark.parametrize(
    "field", ["max_head_age: 7d", "first_view: witnessed"]
)  # fmt: skip
def test_planned_field_of_a_rule_is_refused(refused: Refused, field: str) -> None:
    assert "is not supported by this version" in refused(
        RULES + f"  - {{id: l, rule: transparency, min: self, {field}}}\n"
    )


@pytest.mark.parametrize("setting", ["extra_files: allow"])
def test_planned_value_is_refused(refused: Refused, setting: str) -> None:
    assert "'allow' is not supported by this version" in refused(RULES + f"  - {{id: f, rule: integrity, {setting}}}\n")


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ("fast: yes", "unknown value 'yes' for 'fast'"),
        ("partial: allowed", "did you mean 'allow'?"),
        ("chunk_hash: sha256", "expected a list"),
        ("chunk_hash: []", "it is empty"),
        ("chunk_hash: [md5]", "unknown value 'md5' for 'chunk_hash'"),
    ],
)
def test_what_an_integrity_rule_can_not_say(refused: Refused, setting: str, wanted: str) -> None:
    assert wanted in refused(RULES + f"  - {{id: f, rule: integrity, {setting}}}\n")


def test_unknown_mode(refused: Refused) -> None:
    message = refused("mode: enforced\n" + RULES)
    assert "team.yaml:3:7: unknown value 'enforced' for 'mode'; did you mean 'enforce'?" in message


def test_unknown_detector(refused: Refused) -> None:
    message = refused(RULES + "  - {id: s, rule: screen, required_detectors: [private-phrases]}\n")
    assert "unknown value 'private-phrases' for 'required_detectors'; did you mean 'private-phrase'?" in message
    assert "empty" not in message  # pydantic's second opinion on the same list


def test_no_required_detector(refused: Refused) -> None:
    assert "'required_detectors': it is empty" in refused(RULES + "  - {id: s, rule: screen, required_detectors: []}\n")


@pytest.mark.parametrize("coverage", ["0", "0.0", "1.5", "-1", ".nan", "true", '"1"'])
def test_coverage_out_of_range(refused: Refused, coverage: str) -> None:
    rule = f"  - {{id: s, rule: screen, required_detectors: [outlier], coverage: {coverage}}}\n"
    assert "'coverage'" in refused(RULES + rule)


@pytest.mark.parametrize(
    "rules",
    ["rules: []\n", "rules: {}\n", "rules: 3\n", "rules: [3]\n", "rules: [[]]\n", 'rules: "publisher"\n'],
)
def test_rules_of_a_wrong_type(refused: Refused, rules: str) -> None:
    assert "'rules'" in refused(rules)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("all_of: []", "'all_of': it is empty"),
        ("all_of: [{signers: []}]", "'signers': it is empty"),
        ('all_of: [{signers: ""}]', "'signers': it is empty"),
        ("all_of: {signers: amy}", "'all_of': expected a list, found a mapping"),
        ("all_of: [{signers: amy, threshold: 0}]", "'threshold'"),
        ("all_of: [{signers: amy, threshold: true}]", "'threshold': expected a whole number, found true"),
        ('all_of: [{signers: amy, threshold: "1"}]', "'threshold': expected a whole number, found text '1'"),
        ("all_of: [{signers: amy, threshold: 1.0}]", "'threshold': expected a whole number, found 1.0"),
        ("all_of: [{signers: amy}], min_sequence: -1", "'min_sequence'"),
        ("all_of: [{signers: amy}], datasets: []", "'datasets': it is empty"),
        ("all_of: [{signers: amy}], datasets: corpus-lab/x", "'datasets': expected a list"),
        ('all_of: [{signers: amy}], datasets: ["*"]', "at least one letter or digit"),
        ('all_of: [{signers: amy}], datasets: ["*/*"]', "at least one letter or digit"),
        ('all_of: [{signers: amy}], datasets: ["?"]', "at least one letter or digit"),
        ('all_of: [{signers: amy}], datasets: ["corpus-lab/**"]', "neither of which crosses"),
        ('all_of: [{signers: amy}], datasets: ["[!x]*/a"]', "neither of which crosses"),
        ('all_of: [{signers: amy}], datasets: ["/etc"]', "no empty part"),
        ("all_of: [{signers: amy}], severity: note", "unknown value 'note' for 'severity'"),
        ("datasets: [a/b]", "the field 'all_of' is missing"),
    ],
)
def test_publisher_rule_with_a_wrong_value(refused: Refused, rule: str, said: str) -> None:
    assert said in refused(f"rules:\n  - {{id: ours, rule: publisher, {rule}}}\n")


@pytest.mark.parametrize("version", ["2", "true", '"1"', "1.0"])
def test_another_version_of_the_format(refused: Refused, version: str) -> None:
    assert "team.yaml:1:18: 'dataseal_policy'" in refused(RULES, head=f"dataseal_policy: {version}\nname: team\n")


def test_no_policy_at_all(refused: Refused) -> None:
    assert "this is no policy" in refused("services: {web: {image: x}}\n", head="")


@pytest.mark.parametrize("text", ["- a\n- b\n", "hello\n", "3\n"])
def test_a_document_that_is_no_mapping(refused: Refused, text: str) -> None:
    assert "expected a mapping" in refused(text, head="")


@pytest.mark.parametrize("day", ["2027-02-30", "tomorrow", "2027-6-3", "20270630", '"2027-06-30T00:00:00Z"'])
def test_expiry_that_is_no_date(refused: Refused, day: str) -> None:
    assert "'expires'" in refused(f"expires: {day}\n" + RULES)


@pytest.mark.parametrize("identifier", ["Ours", "a b", "a_b", "-a", "a" * 65])
def test_rule_id_of_a_wrong_form(refused: Refused, identifier: str) -> None:
    assert "'id'" in refused(RULES.replace("id: ours", f'id: "{identifier}"'))


def test_several_mistakes_are_told_together(refused: Refused) -> None:
    message = refused(
        "mode: enforced\n"
        "trust: {signers: {amy: {key: keys/amy.pub}}, groups: {curators: [amyy]}}\n"
        "rules:\n"
        "  - {id: a, rule: publisher, all_of: [{signers: [ann]}]}\n"
        "  - {id: b, rule: integrty}\n"
        "  - {id: a, rule: integrity, digest: all}\n"
        "  - {id: d, rule: transparency, min: self, logs: [mian]}\n"
    )
    for line in (3, 4, 6, 7, 8, 9):
        assert f"team.yaml:{line}:" in message
    assert "did you mean 'amy'?" in message
    assert "did you mean 'main'?" in message
    assert message.startswith("the policy can't be used: 6 mistakes")


def test_only_the_first_of_many_mistakes_are_printed(refused: Refused) -> None:
    message = refused(RULES + "".join(f"  - {{id: r{i}, rule: x}}\n" for i in range(50)))
    assert "50 mistakes" in message
    assert "… and 30 more" in message


def test_a_long_line_is_shown_around_the_caret(write: Callable[..., str]) -> None:
    path = write(f"# x\ndescription: {'x' * 5000}\nmode: {'y' * 300}\n" + RULES)
    with pytest.raises(PolicyError) as caught:
        load(path)
    assert max(len(line) for line in str(caught.value).splitlines() if "|" in line) < 120


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("corpus-lab/reviews", "corpus-lab/*", True),
        ("corpus-lab/reviews", "corpus-lab/reviews", True),
        ("corpus-lab/reviews/x", "corpus-lab/*", False),
        ("x/corpus-lab/reviews", "corpus-lab/*", False),
        ("corpus-lab/Reviews", "corpus-lab/reviews", False),
        ("corpus-lab/reviews2", "corpus-lab/reviews", False),
        ("corpus-lab", "corpus-lab/*", False),
        ("corpus-labs/reviews", "corpus-lab?/reviews", True),
        ("corpus-lab/reviews\n", "corpus-lab/reviews", False),
        ("", "a*", False),
    ],
)
def test_globs_are_anchored_and_do_not_cross_a_slash(name: str, pattern: str, expected: bool) -> None:
    assert matches(name, pattern) is expected


@given(st.text(alphabet="ab*?/", min_size=1, max_size=12), st.text(alphabet="ab/", max_size=12))
def test_globs_against_a_naive_twin(pattern: str, name: str) -> None:
    def naive(p: str, n: str) -> bool:
        if not p:
            return not n
        if p[0] == "*":
            return naive(p[1:], n) or (bool(n) and n[0] != "/" and naive(p, n[1:]))
        return bool(n) and (p[0] == n[0] or (p[0] == "?" and n[0] != "/")) and naive(p[1:], n[1:])

    assert matches(name, pattern) is naive(pattern, name)


def test_a_glob_can_not_hang() -> None:
    assert not matches("a" * 5000, "*a" * 90 + "b")


@pytest.mark.parametrize("name", ["", "*", "a/**", "a b", "x\x1b[31m", "/a", "a/"])
def test_a_command_line_dataset_that_binds_nothing(name: str) -> None:
    with pytest.raises(UsageError):
        bound([name])
