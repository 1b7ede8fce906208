"""The truth table of verdicts, whole: every set of outcomes under every mode."""

from __future__ import annotations

import itertools

import pytest

from dataseal.cli.present import CODES, GRAVITY
from dataseal.verifiers.verdict import Mode, Outcome, Result, RuleOutcome, Verdict, by_outcome

SETS = [set(c) for n in range(len(Outcome) + 1) for c in itertools.combinations(Outcome, n)]


def verdict(mode: Mode, kinds: set[Outcome]) -> Verdict:
    return Verdict(mode, tuple(RuleOutcome(f"r{n}", "kind", k, "why") for n, k in enumerate(sorted(kinds))))


def expected(mode: Mode, kinds: set[Outcome]) -> Result:
    """The table of DESIGN section 7 and POLICY, semantics 2, written again."""
    if kinds <= {Outcome.SKIPPED}:
        return Result.INDETERMINATE
    fail, unknown = Outcome.FAIL in kinds, Outcome.INDETERMINATE in kinds
    if mode is Mode.ENFORCE:
        return Result.BLOCKED if fail else Result.INDETERMINATE if unknown else Result.PASSED
    if mode is Mode.WARN:
        return Result.INDETERMINATE if unknown else Result.ALLOWED if fail else Result.PASSED
    return Result.ALLOWED if fail or unknown else Result.PASSED


@pytest.mark.parametrize("mode", Mode)
def test_every_set_of_outcomes(mode: Mode) -> None:
    for kinds in SETS:
        assert verdict(mode, kinds).result is expected(mode, kinds), kinds


@pytest.mark.parametrize("mode", Mode)
def test_nothing_but_a_clean_pass_is_clean(mode: Mode) -> None:
    for kinds in SETS:
        found = verdict(mode, kinds)
        assert found.clean == (found.result is Result.PASSED)
        assert found.opens == (found.result in (Result.PASSED, Result.ALLOWED))
        if {Outcome.FAIL, Outcome.INDETERMINATE} & kinds:
            assert not found.clean


@pytest.mark.parametrize("mode", Mode)
def test_another_failure_never_opens_what_was_shut(mode: Mode) -> None:
    for kinds in SETS:
        if kinds - {Outcome.SKIPPED} and not verdict(mode, kinds).opens:
            for more in (Outcome.FAIL, Outcome.INDETERMINATE):
                assert not verdict(mode, kinds | {more}).opens


@pytest.mark.parametrize("mode", Mode)
def test_no_rules_or_only_skipped_ones_are_no_verdict(mode: Mode) -> None:
    for kinds in (set(), {Outcome.SKIPPED}):
        assert verdict(mode, kinds).result is Result.INDETERMINATE
        assert not verdict(mode, kinds).opens


def test_every_result_has_an_exit_code_and_a_gravity() -> None:
    assert set(CODES) == set(Result) == set(GRAVITY)
    assert [CODES[r] for r in (Result.PASSED, Result.ALLOWED, Result.BLOCKED, Result.INDETERMINATE)] == [0, 0, 1, 3]


def test_outcomes_by_kind_keep_their_order() -> None:
    found = Verdict(
        Mode.ENFORCE, tuple(RuleOutcome(i, "k", o, "w") for i, o in zip("abc", [*Outcome][:3], strict=True))
    )
    assert [o.rule for o in by_outcome(found.outcomes, Outcome.WARN, Outcome.PASS)] == ["a", "c"]
