"""A key with a certificate chain: the bundle carries the chain, and verifiers trust the name that it certifies.

The chain file is PEM, as CAs hand it out: the signer's certificate first, then its issuers. The self-signed root, when
it is there, is left out of the bundle, as the Sigstore bundle wants it: a root that travels with data proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from dataseal.ledger import x509 as certificates
from dataseal.ledger.bundle import Chain, Signed, pae
from dataseal.ledger.credential import Credential
from dataseal.ledger.errors import FormatError, UsageError, VerificationError
from dataseal.ledger.identity import Pattern
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.signers.base import RawSigner
from dataseal.ledger.statement import PAYLOAD_TYPE


class CertificateSigner:
    """A `base.Signer` whose key is certified. Made by `certified`."""

    def __init__(self, signer: RawSigner, chain: Sequence[x509.Certificate], credential: Credential) -> None:
        self._signer = signer
        self._material = Chain(tuple(one.public_bytes(Encoding.DER) for one in chain))
        self._credential = credential

    @property
    def public(self) -> PublicKey:
        """The certified key."""
        return self._signer.public

    @property
    def credential(self) -> Credential:
        """The certificate's first name, under the topmost issuer of the chain."""
        return self._credential

    def sign(self, message: bytes) -> bytes:
        """The key's raw signature."""
        return self._signer.sign(message)

    def sign_payload(self, payload: bytes) -> Signed:
        """The signature, with the chain."""
        return Signed(self._signer.sign(pae(PAYLOAD_TYPE, payload)), self._material)


def certified(signer: RawSigner, pem: bytes, *, now: datetime, where: str | None = None) -> CertificateSigner:
    """Joins a key and its certificate chain.

    Raises:
        UsageError: the chain can't be read, is of another key, is not a path, or is not valid for signing ``now``.
    """
    try:
        leaf, *issuers = certificates.load_pem(pem, where=where)
        key = certificates.key_of(leaf)
    except FormatError as error:
        raise UsageError(error.what, where=where, hint=error.hint) from None
    if key.fingerprint != signer.public.fingerprint:
        raise UsageError(
            "the first certificate is of another key than the one that signs",
            where=where,
            hint="put the signer's certificate first, and give its key with --key",
        )
    if not issuers:
        raise UsageError(
            "the file holds the signer's certificate alone",
            where=where,
            hint="append its issuers, up to the root that verifiers trust",
        )
    try:
        path = certificates.validate(leaf, issuers, issuers[-1:], at=now)
    except VerificationError as error:
        raise UsageError(
            f"{error.what}", where=where, hint="order the file leaf first; renew what has expired"
        ) from None
    names = certificates.names(leaf)
    if not names:
        raise UsageError("the certificate names nobody", where=where, hint="ask its CA for a subject alternative name")
    kind, _, name = names[0].partition(":")
    credential = certificates.CertifiedName(tuple(path[-1:]), kind, Pattern(name))
    return CertificateSigner(signer, [one for one in path if one.issuer != one.subject], credential)
