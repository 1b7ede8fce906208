"""RFC 3161 timestamps over a signature: somebody who is trusted saw it, and when.

A bundle carries *responses* (DER ``TimeStampResp``, RFC 3161 section 2.4.2) as the Sigstore bundle has them::

    "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": "<base64 of DER>"}]}

A response gives a trusted time when

 1. it parses, grants the request, and its imprint is the SHA-256, SHA-384 or SHA-512 of the bundle's signature: one
    that is over something else does not belong here, and the bundle is refused;
 2. the certificate that signed it has the one, critical key purpose timeStamping (RFC 3161 section 2.3) and leads to
    the pinned certificates of an authority, all valid at the response's own ``genTime``.

A response of an authority that nobody pinned says nothing, neither good nor bad: a publisher may ask two authorities,
and a consumer trust one of them. `rfc3161_client` parses and verifies (CMS with OpenSSL); it wants the certificates
in a response in DER order, so that the odd authority whose responses are not can't be used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from dataseal.ledger.credential import TrustedTime, identity_fingerprint
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import FormatError, SignatureInvalid
from dataseal.ledger.x509 import MALFORMED, load_roots

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse

MAX_TOKEN: Final = 16 * 1024
"""Bytes of a response: one with its signer's certificate takes 1 to 3 KiB, with a whole chain up to 8."""


@dataclass(frozen=True, slots=True)
class TimestampAuthority:
    """A time-stamping authority (TSA) that is trusted: its name for people, and its CA certificates."""

    name: str
    roots: tuple[x509.Certificate, ...]

    @classmethod
    def of(cls, name: str, pem: bytes, *, where: str | None = None) -> TimestampAuthority:
        """Makes one from PEM: a self-signed root, and the issuers below it that responses don't carry.

        Raises:
            FormatError: no CA certificates, or no self-signed one among them.
        """
        roots = load_roots(pem, where=where)
        if not any(root.issuer == root.subject for root in roots):
            raise FormatError(
                f"the certificates of timestamp authority {name!r} have no root among them",
                where=where,
                hint="add the self-signed certificate that they lead to",
            )
        return cls(name, roots)

    @property
    def fingerprint(self) -> str:
        """Of what decides: its certificates."""
        digests = sorted(sha256(root.public_bytes(Encoding.DER)).hex() for root in self.roots)
        return identity_fingerprint(scheme="rfc3161", roots=" ".join(digests))

    def vouches(self, response: TimeStampResponse, signature: bytes) -> bool:
        """Whether it made ``response`` over ``signature`` (step 2); another authority may have."""
        from rfc3161_client import VerificationError, VerifierBuilder

        try:
            verifier = VerifierBuilder(roots=list(self.roots)).build()
            return verifier.verify_message(response, signature)
        except (VerificationError, *_MALFORMED):
            return False


_MALFORMED: Final = (*MALFORMED, LookupError, OverflowError, x509.UnsupportedGeneralNameType)
"""What `rfc3161_client` and `cryptography` raise over bytes that nobody made in good faith."""


def parse(token: bytes, signature: bytes) -> TimeStampResponse:
    """Step 1: the response, which is over ``signature``; who made it is not known yet.

    Raises:
        FormatError: not a response. SignatureInvalid: it grants nothing, or is over something else.
    """
    from rfc3161_client import decode_timestamp_response

    if len(token) > MAX_TOKEN:
        raise FormatError(f"the timestamp has {len(token):,} bytes; at most {MAX_TOKEN:,} are read")
    try:
        response = decode_timestamp_response(token)
        granted = response.status == 0
        if granted:
            imprint = response.tst_info.message_imprint
            algorithm, digest = imprint.hash_algorithm.dotted_string, imprint.message
            _ = response.tst_info.gen_time, response.tst_info.nonce
    except _MALFORMED as error:
        raise FormatError(f"the timestamp is no RFC 3161 response: {str(error)[:120]}") from None
    if not granted:
        raise SignatureInvalid(f"the timestamp authority refused: status {response.status}")
    if _digest(algorithm, signature) != digest:
        raise SignatureInvalid(
            "the timestamp is not over this signature", hint="the bundle was altered: get it again from the publisher"
        )
    return response


def _digest(algorithm: str, message: bytes) -> bytes | None:
    import hashlib

    name = {"2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384", "2.16.840.1.101.3.4.2.3": "sha512"}
    return hashlib.new(name[algorithm], message).digest() if algorithm in name else None


def trusted_times(
    tokens: Sequence[bytes], signature: bytes, authorities: Sequence[TimestampAuthority]
) -> tuple[TrustedTime, ...]:
    """The times at which ``authorities`` saw ``signature``, earliest first; none when there are no authorities.

    Args:
        tokens: the bundle's responses, DER.

    Raises:
        FormatError, SignatureInvalid: a response that does not belong to this signature (step 1).
    """
    if not authorities:
        return ()
    found = set()
    for token in tokens:
        response = parse(token, signature)
        at = response.tst_info.gen_time
        found |= {TrustedTime(at, "rfc3161", a.name) for a in authorities if a.vouches(response, signature)}
    return tuple(sorted(found, key=lambda time: (time.at, time.by)))
