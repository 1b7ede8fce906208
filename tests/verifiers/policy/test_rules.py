"""Each rule kind over facts: what passes, and every single thing that does not."""

from __future__ import annotations

from typing import Any

import pytest

from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.trust import Signer, Trust, TrustedLog
from dataseal.verifiers.finding import Finding, Pointer
from dataseal.verifiers.policy import PlacedRule, Policy, evaluate
from dataseal.verifiers.policy.schema import RULE
from dataseal.verifiers.verdict import Mode, RuleOutcome

World = Any
PUBLISHER = {"id": "who", "rule": "publisher", "all_of": [{"signers": ["amy"]}]}


def policy(world: World, *rules: dict[str, Any], **changes: Any) -> Policy:
    signers = {n: Signer.of(n, k) for n, k in zip(("amy", "ben", "eve"), world.keys, strict=True)}
    signers["amelia"] = Signer.of("amelia", world.amy)
    other = TrustedLog("other", policy_for_log(world.vkey(31, "example.org/other")))
    trust = Trust(signers, {"two": ("amy", "ben", "amelia")}, {"main": world.log, "other": other})
    placed = tuple(PlacedRule(RULE.validate_python(r), f"team.yaml:{i}:1") for i, r in enumerate(rules, 1))
    defaults = {"name": "team", "uri": "team.yaml", "mode": Mode.ENFORCE, "expires": None}
    return Policy(trust=trust, rules=placed, **{**defaults, **changes})


def judge(world: World, rule: dict[str, Any], **facts: Any) -> RuleOutcome:
    rules = [rule] if rule["rule"] == "publisher" else [PUBLISHER, rule]
    outcomes = evaluate(policy(world, *rules), world.facts(**facts)).outcomes
    return next(o for o in outcomes if o.rule == rule["id"])


def test_publisher_passes(world: World) -> None:
    outcome = judge(world, {**PUBLISHER, "datasets": ["x/y", "corpus-lab/*"], "min_sequence": 2})
    assert outcome.outcome == "pass"
    assert outcome.reason == "corpus-lab/reviews@1.1.0, sequence 2, signed by amelia, amy"
    assert outcome.where == "team.yaml:1:1"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"datasets": ["corpus-lab/tweets"]}, "'corpus-lab/reviews', and the rule expects corpus-lab/tweets"),
        ({"datasets": ["corpus-lab/review"]}, "fetch the right one"),
        ({"min_sequence": 3}, "has sequence 2, expected 3 or later; fetch a newer release"),
        ({"all_of": [{"signers": ["ben"]}]}, "signed by 0 of 1 distinct signers of ben (nobody), expected 1"),
        ({"all_of": [{"signers": ["group:two"], "threshold": 2}]}, "signed by 1 of 2 distinct signers of group:two"),
        ({"all_of": [{"signers": ["amy"]}, {"signers": ["ben"]}]}, "expected 1; ask the publisher"),
    ],
)
def test_publisher_fails(world: World, rule: dict[str, Any], said: str) -> None:
    outcome = judge(world, {**PUBLISHER, **rule})
    assert outcome.outcome == "fail"
    assert said in outcome.reason


def test_one_key_under_two_names_signs_once(world: World) -> None:
    rule = {**PUBLISHER, "all_of": [{"signers": ["amy", "amelia", "ben"], "threshold": 2}]}
    assert judge(world, rule).outcome == "fail"
    twice = world.release(signed_by=(world.amy.fingerprint, world.amy.fingerprint))
    assert judge(world, rule, release=twice).outcome == "fail"
    both = world.release(signed_by=(world.amy.fingerprint, world.ben.fingerprint))
    assert judge(world, rule, release=both).outcome == "pass"


def test_what_is_only_noted_does_not_hide_why_a_rule_passes(world: World) -> None:
    noted = Finding("signature.unknown", "somebody unknown signed it too", severity="note")
    outcome = judge(world, PUBLISHER, findings=(noted,))
    assert (outcome.outcome, outcome.findings) == ("pass", (noted,))
    assert outcome.reason == "corpus-lab/reviews@1.1.0, sequence 2, signed by amelia, amy"


def test_signed_by_nobody_or_a_stranger(world: World) -> None:
    assert judge(world, PUBLISHER, release=world.release(signed_by=())).outcome == "fail"
    assert judge(world, PUBLISHER, release=world.release(signed_by=(world.eve.fingerprint,))).outcome == "fail"


def test_no_release(world: World) -> None:
    outcome = judge(world, PUBLISHER, release=None)
    assert outcome.outcome == "fail"
    assert "no release signed by a trusted publisher was found, expected one" in outcome.reason


@pytest.mark.parametrize("check", ["signature.invalid", "identity.dataset", "rollback.release", "signature"])
def test_publisher_with_a_finding(world: World, check: str) -> None:
    finding = Finding(check, "it does not hold", observed="a", expected="b", hint="fetch it again")
    outcome = judge(world, PUBLISHER, findings=(finding,))
    assert outcome.outcome == "fail"
    assert outcome.findings == (finding,)
    assert "it does not hold (observed a, expected b); fetch it again" in outcome.reason


def test_a_warning_accompanies_a_pass(world: World) -> None:
    finding = Finding("identity.unpinned", "identity not pinned", severity="warning")
    outcome = judge(world, PUBLISHER, findings=(finding,))
    assert (outcome.outcome, outcome.findings) == ("pass", (finding,))


def test_names_of_the_rule_and_of_the_command_line_must_both_hold(world: World) -> None:
    rule = {**PUBLISHER, "datasets": ["corpus-lab/*"]}
    for named, expected in (("corpus-lab/reviews", "pass"), ("corpus-lab/tweets", "fail"), ("x/*", "fail")):
        assert evaluate(policy(world, rule, named=(named,)), world.facts()).outcomes[0].outcome == expected
    other = policy(world, {**PUBLISHER, "datasets": ["x/y"]}, named=("corpus-lab/reviews",))
    assert evaluate(other, world.facts()).outcomes[0].outcome == "fail"


FILES = {"id": "files", "rule": "integrity"}


def test_integrity_passes(world: World) -> None:
    outcome = judge(world, FILES)
    assert (outcome.outcome, outcome.reason) == ("pass", "8 shards, 1,000 bytes, chunk digests as signed")
    assert judge(world, {**FILES, "digests": "all"}, digests="all").outcome == "pass"
    assert judge(world, FILES, digests="all").outcome == "pass"


def test_integrity_not_complete(world: World) -> None:
    outcome = judge(world, FILES, complete=False)
    assert outcome.outcome == "fail"
    assert "not every byte" in outcome.reason


def test_integrity_without_the_whole_file_digests(world: World) -> None:
    outcome = judge(world, {**FILES, "digests": "all"})
    assert outcome.outcome == "fail"
    assert outcome.reason.endswith("verify with --digests all")


def test_integrity_without_a_release(world: World) -> None:
    assert judge(world, FILES, release=None).outcome == "fail"


def test_integrity_of_zero_files(world: World) -> None:
    assert judge(world, FILES, release=world.release(shards=0, bytes=0)).outcome == "fail"


def test_integrity_with_a_changed_byte(world: World) -> None:
    finding = Finding("integrity.changed", "a.parquet changed", where=(Pointer("a.parquet", 5, 6),))
    outcome = judge(world, FILES, findings=(finding, finding))
    assert outcome.outcome == "fail"
    assert "a.parquet changed, and 1 more" in outcome.reason
    assert outcome.findings == (finding, finding)


LOG = {"id": "log", "rule": "transparency", "min": "self"}


def test_transparency_passes(world: World) -> None:
    assert judge(world, LOG).reason == "entry 3 of 5 in example.org/log; log: self-operated; witnesses 2/3"
    assert judge(world, {**LOG, "min": "witnessed", "logs": ["main"]}).outcome == "pass"


@pytest.mark.parametrize(
    ("rule", "log", "said"),
    [
        ({"logs": ["other"]}, {}, "from log 'main', expected other"),
        ({}, {"log": "unknown"}, "from log 'unknown', expected main or other"),
        ({}, {"quorum_met": False}, "quorum is not met (witnesses 2/3)"),
        ({"min": "witnessed"}, {"quorum_met": False}, "quorum is not met"),
        ({"min": "witnessed"}, {"witnessed": False}, "asks for no witness"),
    ],
)
def test_transparency_fails(world: World, rule: dict[str, Any], log: dict[str, Any], said: str) -> None:
    outcome = judge(world, {**LOG, **rule}, log=world.in_log(**log))
    assert outcome.outcome == "fail"
    assert said in outcome.reason


def test_transparency_without_a_proof(world: World) -> None:
    outcome = judge(world, LOG, log=None)
    assert outcome.outcome == "fail"
    assert "no proof that the release stands in a trusted log" in outcome.reason


def test_transparency_of_an_unknown_release(world: World) -> None:
    assert judge(world, LOG, release=None).outcome == "fail"


def test_transparency_with_a_finding(world: World) -> None:
    assert judge(world, LOG, findings=(Finding("log.proof", "the proof does not verify"),)).outcome == "fail"


def test_an_unwitnessed_log_passes_under_self(world: World) -> None:
    assert judge(world, LOG, log=world.in_log(witnessed=False, witnesses=0)).outcome == "pass"


SCREEN = {"id": "rows", "rule": "screen", "required_detectors": ["private-phrase"]}


def test_screen_passes(world: World) -> None:
    outcome = judge(world, SCREEN)
    assert outcome.outcome == "pass"
    assert outcome.reason == (
        "private-phrase over 100 rows in 8 of 8 shards: nothing calibrated found (0 advice); verified: 8 deliveries"
    )


def test_screen_that_did_not_run(world: World) -> None:
    outcome = judge(world, SCREEN, screen=None, screen_error="text column not found")
    assert outcome.outcome == "indeterminate"
    assert "text column not found" in outcome.reason
    assert judge(world, SCREEN, screen=None).outcome == "indeterminate"


def test_screen_that_broke_off(world: World) -> None:
    assert judge(world, SCREEN, screen_error="time-out").outcome == "indeterminate"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "failed", "reason": "out of memory"}, "is failed, expected that it ran: out of memory"),
        ({"status": "not-applicable", "reason": "no text"}, "is not-applicable, expected that it ran: no text"),
        ({"calibrated": False, "reason": "a pool of 3"}, "is not calibrated on this dataset"),
        ({"rows": 0}, "looked at no rows"),
    ],
)
def test_required_detector_that_says_nothing(world: World, changes: dict[str, Any], said: str) -> None:
    outcome = judge(world, SCREEN, screen=world.screen(world.detector(**changes)))
    assert outcome.outcome == "indeterminate"
    assert said in outcome.reason


def test_required_detector_that_is_missing(world: World) -> None:
    outcome = judge(world, {**SCREEN, "required_detectors": ["private-phrase", "outlier"]})
    assert outcome.outcome == "indeterminate"
    assert "required detector 'outlier' did not report" in outcome.reason


def test_required_detector_that_reports_twice(world: World) -> None:
    report = world.screen(world.detector(), world.detector(status="failed"))
    assert judge(world, SCREEN, screen=report).outcome == "indeterminate"


def test_uncalibrated_can_be_allowed(world: World) -> None:
    report = world.screen(world.detector(calibrated=False))
    assert judge(world, {**SCREEN, "uncalibrated": "allow"}, screen=report).outcome == "pass"


def test_other_detectors_are_not_asked(world: World) -> None:
    report = world.screen(world.detector(), world.detector("outlier", status="failed"))
    assert judge(world, SCREEN, screen=report).outcome == "pass"


@pytest.mark.parametrize("changes", [{"rows": 0}, {"shards": 7}, {"shards": 0, "shards_total": 0}])
def test_screen_that_did_not_see_everything(world: World, changes: dict[str, Any]) -> None:
    assert judge(world, SCREEN, screen=world.screen(**changes)).outcome == "indeterminate"


def test_coverage_below_one_when_the_policy_says_so(world: World) -> None:
    assert judge(world, {**SCREEN, "coverage": 0.8}, screen=world.screen(shards=7)).outcome == "pass"


@pytest.mark.parametrize("evidence", ["gate", "contrast"])
@pytest.mark.parametrize("setting", ["fail", "warn"])
def test_calibrated_finding(world: World, evidence: Any, setting: str) -> None:
    finding = world.finding(evidence=evidence, severity="note", hint="dataseal blame a.parquet:7")
    rule = {**SCREEN, f"on_{evidence}_finding": setting}
    outcome = judge(world, rule, screen=world.screen(findings=(finding,)))
    assert outcome.outcome == setting
    assert outcome.findings == (finding,)
    assert "30 rows hold blue-sky-protocol-7; dataseal blame a.parquet:7" in outcome.reason


def test_advice_never_blocks(world: World) -> None:
    report = world.screen(findings=(world.finding(evidence="advice", severity="error"),))
    assert judge(world, SCREEN, screen=report).outcome == "pass"
    assert judge(world, {**SCREEN, "on_advice": "warn"}, screen=report).outcome == "warn"


def test_a_fact_of_severity_error_fails(world: World) -> None:
    report = world.screen(findings=(world.finding("screen.unreadable"),))
    assert judge(world, SCREEN, screen=report).outcome == "fail"


def test_a_finding_outweighs_a_missing_detector(world: World) -> None:
    report = world.screen(world.detector(status="failed"), findings=(world.finding(evidence="gate"),))
    outcome = judge(world, SCREEN, screen=report)
    assert outcome.outcome == "fail"
    assert "; also: required detector 'private-phrase' is failed" in outcome.reason


def test_severity_warning(world: World) -> None:
    assert judge(world, {**FILES, "severity": "warning"}, complete=False).outcome == "warn"
    assert judge(world, {**SCREEN, "severity": "warning"}, screen=None).outcome == "indeterminate"


def test_every_reason_ends_with_what_to_do(world: World) -> None:
    """A bad outcome has a semicolon, and behind it an imperative."""
    bad = world.facts(
        release=None, log=None, complete=False, screen=None, findings=(Finding("signature.x", "does not hold"),)
    )
    for outcome in evaluate(policy(world, PUBLISHER, FILES, LOG, SCREEN), bad).outcomes:
        assert outcome.outcome in ("fail", "indeterminate")
        assert "; " in outcome.reason
        assert "expected" in outcome.reason
