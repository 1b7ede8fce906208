"""Outcomes of single rules, and the verdict over all of them (DESIGN section 7).

A rule ends in one of six outcomes; a verdict in one of four. Nothing here turns absence into a pass: a verdict
over no outcomes is `Result.INDETERMINATE`, and so is one whose rules were all skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dataseal.verifiers.finding import Finding


class Outcome(StrEnum):
    """How one rule ended."""

    PASS = "pass"  # noqa: S105  a verdict, not a password
    FAIL = "fail"
    WARN = "warn"
    WAIVED = "waived"
    SKIPPED = "skipped"
    INDETERMINATE = "indeterminate"


class Mode(StrEnum):
    """What a failure does: stop, or be shown and recorded."""

    ENFORCE = "enforce"
    WARN = "warn"
    AUDIT = "audit"


class Result(StrEnum):
    """How a whole evaluation ended; the first word of the last line."""

    PASSED = "PASSED"
    ALLOWED = "ALLOWED"
    BLOCKED = "BLOCKED"
    INDETERMINATE = "INDETERMINATE"


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What one rule said.

    Attributes:
        rule: the rule's id in the policy. kind: its rule kind.
        outcome: how it ended. reason: one sentence; never empty.
        findings: the facts it rests on.
        where: policy file, line and column of the rule, when it came from a file.
    """

    rule: str
    kind: str
    outcome: Outcome
    reason: str
    findings: tuple[Finding, ...] = ()
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcomes of all rules under one mode."""

    mode: Mode
    outcomes: tuple[RuleOutcome, ...]

    @property
    def result(self) -> Result:
        """INDETERMINATE beats everything but a failure; ALLOWED is a failure under warn or audit.

        Under ``audit`` an indeterminate rule does not stop the run either (POLICY semantics 2).
        """
        kinds = {o.outcome for o in self.outcomes}
        if not kinds - {Outcome.SKIPPED}:
            return Result.INDETERMINATE
        if Outcome.FAIL in kinds:
            if self.mode is Mode.ENFORCE:
                return Result.BLOCKED
            if Outcome.INDETERMINATE in kinds and self.mode is not Mode.AUDIT:
                return Result.INDETERMINATE
            return Result.ALLOWED
        if Outcome.INDETERMINATE in kinds:
            return Result.ALLOWED if self.mode is Mode.AUDIT else Result.INDETERMINATE
        return Result.PASSED

    @property
    def opens(self) -> bool:
        """Whether a gated command may start."""
        return self.result in (Result.PASSED, Result.ALLOWED)

    @property
    def clean(self) -> bool:
        """Whether a receipt may say PASSED."""
        return self.result is Result.PASSED


def by_outcome(outcomes: Sequence[RuleOutcome], *wanted: Outcome) -> tuple[RuleOutcome, ...]:
    """The outcomes of the given kinds, in order."""
    return tuple(o for o in outcomes if o.outcome in wanted)
