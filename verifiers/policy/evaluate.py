"""The policy's verdict over the facts of one target.

Every rule is judged and reported; a rule that raises is indeterminate, never a pass and never a crash. Two
outcomes stand for no rule of the policy: ``policy-expiry``, and ``unjudged`` for what no rule answers for:
findings, and bytes that nobody compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC
from typing import Final

from dataseal.verifiers.facts import Facts
from dataseal.verifiers.finding import Finding
from dataseal.verifiers.policy.problems import printable
from dataseal.verifiers.policy.resolved import PlacedRule, Policy
from dataseal.verifiers.policy.rules import INTEGRITY_FACTS, JUDGES, LOG_FACTS, Judgement
from dataseal.verifiers.verdict import Mode, Outcome, RuleOutcome, Verdict

EXPIRY: Final = "policy-expiry"
UNJUDGED: Final = "unjudged"

# Under enforce a failure says more than a doubt. Under warn a failure opens and a doubt does not
# (verdict.py), so there a doubt must not be hidden by a failure: else adding a check could open a gate.
_ENFORCE = (Outcome.PASS, Outcome.WARN, Outcome.INDETERMINATE, Outcome.FAIL)
_OTHERWISE = (Outcome.PASS, Outcome.WARN, Outcome.FAIL, Outcome.INDETERMINATE)


def evaluate(policy: Policy, facts: Facts) -> Verdict:
    """Judges ``facts`` by every rule of ``policy``.

    An expired policy blocks in every mode: its mode expired with it.
    """
    expiry = _guarded(EXPIRY, _expiry, policy, facts)
    mode = Mode.ENFORCE if expiry else policy.mode
    outcomes = [_judge(placed, policy, facts, mode) for placed in policy.rules]
    return Verdict(mode, (*expiry, *outcomes, *_guarded(UNJUDGED, _unjudged, policy, facts)))


def _judge(placed: PlacedRule, policy: Policy, facts: Facts, mode: Mode) -> RuleOutcome:
    rule = placed.rule
    try:
        judge, _ = JUDGES[rule.rule]
        said = list(judge(rule, policy, facts))
        if rule.severity == "warning":
            said = [Judgement(Outcome.WARN, j.reason, j.findings) if j.outcome is Outcome.FAIL else j for j in said]
        outcome, reason = _combine(said, mode)
        findings = tuple(f for j in said for f in j.findings)
    except Exception as error:  # noqa: BLE001  whatever a rule trips over, its verdict is "not known", not "crash"
        outcome, findings = Outcome.INDETERMINATE, ()
        reason = _tripped(error)
    return RuleOutcome(rule.id, rule.rule, outcome, reason, findings, placed.where)


def _guarded(
    name: str,
    look: Callable[[Policy, Facts], tuple[RuleOutcome, ...]],
    policy: Policy,
    facts: Facts,
) -> tuple[RuleOutcome, ...]:
    try:
        return look(policy, facts)
    except Exception as error:  # noqa: BLE001  as in `_judge`
        return (RuleOutcome(name, name, Outcome.INDETERMINATE, _tripped(error), where=policy.uri),)


def _tripped(error: Exception) -> str:
    return (
        f"this rule could not be evaluated: {type(error).__name__}: {printable(str(error)[:200])}; "
        "this is a defect of dataseal: please report it"
    )


def _combine(said: Iterable[Judgement], mode: Mode) -> tuple[Outcome, str]:
    """The gravest outcome, with the reasons of everything that is not a pass, gravest first."""
    order = _ENFORCE if mode is Mode.ENFORCE else _OTHERWISE
    ranked = sorted(said, key=lambda j: -order.index(j.outcome))
    if not ranked:
        return Outcome.INDETERMINATE, "the rule said nothing, expected an outcome; please report this defect"
    told = [j for j in ranked if j.outcome is not Outcome.PASS] or [j for j in ranked if not j.accompanies] or ranked
    return ranked[0].outcome, "; also: ".join(dict.fromkeys(j.reason for j in told))


def _expiry(policy: Policy, facts: Facts) -> tuple[RuleOutcome, ...]:
    if policy.expires is None:
        return ()
    if facts.now.tzinfo is None:
        reason = "the time of evaluation has no time zone, expected UTC: whether the policy expired is not known"
        return (RuleOutcome(EXPIRY, EXPIRY, Outcome.INDETERMINATE, f"{reason}; please report this defect"),)
    today = facts.now.astimezone(UTC).date()
    if today <= policy.expires:
        return ()
    return (
        RuleOutcome(
            EXPIRY,
            EXPIRY,
            Outcome.FAIL,
            f"policy {policy.name!r} held until {policy.expires}, and today is {today}; an expired policy "
            "blocks in every mode: review it and give it a new date",
            where=policy.uri,
        ),
    )


def _unjudged(policy: Policy, facts: Facts) -> tuple[RuleOutcome, ...]:
    """What no rule answers for counts as what it is; nobody's silence makes it a pass.

    Errors count as errors, and bytes that were not compared as a failure: a policy without an integrity rule does not
    allow less than one with it. One exception: without a transparency rule the log was not asked for, and its errors
    are a warning.
    """
    judged = {word for placed in policy.rules for word in JUDGES[placed.rule.rule][1]}
    outcomes = []
    if facts.complete is not True and not judged.intersection(INTEGRITY_FACTS):
        outcomes.append(_unread(policy, facts))
    rest = [f for f in facts.findings if f.severity == "error" and f.check.split(".", 1)[0] not in judged]
    if rest:
        outcomes.append(_errors(policy, rest))
    return tuple(outcomes)


def _unread(policy: Policy, facts: Facts) -> RuleOutcome:
    if facts.part is not None:
        seen = f"only {facts.part} were compared with the signed table"
    elif facts.fast > 0:
        seen = f"{facts.fast:,} shards were not read (--fast)"
    else:
        seen = "not every byte of every shard was compared with the signed table"
    return RuleOutcome(
        UNJUDGED,
        UNJUDGED,
        Outcome.FAIL,
        f"{seen}, expected all of them: policy {policy.name!r} has no integrity rule that allows less; verify the "
        "whole dataset, without --only, --sample and --fast, or add such a rule",
        where=policy.uri,
    )


def _errors(policy: Policy, rest: Sequence[Finding]) -> RuleOutcome:
    advice = "add the rule that judges them, or do not use this copy"
    grave = [f for f in rest if f.check.split(".", 1)[0] not in LOG_FACTS]
    first = (grave or rest)[0]
    return RuleOutcome(
        UNJUDGED,
        UNJUDGED,
        Outcome.FAIL if grave else Outcome.WARN,
        f"{len(rest)} errors that no rule of policy {policy.name!r} answers for, expected none: "
        f"{first.check}: {first.message}; {first.hint or advice}",
        tuple(rest),
        policy.uri,
    )
