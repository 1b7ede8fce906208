"""A finding: one observed fact, with its rule, severity, subject, evidence and what to do about it.

Findings are plain data: every report format prints the same objects, and a policy judges them. The
evidence class decides what a finding may do (SCREEN design): ``gate`` and ``contrast`` carry a calibrated
p-value and may block; ``advice`` never does; ``fact`` is a deterministic check that failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Evidence = Literal["fact", "gate", "contrast", "advice"]
Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where: a shard, and in it a byte range or a row.

    ``start`` and ``end`` are bytes, half-open; ``row_group`` and ``row`` count from 0, ``row`` within the shard.
    """

    shard: str
    start: int | None = None
    end: int | None = None
    row_group: int | None = None
    row: int | None = None

    def __str__(self) -> str:
        if self.row is not None:
            return f"{self.shard} row {self.row} (row group {self.row_group})"
        if self.start is not None and self.end is not None:
            return f"{self.shard} bytes {self.start}-{self.end - 1}"
        return self.shard


@dataclass(frozen=True, slots=True)
class Finding:
    """One observed fact.

    Attributes:
        check: stable id of what looked, such as ``integrity.changed`` or ``screen.private-phrase``.
        message: one plain sentence.
        severity: how bad it is when the policy says nothing else.
        evidence: what kind of evidence this is, and so whether it may block.
        where: pointers, the most telling first.
        observed: what is there. expected: what should be.
        hint: what to do next; a command where one helps.
        data: everything else a report needs (statistic, p, contributor, entry), JSON values only.
    """

    check: str
    message: str
    severity: Severity = "error"
    evidence: Evidence = "fact"
    where: tuple[Pointer, ...] = ()
    observed: str | None = None
    expected: str | None = None
    hint: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
