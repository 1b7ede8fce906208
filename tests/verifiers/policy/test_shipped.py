"""The shipped policies: a passing fixture, and a failing one for each of their rules."""

from __future__ import annotations

from typing import Any

import pytest

from dataseal.verifiers.finding import Finding
from dataseal.verifiers.policy import Policy, builtin_names, evaluate, load

World = Any
RULES = {"baseline": ["publisher", "files", "log"], "pretraining": ["publisher", "files", "log", "screen"]}


def shipped(name: str, world: World) -> Policy:
    return load(f"dataseal:{name}", publishers=[world.amy], logs=[world.log], datasets=[world.dataset])


def failing(world: World) -> list[tuple[str, dict[str, Any], str]]:
    """Rule, facts in which only that rule does not hold, and its outcome."""
    poison = world.screen(findings=(world.finding(evidence="gate"),))
    return [
        ("publisher", {"release": world.release(signed_by=(world.eve.fingerprint,))}, "fail"),
        ("publisher", {"release": world.release(dataset="corpus-lab/other")}, "fail"),
        ("files", {"complete": False}, "fail"),
        ("files", {"findings": (Finding("integrity.added", "an extra file"),)}, "fail"),
        ("log", {"log": None}, "fail"),
        ("screen", {"screen": poison}, "fail"),
        ("screen", {"screen": None}, "indeterminate"),
        ("screen", {"screen": world.screen(world.detector(calibrated=False))}, "indeterminate"),
    ]


def test_every_shipped_policy_has_fixtures() -> None:
    assert set(builtin_names()) == set(RULES)


@pytest.mark.parametrize("name", sorted(RULES))
def test_passes(name: str, world: World) -> None:
    policy = shipped(name, world)
    verdict = evaluate(policy, world.facts())
    assert verdict.result == "PASSED"
    assert [o.rule for o in verdict.outcomes] == RULES[name]
    assert policy.needs_screen == ("screen" in RULES[name])


@pytest.mark.parametrize("name", sorted(RULES))
def test_each_rule_fails_alone(name: str, world: World) -> None:
    told = set()
    for rule, facts, expected in failing(world):
        verdict = evaluate(shipped(name, world), world.facts(**facts))
        bad = {o.rule: str(o.outcome) for o in verdict.outcomes if o.outcome != "pass"}
        assert bad == ({rule: expected} if rule in RULES[name] else {})
        assert verdict.opens == (rule not in RULES[name])
        told.add(rule)
    assert set(RULES[name]) <= told


@pytest.mark.parametrize("name", sorted(RULES))
def test_by_path_they_are_the_same(name: str, world: World) -> None:
    from importlib.resources import as_file, files

    with as_file(files("dataseal.policies") / f"{name}.yaml") as path:
        by_path = load(str(path), publishers=[world.amy], logs=[world.log], datasets=[world.dataset])
    assert by_path.digest == shipped(name, world).digest
    assert by_path.uri == str(path)


@pytest.mark.parametrize("name", sorted(RULES))
def test_they_teach(name: str) -> None:
    from importlib.resources import files

    lines = (files("dataseal.policies") / f"{name}.yaml").read_text().splitlines()
    comments = [line for line in lines if line.lstrip().startswith("#")]
    assert len(comments) > len(lines) / 2
    assert max(map(len, lines)) <= 120


def test_the_example_in_the_baseline_loads(write: Any, folder: Any) -> None:
    from importlib.resources import files

    text = (files("dataseal.policies") / "baseline.yaml").read_text()
    start = text.index("dataseal_policy: 1")
    lines = text[start : text.index("# A policy that extends this one")].splitlines()
    body = "\n".join(line.removeprefix("#").removeprefix("   ") for line in lines).rstrip("# \n") + "\n"
    policy = load(write(body, head=""))
    assert policy.datasets == ("corpus-lab/*",)
    assert len(policy.rules) == 4
