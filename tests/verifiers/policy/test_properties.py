"""Random policies over random facts: absence never becomes a pass, and tightening never opens a gate.

``may_pass`` is a second mind: it says, in its own words and from the facts alone, what a clean verdict presupposes.
"""

from __future__ import annotations

import copy
import dataclasses
from datetime import date
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dataseal.ledger.errors import UsageError
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.trust import Signer, Trust, TrustedLog
from dataseal.verifiers.facts import Facts
from dataseal.verifiers.finding import Finding
from dataseal.verifiers.policy import PlacedRule, Policy, evaluate
from dataseal.verifiers.policy.schema import RULE
from dataseal.verifiers.verdict import Mode

World = Any
Raw = dict[str, Any]
MODES = ["audit", "warn", "enforce"]
FINGERPRINTS = ["amy", "ben", "eve"]


class Boom:
    """Every look at what it holds raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("boom")


def often(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """The usual value in most draws, so that passing facts are common enough to be worth changing."""
    return st.sampled_from([usual] * (3 * len(others)) + list(others))


SEVERITY = often("error", "warning")
REQUIREMENT = st.fixed_dictionaries(
    {
        "signers": st.sampled_from([["amy"], ["ben"], ["amy", "ben"], ["group:all"], ["amy", "amelia", "ben"]]),
        "threshold": often(1, 2),
    }
)
PUBLISHER = st.fixed_dictionaries(
    {
        "rule": st.just("publisher"),
        "severity": SEVERITY,
        "datasets": often(["lab/a"], ["lab/*"], ["lab/a", "lab/b"], ["lab/b"], None),
        "min_sequence": often(1, None, 2, 3),
        "all_of": st.lists(REQUIREMENT, min_size=1, max_size=2),
    }
)
INTEGRITY = st.fixed_dictionaries({"rule": st.just("integrity"), "severity": SEVERITY, "digests": often("tree", "all")})
TRANSPARENCY = st.fixed_dictionaries(
    {
        "rule": st.just("transparency"),
        "severity": SEVERITY,
        "min": often("self", "witnessed"),
        "logs": often(None, ["main"], ["other"], ["main", "other"]),
    }
)
SCREEN = st.fixed_dictionaries(
    {
        "rule": st.just("screen"),
        "severity": SEVERITY,
        "required_detectors": often(["private-phrase"], ["private-phrase", "outlier"]),
        "on_gate_finding": often("fail", "warn"),
        "on_contrast_finding": often("fail", "warn"),
        "on_advice": often("ignore", "warn"),
        "uncalibrated": often("deny", "allow"),
        "coverage": often(1.0, 0.5),
    }
)
RULES = st.lists(PUBLISHER | INTEGRITY | TRANSPARENCY | SCREEN, min_size=1, max_size=5)
POLICIES = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(MODES),
        "expires": often(None, date(2026, 5, 31), date(2026, 6, 1)),
        "named": often((), ("lab/a",), ("lab/b",)),
        "rules": RULES,
    }
)


def build(world: World, raw: Raw) -> Policy:
    signers = {n: Signer.of(n, k) for n, k in zip(FINGERPRINTS, world.keys, strict=True)}
    signers["amelia"] = Signer.of("amelia", world.amy)
    other = TrustedLog("other", policy_for_log(world.vkey(31, "example.org/other")))
    trust = Trust(signers, {"all": ("amy", "ben", "eve")}, {"main": world.log, "other": other})
    rules = []
    for number, rule in enumerate(raw["rules"]):
        values = {k: v for k, v in rule.items() if v is not None}
        rules.append(PlacedRule(RULE.validate_python({"id": f"r{number}", **values}), "x.yaml:1:1"))
    return Policy("x", "x.yaml", Mode(raw["mode"]), raw["expires"], trust, tuple(rules), raw["named"])


@st.composite
def policies(draw: Any) -> Raw:
    raw: Raw = draw(POLICIES)
    if not any(r["rule"] == "publisher" and r["severity"] == "error" for r in raw["rules"]):
        raw["rules"].append({**draw(PUBLISHER), "severity": "error"})
    for rule in raw["rules"]:
        for requirement in rule.get("all_of", []):
            if len(requirement["signers"]) == 1 and requirement["signers"] != ["group:all"]:
                requirement["threshold"] = 1
    return raw


CHECKS = [
    "integrity.changed",
    "signature.invalid",
    "identity.x",
    "rollback.x",
    "log.proof",
    "history.x",
    "odd",
    "screen.x",
]


@st.composite
def facts(draw: Any, world: World, *, broken: bool = True) -> Facts:
    keys = dict(zip(FINGERPRINTS, (k.fingerprint for k in world.keys), strict=True))
    finding = st.builds(
        Finding,
        st.sampled_from(CHECKS),
        st.just("something"),
        severity=often("note", "warning", "error"),
        evidence=often("fact", "gate", "contrast", "advice"),
    )
    findings = often((), *[(draw(finding),)])
    release = world.release(
        dataset=draw(often("lab/a", "lab/b", "")),
        sequence=draw(often(2, 0, 1, 3)),
        shards=draw(often(8, 0)),
        signed_by=tuple(keys[n] for n in draw(often(["amy", "ben"], [], ["amy"], ["eve"], ["amy", "amy"]))),
    )
    log = world.in_log(
        log=draw(often("main", "other", "unknown")),
        quorum_met=draw(often(True, False)),
        witnessed=draw(often(True, False)),
    )

    def detector(name: str) -> Any:
        return world.detector(
            name,
            status=draw(often("ran", "failed", "not-applicable")),
            calibrated=draw(often(True, False)),
            rows=draw(often(100, 0)),
        )

    detectors = [detector(name) for name in draw(often(["private-phrase", "outlier"], ["private-phrase"], []))]
    screen = dataclasses.replace(
        world.screen(rows=draw(often(100, 0)), shards=draw(often(8, 6, 0)), findings=draw(findings)),
        detectors=tuple(detectors),
    )
    missing = [None, Boom()] if broken else [None]
    made: Facts = world.facts(
        release=draw(often(release, *missing)),
        log=draw(often(log, *missing)),
        screen=draw(often(screen, *missing)),
        screen_error=draw(often(None, "time-out")),
        findings=draw(findings),
        complete=draw(often(True, False)),
        digests=draw(often("tree", "all")),
    )
    return made


def may_pass(world: World, raw: Raw, seen: Facts) -> bool:
    """What must be true, in the facts, of a policy that passed cleanly; rules of severity warning presuppose less."""
    names = dict(zip((k.fingerprint for k in world.keys), FINGERPRINTS, strict=True))
    if raw["expires"] is not None and raw["expires"] < date(2026, 6, 1):
        return False
    for rule in raw["rules"]:
        if rule["severity"] == "warning":
            if rule["rule"] == "screen" and not screened(rule, seen):
                return False
            continue
        if seen.release is None and rule["rule"] != "screen":
            return False
        good = {"publisher": signed, "integrity": whole, "transparency": logged, "screen": unsuspicious}[rule["rule"]]
        if not (good(rule, raw, seen, names) if rule["rule"] == "publisher" else good(rule, seen)):
            return False
    return True


def signed(rule: Raw, raw: Raw, seen: Facts, names: dict[str, str]) -> bool:
    release = seen.release
    assert release is not None
    by = {names[f] for f in release.signed_by}
    for requirement in rule["all_of"]:
        wanted = set(FINGERPRINTS) if requirement["signers"] == ["group:all"] else set(requirement["signers"])
        if len(by & wanted) < requirement["threshold"]:
            return False
    for bound in (rule["datasets"], list(raw["named"]) or None):
        globbed = "lab/*" in (bound or ()) and release.dataset.startswith("lab/")
        if bound is not None and release.dataset not in bound and not globbed:
            return False
    late = release.sequence >= (rule["min_sequence"] or 0)
    return late and not errors(seen, "signature", "identity", "rollback")


def whole(rule: Raw, seen: Facts) -> bool:
    assert seen.release is not None
    enough = rule["digests"] == "tree" or seen.digests == "all"
    return seen.complete and enough and seen.release.shards > 0 and not errors(seen, "integrity")


def logged(rule: Raw, seen: Facts) -> bool:
    if seen.log is None or errors(seen, "log"):
        return False
    known = seen.log.log in (rule["logs"] or ["main", "other"])
    return known and seen.log.quorum_met and (rule["min"] == "self" or seen.log.witnessed)


def screened(rule: Raw, seen: Facts) -> bool:
    if seen.screen is None or seen.screen_error is not None or not seen.screen.rows:
        return False
    good = {
        d.detector
        for d in seen.screen.detectors
        if d.status == "ran" and d.rows and (d.calibrated or rule["uncalibrated"] == "allow")
    }
    return set(rule["required_detectors"]) <= good and seen.screen.shards >= rule["coverage"] * 8


def unsuspicious(rule: Raw, seen: Facts) -> bool:
    if not screened(rule, seen):
        return False
    assert seen.screen is not None
    found = {f.evidence for f in (*seen.screen.findings, *seen.about("screen"))}
    return not any(e in found and rule[f"on_{e}_finding"] == "fail" for e in ("gate", "contrast"))


def errors(seen: Facts, *words: str) -> bool:
    return any(f.severity == "error" for f in seen.about(*words))


def tighter(draw: Any, raw: Raw) -> Raw:
    """The same policy with one demand more."""
    new = copy.deepcopy(raw)
    rule = draw(st.sampled_from(new["rules"]))
    kind = rule["rule"]
    moves = ["mode", "expires", "named", "add", "severity"]
    move = draw(st.sampled_from(moves + [kind] * 4))
    if move == "mode":
        new["mode"] = draw(st.sampled_from(MODES[MODES.index(raw["mode"]) :]))
    elif move == "expires":
        new["expires"] = draw(st.sampled_from([d for d in (date(2026, 5, 1), raw["expires"]) if d is not None]))
    elif move == "named" and not raw["named"]:
        new["named"] = ("lab/a",)
    elif move == "add":
        extra = draw(PUBLISHER | INTEGRITY | TRANSPARENCY | SCREEN)
        new["rules"].append({**extra, "severity": "error"})
    elif move == "severity":
        rule["severity"] = "error"
    elif kind == "publisher":
        how = draw(st.sampled_from(["threshold", "sequence", "datasets", "requirement", "signers"]))
        if how == "threshold":
            rule["all_of"][0]["threshold"] += 1
        elif how == "sequence":
            rule["min_sequence"] = (rule["min_sequence"] or 0) + 1
        elif how == "datasets":
            rule["datasets"] = ["lab/a"] if rule["datasets"] != ["lab/b"] else ["lab/b"]
        elif how == "requirement":
            rule["all_of"].append(draw(REQUIREMENT))
        else:
            rule["all_of"][0]["signers"] = rule["all_of"][0]["signers"][:1]
    elif kind == "integrity":
        rule["digests"] = "all"
    elif kind == "transparency":
        rule["min"] = "witnessed"
        rule["logs"] = (rule["logs"] or ["main", "other"])[:1]
    elif kind == "screen":
        name, value = draw(
            st.sampled_from(
                [
                    ("on_gate_finding", "fail"),
                    ("on_contrast_finding", "fail"),
                    ("on_advice", "warn"),
                    ("uncalibrated", "deny"),
                    ("coverage", 1.0),
                    ("required_detectors", ["private-phrase", "outlier", "drift"]),
                ]
            )
        )
        rule[name] = value
    return new


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_absence_is_never_a_pass(world: World, data: st.DataObject) -> None:
    raw, seen = data.draw(policies()), data.draw(facts(world, broken=False))
    try:
        policy = build(world, raw)
    except UsageError:
        assume(False)
    verdict = evaluate(policy, seen)
    assert len(verdict.outcomes) >= len(policy.rules)
    assert all(o.reason for o in verdict.outcomes)
    if verdict.clean:
        assert may_pass(world, raw, seen)
    if verdict.mode is Mode.ENFORCE:
        assert verdict.opens == verdict.clean


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_an_exception_is_never_a_pass_and_never_a_crash(world: World, data: st.DataObject) -> None:
    raw, seen = data.draw(policies()), data.draw(facts(world))
    try:
        policy = build(world, raw)
    except UsageError:
        assume(False)
    verdict = evaluate(policy, seen)
    kinds = {r["rule"] for r in raw["rules"]}
    touched = (type(seen.release) is Boom) or (type(seen.log) is Boom and "transparency" in kinds)
    if touched or (type(seen.screen) is Boom and "screen" in kinds):
        assert not verdict.clean
        assert "indeterminate" in {str(o.outcome) for o in verdict.outcomes}


@settings(max_examples=400, deadline=None, derandomize=True)
@given(data=st.data())
def test_tightening_never_turns_a_block_into_a_pass(world: World, data: st.DataObject) -> None:
    raw, seen = data.draw(policies()), data.draw(facts(world))
    strict = tighter(data.draw, raw)
    try:
        loose, tight = build(world, raw), build(world, strict)
    except UsageError:
        assume(False)
    before, after = evaluate(loose, seen), evaluate(tight, seen)
    assert before.opens or not after.opens
    assert before.clean or not after.clean


REMOVALS: list[Raw] = [
    {"release": None},
    {"log": None},
    {"screen": None},
    {"complete": False},
    {"screen_error": "x"},
    {"release": Boom()},
    {"log": Boom()},
    {"screen": Boom()},
    {"findings": None},
]


@pytest.mark.parametrize("gone", REMOVALS, ids=lambda g: ",".join(f"{k}={type(v).__name__}" for k, v in g.items()))
def test_each_piece_of_a_passing_set_is_needed(world: World, gone: Raw) -> None:
    rules: list[Raw] = [
        {"rule": "publisher", "datasets": ["corpus-lab/reviews"], "all_of": [{"signers": ["amy"]}]},
        {"rule": "integrity"},
        {"rule": "transparency", "min": "witnessed"},
        {"rule": "screen", "required_detectors": ["private-phrase"]},
    ]
    policy = build(world, {"mode": "enforce", "expires": None, "named": (), "rules": rules})
    assert evaluate(policy, world.facts()).clean
    assert not evaluate(policy, world.facts(**gone)).opens
