"""The verdict over all rules: modes, expiry, exceptions, and findings that nobody answers for."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from dataseal.ledger.errors import UsageError
from dataseal.ledger.trust import Signer, Trust
from dataseal.verifiers.finding import Finding
from dataseal.verifiers.partial import PartFacts
from dataseal.verifiers.policy import PlacedRule, Policy, command_line, evaluate, load
from dataseal.verifiers.policy.schema import RULE
from dataseal.verifiers.verdict import Mode

World = Any


class Boom:
    """Every look at what it holds raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("boom \x1b[31m")


def policy(world: World, **changes: Any) -> Policy:
    rules = [
        {"id": "who", "rule": "publisher", "all_of": [{"signers": ["amy"]}]},
        {"id": "files", "rule": "integrity"},
        {"id": "log", "rule": "transparency", "min": "self"},
        {"id": "rows", "rule": "screen", "required_detectors": ["private-phrase"]},
    ]
    placed = tuple(PlacedRule(RULE.validate_python(r), "team.yaml:1:1") for r in rules)
    trust = Trust({"amy": Signer.of("amy", world.amy)}, {}, {"main": world.log})
    defaults = {"name": "team", "uri": "team.yaml", "mode": Mode.ENFORCE, "expires": None, "rules": placed}
    return Policy(trust=trust, **{**defaults, **changes})


def test_all_rules_are_reported(world: World) -> None:
    verdict = evaluate(policy(world), world.facts())
    assert [o.rule for o in verdict.outcomes] == ["who", "files", "log", "rows"]
    assert verdict.result == "PASSED"
    verdict = evaluate(policy(world), world.facts(release=None))
    assert [o.outcome for o in verdict.outcomes] == ["fail", "fail", "fail", "pass"]


@pytest.mark.parametrize(
    ("mode", "fails", "doubts"),
    [("enforce", "BLOCKED", "INDETERMINATE"), ("warn", "ALLOWED", "INDETERMINATE"), ("audit", "ALLOWED", "ALLOWED")],
)
def test_modes(world: World, mode: str, fails: str, doubts: str) -> None:
    one = policy(world, mode=Mode(mode))
    assert evaluate(one, world.facts()).result == "PASSED"
    assert evaluate(one, world.facts(complete=False)).result == fails
    assert evaluate(one, world.facts(screen=None)).result == doubts


def test_under_warn_a_failure_does_not_hide_a_doubt(world: World) -> None:
    """Else a planted finding next to a detector that did not run would open a gate that was shut."""
    report = world.screen(world.detector(status="failed"), findings=(world.finding(evidence="gate"),))
    verdict = evaluate(policy(world, mode=Mode.WARN), world.facts(screen=report))
    assert verdict.outcomes[-1].outcome == "indeterminate"
    assert "blue-sky-protocol-7" in verdict.outcomes[-1].reason
    assert not verdict.opens


@pytest.mark.parametrize("piece", ["release", "log", "screen"])
def test_an_exception_in_a_rule_is_indeterminate(world: World, piece: str) -> None:
    verdict = evaluate(policy(world), world.facts(**{piece: Boom()}))
    broken = [o for o in verdict.outcomes if o.outcome == "indeterminate"]
    assert broken
    assert not verdict.opens
    assert len(verdict.outcomes) == 4
    for outcome in broken:
        assert "this rule could not be evaluated: RuntimeError: boom" in outcome.reason
        assert "\x1b" not in outcome.reason


def test_findings_that_can_not_be_read(world: World) -> None:
    verdict = evaluate(policy(world), world.facts(findings=(Boom(),)))
    assert not verdict.opens
    assert {o.outcome for o in verdict.outcomes} == {"indeterminate"}


def test_a_missing_clock(world: World) -> None:
    verdict = evaluate(policy(world, expires=date(2030, 1, 1), mode=Mode.AUDIT), world.facts(now=None))
    assert verdict.outcomes[0].outcome == "indeterminate"
    assert not verdict.opens


def test_a_clock_without_a_zone(world: World) -> None:
    naive = datetime(2026, 6, 1)  # noqa: DTZ001
    verdict = evaluate(policy(world, expires=date(2030, 1, 1)), world.facts(now=naive))
    assert not verdict.opens
    assert "has no time zone" in verdict.outcomes[0].reason


@pytest.mark.parametrize("mode", list(Mode))
def test_an_expired_policy_blocks_in_every_mode(world: World, mode: Mode) -> None:
    expired = policy(world, expires=date(2026, 5, 31), mode=mode)
    verdict = evaluate(expired, world.facts())
    assert verdict.result == "BLOCKED"
    assert (verdict.outcomes[0].rule, verdict.outcomes[0].outcome) == ("policy-expiry", "fail")
    assert "held until 2026-05-31, and today is 2026-06-01" in verdict.outcomes[0].reason
    assert [o.outcome for o in verdict.outcomes[1:]] == ["pass"] * 4


def test_the_last_day_counts_in_utc(world: World) -> None:
    day = policy(world, expires=date(2026, 6, 1))
    assert evaluate(day, world.facts(now=datetime(2026, 6, 1, 23, 59, tzinfo=UTC))).opens
    assert not evaluate(day, world.facts(now=datetime(2026, 6, 2, tzinfo=UTC))).opens
    east = timezone(timedelta(hours=10))
    assert evaluate(day, world.facts(now=datetime(2026, 6, 2, 5, tzinfo=east))).opens


@pytest.mark.parametrize("check", ["history.signature", "oms.mismatch", "surprise", ""])
def test_an_error_that_no_rule_answers_for_fails(world: World, check: str) -> None:
    verdict = evaluate(policy(world), world.facts(findings=(Finding(check, "something is wrong"),)))
    assert verdict.result == "BLOCKED"
    assert verdict.outcomes[-1].rule == "unjudged"
    assert evaluate(policy(world), world.facts(findings=(Finding(check, "x", severity="note"),))).clean


@pytest.mark.parametrize(("mode", "result"), [("enforce", "BLOCKED"), ("warn", "ALLOWED"), ("audit", "ALLOWED")])
@pytest.mark.parametrize("less", [{}, {"fast": 3}, {"part": PartFacts(1, 8, 1, 9, sampled=True)}])
def test_bytes_that_nobody_compared_fail_without_an_integrity_rule(
    world: World, less: dict[str, Any], mode: str, result: str
) -> None:
    one = policy(world, mode=Mode(mode))
    silent = policy(world, mode=Mode(mode), rules=tuple(p for p in one.rules if p.rule.rule != "integrity"))
    assert evaluate(silent, world.facts()).result == "PASSED"
    verdict = evaluate(silent, world.facts(complete=False, **less))
    assert verdict.result == result
    assert verdict.outcomes[-1].rule == "unjudged"
    assert "no integrity rule" in verdict.outcomes[-1].reason


def test_log_errors_without_a_transparency_rule_are_shown(world: World) -> None:
    verdict = evaluate(
        command_line(publishers=[world.amy], no_log=True), world.facts(findings=(Finding("log.proof", "bad"),))
    )
    assert verdict.result == "PASSED"
    assert verdict.outcomes[-1].outcome == "warn"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rules": ()}, "has no rules"),
        ({"trust": Trust()}, "trusts no signer"),
        ({"rules": slice(1, None)}, "no publisher rule"),
    ],
)
def test_a_policy_that_says_nothing_can_not_be_built(world: World, changes: dict[str, Any], said: str) -> None:
    good = policy(world)
    values = {n: getattr(good, n) for n in ("name", "uri", "mode", "expires", "trust", "rules")}
    if isinstance(changes.get("rules"), slice):
        changes = {"rules": good.rules[changes["rules"]]}
    with pytest.raises(UsageError, match=said):
        Policy(**{**values, **changes})


def test_load_and_evaluate_are_fast(world: World, write: Callable[..., str]) -> None:
    """20 ms beside imports (POLICY); the best of seven, since the machine has other things to do."""

    def once() -> float:
        started = time.process_time()
        loaded = load("dataseal:pretraining", publishers=[world.amy], logs=[world.log], datasets=[world.dataset])
        evaluate(loaded, world.facts())
        assert loaded.digest
        return time.process_time() - started

    assert min(once() for _ in range(7)) < 0.04
