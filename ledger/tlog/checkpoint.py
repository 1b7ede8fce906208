"""C2SP tlog-checkpoint: a log's tree head as a signed note.

The note text has three lines, and then, in foreign logs only, opaque extension lines::

    <origin>                  names the log; not empty; SHOULD be a URL without scheme
    <tree size>               decimal, no leading zeros
    <base64 root hash>        RFC 6962 root of that tree, 32 bytes

dataseal never writes extension lines: monitors can't audit them, and ML-DSA-44 signatures do not cover them.
They are kept when a foreign checkpoint is read, and nothing here ever relies on them.

Example, three entries ``one``, ``two``, ``three`` (``tests/ledger/tlog/test_checkpoint.py`` opens it)::

    dataseal.invalid/0123456789abcdef+d557fb4b+AQCLkwzlYT5nR/vu1kosJUdqR01++VotXheFPlsDDqs+

    dataseal.invalid/0123456789abcdef
    3
    Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=

    — dataseal.invalid/0123456789abcdef 1Vf7S8ye2XYRHexiami32IIl6AN/OBTzjnclxDaB5EepzEhiuZ+dzOsjUCIIOXOfR4kJE1VL1MDuoubVTvhhQxVVKgk=
"""  # noqa: E501 - whole documents

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dataseal.ledger.errors import FormatError, ProofInvalid, SignatureInvalid, UsageError
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.limits import HASH_BYTES, MAX_TREE_SIZE
from dataseal.ledger.tlog.merkle import EMPTY_ROOT
from dataseal.ledger.tlog.note import Note, Signature, Signer, Verifier
from dataseal.ledger.tlog.text import decode_hash, encode_base64, parse_decimal

CONTENT_TYPE: Final = "text/plain; charset=utf-8"
"""tlog-tiles, "Checkpoints"."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head. By itself it says nothing about who vouches for it: see `SignedCheckpoint`.

    Attributes:
        origin: the log's name.
        size: number of leaves.
        root: RFC 6962 root, 32 bytes.
        extensions: opaque further lines of a foreign checkpoint; always empty in ours.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """The note text: what the log signs.

        Raises:
            FormatError: a field that no checkpoint can hold.
        """
        lines = [self.origin, str(self.size), encode_base64(self.root), *self.extensions]
        text = "".join(f"{line}\n" for line in lines).encode()
        if len(self.root) != HASH_BYTES or parse_body(text) != self:
            raise FormatError(f"not a checkpoint: origin {self.origin[:80]!r}, size {self.size}")
        return text


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint of the expected origin, validly signed by the log; only `open_checkpoint` makes one.

    Attributes:
        checkpoint: the tree head.
        log_signatures: the valid signatures by the log's keys, at least one.
        cosignatures: the valid signatures by the ``cosigners`` that were asked for.
        unverified: signatures by unknown keys: ignore them.
        data: the note's bytes as read.
    """

    checkpoint: Checkpoint
    log_signatures: tuple[Signature, ...]
    cosignatures: tuple[Signature, ...]
    unverified: tuple[Signature, ...]
    data: bytes


def parse_body(text: bytes, *, strict: bool = False) -> Checkpoint:
    """Reads a checkpoint's note text (tlog-checkpoint, "Note text"); says nothing about signatures.

    Args:
        text: the note text, from origin to last newline.
        strict: refuse extension lines, as a reader of our own logs does.

    Raises:
        FormatError: not a checkpoint.
    """
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise FormatError(f"checkpoint is not UTF-8 (byte {error.start})") from error
    if lines.pop() != "" or len(lines) < 3:
        raise FormatError(f"checkpoint has {len(lines)} complete lines; origin, size and root hash are needed")
    if "" in lines:
        raise FormatError(f"line {lines.index('') + 1} of the checkpoint is empty")
    if strict and len(lines) > 3:
        raise FormatError(f"checkpoint has {len(lines) - 3} extension lines; logs of dataseal have none")
    size = parse_decimal(lines[1], what="tree size", maximum=MAX_TREE_SIZE)
    return Checkpoint(lines[0], size, decode_hash(lines[2], what="root hash"), tuple(lines[3:]))


def open_checkpoint(
    data: bytes,
    log_keys: Iterable[Verifier],
    *,
    origin: str,
    cosigners: Iterable[Verifier] = (),
    strict: bool = False,
) -> SignedCheckpoint:
    """Verifies a signed checkpoint.

    1. the note parses; 2. its body parses; 3. the origin is the expected one; 4. every signature by a known
    key holds; 5. one of them is by a log key; 6. a tree of size 0 has the empty tree's root.

    Args:
        data: the note, as served at ``<prefix>/checkpoint``.
        log_keys: the log's keys, any one of which suffices.
        origin: the log that the caller expects.
        cosigners: further known keys (witnesses), whose signatures are checked and reported apart.
        strict: refuse extension lines.

    Raises:
        FormatError: steps 1 and 2.
        SignatureInvalid: steps 3 to 5.
        ProofInvalid: step 6.
        UsageError: no log key, or a key that is both the log's and a cosigner's.
    """
    keys, others = list(log_keys), list(cosigners)
    logs, witnesses = _ids(keys), _ids(others)
    if not logs or logs & witnesses:
        raise UsageError("a checkpoint needs at least one log key, and none that is a cosigner's as well")
    checkpoint = parse_body(notes.parse(data).text, strict=strict)
    if checkpoint.origin != origin:
        raise SignatureInvalid(
            f"checkpoint is of log {checkpoint.origin!r}, not {origin!r}", hint="ask the log that you expect"
        )
    opened = notes.open_note(data, [*keys, *others])
    by_log = _among(opened, logs)
    if not by_log:
        raise SignatureInvalid(f"checkpoint of {origin!r} carries no signature by the log's own key")
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise ProofInvalid(f"checkpoint of size 0 has root {checkpoint.root.hex()}, not the empty tree's")
    return SignedCheckpoint(checkpoint, by_log, _among(opened, witnesses), opened.unverified, data)


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[Signer], existing: Sequence[Signature] = ()) -> bytes:
    """Signs a tree head as its log: the note's bytes, to be served at ``<prefix>/checkpoint``.

    The caller answers for never signing two roots for one size. An ML-DSA-44 log signature is a cosignature
    by the log's key (tlog-checkpoint, "Signatures"): hand in ``MLDSA44Cosigner(...).at(timestamp)``.

    Raises:
        UsageError: extension lines, a signer whose name is not the origin, or no signer.
        FormatError: a field that no checkpoint can hold.
    """
    if checkpoint.extensions:
        raise UsageError("checkpoints of dataseal have no extension lines")
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise UsageError("a tree of size 0 has the empty tree's root")
    if not signers:
        raise UsageError("a checkpoint needs the log's signature")
    for signer in signers:
        if signer.name != checkpoint.origin:  # SHOULD match (tlog-checkpoint); tlog-policy demands it
            raise UsageError(f"signer {signer.name!r} is not named like the log, {checkpoint.origin!r}")
    return notes.sign(checkpoint.encode(), signers, existing)


def _ids(verifiers: Iterable[Verifier]) -> set[tuple[str, bytes]]:
    return {(verifier.name, verifier.key_id) for verifier in verifiers}


def _among(note: Note, known: set[tuple[str, bytes]]) -> tuple[Signature, ...]:
    return tuple(signature for signature in note.verified if (signature.name, signature.key_id) in known)
