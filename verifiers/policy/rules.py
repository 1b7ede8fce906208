"""What each rule kind makes of the facts.

A judge yields one `Judgement` for everything that it has to say; ``evaluate`` combines them. Evidence that
is absent fails; a screen that could not look is indeterminate; nothing passes because something is missing.
Every reason says observed against expected, and ends with what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dataseal.ledger.trust import Signature
from dataseal.verifiers.facts import Facts
from dataseal.verifiers.finding import Finding
from dataseal.verifiers.policy.model import (
    IntegrityRule,
    PublisherRule,
    ScreenRule,
    TransparencyRule,
)
from dataseal.verifiers.policy.names import matches_any
from dataseal.verifiers.policy.resolved import Policy
from dataseal.verifiers.screen.report import DetectorReport, ScreenReport
from dataseal.verifiers.verdict import Outcome

PUBLISHER_FACTS: Final = ("signature", "identity", "rollback")
INTEGRITY_FACTS: Final = ("integrity",)
LOG_FACTS: Final = ("log",)
SCREEN_FACTS: Final = ("screen",)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One thing that a rule says; what only accompanies does not stand in for the reason of a pass."""

    outcome: Outcome
    reason: str
    findings: tuple[Finding, ...] = ()
    accompanies: bool = False


Judgements = Iterator[Judgement]


def publisher(rule: PublisherRule, policy: Policy, facts: Facts) -> Judgements:
    """The release is of a bound dataset, new enough, and signed by enough distinct keys."""
    yield from _errors(facts.about(*PUBLISHER_FACTS), "the release's signature or identity does not hold")
    release = facts.release
    if release is None:
        yield _fail(
            "no release signed by a trusted publisher was found, expected one; fetch the dataset again with "
            "its .dataseal/ folder, and check that the policy names the right keys"
        )
        return
    for names, whose in ((rule.datasets, "the rule"), (policy.named or None, "the command line")):
        if names is not None and not matches_any(release.dataset, names):
            yield _fail(
                f"this is dataset {release.dataset!r}, and {whose} expects {_any(names)}; "
                "a valid signature over another dataset is no replacement: fetch the right one"
            )
    if rule.min_sequence is not None and not release.sequence >= rule.min_sequence:
        yield _fail(
            f"release {release.version!r} has sequence {release.sequence}, expected {rule.min_sequence} or "
            "later; fetch a newer release"
        )
    for requirement in rule.all_of:
        wanted = [s.name for s in policy.trust.resolve(requirement.signers)]
        signatures = [Signature(s.names, s.fingerprint, s.key) for s in release.signatures]
        count = policy.trust.count(signatures, wanted)
        if count < requirement.threshold:
            signed = sorted({n for s in release.signatures for n in s.names if n in wanted})
            yield _fail(
                f"signed by {count} of {policy.trust.distinct(wanted)} distinct signers of "
                f"{', '.join(requirement.signers)} ({_any(signed, 'nobody')}), expected {requirement.threshold}; "
                "ask the publisher for the missing signatures"
            )
    signers = sorted({n for s in release.signatures for n in s.names if n in policy.trust.signers})
    yield _pass(
        f"{release.dataset}@{release.version}, sequence {release.sequence}, signed by {', '.join(signers) or 'nobody'}"
    )


def integrity(rule: IntegrityRule, policy: Policy, facts: Facts) -> Judgements:
    """Every byte was read and is the signed one, and nothing else is there.

    Two shortcuts leave ``complete`` False; each is judged by the field that allows it, and excuses nothing else.
    """
    del policy
    yield from _errors(facts.about(*INTEGRITY_FACTS), "the files are not what was signed")
    if facts.release is None:
        yield _fail("no signed release to compare the files with, expected one; fetch the dataset with its .dataseal/")
        return
    if not facts.release.shards > 0:
        yield _fail("the release has no shards, expected at least one: zero files never pass; sign one with data")
    if rule.chunk_hash is not None and facts.release.chunk_hash not in rule.chunk_hash:
        yield _fail(
            f"the chunks were hashed with {facts.release.chunk_hash}, expected {_any(rule.chunk_hash)}; ask the "
            f"publisher for a release signed with --chunk-hash {rule.chunk_hash[0]}"
        )
    if facts.fast > 0 and rule.fast != "allow":
        yield _fail(
            f"{facts.fast:,} shards were not read, because nothing seems to have touched them (--fast), expected that "
            "every byte was; verify without --fast, or let the policy say `fast: allow`"
        )
    elif facts.part is not None and rule.partial == "allow":
        yield _pass(f"proven against the signed root: {facts.part}")
    elif facts.complete is not True and not facts.fast > 0:
        yield _fail(
            "not every byte of every shard was compared with the signed table, expected all of them; "
            "verify the whole dataset, without --only and --sample"
        )
    if rule.digests == "all" and facts.digests != "all":
        yield _fail(
            "chunk digests were checked and whole-file SHA-256 was not, expected both; verify with --digests all"
        )
    if facts.part is not None:
        return
    checked = "chunk digests" if facts.digests == "tree" else "chunk digests and whole-file SHA-256"
    unread = f", {facts.fast:,} shards not read, unchanged since they were (--fast)" if facts.fast > 0 else ""
    yield _pass(f"{facts.release.shards:,} shards, {facts.release.bytes:,} bytes, {checked} as signed{unread}")


def transparency(rule: TransparencyRule, policy: Policy, facts: Facts) -> Judgements:
    """The release stands in a trusted log, whose quorum of witnesses is met."""
    yield from _errors(facts.about(*LOG_FACTS), "the proof that the release stands in a log does not hold")
    wanted = rule.logs or tuple(sorted(policy.trust.logs))
    log = facts.log
    if log is None:
        yield _fail(
            f"no proof that the release stands in a trusted log, expected one from {_any(wanted)}; "
            "fetch the dataset with the proofs in .dataseal/release/"
        )
        return
    if facts.release is None:
        yield _fail("a log proof without a verified release proves nothing; fetch the dataset with its .dataseal/")
    if log.log not in wanted:  # `Policy` holds only rules whose logs are all trusted
        yield _fail(f"the proof is from log {log.log!r}, expected {_any(wanted)}; ask for a proof from that log")
    seen = f"witnesses {log.witnesses}/{log.witnesses_known}"
    if log.quorum_met is not True:
        yield _fail(f"the log's quorum is not met ({seen}); fetch a newer proof, or ask the log's operator")
    if rule.min == "witnessed" and log.witnessed is not True:
        yield _fail(
            f"log {log.log!r} asks for no witness ({seen}), expected a witnessed log: an operator alone can "
            "show everybody another tree; add witnesses and a quorum to its tlog-policy"
        )
    yield _pass(f"entry {log.index:,} of {log.tree_size:,} in {log.origin}; log: {log.operator}; {seen}")


def screen(rule: ScreenRule, policy: Policy, facts: Facts) -> Judgements:
    """Each required detector ran, calibrated, over enough of the data, and found nothing that blocks."""
    del policy
    report = facts.screen
    found = (*(report.findings if report else ()), *facts.about(*SCREEN_FACTS))
    yield from _screened(rule, report, facts.screen_error)
    for evidence, setting in (("gate", rule.on_gate_finding), ("contrast", rule.on_contrast_finding)):
        yield from _found([f for f in found if f.evidence == evidence], Outcome(setting))
    yield from _found([f for f in found if f.evidence == "fact" and f.severity == "error"], Outcome.FAIL)
    advice = [f for f in found if f.evidence == "advice"]
    if rule.on_advice == "warn":
        yield from _found(advice, Outcome.WARN)
    if report is not None:
        yield _pass(
            f"{', '.join(rule.required_detectors)} over {report.rows:,} rows in {report.shards} of "
            f"{report.shards_total} shards: nothing calibrated found ({len(advice)} advice); {report.history}"
        )


def _screened(rule: ScreenRule, report: ScreenReport | None, error: str | None) -> Judgements:
    if error is not None or report is None:
        yield _unknown(f"the screen did not finish: {error or 'no report'}; expected one; mend that and screen again")
    if report is None:
        return
    if not report.rows > 0:
        yield _unknown("the screen saw no rows, expected some; check the files and the roles of the columns")
    if not report.coverage >= rule.coverage:
        yield _unknown(
            f"the screen read {report.shards} of {report.shards_total} record shards, expected a share of "
            f"{rule.coverage:g}; make the others readable, or screen again"
        )
    for name in rule.required_detectors:
        reports = [d for d in report.detectors if d.detector == name]
        if not reports:
            yield _unknown(f"required detector {name!r} did not report; install what provides it and screen again")
        for one in reports:
            yield from _ran(rule, one)


def _ran(rule: ScreenRule, report: DetectorReport) -> Judgements:
    name, why, again = report.detector, report.reason or "no reason given", "mend that and screen again"
    if report.status != "ran":
        yield _unknown(f"required detector {name!r} is {report.status}, expected that it ran: {why}; {again}")
    elif not report.rows > 0:
        yield _unknown(f"required detector {name!r} looked at no rows, expected some: {why}; {again}")
    elif report.calibrated is not True and rule.uncalibrated == "deny":
        yield _unknown(
            f"required detector {name!r} is not calibrated on this dataset, so its silence means nothing: "
            f"{why}; record deliveries so that it has history, or read its advice and `uncalibrated: allow` it"
        )


def _found(found: Sequence[Finding], outcome: Outcome) -> Judgements:
    if found:
        kind = {"gate": "calibrated"}.get(found[0].evidence, found[0].evidence)
        many = "finding" if len(found) == 1 else "findings"
        hint = found[0].hint or "look at the rows, and take them out or record why they stay"
        yield Judgement(outcome, f"{len(found)} {kind} {many}, expected none: {_first(found)}; {hint}", tuple(found))


def _errors(findings: Sequence[Finding], what: str) -> Judgements:
    """A failure for findings of severity error; the others only accompany."""
    errors = tuple(f for f in findings if f.severity == "error")
    if errors:
        hint = errors[0].hint or "do not use this copy; fetch it again from its publisher"
        yield Judgement(Outcome.FAIL, f"{what}: {_first(errors)}; {hint}", errors)
    others = tuple(f for f in findings if f.severity != "error")
    if others:
        yield Judgement(Outcome.PASS, f"noted: {_first(others)}", others, accompanies=True)


def _first(findings: Sequence[Finding]) -> str:
    first = findings[0]
    text = first.message.rstrip(".")
    if first.observed is not None and first.expected is not None:
        text += f" (observed {first.observed}, expected {first.expected})"
    return text + (f", and {len(findings) - 1} more" if len(findings) > 1 else "")


def _any(names: Sequence[str], none: str = "none") -> str:
    return " or ".join(names) or none


def _pass(reason: str) -> Judgement:
    return Judgement(Outcome.PASS, reason)


def _fail(reason: str) -> Judgement:
    return Judgement(Outcome.FAIL, reason)


def _unknown(reason: str) -> Judgement:
    return Judgement(Outcome.INDETERMINATE, reason)


Judge = Callable[[Any, Policy, Facts], Judgements]

JUDGES: Final[dict[str, tuple[Judge, tuple[str, ...]]]] = {
    "publisher": (publisher, PUBLISHER_FACTS),
    "integrity": (integrity, INTEGRITY_FACTS),
    "transparency": (transparency, LOG_FACTS),
    "screen": (screen, SCREEN_FACTS),
}
"""For every rule kind its judge, and the first words of the findings that it answers for."""
