"""What is established about a release while it is verified, and where its seal is read from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from dataseal.ledger.endorse import Endorsement
from dataseal.ledger.manifest import Manifest
from dataseal.ledger.verify import LoggedStatement, VerifiedStatement
from dataseal.verifiers.facts import LogFacts, ReleaseFacts
from dataseal.verifiers.finding import Finding, Pointer
from dataseal.verifiers.lineage import History
from dataseal.verifiers.partial import PartFacts


class Sealed(Protocol):
    """Where a seal's files are: a folder, a bucket, a web server."""

    def seal(self) -> list[str] | None:
        """The names below ``.dataseal/``, sorted; None when there is no seal."""

    def read_seal(self, name: str, limit: int) -> bytes | None:
        """One file below ``.dataseal/`` of at most ``limit`` bytes, or None when it is not there."""


@dataclass(slots=True)
class Checked:
    """What is established about one folder.

    Attributes:
        release, log: facts, or None. logged: the logged statement behind them.
        bundles: every release bundle that verified, by its name in the seal.
        endorsed: the same, with what their signatures count for.
        manifest: the signed manifest, or None.
        complete: every byte of every signed shard was read and compared. part: what of them, when only a part was.
        fast: shards that were not read because nothing touched them since they were; all others were.
        history: None when it was not looked at.
        notes: what a person should know and no rule judges.
    """

    release: ReleaseFacts | None = None
    log: LogFacts | None = None
    logged: LoggedStatement | None = None
    bundles: dict[str, VerifiedStatement] = field(default_factory=dict)
    endorsed: dict[str, Endorsement] = field(default_factory=dict)
    manifest: Manifest | None = None
    complete: bool = False
    part: PartFacts | None = None
    fast: int = 0
    history: History | None = None
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fail(
        self, check: str, message: str, *, where: str | None = None, hint: str | None = None, note: bool = False
    ) -> None:
        """Adds a finding."""
        pointers = (Pointer(where),) if where else ()
        severity: Literal["note", "error"] = "note" if note else "error"
        self.findings.append(Finding(check, message, severity=severity, where=pointers, hint=hint))
