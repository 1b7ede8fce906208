"""Public keys, their fingerprints, and the one place where a signature is checked.

A key *is* its SubjectPublicKeyInfo: its fingerprint is the SHA-256 of the DER bytes, in hexadecimal, and two
names for one fingerprint are one signer. Key ids and hints inside bundles are hints and never identities.

Schemes (DESIGN section 3): ECDSA P-256 with SHA-256 (the default, and what OMS and cosign accept), ECDSA
P-384 with SHA-384, Ed25519, and ML-DSA-44 (FIPS 204).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa

from dataseal.ledger.credential import Signer, TrustedTime
from dataseal.ledger.errors import FormatError, SignatureInvalid

if TYPE_CHECKING:
    from dataseal.ledger.bundle import Bundle

Key = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | mldsa.MLDSA44PublicKey

ECDSA_HASHES: Final[dict[str, type[hashes.SHA256] | type[hashes.SHA384]]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
}
"""The curve decides the hash, so that a signature has one reading."""

_ECDSA_SCHEMES = {"secp256r1": "ecdsa-p256", "secp384r1": "ecdsa-p384"}

MAX_PEM: Final = 16 * 1024
"""Bytes of a public key file: an ML-DSA-44 key in PEM takes 2 KiB."""

SSH_KEYS: Final = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384")
"""OpenSSH's names (RFC 8709, RFC 5656) of kinds of key that sign here.

``sk-…`` keys live on security keys, which sign more than the message; a certificate is no key.
"""


def scheme_of(key: object) -> str:
    """The scheme's name: ``ecdsa-p256``, ``ecdsa-p384``, ``ed25519`` or ``ml-dsa-44``.

    Takes a public or a private key of `cryptography`.

    Raises:
        FormatError: a key of another kind.
    """
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        if key.curve.name in _ECDSA_SCHEMES:
            return _ECDSA_SCHEMES[key.curve.name]
        raise FormatError(f"curve {key.curve.name} is not supported", hint="use P-256 or P-384")
    if isinstance(key, ed25519.Ed25519PublicKey | ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, mldsa.MLDSA44PublicKey | mldsa.MLDSA44PrivateKey):
        return "ml-dsa-44"
    raise FormatError(
        f"{type(key).__name__} is not a supported kind of key",
        hint="use ECDSA P-256 or P-384, Ed25519 or ML-DSA-44",
    )


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that signatures are checked with: a `credential.Credential` that recognises one signer.

    Attributes:
        key: the key object. spki: its DER SubjectPublicKeyInfo.
    """

    key: Key
    spki: bytes

    @classmethod
    def of(cls, key: object) -> PublicKey:
        """Wraps a public key object.

        Raises:
            FormatError: a kind of key that is not supported.
        """
        scheme_of(key)
        assert isinstance(key, Key)
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return cls(key, der)

    @classmethod
    def from_pem(cls, pem: bytes, *, where: str | None = None) -> PublicKey:
        """Reads a PEM ``PUBLIC KEY`` block (SubjectPublicKeyInfo).

        Raises:
            FormatError: not such a block, or a kind of key that is not supported.
        """
        if len(pem) > MAX_PEM:
            raise FormatError(f"a public key file of {len(pem):,} bytes", where=where)
        if b"PRIVATE KEY" in pem:
            raise FormatError(
                "this is a private key; a public key is wanted here", where=where, hint="give the .pub file"
            )
        if pem.count(b"-----BEGIN ") > 1:
            raise FormatError(
                "a file with more than one PEM block", where=where, hint="keep one public key a file, and name each"
            )
        try:
            return cls.of(serialization.load_pem_public_key(pem))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise FormatError(
                f"not a PEM public key: {str(error)[:120]}",
                where=where,
                hint="a public key file starts with -----BEGIN PUBLIC KEY-----",
            ) from None
        except FormatError as error:
            raise FormatError(error.what, where=where, hint=error.hint) from None

    @classmethod
    def from_ssh(cls, line: bytes, *, where: str | None = None) -> PublicKey:
        """Reads an OpenSSH public key: one line of kind, base64 and perhaps a comment (RFC 4253 section 6.6).

        Raises:
            FormatError: not one such line, or a kind of key that is not supported.
        """
        text = line.strip()
        kind = text.split(b" ", 1)[0].decode("ascii", "replace")
        if len(line) > MAX_PEM or b"\n" in text or b"\r" in text:
            raise FormatError("more than one OpenSSH key", where=where, hint="keep one public key a file")
        if kind not in SSH_KEYS:
            raise FormatError(
                f"{kind[:60]!r} is no kind of OpenSSH key that signs here",
                where=where,
                hint=f"use one of {', '.join(SSH_KEYS)}",
            )
        try:
            return cls.of(serialization.load_ssh_public_key(text))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise FormatError(f"not an OpenSSH public key: {str(error)[:120]}", where=where) from None

    @classmethod
    def from_spki(cls, text: str) -> PublicKey:
        """Reads a SubjectPublicKeyInfo in base64, strictly: a key on one line.

        Raises:
            FormatError: not base64 of one, or a kind of key that is not supported.
        """
        try:
            der = base64.b64decode(text, validate=True)
            key = cls.of(serialization.load_der_public_key(der))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise FormatError(f"not a SubjectPublicKeyInfo in base64: {str(error)[:120]}") from None
        if key.spki != der or base64.b64encode(der).decode() != text:
            raise FormatError("not the usual encoding of a SubjectPublicKeyInfo in base64")
        return key

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the SubjectPublicKeyInfo, 64 hexadecimal digits: the key's identity."""
        return _fingerprint(self.spki)

    @property
    def scheme(self) -> str:
        """The signature scheme's name."""
        return scheme_of(self.key)

    @property
    def label(self) -> str:
        """The scheme and the fingerprint's first digits, for people."""
        return f"{self.scheme} {self.fingerprint[:16]}"

    def recognise(
        self, bundle: Bundle, message: bytes, times: Sequence[TrustedTime] = (), *, now: datetime | None = None
    ) -> Signer:
        """This key as the signer of ``bundle``; a key has no expiry of its own, so that no time is looked at.

        A certificate in the bundle is not looked at: who lists a key trusts the key.

        Raises:
            SignatureInvalid: this key did not make the bundle's signature over ``message``.
        """
        del times, now
        self.verify(bundle.signature, message)
        return Signer(self.fingerprint, self.scheme, self.label, self.fingerprint)

    def to_spki(self) -> str:
        """The SubjectPublicKeyInfo in base64: the key on one line."""
        return base64.b64encode(self.spki).decode()

    def pem(self) -> bytes:
        """The key as a PEM ``PUBLIC KEY`` block."""
        return self.key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def ssh(self) -> str:
        """The key as OpenSSH writes public keys, without a comment.

        Raises:
            FormatError: OpenSSH has no name for this kind of key.
        """
        if isinstance(self.key, mldsa.MLDSA44PublicKey):
            raise FormatError("OpenSSH has no ML-DSA keys", hint="export it as PEM")
        return self.key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()

    def verify(self, signature: bytes, message: bytes) -> None:
        """Checks ``signature`` over ``message``.

        Raises:
            SignatureInvalid: this key did not make that signature over these bytes.
        """
        try:
            if isinstance(self.key, ec.EllipticCurvePublicKey):
                self.key.verify(signature, message, ec.ECDSA(ECDSA_HASHES[self.key.curve.name]()))
            else:
                self.key.verify(signature, message)
        except (InvalidSignature, ValueError):
            raise SignatureInvalid(f"key {self.fingerprint[:16]} ({self.scheme}) did not make this signature") from None


@lru_cache(maxsize=1024)
def _fingerprint(spki: bytes) -> str:
    return hashlib.sha256(spki).hexdigest()
