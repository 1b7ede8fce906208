"""Sigstore identities: a certificate for ten minutes, an OIDC issuer's word for who asked for it, and a public log.

What a trust document pins is an *instance*, by its trusted root (``sigstore`` ``trustroot.proto``: the keys of CA, CT
log, Rekor and TSA), and in it an identity *and* the issuer that vouches for it. Anybody may run an issuer, and many
issue any name that is asked for: an identity without its issuer names nobody, and can't be written here.

The trusted root is bytes whose SHA-256 the trust document gives. Sigstore's own clients refresh theirs by TUF, and
offline believe a cache file that nobody signed; here there is no cache and no network. A ``ClientTrustConfig`` file is
read too, and its trusted root taken. `shipped_root` is the public instance's as the installed ``sigstore`` distribution
has it, which ``requirements/`` pins by hash; the digest is demanded all the same, so that an upgrade that brings other
keys is an error until somebody has looked.

A bundle speaks for an identity when

 1. it carries one certificate and one log entry, whose fields have the names of the protobuf JSON mapping;
 2. the certificate names exactly one identity and one issuer, and both are the wanted ones;
 3. its key made the signature;
 4. `sigstore.verify.Verifier.verify_dsse` agrees: path to the instance's CA at the logged time, SCT, inclusion proof,
    signed checkpoint and entry timestamp, and the entry is of this signature (CVE-2022-36056);
 5. what that library verified is what was parsed here: certificate, payload type and payload, byte by byte. It checks
    neither payload type nor content itself; `ledger.verify` does (steps 2, 4 and 5 there).

Its trusted times are Rekor's, where the entry carries the log's signed promise of it, and the instance's TSA's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509

from dataseal.ledger import canonical
from dataseal.ledger import timestamp as timestamps
from dataseal.ledger import x509 as certificates
from dataseal.ledger.bundle import Bundle, Certificate
from dataseal.ledger.credential import Signer, TrustedTime, identity_fingerprint
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import FormatError, SignatureInvalid, UsageError
from dataseal.ledger.identity import Match, Pattern

if TYPE_CHECKING:
    from sigstore.verify import Verifier

MAX_ROOT: Final = 1024 * 1024
"""Bytes: the public instance's trusted root has 7,000."""

ROOT_TYPES: Final = (
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
)
_SIGNING_CONFIG: Final = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
CONFIG_TYPE: Final = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"

SHIPPED: Final = {
    "public-good": "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev",
    "staging": "https%3A%2F%2Ftuf-repo-cdn.sigstage.dev",
}
"""Instances whose trusted root comes with the ``sigstore`` distribution, and the folder that it keeps each in."""

# github.com/sigstore/fulcio docs/oid-info.md: the issuer as bare bytes, and as a DER UTF8String.
_ISSUER_BARE: Final = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_DER: Final = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_OTHER_NAME: Final = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7")

_ENTRY: Final = {
    "logIndex", "logId", "kindVersion", "integratedTime", "inclusionPromise", "inclusionProof", "canonicalizedBody",
}  # fmt: skip


def shipped_root(instance: str) -> bytes:
    """The trusted root of a public instance, as the installed ``sigstore`` has it.

    Raises:
        UsageError: another instance, or this ``sigstore`` ships none.
    """
    from importlib import resources

    if instance not in SHIPPED:
        raise UsageError(f"no trusted root of {instance!r} is shipped", hint=f"one of {', '.join(SHIPPED)}, or a file")
    try:
        return resources.files("sigstore._store").joinpath(SHIPPED[instance], "trusted_root.json").read_bytes()
    except (OSError, ModuleNotFoundError):
        raise UsageError(
            f"this version of sigstore ships no trusted root of {instance}",
            hint="get it with `sigstore`'s TUF client, or from a colleague, and give the file",
        ) from None


@dataclass(frozen=True, slots=True)
class SigstoreRoot:
    """A pinned trusted root: the file's bytes, and their SHA-256. Made by `pinned` only."""

    data: bytes = field(repr=False)
    digest: str

    @classmethod
    def pinned(cls, data: bytes, digest: str, *, where: str | None = None) -> SigstoreRoot:
        """The trusted root in ``data``, a ``TrustedRoot`` or ``ClientTrustConfig``, whose SHA-256 must be ``digest``.

        Raises:
            UsageError: another digest, or not such a file.
        """
        actual = sha256(data).hex()
        if actual != digest:
            raise UsageError(
                f"the Sigstore trusted root has SHA-256 {actual}; the trust document pins {str(digest)[:64]}",
                where=where,
                hint="it was changed or is another instance's; look at it, and only then pin the new digest",
            )
        try:
            value = canonical.decode(data, what="the Sigstore trusted root", max_bytes=MAX_ROOT)
        except FormatError as error:
            raise UsageError(error.what, where=where) from None
        media = value.get("mediaType") if isinstance(value, dict) else None
        if media not in (*ROOT_TYPES, CONFIG_TYPE):
            raise UsageError(
                f"not a Sigstore trusted root: media type {str(media)[:80]!r}",
                where=where,
                hint="give trusted_root.json, or the instance's client trust config",
            )
        return cls(data, actual)

    def document(self) -> dict[str, Any]:
        """The ``TrustedRoot`` message, as JSON."""
        value: Any = canonical.decode(self.data, what="the Sigstore trusted root", max_bytes=MAX_ROOT)
        document = value.get("trustedRoot") if value["mediaType"] == CONFIG_TYPE else value
        if not isinstance(document, dict):
            raise UsageError("the client trust config has no trustedRoot")
        return document

    def verifier(self) -> Verifier:
        """Sigstore's verifier with this root.

        Raises:
            UsageError: the root can't be used.
        """
        return _verifier(self)

    def authorities(self) -> tuple[timestamps.TimestampAuthority, ...]:
        """The instance's timestamp authorities."""
        return _authorities(self)


@lru_cache(maxsize=8)
def _verifier(root: SigstoreRoot) -> Verifier:
    from sigstore.errors import Error
    from sigstore.models import ClientTrustConfig
    from sigstore.verify import Verifier

    # The client reads a trusted root alone from a file only, which may have changed since it was pinned.
    config = {"mediaType": CONFIG_TYPE, "trustedRoot": root.document(), "signingConfig": {"mediaType": _SIGNING_CONFIG}}
    try:
        return Verifier(trusted_root=ClientTrustConfig.from_json(canonical.encode(config).decode()).trusted_root)
    except (Error, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"the Sigstore trusted root can't be used: {_words(error)}") from None


@lru_cache(maxsize=8)
def _authorities(root: SigstoreRoot) -> tuple[timestamps.TimestampAuthority, ...]:
    from base64 import b64decode

    found = []
    try:
        for number, item in enumerate(root.document().get("timestampAuthorities", [])):
            ders = [b64decode(one["rawBytes"]) for one in item["certChain"]["certificates"]]
            chain = [certificates.load(der, what="a timestamp authority's certificate") for der in ders]
            name = str(item.get("uri") or f"timestamp authority {number + 1} of the instance")
            found.append(timestamps.TimestampAuthority(name, tuple(one for one in chain if certificates.is_ca(one))))
    except (FormatError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"the Sigstore trusted root's timestamp authorities can't be read: {_words(error)}") from None
    return tuple(found)


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
    return datetime.fromtimestamp(int(time), UTC)


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
