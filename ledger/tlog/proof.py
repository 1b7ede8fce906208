"""C2SP tlog-proof: one file that proves, offline, that an entry is in a log.

::

    c2sp.org/tlog-proof@v1
    extra <base64>              optional; opaque and NOT authenticated
    index <decimal>             zero-based index of the entry
    <base64 hash>               zero or more: the RFC 6962 inclusion proof, leaf's sibling first
                                an empty line
    <checkpoint>                a signed note, verbatim, with the witnesses' cosignatures

In dataseal ``extra`` holds the entry's header, so that with the bundle beside it the leaf can be rebuilt: a
wrong header gives another leaf hash, which then has no proof.

Example, entry ``two`` of the log of ``checkpoint`` (``tests/ledger/tlog/test_proof.py`` verifies it)::

    c2sp.org/tlog-proof@v1
    index 1
    0Nc2CrefWKseHj/mStd+LqC8B+NrX0btIiPt2SmN+ek=
    Zx8UbF5HHooag6PCFM5LqQe486WIjRTMjNPOdbsS75Q=

    dataseal.invalid/0123456789abcdef
    3
    Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=

    — dataseal.invalid/0123456789abcdef 1Vf7S8ye2XYRHexiami32IIl6AN/OBTzjnclxDaB5EepzEhiuZ+dzOsjUCIIOXOfR4kJE1VL1MDuoubVTvhhQxVVKgk=
    — witness.example/w1 tefEaAAAAABpVbkAPu8SkJdJjqEVsoG0Gf4RXtM4jDvIorFdi6L1eYLtLwWcPXKHEr7hXoZNhtuL8bqLGq5QxN3YfTz9QpEpwRjCDQ==
"""  # noqa: E501 - whole documents

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dataseal.ledger.errors import FormatError, ProofInvalid
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import parse_body
from dataseal.ledger.tlog.limits import MAX_EXTRA_BYTES, MAX_PROOF_BYTES, MAX_PROOF_HASHES, MAX_TREE_SIZE
from dataseal.ledger.tlog.merkle import verify_inclusion
from dataseal.ledger.tlog.policy import CheckedCheckpoint, LogPolicy
from dataseal.ledger.tlog.text import decode_base64, decode_hash, encode_base64, parse_decimal

HEADER: Final = "c2sp.org/tlog-proof@v1"
SUFFIX: Final = ".tlog-proof"


@dataclass(frozen=True, slots=True)
class LogProof:
    """A proof as read, with nothing verified yet.

    Attributes:
        index: zero-based index of the entry.
        hashes: the inclusion proof, 32 bytes each.
        checkpoint: the signed checkpoint's bytes, verbatim.
        extra: opaque data, not authenticated by anything here; None if there is none, never empty.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The file's bytes.

        Raises:
            FormatError: a field that no proof file can hold.
        """
        lines = [HEADER, f"index {self.index}", *map(encode_base64, self.hashes), ""]
        if self.extra is not None:
            lines.insert(1, f"extra {encode_base64(self.extra)}")
        data = "".join(f"{line}\n" for line in lines).encode() + self.checkpoint
        if parse_proof(data) != self:
            raise FormatError("index, hashes, extra data and checkpoint do not form a tlog-proof")
        return data


@dataclass(frozen=True, slots=True)
class VerifiedInclusion:
    """The entry is number ``index`` of the log at ``checked``; only `verify_proof` makes one."""

    index: int
    leaf: bytes
    checked: CheckedCheckpoint


def parse_proof(data: bytes) -> LogProof:
    """Reads a ``.tlog-proof`` file, strictly and completely, its checkpoint included.

    Raises:
        FormatError: not a proof, or beyond our limits.
    """
    if len(data) > MAX_PROOF_BYTES:
        raise FormatError(f"tlog-proof has {len(data):,} bytes; at most {MAX_PROOF_BYTES:,} are accepted")
    head, separator, checkpoint = data.partition(b"\n\n")
    try:
        lines = iter(head.decode("ascii").split("\n"))
    except UnicodeDecodeError as error:
        raise FormatError("tlog-proof has bytes before the checkpoint that are not ASCII") from error
    if next(lines) != HEADER or not separator:
        raise FormatError(f"not a tlog-proof: first line {HEADER!r} and an empty line are needed")
    line = next(lines, "")
    extra = None
    if line.startswith("extra "):
        extra = _parse_extra(line.removeprefix("extra "))
        line = next(lines, "")
    if not line.startswith("index "):
        raise FormatError(f"tlog-proof has no index line where one is due: {line[:60]!r}")
    index = parse_decimal(line.removeprefix("index "), what="index", maximum=MAX_TREE_SIZE - 1)
    hashes = tuple(_parse_hashes(lines))
    parse_body(notes.parse(checkpoint).text)
    return LogProof(index, hashes, checkpoint, extra)


def verify_proof(proof: LogProof, leaf: bytes, policy: LogPolicy, *, require_quorum: bool = True) -> VerifiedInclusion:
    """Verifies that the entry with leaf hash ``leaf`` is in a log of ``policy`` (tlog-proof, "Verifying").

    Args:
        proof: the parsed file.
        leaf: step 1, done by the caller: `merkle.leaf_hash` of the entry's bytes.
        policy: the trusted logs, witnesses and quorum.
        require_quorum: False to get a result whose ``checked.quorum_met`` the caller judges.

    Raises:
        FormatError, SignatureInvalid, ProofInvalid, UsageError: as `LogPolicy.check` (steps 2 and 3).
        ProofInvalid: the inclusion proof does not lead from the leaf to the checkpoint's root (step 4).
    """
    # 2. origin acceptable, checkpoint signed by a key for it; 3. all cosignatures of known witnesses, quorum.
    checked = policy.check(proof.checkpoint, require_quorum=require_quorum)
    # 4. the inclusion proof binds the leaf to the signed root.
    tree = checked.checkpoint
    try:
        verify_inclusion(index=proof.index, size=tree.size, leaf=leaf, proof=proof.hashes, root=tree.root)
    except ProofInvalid as error:
        raise ProofInvalid(error.what, where=f"log {tree.origin!r}", hint=error.hint) from error
    return VerifiedInclusion(proof.index, leaf, checked)


def _parse_extra(text: str) -> bytes:
    extra = decode_base64(text, what="extra line")
    if not 1 <= len(extra) <= MAX_EXTRA_BYTES:  # "if no extra data is present, this line is omitted"
        raise FormatError(f"tlog-proof has {len(extra):,} bytes of extra data; 1 to {MAX_EXTRA_BYTES:,} are accepted")
    return extra


def _parse_hashes(lines: Iterator[str]) -> Iterator[bytes]:
    for number, line in enumerate(lines, start=1):
        if number > MAX_PROOF_HASHES:
            raise FormatError(f"tlog-proof has more than {MAX_PROOF_HASHES} hashes")
        yield decode_hash(line, what=f"proof hash {number}")
