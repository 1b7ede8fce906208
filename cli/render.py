"""What a person or a program reads: text and JSON from the same objects. Untrusted text is escaped here.

Results go to stdout, everything else to stderr; a gate around a command leaves stdout to the command.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import click

from dataseal.verifiers.finding import Finding
from dataseal.verifiers.verdict import Outcome, Result, RuleOutcome, Verdict

COLOURS = {
    "PASSED": "green",
    "ALLOWED": "yellow",
    "BLOCKED": "red",
    "INDETERMINATE": "yellow",
    "pass": "green",
    "fail": "red",
    "warn": "yellow",
    "indeterminate": "yellow",
}

MAX_POINTERS = 12
"""Rows or ranges that are listed under one finding on a terminal; JSON has them all."""


MAX_FINDINGS = 40
"""Findings that are listed on a terminal: a folder that has nothing to do with the dataset would give thousands."""


def safe(text: object, limit: int = 2000) -> str:
    """Text that can't drive a terminal: control, format and bidirectional characters become escapes."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text)[:limit])
    return shown + ("…" if len(str(text)) > limit else "")


def size(count: int) -> str:
    """Bytes for people."""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return f"{count:,} bytes" if unit == "bytes" else f"{value:,.1f} {unit}"
        value /= 1024
    raise AssertionError


def count(number: int, noun: str, plural: str | None = None) -> str:
    """``1 shard``, ``2 shards``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def word(text: str) -> str:
    """A result's or an outcome's word, coloured on a terminal."""
    return click.style(text, fg=COLOURS.get(text), bold=text.isupper())


class Report:
    """Lines for people, gathered so that they come out at once and in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str = "") -> None:
        """A line as it is: the caller made it safe."""
        self.lines.append(text)

    def pair(self, name: str, value: object) -> None:
        """``name      value``, escaped."""
        self.lines.append(f"{name:<11} {safe(value)}")

    def findings(self, findings: Iterable[Finding], *, verbose: bool = False) -> None:
        """Findings, each with where and what next; errors first."""
        order = {"error": 0, "warning": 1, "note": 2}
        ranked = sorted(findings, key=lambda f: order[f.severity])
        shown = ranked if verbose else ranked[:MAX_FINDINGS]
        for finding in shown:
            self._finding(finding)
        if len(ranked) > len(shown):
            self.line(f"      and {len(ranked) - len(shown)} more; -v and --format json show them")

    def _finding(self, finding: Finding) -> None:
        mark = {"error": "fail", "warning": "warn", "note": "note"}[finding.severity]
        self.line(f"{click.style(mark, fg=COLOURS.get(mark))}  {safe(finding.check)}: {safe(finding.message)}")
        for pointer in finding.where[:MAX_POINTERS]:
            self.line(f"        at    {safe(pointer)}")
        if len(finding.where) > MAX_POINTERS:
            self.line(f"        and   {count(len(finding.where) - MAX_POINTERS, 'more place')}")
        if finding.hint:
            self.line(f"        next  {safe(finding.hint)}")

    def outcomes(self, outcomes: Iterable[RuleOutcome], *, verbose: bool = False) -> None:
        """One line a rule; ``verbose`` gives the whole reason, which repeats the findings that stand above."""
        for outcome in outcomes:
            reason = outcome.reason
            if not verbose:
                reason = reason.split("; ", 1)[0]
                reason = reason.split(": ", 1)[0] if outcome.findings else reason
            self.line(f"rule {safe(outcome.rule):<14} {word(outcome.outcome)}  {safe(reason)}")
            if outcome.where and outcome.outcome not in (Outcome.PASS, Outcome.SKIPPED):
                self.line(f"        from  {safe(outcome.where)}")

    def result(self, result: Result, text: str) -> None:
        """The last line, whose first word is stable."""
        self.line(f"{word(result)} {safe(text)}")

    def __str__(self) -> str:
        return "\n".join(self.lines)


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as JSON values; untrusted text stays raw, as JSON escapes it."""
    from dataseal.verifiers.screen.report import finding_json as to_json

    return to_json(finding)


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON values."""
    return {
        "result": str(verdict.result),
        "mode": str(verdict.mode),
        "rules": [
            {
                "rule": o.rule,
                "kind": o.kind,
                "outcome": str(o.outcome),
                "reason": o.reason,
                "where": o.where,
                "findings": [finding_json(f) for f in o.findings],
            }
            for o in verdict.outcomes
        ],
    }


def dumps(document: Mapping[str, Any]) -> str:
    """A JSON report: sorted, indented, ASCII, so that no terminal is driven by it."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True)
