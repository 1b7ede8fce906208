"""C2SP tlog-cosignature: dated statements that a cosigner saw a consistent tree head.

The signature after the key ID is an 8-byte big-endian POSIX timestamp and the signature proper. What is
signed:

Ed25519 (type 4, 64 bytes)::

    cosignature/v1
    time <timestamp>
    <the whole note text of the checkpoint, extension lines included>

ML-DSA-44 (type 6, 2420 bytes; FIPS 204, empty context), a TLS-style structure without extension lines::

    uint8 label[12] = "subtree/v1\\n\\0"; opaque cosigner_name<1..2^8-1>; uint64 timestamp;
    opaque log_origin<1..2^8-1>; uint64 start = 0; uint64 end = <tree size>; uint8 hash[32] = <root hash>

A log's own ML-DSA-44 signature on its checkpoint is of type 6 too (tlog-checkpoint, "Signatures"). Its
timestamp may be zero, which makes no statement that the tree is the newest; a witness's must not be
(tlog-witness), and ``policy`` does not count one that is.

Example, a witness's vkey and its line on the checkpoint of ``checkpoint``
(``tests/ledger/tlog/test_cosignature.py`` opens it; the timestamp is 1767225600, 2026-01-01T00:00:00Z)::

    witness.example/w1+b5e7c468+BL6LWE0RafwTvcKyAMNOIi2BijAQ1i01FLTmCmF7FgTy

    — witness.example/w1 tefEaAAAAABpVbkAPu8SkJdJjqEVsoG0Gf4RXtM4jDvIorFdi6L1eYLtLwWcPXKHEr7hXoZNhtuL8bqLGq5QxN3YfTz9QpEpwRjCDQ==
"""  # noqa: E501 - whole documents

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import Checkpoint, parse_body
from dataseal.ledger.tlog.limits import MAX_NAME_BYTES, MAX_TIMESTAMP
from dataseal.ledger.tlog.note import PublicKey, Signature, Signer, Verifier, verify_ed25519

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

TIMESTAMP_BYTES: Final = 8
_LABEL: Final = b"subtree/v1\n\0"


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified cosignature: ``timestamp`` is POSIX seconds, 0 for no statement about time."""

    name: str
    key_id: bytes
    timestamp: int


def timestamp_of(signature: Signature) -> int:
    """The POSIX timestamp that a signature of type 4 or 6 claims; as trustworthy as the signature.

    Raises:
        FormatError: too short, or beyond 2**63 - 1.
    """
    return _split(signature.signature)[0]


def verify_cosignatures(
    text: bytes, signatures: Sequence[Signature], cosigners: Iterable[Verifier]
) -> tuple[Cosignature, ...]:
    """Checks a witness's answer (signature lines) over the checkpoint text that it was asked about.

    Lines by unknown keys are ignored (tlog-witness, "add-checkpoint").

    Raises:
        SignatureInvalid: a line by a known key fails, or none is by a known key.
        FormatError: ``text`` is no checkpoint.
    """
    parse_body(text)
    opened = notes.open_note(notes.encode(text, signatures), cosigners)
    return tuple(Cosignature(s.name, s.key_id, timestamp_of(s)) for s in opened.verified)


def ed25519_message(text: bytes, timestamp: int) -> bytes:
    """What a type-4 cosigner signs (tlog-cosignature, "Ed25519 signed message").

    Raises:
        FormatError: ``text`` is no checkpoint's.
    """
    parse_body(text)  # "a cosignature is a note signature applied to a checkpoint": never over other notes
    return f"cosignature/v1\ntime {timestamp}\n".encode() + text


def mldsa44_message(cosigner: str, timestamp: int, checkpoint: Checkpoint) -> bytes:
    """What a type-6 cosigner signs (tlog-cosignature, "ML-DSA-44 signed message").

    Raises:
        FormatError: the cosigner's name or the origin does not fit its one length byte.
    """
    head = struct.pack(">Q", timestamp)
    tree = struct.pack(">QQ", 0, checkpoint.size) + checkpoint.root  # "if signing a checkpoint, [start] MUST be zero"
    return _LABEL + _opaque(cosigner, "cosigner name") + head + _opaque(checkpoint.origin, "origin") + tree


class Ed25519CosignatureVerifier(PublicKey):
    """Signature type 4: a timestamp and 64 bytes of Ed25519 over `ed25519_message`."""

    TYPE = 4
    KEY_BYTES = 32

    def verify(self, message: bytes, signature: bytes) -> None:
        """Checks the 72 bytes after the key ID over the checkpoint's note text; raises `SignatureInvalid`."""
        try:
            timestamp, proper = _split(signature)
            signed = ed25519_message(message, timestamp)
        except FormatError as error:
            raise self.invalid(error.what) from error
        verify_ed25519(self, proper, signed)


class MLDSA44Verifier(PublicKey):
    """Signature type 6: a timestamp and 2420 bytes of ML-DSA-44 over `mldsa44_message`."""

    TYPE = 6
    KEY_BYTES = 1312

    def verify(self, message: bytes, signature: bytes) -> None:
        """Checks the 2428 bytes after the key ID over the checkpoint's note text.

        Raises:
            SignatureInvalid: it does not hold.
            UsageError: the installed ``cryptography`` has no ML-DSA-44: no verdict is possible.
        """
        try:
            timestamp, proper = _split(signature)
            signed = mldsa44_message(self.name, timestamp, parse_body(message))
        except FormatError as error:
            raise self.invalid(error.what) from error
        try:
            from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

            MLDSA44PublicKey.from_public_bytes(self.public_key).verify(proper, signed)
        except InvalidSignature as error:
            raise self.invalid("ML-DSA-44 verification failed") from error
        except (ImportError, UnsupportedAlgorithm) as error:
            raise UsageError(
                "ML-DSA-44 is not available", hint="install a newer release of cryptography (50 has it)"
            ) from error


@dataclass(frozen=True)
class _Dated:
    """A cosigner at one moment: a `Signer` of notes."""

    name: str
    key_id: bytes
    cosigner: Ed25519Cosigner | MLDSA44Cosigner
    timestamp: int

    def sign(self, message: bytes) -> bytes:
        return struct.pack(">Q", self.timestamp) + self.cosigner.sign_at(message, self.timestamp)


@dataclass(frozen=True)
class Ed25519Cosigner:
    """A witness's Ed25519 key (type 4). Two cosigners of one operator MUST use two keys."""

    name: str
    private_key: Ed25519PrivateKey = field(repr=False)

    @cached_property
    def verifier(self) -> Ed25519CosignatureVerifier:
        """The public half."""
        return Ed25519CosignatureVerifier(self.name, self.private_key.public_key().public_bytes_raw())

    @property
    def vkey(self) -> str:
        """The public half as text."""
        return self.verifier.vkey

    def at(self, timestamp: int) -> Signer:
        """The note signer that dates its signature ``timestamp`` (POSIX seconds, above 0)."""
        _demand_timestamp(timestamp, least=1)
        return _Dated(self.name, self.verifier.key_id, self, timestamp)

    def sign_at(self, text: bytes, timestamp: int) -> bytes:
        """The signature proper over a checkpoint's note text: 64 bytes."""
        return self.private_key.sign(ed25519_message(text, timestamp))


@dataclass(frozen=True)
class MLDSA44Cosigner:
    """A witness's, or a log's own, ML-DSA-44 key (type 6)."""

    name: str
    private_key: MLDSA44PrivateKey = field(repr=False)

    @cached_property
    def verifier(self) -> MLDSA44Verifier:
        """The public half."""
        return MLDSA44Verifier(self.name, self.private_key.public_key().public_bytes_raw())

    @property
    def vkey(self) -> str:
        """The public half as text."""
        return self.verifier.vkey

    def at(self, timestamp: int) -> Signer:
        """The note signer that dates its signature ``timestamp`` (POSIX seconds; 0: no statement)."""
        _demand_timestamp(timestamp, least=0)
        return _Dated(self.name, self.verifier.key_id, self, timestamp)

    def sign_at(self, text: bytes, timestamp: int) -> bytes:
        """The signature proper over a checkpoint's note text: 2420 bytes."""
        return self.private_key.sign(mldsa44_message(self.name, timestamp, parse_body(text)))


def _split(signature: bytes) -> tuple[int, bytes]:
    if len(signature) <= TIMESTAMP_BYTES:
        raise FormatError(f"{len(signature)} bytes are no timestamped_signature")
    (timestamp,) = struct.unpack_from(">Q", signature)
    if timestamp > MAX_TIMESTAMP:  # "MUST NOT exceed 2^63 - 1"
        raise FormatError(f"timestamp {timestamp} exceeds 2**63 - 1")
    return timestamp, signature[TIMESTAMP_BYTES:]


def _opaque(text: str, what: str) -> bytes:
    data = text.encode()
    if not 1 <= len(data) <= MAX_NAME_BYTES:
        raise FormatError(f"{what} has {len(data)} bytes; ML-DSA-44 cosignatures hold 1 to {MAX_NAME_BYTES}")
    return bytes([len(data)]) + data


def _demand_timestamp(timestamp: int, *, least: int) -> None:
    if not least <= timestamp <= MAX_TIMESTAMP:
        raise UsageError(f"cosignature timestamp {timestamp} is not between {least} and 2**63 - 1 seconds")
