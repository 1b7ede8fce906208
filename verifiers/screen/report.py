"""What a screen says: deliveries in, reports of detectors and findings out. Plain data, no heavy imports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dataseal.verifiers.finding import Finding, Pointer

Status = Literal["ran", "not-applicable", "failed"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """The rows that one modification brought.

    Attributes:
        ordinal: its place in the history, 0, 1, 2 …
        entry: index of the modification entry in the log; None when it does not come from a log.
        operation: what the modification says it did, such as ``append``. reason: why, in its words.
        shards: the shards *of the version that is screened* that this modification added or changed last. Shards
            that no delivery names are the base that the history starts from.
        signer: name or fingerprint of who signed it. root: the dataset root it led to, hex.
    """

    ordinal: int
    entry: int | None
    operation: str
    reason: str
    shards: frozenset[str]
    signer: str | None
    root: str | None


@dataclass(frozen=True, slots=True)
class DetectorReport:
    """How one detector fared.

    Attributes:
        detector: its id. version: of the detector's rule.
        status: ``ran``, ``not-applicable`` or ``failed``; never silently left out.
        calibrated: False when whatever it found is advice (no history, too small a pool, a failure).
        reason: why it is not applicable, not calibrated or failed; empty when all is well.
        rows: rows it looked at. tests: hypotheses it tested.
        minimum: one sentence: the smallest number of poisoned rows it could have found in this dataset.
        parameters: everything needed to repeat the run, JSON values.
        blind_to: what it can't see, one phrase each.
    """

    detector: str
    version: str
    status: Status
    calibrated: bool
    reason: str
    rows: int
    tests: int
    minimum: str
    parameters: Mapping[str, Any]
    blind_to: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON values only."""
        return {
            "detector": self.detector,
            "version": self.version,
            "status": self.status,
            "calibrated": self.calibrated,
            "reason": self.reason,
            "rows": self.rows,
            "tests": self.tests,
            "minimum": self.minimum,
            "parameters": dict(self.parameters),
            "blind_to": list(self.blind_to),
        }


@dataclass(frozen=True, slots=True)
class ScreenReport:
    """The result of one screen; equal bytes in, equal report out.

    Attributes:
        rows: rows of the shards that were fully read. shards: how many those are. shards_total: record shards at all.
        roles: role to column, as assumed.
        detectors: one report a detector. findings: what they found, strongest evidence first.
        seed: of everything that is sampled. history: what the deliveries rest on, such as ``verified: 8 deliveries``.
    """

    rows: int
    shards: int
    shards_total: int
    roles: Mapping[str, str]
    detectors: tuple[DetectorReport, ...]
    findings: tuple[Finding, ...]
    seed: int
    history: str

    @property
    def coverage(self) -> float:
        """Fraction of the record shards that was fully read; 0.0 when there are none."""
        return self.shards / self.shards_total if self.shards_total else 0.0

    def to_json(self) -> dict[str, Any]:
        """JSON values only; the same report gives the same canonical bytes."""
        return {
            "rows": self.rows,
            "shards": self.shards,
            "shards_total": self.shards_total,
            "coverage": self.coverage,
            "roles": dict(self.roles),
            "detectors": [d.to_json() for d in self.detectors],
            "findings": [finding_json(f) for f in self.findings],
            "seed": self.seed,
            "history": self.history,
        }


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as JSON values; absent fields are left out."""
    out: dict[str, Any] = {
        "check": finding.check,
        "message": finding.message,
        "severity": finding.severity,
        "evidence": finding.evidence,
        "where": [_pointer_json(p) for p in finding.where],
        "data": dict(finding.data),
    }
    for name in ("observed", "expected", "hint"):
        value = getattr(finding, name)
        if value is not None:
            out[name] = value
    return out


def _pointer_json(pointer: Pointer) -> dict[str, Any]:
    fields = {
        "shard": pointer.shard,
        "start": pointer.start,
        "end": pointer.end,
        "row_group": pointer.row_group,
        "row": pointer.row,
    }
    return {k: v for k, v in fields.items() if v is not None}
