"""What verification established: the facts that policy rules see, and nothing else.

Facts are made by `dataseal.verifiers.release` and by the screen; rules only read them. A piece that could not be
established is ``None`` (or an empty tuple) and its finding says why: a rule that needs it fails or is
indeterminate, never passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from dataseal.verifiers.finding import Finding
from dataseal.verifiers.partial import PartFacts
from dataseal.verifiers.screen.report import ScreenReport


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """One signature that counts.

    Attributes:
        names: the trust document's signers whom it counts for. fingerprint, key: of the identity, and of the key that
            made it; equal for a key. scheme, label: for people.
        times: its trusted times, earliest first: RFC 3339, the source and by whom.
        valid: from when until when (not included) the first of ``names`` is trusted for it, RFC 3339; None: unbounded.
    """

    names: tuple[str, ...]
    fingerprint: str
    key: str
    scheme: str
    label: str
    times: tuple[tuple[str, str, str], ...] = ()
    valid: tuple[str | None, str | None] = (None, None)


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """A release statement whose signature a trusted key made, over a shard table that matches its digest.

    Attributes:
        dataset, version, sequence: as signed. root, table: dataset root and SHA-256 of the shard table, hexadecimal.
        shards, bytes: how many. chunk_size: bytes. exclusions: recorded globs that the tree walk leaves out.
        supplied: the signer's tool read no data: it signed digests that were computed elsewhere.
        signatures: those over this statement that verified and count for a trusted signer.
    """

    dataset: str
    version: str
    sequence: int
    root: str
    table: str
    shards: int
    bytes: int
    chunk_size: int
    chunk_hash: str
    exclusions: tuple[str, ...]
    metadata: Mapping[str, Any]
    signatures: tuple[SignatureFacts, ...]
    supplied: bool = False

    @property
    def signed_by(self) -> tuple[str, ...]:
        """Fingerprints of the distinct keys and identities that signed."""
        return tuple(dict.fromkeys(one.fingerprint for one in self.signatures))


@dataclass(frozen=True, slots=True)
class LogFacts:
    """The verified inclusion of the release in a trusted log.

    Attributes:
        log: the log's name in the trust document. origin: the checkpoint's origin line.
        index, tree_size: where the entry stands, and in a tree of which size.
        operator: ``self-operated`` or ``independent``, as the trust document says.
        witnesses, witnesses_known: valid cosignatures of known witnesses, and how many are known.
        quorum_met: whether the tlog-policy's quorum is met. witnessed: whether that quorum asks for any witness.
    """

    log: str
    origin: str
    index: int
    tree_size: int
    operator: str
    witnesses: int
    witnesses_known: int
    quorum_met: bool
    witnessed: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that rules may look at, for one target.

    Attributes:
        now: the evaluation's one clock reading, in UTC.
        target: the target as the user named it.
        release: the verified release, or None. log: its verified inclusion, or None.
        findings: facts observed on the way. The first word of `Finding.check` says whose they are:
            ``signature``, ``identity``, ``rollback``, ``log``, ``integrity``, ``history``.
        complete: every byte of every shard was read and compared with the signed table.
        part: what of the dataset was looked at, when only a part was. fast: shards that ``--fast`` did not read,
            because nothing touched them since they were; all others were. Either leaves ``complete`` False.
        digests: ``tree`` (chunk digests) or ``all`` (the whole-file SHA-256 too).
        screen: what the screen reported, or None when it did not run. screen_error: why it could not run.
        history: how the modifications that travel with the data were verified, one line.
    """

    now: datetime
    target: str
    release: ReleaseFacts | None
    log: LogFacts | None
    findings: tuple[Finding, ...]
    complete: bool
    digests: Literal["tree", "all"] = "tree"
    screen: ScreenReport | None = None
    screen_error: str | None = None
    history: str = "none"
    part: PartFacts | None = None
    fast: int = 0

    def about(self, *prefixes: str) -> tuple[Finding, ...]:
        """The findings whose check id starts with one of ``prefixes`` (whole dotted words)."""
        return tuple(f for f in self.findings if f.check.split(".", 1)[0] in prefixes)
