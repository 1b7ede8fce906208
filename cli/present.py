"""Examinations and screens, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dataseal.cli.codes import BLOCKED, INDETERMINATE, PASSED
from dataseal.cli.render import Report, count, finding_json, safe, size, verdict_json
from dataseal.ledger.tlog.policy import CheckedCheckpoint
from dataseal.ledger.verify import LoggedStatement
from dataseal.verifiers.examine import Examination
from dataseal.verifiers.facts import LogFacts, ReleaseFacts, SignatureFacts
from dataseal.verifiers.finding import Finding
from dataseal.verifiers.policy import Policy, trust_digest
from dataseal.verifiers.screen.report import ScreenReport
from dataseal.verifiers.verdict import Outcome, Result

CODES = {
    Result.PASSED: PASSED,
    Result.ALLOWED: PASSED,
    Result.BLOCKED: BLOCKED,
    Result.INDETERMINATE: INDETERMINATE,
}


GRAVITY = (Result.PASSED, Result.ALLOWED, Result.INDETERMINATE, Result.BLOCKED)
MAX_NOTES = 12
"""Notes on a terminal; JSON has them all."""


def code_of(result: Result) -> int:
    """The exit code of a result (DESIGN section 7)."""
    return CODES[result]


def overall(found: Sequence[Examination]) -> Result:
    """The gravest result: one bad target is enough."""
    return max((e.verdict.result for e in found), key=GRAVITY.index)


def examination(found: Examination, *, verbose: bool = False, prefix: str = "") -> str:
    """An examination for people; the last line is the result, with ``prefix`` before the dataset's name."""
    report = _examination(found, verbose=verbose)
    report.result(found.verdict.result, prefix + summary(found))
    return str(report)


def gated(found: Sequence[Examination], receipts: Sequence[str], *, verbose: bool = False) -> str:
    """The examinations of a gate for people; the last line is the result of them all.

    Args:
        receipts: where the receipts stand that were written.
    """
    several = len(found) > 1
    report = Report()
    for one in found:
        if several:
            report.pair("target", one.target)
        report.lines += _examination(one, verbose=verbose).lines
        if several:
            report.line(f"result      {safe(one.verdict.result)} {safe(summary(one))}")
            report.line()
    for receipt in receipts:
        report.pair("receipt", receipt)
    result = overall(found)
    bad = [e for e in found if e.verdict.result is not Result.PASSED]
    if not several:
        report.result(result, summary(found[0]))
    elif bad:
        report.result(result, f"{len(bad)} of {len(found)} targets: {'; '.join(summary(e) for e in bad)}")
    else:
        report.result(result, ", ".join(summary(e) for e in found))
    return str(report)


def _examination(found: Examination, *, verbose: bool) -> Report:
    report = Report()
    facts = found.facts
    if facts.release:
        _release(report, facts.release)
    if facts.log:
        report.pair("log", log_line(facts.log))
    report.pair("history", facts.history)
    if facts.screen:
        screen_lines(report, facts.screen, verbose=verbose)
    notes = list(found.checked.notes)
    if not any("revocation" in o.kind for o in found.verdict.outcomes):
        notes.append("revocations: not checked")
    for note in notes if verbose else notes[:MAX_NOTES]:
        report.pair("note", note)
    if len(notes) > MAX_NOTES and not verbose:
        report.pair("note", f"and {len(notes) - MAX_NOTES} more; -v shows them")
    report.findings(facts.findings, verbose=verbose)
    report.outcomes(found.verdict.outcomes, verbose=verbose)
    return report


def _release(report: Report, release: ReleaseFacts) -> None:
    report.pair("dataset", f"{release.dataset}@{release.version}, sequence {release.sequence}")
    report.pair("tree", f"{count(release.shards, 'shard')}, {size(release.bytes)}, root {release.root}")
    for signature in release.signatures:
        report.pair("signed by", signed_by(signature))
    if release.supplied:
        report.pair("digests", "supplied by the publisher's pipeline: its signer read no data")
    for glob in release.exclusions:
        report.pair("left out", f"{glob} (excluded by the publisher; not signed)")


def signed_by(signature: SignatureFacts) -> str:
    """``amy, key <fingerprint>``, or an identity, and the earliest trusted time if there is one."""
    # The command line's keys have no other name than their fingerprint.
    names = [n for n in signature.names if n.rpartition(":")[2] != signature.fingerprint[:16]]
    is_key = signature.fingerprint == signature.key
    who = f"key {signature.fingerprint}" if is_key else f"{signature.scheme} {signature.label}"
    at = f", at {signature.times[0][0]} ({signature.times[0][2]})" if signature.times else ""
    until = f"; valid until {signature.valid[1]}" if signature.valid[1] else ""
    return f"{'/'.join(names)}, {who}{at}{until}" if names else f"{who}{at}{until}"


def log_line(log: LogFacts) -> str:
    """``self-operated ORIGIN, entry 9 of 12; witnesses 0/0``."""
    return (
        f"{log.operator} {log.origin}, entry {log.index} of {log.tree_size}; "
        f"witnesses {log.witnesses}/{log.witnesses_known}"
    )


def logged_line(logged: LoggedStatement) -> str:
    """``entry 9 of ORIGIN; self-operated; witnesses 2/3``, of what was just logged."""
    checked = logged.checked
    return f"entry {logged.index} of {checked.log}; {logged.log.operator}; {witnesses(checked)}"


def witnesses(checked: CheckedCheckpoint) -> str:
    """``witnesses 2/3``, and whether that is too few."""
    few = "" if checked.quorum_met else ", quorum not met"
    return f"witnesses {checked.witnesses_seen}/{checked.witnesses_known}{few}"


def logged_json(logged: LoggedStatement) -> dict[str, Any]:
    """Where an entry was logged, as JSON values."""
    return {"index": logged.index, "operator": logged.log.operator, **witnesses_json(logged.checked)}


def witnesses_json(checked: CheckedCheckpoint) -> dict[str, Any]:
    """Whose checkpoint it is, and who cosigned it, as JSON values."""
    return {
        "origin": checked.log,
        "witnesses": checked.witnesses_seen,
        "witnesses_known": checked.witnesses_known,
        "quorum_met": checked.quorum_met,
    }


def summary(found: Examination) -> str:
    """What the last line says after its first word."""
    release = found.facts.release
    name = f"{release.dataset}@{release.version}" if release else found.target
    verdict = found.verdict
    if verdict.result is Result.PASSED:
        if found.facts.part:
            name = f"partial {name}: {found.facts.part}"
        elif found.facts.fast:
            name = f"fast {name}: {found.facts.fast:,} shards not read, unchanged since they were"
        warned = sum(o.outcome is Outcome.WARN for o in verdict.outcomes)
        return name + (f" with {count(warned, 'warning')}" if warned else "")
    wrong = [o for o in verdict.outcomes if o.outcome in (Outcome.FAIL, Outcome.INDETERMINATE)]
    return f"{name}: {', '.join(f'rule {o.rule} {o.outcome}' for o in wrong)}"


def screen_lines(report: Report, screen: ScreenReport, *, verbose: bool = False) -> None:
    """A screen for people."""
    roles = ", ".join(f"{role}={column}" for role, column in sorted(screen.roles.items()))
    report.pair("screened", f"{screen.rows:,} rows in {screen.shards} of {screen.shards_total} record shards")
    report.pair("columns", roles or "none recognised")
    for detector in screen.detectors:
        state = "calibrated" if detector.calibrated else f"advice only: {detector.reason}"
        if detector.status != "ran":
            state = f"{detector.status}: {detector.reason}"
        report.pair("detector", f"{detector.detector} {detector.version}, {state}")
        if detector.status == "ran":
            report.pair("", f"could have found: {detector.minimum}")
        if verbose and detector.blind_to:
            report.pair("", f"can't see: {'; '.join(detector.blind_to)}")
    shown = [f for f in screen.findings if verbose or f.evidence != "advice"]
    report.findings(shown, verbose=verbose)
    advice = len(screen.findings) - len(shown)
    if advice:
        report.pair("advice", f"{count(advice, 'finding')} that never block{'s' if advice == 1 else ''}; -v shows more")


def examination_json(command: str, found: Examination, policy: Policy) -> dict[str, Any]:
    """An examination as JSON values."""
    facts = found.facts
    return {
        "command": command,
        "target": found.target,
        "time": facts.now.isoformat(),
        "release": _release_json(facts.release),
        "log": _log_json(facts.log),
        "history": facts.history,
        "complete": facts.complete,
        "digests": facts.digests,
        "partial": asdict(facts.part) if facts.part else None,
        "fast": facts.fast,
        "notes": list(found.checked.notes),
        "findings": [finding_json(f) for f in facts.findings],
        "screen": facts.screen.to_json() if facts.screen else None,
        "screen_error": facts.screen_error,
        "policy": {
            "name": policy.name,
            "uri": policy.uri,
            "digest": policy.digest,
            "trust": trust_digest.digest(policy.trust),
        },
        "verdict": verdict_json(found.verdict),
    }


def _release_json(release: ReleaseFacts | None) -> dict[str, Any] | None:
    if release is None:
        return None
    return {
        name: getattr(release, name)
        for name in ("dataset", "version", "sequence", "root", "table", "shards", "bytes", "chunk_size", "chunk_hash")
    } | {
        "exclusions": list(release.exclusions),
        "metadata": dict(release.metadata),
        "signed_by": list(release.signed_by),
        "signatures": [_signature_json(one) for one in release.signatures],
        "digests": "supplied" if release.supplied else "read",
    }


def _signature_json(one: SignatureFacts) -> dict[str, Any]:
    times = [{"time": time, "source": source, "by": by} for time, source, by in one.times]
    values = {name: getattr(one, name) for name in ("fingerprint", "key", "scheme", "label")}
    valid = {"from": one.valid[0], "until": one.valid[1]}
    return {"signers": list(one.names), **values, "times": times, "valid": valid}


def _log_json(log: LogFacts | None) -> dict[str, Any] | None:
    if log is None:
        return None
    return {name: getattr(log, name) for name in LogFacts.__slots__}


def findings_text(findings: Sequence[Finding]) -> str:
    """Findings alone, for people."""
    report = Report()
    report.findings(findings)
    return str(report)
