"""Who can be recognised by a signature: a key, a name under an X.509 root, or a Sigstore identity.

A *credential* is what a trust document lists; what it recognises in a bundle is a *signer*. For a key the two are the
same. A credential that names an identity by a pattern recognises several signers; under one name of the document they
count as one (`ledger.trust`).

A signer's ``fingerprint`` is 64 hexadecimal digits and decides everything: for a key the SHA-256 of its
SubjectPublicKeyInfo, for an identity the SHA-256 of the canonical JSON of what makes it (`identity_fingerprint`).
Key ids, hints and names in bundles decide nothing.

*Trusted time* is a time that somebody trusted beforehand vouches for: a pinned RFC 3161 authority, Rekor, or a witness
whose cosignature covers the entry. A log's own clock (``logged_at``) is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from dataseal.ledger import canonical
from dataseal.ledger.digest import sha256

if TYPE_CHECKING:
    from dataseal.ledger.bundle import Bundle

Source = Literal["rfc3161", "rekor", "witness"]


@dataclass(frozen=True, slots=True)
class TrustedTime:
    """The signature existed at ``at`` (UTC, aware), as ``source`` says; ``by`` names the authority for people."""

    at: datetime
    source: Source
    by: str


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose signature a bundle carries. Made by `Credential.recognise` only, after the signature verified.

    Attributes:
        fingerprint: the identity that decides. scheme: ``ecdsa-p256``, …, ``x509``, ``sigstore``. label: for people.
        key: SHA-256 of the SubjectPublicKeyInfo that made the signature, 64 hexadecimal digits: one key behind a
            ``.pub`` file and behind a certificate is one signer of a threshold.
        times: trusted times of this signature that the bundle itself proves, earliest first.
    """

    fingerprint: str
    scheme: str
    label: str
    key: str
    times: tuple[TrustedTime, ...] = ()


class Credential(Protocol):
    """What a trust document or an admission list names."""

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits: two credentials with one fingerprint are one."""

    @property
    def scheme(self) -> str:
        """``ecdsa-p256``, ``ecdsa-p384``, ``ed25519``, ``ml-dsa-44``, ``x509`` or ``sigstore``."""

    @property
    def label(self) -> str:
        """For people; untrusted text in it is not escaped."""

    def recognise(
        self, bundle: Bundle, message: bytes, times: Sequence[TrustedTime] = (), *, now: datetime | None = None
    ) -> Signer:
        """The signer of ``bundle``, whose signature over ``message`` (the PAE) this credential covers.

        Args:
            times: trusted times from outside the bundle, such as a witness's cosignature over its entry.
            now: the clock (UTC, aware). A certificate is judged at the earliest trusted time; where there is none,
                at ``now``; without either it does not hold. A key has no expiry and needs neither.

        Raises:
            SignatureInvalid: somebody else signed, or the signature, certificate or evidence does not hold.
        """


def identity_fingerprint(**parts: str) -> str:
    """The fingerprint of an identity: SHA-256 of the canonical JSON of what makes it."""
    return sha256(canonical.encode(dict(parts))).hex()
