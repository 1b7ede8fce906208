"""Sigstore identities: a certificate for ten minutes, an OIDC issuer's word for who asked for it, and a public log.

What a trust document pins is an *instance*, by its trusted root (`dataseal.ledger.trustedroot`), and in it an identity
*and* the issuer that vouches for it. Anybody may run an issuer, and many issue any name that is asked for: an identity
without its issuer names nobody, and can't be written here.

A bundle speaks for an identity when

 1. it carries one certificate and one log entry, whose fields have the names of the protobuf JSON mapping;
 2. the certificate names exactly one identity and one issuer, and both are the wanted ones;
 3. its key made the signature: ECDSA P-256, which Sigstore's clients make for each, since the library of step 4 takes
    SHA-256 with any curve;
 4. `sigstore.verify.Verifier.verify_dsse` agrees: path to the instance's CA at the logged time, SCT, inclusion proof,
    signed checkpoint and entry timestamp, and the entry is of this signature (CVE-2022-36056);
 5. what that library verified is what was parsed here: certificate, payload type and payload, byte by byte. It checks
    neither payload type nor content itself; `ledger.verify` does (steps 2, 4 and 5 there).

Its trusted times are Rekor's, where the entry carries the log's signed promise of it, and the instance's TSA's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509

from dataseal.ledger import timestamp as timestamps
from dataseal.ledger import x509 as certificates
from dataseal.ledger.bundle import Bundle, Certificate
from dataseal.ledger.credential import Signer, TrustedTime, identity_fingerprint
from dataseal.ledger.errors import FormatError, SignatureInvalid, UsageError
from dataseal.ledger.identity import Match, Pattern
from dataseal.ledger.tlog.limits import LAST_DATE
from dataseal.ledger.trustedroot import SigstoreRoot

# github.com/sigstore/fulcio docs/oid-info.md: the issuer as bare bytes, and as a DER UTF8String.
_ISSUER_BARE: Final = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_DER: Final = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_OTHER_NAME: Final = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7")

_ENTRY: Final = {
    "logIndex", "logId", "kindVersion", "integratedTime", "inclusionPromise", "inclusionProof", "canonicalizedBody",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SigstoreIdentity:
    """A `credential.Credential`: an identity that an issuer vouches for, in one Sigstore instance."""

    pattern: Pattern
    issuer: str
    root: SigstoreRoot

    @classmethod
    def of(cls, identity: str, issuer: str, root: SigstoreRoot, match: Match = "exact") -> SigstoreIdentity:
        """Makes the credential; ``match`` is of the identity, the issuer is always exact.

        Raises:
            UsageError: an empty identity or issuer, or a broken pattern.
        """
        if not issuer:
            raise UsageError(
                f"identity {identity[:80]!r} has no issuer",
                hint="an identity is only as good as who vouches for it: give the issuer's URL too",
            )
        return cls(Pattern(identity, match), issuer, root)

    @property
    def fingerprint(self) -> str:
        """Of identity, issuer and instance."""
        return identity_fingerprint(
            scheme=self.scheme,
            identity=self.pattern.text,
            match=self.pattern.match,
            issuer=self.issuer,
            trusted_root=self.root.digest,
        )

    @property
    def scheme(self) -> str:
        """``sigstore``."""
        return "sigstore"

    @property
    def label(self) -> str:
        """Identity and issuer, for people."""
        return f"{self.pattern.text} ({self.issuer})"

    def recognise(
        self, bundle: Bundle, message: bytes, times: Sequence[TrustedTime] = (), *, now: datetime | None = None
    ) -> Signer:
        """Steps 1 to 5 of the module's list. The certificate is judged at the logged time, never by the clock.

        Raises:
            SignatureInvalid: a step failed. FormatError: a certificate or log entry can't be read.
            UsageError: the pinned trusted root can't be used.
        """
        del times, now
        if not isinstance(bundle.material, Certificate) or len(bundle.tlog_entries) != 1:  # 1
            raise SignatureInvalid(
                "not a Sigstore bundle: one certificate and one log entry are wanted",
                hint="trust the signer's public key or certified name instead",
            )
        at = _integrated(bundle.tlog_entries[0])
        leaf = certificates.load(bundle.material.der, what="the signer's certificate")
        identity = self._identity(leaf)  # 2
        key = certificates.key_of(leaf)
        key.verify(bundle.signature, message)  # 3
        self._verify(bundle)  # 4, 5
        stamped = timestamps.trusted_times(bundle.timestamps, bundle.signature, self.root.authorities())
        logged = (TrustedTime(at, "rekor", "the Rekor log"),) if at else ()
        proven = tuple(sorted((*logged, *stamped), key=lambda time: time.at))
        fingerprint = identity_fingerprint(scheme=self.scheme, identity=identity, issuer=self.issuer)
        return Signer(fingerprint, self.scheme, f"{identity} ({self.issuer})", key.fingerprint, proven)

    def _identity(self, leaf: x509.Certificate) -> str:
        identity, issuer = claims_of(leaf)
        if issuer != self.issuer:
            raise SignatureInvalid(
                f"{issuer[:200]} vouches for this identity; {self.issuer} is wanted",
                hint="another issuer may give the same name to somebody else",
            )
        if not self.pattern.matches(identity):
            raise SignatureInvalid(f"{identity[:200]} signed; {self.pattern.text} is wanted")
        return identity

    def _verify(self, bundle: Bundle) -> None:
        verifier = self.root.verifier()
        from sigstore.models import Bundle as Foreign

        judged = _SameCertificate(bundle.leaf or b"")
        try:
            verified = verifier.verify_dsse(Foreign.from_json(bundle.raw), judged)
        except Exception as error:  # noqa: BLE001  a foreign library over hostile bytes: whatever it raises, it is no pass
            raise SignatureInvalid(
                f"Sigstore does not verify it: {_words(error)}",
                hint="the bundle was altered, or it is of another Sigstore instance than the pinned one",
            ) from None
        if verified != (bundle.payload_type, bundle.payload):
            raise SignatureInvalid("Sigstore verified another payload than the bundle's")


class _SameCertificate:
    """A verification policy: the certificate that the library judges is the one that was judged here."""

    def __init__(self, der: bytes) -> None:
        self._der = der

    def verify(self, cert: x509.Certificate) -> None:
        """Raises unless it is."""
        from cryptography.hazmat.primitives.serialization import Encoding
        from sigstore.errors import VerificationError

        if cert.public_bytes(Encoding.DER) != self._der:
            raise VerificationError("another certificate than the bundle's")


def claims_of(leaf: x509.Certificate) -> tuple[str, str]:
    """The identity and the issuer that a Fulcio certificate names.

    Raises:
        SignatureInvalid: other than one identity, no issuer, or two that differ.
    """
    names = certificates.extension(leaf, x509.SubjectAlternativeName)
    found: list[str] = []
    for name in names or ():
        if isinstance(name, x509.RFC822Name | x509.UniformResourceIdentifier):
            found.append(name.value)
        elif isinstance(name, x509.OtherName) and name.type_id == _OTHER_NAME:
            found.append(_utf8(name.value))
        else:
            found.append("")
    if len(found) != 1 or not found[0]:
        raise SignatureInvalid(f"a Sigstore certificate names one identity; this one has {len(found)} names")
    issuers = {_extension_text(leaf, _ISSUER_BARE), _extension_text(leaf, _ISSUER_DER)} - {None}
    if len(issuers) != 1:
        raise SignatureInvalid(
            "the certificate names no issuer" if not issuers else "the certificate names two issuers"
        )
    return found[0], str(issuers.pop())


def _extension_text(leaf: x509.Certificate, oid: x509.ObjectIdentifier) -> str | None:
    try:
        value = leaf.extensions.get_extension_for_oid(oid).value
    except x509.ExtensionNotFound:
        return None
    assert isinstance(value, x509.UnrecognizedExtension)
    return _utf8(value.value) if oid == _ISSUER_DER else value.value.decode("utf-8", "replace")


def _utf8(der: bytes) -> str:
    from cryptography.hazmat import asn1

    try:
        return asn1.decode_der(str, der)
    except ValueError as error:
        raise FormatError(f"a name in the certificate is no UTF8String: {str(error)[:80]}") from None


def _integrated(entry: dict[str, Any]) -> datetime | None:
    """When Rekor says that it logged the entry; None unless it promises that with a signature, which step 4 checks."""
    if unknown := set(entry) - _ENTRY:
        # sigstore's models also read snake_case names; one field must not have two readings.
        raise FormatError(f"bundle.tlogEntries: unknown {', '.join(sorted(repr(n[:40]) for n in unknown))}")
    time = entry.get("integratedTime")
    if time is None or entry.get("inclusionPromise") is None:
        return None
    if not isinstance(time, str) or not re.fullmatch(r"[1-9][0-9]{0,11}", time):
        raise FormatError("bundle.tlogEntries: integratedTime is no time in seconds")
    if int(time) > LAST_DATE:
        raise SignatureInvalid(f"bundle.tlogEntries: integratedTime {time} lies after the year 9999")
    return datetime.fromtimestamp(int(time), UTC)


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
