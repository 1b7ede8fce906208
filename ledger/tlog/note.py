"""C2SP signed-note: a text with signatures by named keys, and its Ed25519 keys (signature type 1).

A note is a text that ends in a newline, an empty line, and one or more signature lines::

    <text>
    <empty line>
    — <key name> <base64(4-byte key ID || signature)>

It is UTF-8 with no control character but the newline. The text may hold empty lines: the last empty line of
the note separates. A key name is not empty and has no Unicode space and no plus. The pair of name and key
ID says which key made the signature and how; a signature whose pair is unknown is ignored, one whose pair
is known and that fails rejects the whole note. A *vkey* is a public key as text, ``<name>+<hex key
ID>+<base64(type || public key)>``.

Example, a vkey and a note by it (``tests/ledger/tlog/test_note.py`` opens it)::

    dataseal.invalid/0123456789abcdef+d557fb4b+AQCLkwzlYT5nR/vu1kosJUdqR01++VotXheFPlsDDqs+

    Rows 7 and 9 were withdrawn.

    — dataseal.invalid/0123456789abcdef 1Vf7S5sdd1UAGvy0sF1skcTgPgrkuj1Tvo1oHKsNHAKAeWmWe+uU1AHwSjwfItCu+NVGXLD2GWVikp/4uCD5x2AuBAk=
"""  # noqa: E501 - whole documents

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import FormatError, SignatureInvalid, UsageError
from dataseal.ledger.tlog.limits import MAX_NAME_BYTES, MAX_NOTE_BYTES, MAX_SIGNATURES
from dataseal.ledger.tlog.text import decode_base64, encode_base64

KEY_ID_BYTES: Final = 4

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_PREFIX = "\u2014 "  # em dash, space


class Verifier(Protocol):
    """A trusted public key: who, and how to check."""

    @property
    def name(self) -> str:
        """The key name of the signature line."""

    @property
    def key_id(self) -> bytes:
        """The key ID: 4 bytes."""

    def verify(self, message: bytes, signature: bytes) -> None:
        """Checks ``signature`` (the bytes after the key ID) over the note text; raises `SignatureInvalid`."""


class Signer(Protocol):
    """A private key that can sign a note text."""

    @property
    def name(self) -> str:
        """The key name of the signature line."""

    @property
    def key_id(self) -> bytes:
        """The key ID: 4 bytes."""

    def sign(self, message: bytes) -> bytes:
        """The signature over the note text: the bytes after the key ID."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line, valid or not: ``signature`` are the bytes after the 4-byte ``key_id``."""

    name: str
    key_id: bytes
    signature: bytes

    def encode(self) -> bytes:
        """The line, with its newline."""
        return f"{_PREFIX}{self.name} {encode_base64(self.key_id + self.signature)}\n".encode()


@dataclass(frozen=True, slots=True)
class UnverifiedNote:
    """A well-formed note and no more: its text MUST be ignored until `open_note` has passed."""

    text: bytes
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A note with at least one signature by a known key; only `open_note` makes one.

    ``verified`` holds at most one signature a key (the first in the note), so that its length counts distinct
    keys; ``unverified`` are the signatures by unknown keys.
    """

    text: bytes
    verified: tuple[Signature, ...]
    unverified: tuple[Signature, ...]


def parse(data: bytes) -> UnverifiedNote:
    """Splits a note into text and signatures, strictly, without any trust in it.

    Raises:
        FormatError: not a signed note (signed-note, "Format"), or beyond our limits.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise FormatError(f"signed note has {len(data):,} bytes; at most {MAX_NOTE_BYTES:,} are accepted")
    cut = data.rfind(b"\n\n")  # "the text is separated from the signatures by the last empty line"
    if cut < 0:
        raise FormatError("signed note has no empty line between text and signatures")
    text = data[: cut + 1]
    _demand_text(text)
    return UnverifiedNote(text, parse_signatures(data[cut + 2 :]))


def parse_signatures(data: bytes) -> tuple[Signature, ...]:
    """Reads one or more signature lines, as a note ends with and as a witness answers (tlog-witness).

    Raises:
        FormatError: no line, too many, or a line that is not of the form.
    """
    lines = _decode(data).split("\n")
    if lines.pop() != "" or not lines:
        raise FormatError("signed note does not end with a signature line and its newline")
    if len(lines) > MAX_SIGNATURES:
        raise FormatError(f"signed note has {len(lines)} signatures; at most {MAX_SIGNATURES} are accepted")
    return tuple(_parse_line(line, number) for number, line in enumerate(lines, start=1))


def open_note(data: bytes, verifiers: Iterable[Verifier]) -> Note:
    """Parses a note and checks every signature by one of ``verifiers``.

    Raises:
        FormatError: not a signed note.
        SignatureInvalid: a signature by a known key (name *and* key ID) fails, or none is by a known key.
        UsageError: no verifier, or two different ones with the same name and key ID.
    """
    known = _index(verifiers)
    note = parse(data)
    verified: dict[tuple[str, bytes], Signature] = {}
    unverified: list[Signature] = []
    for signature in note.signatures:
        key = (signature.name, signature.key_id)
        if key not in known:
            unverified.append(signature)
            continue
        # A repeated line is checked as well: any failing signature by a known key rejects the note.
        known[key].verify(note.text, signature.signature)
        verified.setdefault(key, signature)
    if not verified:
        seen = ", ".join(_label(s.name, s.key_id) for s in note.signatures[:8])
        wanted = ", ".join(_label(*key) for key in list(known)[:8])
        raise SignatureInvalid(f"no signature by a known key: signed by {seen}; known: {wanted}")
    return Note(note.text, tuple(verified.values()), tuple(unverified))


def encode(text: bytes, signatures: Sequence[Signature]) -> bytes:
    """Joins a text and its signature lines to a note, and checks that `parse` reads the same back.

    Raises:
        FormatError: text, names or counts that no note can hold.
    """
    data = text + b"\n" + b"".join(signature.encode() for signature in signatures)
    if parse(data) != UnverifiedNote(text, tuple(signatures)):
        raise FormatError("text and signatures do not form a signed note")
    return data


def sign(text: bytes, signers: Iterable[Signer], existing: Sequence[Signature] = ()) -> bytes:
    """Signs a text: ``existing`` signatures first (those that no signer replaces), then one by each signer.

    Raises:
        FormatError: the text can't be a note's.
        UsageError: nobody signs, or two signers have the same name and key ID.
    """
    _demand_text(text)
    added = [Signature(signer.name, signer.key_id, signer.sign(text)) for signer in signers]
    replaced = {(signature.name, signature.key_id) for signature in added}
    if len(replaced) != len(added):
        raise UsageError("two signers have the same key name and key ID")
    kept = [signature for signature in existing if (signature.name, signature.key_id) not in replaced]
    if not kept and not added:
        raise UsageError("a note needs at least one signature")
    return encode(text, [*kept, *added])


# --- keys ---


@dataclass(frozen=True)
class PublicKey(ABC):
    """A key name and raw public key; subclasses fix the signature type and how it verifies.

    Raises:
        UsageError: a name that no note can hold, or a key of another length.
    """

    name: str
    public_key: bytes
    TYPE: ClassVar[int]
    KEY_BYTES: ClassVar[int]

    def __post_init__(self) -> None:
        if not is_key_name(self.name) or len(self.name.encode()) > MAX_NAME_BYTES:
            raise UsageError(f"not a key name (1 to 255 bytes, no spaces, no plus): {self.name[:80]!r}")
        if len(self.public_key) != self.KEY_BYTES:
            raise UsageError(f"public key has {len(self.public_key)} bytes; type {self.TYPE} has {self.KEY_BYTES}")

    @cached_property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || type || public key)[:4] (signed-note, "Signatures"): 4 bytes."""
        return sha256(self.name.encode() + b"\n" + bytes([self.TYPE]) + self.public_key)[:KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """``<name>+<hex key ID>+<base64(type || public key)>`` (signed-note, "Verifier keys")."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.TYPE]) + self.public_key)}"

    @abstractmethod
    def verify(self, message: bytes, signature: bytes) -> None:
        """Checks a signature over the note text; raises `SignatureInvalid`."""

    def invalid(self, why: str) -> SignatureInvalid:
        """The error of a signature by this key that does not hold."""
        return SignatureInvalid(
            f"signature by {_label(self.name, self.key_id)} is not valid: {why}",
            hint="the text or the signature was changed, or another key signed under this name and ID",
        )


class Ed25519Verifier(PublicKey):
    """Signature type 1: Ed25519 (RFC 8032) over the note text, 64 bytes."""

    TYPE = 1
    KEY_BYTES = 32

    def verify(self, message: bytes, signature: bytes) -> None:
        """Checks a 64-byte signature over the note text; raises `SignatureInvalid`."""
        verify_ed25519(self, signature, message)


@dataclass(frozen=True)
class Ed25519Signer:
    """Signs notes with signature type 1."""

    name: str
    private_key: Ed25519PrivateKey = field(repr=False)

    @cached_property
    def verifier(self) -> Ed25519Verifier:
        """The public half."""
        return Ed25519Verifier(self.name, self.private_key.public_key().public_bytes_raw())

    @property
    def key_id(self) -> bytes:
        """The key ID: 4 bytes."""
        return self.verifier.key_id

    @property
    def vkey(self) -> str:
        """The public half as text."""
        return self.verifier.vkey

    def sign(self, message: bytes) -> bytes:
        """Ed25519 over the note text: 64 bytes."""
        return self.private_key.sign(message)


def verify_ed25519(key: PublicKey, signature: bytes, message: bytes) -> None:
    """RFC 8032 verification with ``key``'s raw public key; raises `SignatureInvalid`."""
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, message)
    except InvalidSignature as error:
        raise key.invalid("Ed25519 verification failed") from error


def is_key_name(name: str) -> bool:
    """Whether ``name`` can stand in a signature line: not empty, no Unicode space, plus or control."""
    return bool(name) and "+" not in name and not _CONTROL.search(name) and not any(map(str.isspace, name))


# --- inside ---


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"signed note is not UTF-8 (byte {error.start})") from error
    if found := _CONTROL.search(text):
        raise FormatError(f"signed note holds the control character U+{ord(found[0]):04X}")
    return text


def _demand_text(text: bytes) -> None:
    _decode(text)
    if not text.endswith(b"\n"):
        raise FormatError("note text does not end in a newline")


def _parse_line(line: str, number: int) -> Signature:
    where = f"signature line {number}"
    if not line.startswith(_PREFIX):
        raise FormatError("does not begin with an em dash and a space", where=where)
    name, separator, encoded = line.removeprefix(_PREFIX).partition(" ")
    if not separator or not is_key_name(name):
        raise FormatError(f"no key name followed by a signature: {line[:80]!r}", where=where)
    data = decode_base64(encoded, what=where)
    if len(data) <= KEY_ID_BYTES:
        raise FormatError(f"has {len(data)} bytes: no signature after the 4-byte key ID", where=where)
    return Signature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def _index(verifiers: Iterable[Verifier]) -> dict[tuple[str, bytes], Verifier]:
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        key = (verifier.name, verifier.key_id)
        if known.setdefault(key, verifier) != verifier:
            raise UsageError(f"two different keys share the name and ID {_label(*key)}")
    if not known:
        raise UsageError("no key to verify the note with", hint="name the log's key (vkey)")
    return known


def _label(name: str, key_id: bytes) -> str:
    return f"{name}+{key_id.hex()}"
