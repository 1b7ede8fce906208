"""Certificates: who may be named by one, and the path from it to roots that were trusted beforehand.

A credential names somebody as OpenSSL prints a subject alternative name, or by the subject's common name::

    email:alice@example.org    URI:https://ci.example.org/job/7    DNS:build.example.org    CN:Release key 2026

A certificate speaks for a signature when (RFC 5280, and the code-signing profile that Sigstore and OMS use):

 1. the bundle carries it, it is X.509 v3, and its key is ECDSA P-256 or P-384, Ed25519 or ML-DSA-44;
 2. that key made the signature;
 3. there is a time to judge it at: the earliest trusted time of the signature, else the clock that the caller gives;
 4. it is no CA, its keyUsage has digitalSignature and its extendedKeyUsage codeSigning;
 5. a path leads from it to a root, every certificate of which is valid at that time;
 6. it certifies the wanted name; a common name counts only where no issuer is bound by name constraints, since those
    do not speak of common names.

The path is validated by `cryptography.x509.verification` with the WebPKI profile for issuers (basic constraints, key
usage, path length, name constraints, RSA of 2048 bits or more, ECDSA) and the profile above for the leaf. An issuer
that restricts itself by an extendedKeyUsage must allow codeSigning. That library refuses issuers with Ed25519 keys,
directoryName constraints and unknown critical extensions, and so they are refused here. Nothing is fetched: no AIA,
no CRL, no OCSP. A certificate is withdrawn in the trust document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dataseal.ledger.bundle import Bundle, Chain
from dataseal.ledger.credential import Signer, TrustedTime, identity_fingerprint
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import FormatError, SignatureInvalid, UsageError
from dataseal.ledger.identity import Match, Pattern
from dataseal.ledger.publickey import PublicKey

E = TypeVar("E", bound=x509.ExtensionType)

KINDS: Final = ("email", "URI", "DNS", "CN")

MAX_DER: Final = 16 * 1024
"""Bytes of a certificate: one with RSA 4096, many names and extensions takes under 4 KiB."""

MAX_CERTIFICATES: Final = 64
"""Certificates of a PEM file; a company's roots are a handful."""

MAX_PATH: Final = 6
"""Certificates between a leaf and its root."""


def load(der: bytes, *, what: str) -> x509.Certificate:
    """Reads one DER certificate.

    Raises:
        FormatError: it is none, is no version 3, or has more than `MAX_DER` bytes.
    """
    if len(der) > MAX_DER:
        raise FormatError(f"{what} has {len(der):,} bytes; at most {MAX_DER:,} are read")
    with _reading(what):
        certificate = x509.load_der_x509_certificate(der)
        if certificate.version != x509.Version.v3:
            raise FormatError(f"{what} is X.509 {certificate.version.name}; v3 is wanted")
        if certificate.serial_number <= 0:  # RFC 5280 section 4.1.2.2
            raise FormatError(f"{what} has a serial number that is not positive")
        # What is parsed late is parsed here, so that nothing malformed is met later.
        _ = certificate.extensions, certificate.subject, certificate.issuer, certificate.not_valid_after_utc
        return certificate


def load_pem(pem: bytes, *, where: str | None = None) -> tuple[x509.Certificate, ...]:
    """Reads the certificates of a PEM file, in its order.

    Raises:
        FormatError: no certificate in it, something else in it, or too many.
    """
    what = "the certificate file"
    if b"PRIVATE KEY" in pem:
        raise FormatError("a private key; certificates are wanted here", where=where, hint="give the file without it")
    if len(pem) > 2 * MAX_DER * MAX_CERTIFICATES or pem.count(b"-----BEGIN ") > MAX_CERTIFICATES:
        raise FormatError(f"{what} holds more than {MAX_CERTIFICATES} certificates", where=where)
    try:
        with _reading(what):
            found = x509.load_pem_x509_certificates(pem)
        return tuple(load(certificate.public_bytes(Encoding.DER), what="a certificate") for certificate in found)
    except FormatError as error:
        raise FormatError(
            error.what, where=where, hint=error.hint or "a PEM certificate starts with -----BEGIN CERTIFICATE-----"
        ) from None


def load_roots(pem: bytes, *, where: str | None = None) -> tuple[x509.Certificate, ...]:
    """Reads the PEM certificates of authorities that are trusted from now on.

    Raises:
        FormatError: as `load_pem`, or one of them is no CA certificate.
    """
    roots = load_pem(pem, where=where)
    for root in roots:
        if not is_ca(root):
            raise FormatError(
                f"{root.subject.rfc4514_string()[:120]!r} is no CA certificate",
                where=where,
                hint="give the certificate of the authority; a signer's own key is trusted as a public key",
            )
    return roots


MALFORMED: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    CryptographyDeprecationWarning,  # where warnings are errors
)
"""What `cryptography` raises over a certificate that it does not like."""


@contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        yield
    except MALFORMED as error:
        raise FormatError(f"{what} can't be read as X.509: {str(error)[:160]}") from None
    except x509.UnsupportedGeneralNameType as error:
        raise FormatError(f"{what} has a name of an unsupported kind: {str(error)[:160]}") from None


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether its basicConstraints say that it issues certificates."""
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    """The extension's value, or None where the certificate has none of that kind."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Every name that it certifies, as ``email:…``, ``URI:…``, ``DNS:…`` or ``CN:…``."""
    found = []
    alternatives = extension(certificate, x509.SubjectAlternativeName)
    if alternatives is not None:
        found += [f"email:{name}" for name in alternatives.get_values_for_type(x509.RFC822Name)]
        found += [f"URI:{name}" for name in alternatives.get_values_for_type(x509.UniformResourceIdentifier)]
        found += [f"DNS:{name}" for name in alternatives.get_values_for_type(x509.DNSName)]
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return (*found, *(f"CN:{attribute.value!s}" for attribute in common))


def key_of(certificate: x509.Certificate) -> PublicKey:
    """The certified key.

    Raises:
        FormatError: of a kind that signs no dataset, such as RSA.
    """
    with _reading("the certificate's key"):
        return PublicKey.of(certificate.public_key())


def validate(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    *,
    at: datetime,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
) -> tuple[x509.Certificate, ...]:
    """The path from ``leaf`` to one of ``roots``, leaf first, valid at ``at`` (RFC 5280 section 6).

    Args:
        usage: the key purpose that the leaf must and its issuers may be restricted to.

    Raises:
        SignatureInvalid: the leaf is not fit for ``usage``, or there is no such path.
    """
    _check_leaf(leaf, usage)

    def allows(_policy: object, issuer: x509.Certificate, found: x509.ExtendedKeyUsage | None) -> None:
        if found is not None and usage not in found and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in found:
            raise ValueError(f"the issuer {issuer.subject.rfc4514_string()[:80]!r} may not issue for this purpose")

    anything = verification.Criticality.AGNOSTIC
    issuers = verification.ExtensionPolicy.webpki_defaults_ca().may_be_present(x509.ExtendedKeyUsage, anything, allows)
    builder = verification.PolicyBuilder().store(verification.Store(list(roots))).time(at).max_chain_depth(MAX_PATH)
    verifier = builder.extension_policies(
        ca_policy=issuers, ee_policy=verification.ExtensionPolicy.permit_all()
    ).build_client_verifier()
    try:
        return tuple(verifier.verify(leaf, list(intermediates)).chain)
    except (verification.VerificationError, x509.UnsupportedGeneralNameType, ValueError) as error:
        raise SignatureInvalid(
            f"no valid path at {at:%Y-%m-%dT%H:%M:%SZ} from the certificate of {_subject(leaf)} to a trusted root: "
            f"{str(error).removeprefix('validation failed: ')[:200]}",
            hint="check that the roots are those of its issuer, and that the bundle carries the intermediates",
        ) from None


def _check_leaf(leaf: x509.Certificate, usage: x509.ObjectIdentifier) -> None:
    key_usage = extension(leaf, x509.KeyUsage)
    purposes = extension(leaf, x509.ExtendedKeyUsage)
    if is_ca(leaf):
        problem = "belongs to a CA, and issuers sign no data"
    elif key_usage is None or not key_usage.digital_signature:
        problem = "lacks the key usage digitalSignature"
    elif purposes is None or usage not in purposes:
        problem = f"lacks the extended key usage {usage._name}"
    else:
        return
    raise SignatureInvalid(
        f"the certificate of {_subject(leaf)} {problem}", hint="ask the publisher for a certificate of that profile"
    )


def _subject(certificate: x509.Certificate) -> str:
    return next(iter(names(certificate)), certificate.subject.rfc4514_string() or "nobody")[:120]


def earliest(times: Sequence[TrustedTime], now: datetime | None) -> datetime:
    """When a certificate is judged: the signature existed then, so that a later expiry says nothing against it.

    Raises:
        SignatureInvalid: there is neither a trusted time nor a clock.
    """
    if times:
        return min(time.at for time in times)
    if now is None:
        raise SignatureInvalid("there is no time to judge the certificate at", hint="add a timestamp, or give a clock")
    return now


@dataclass(frozen=True, slots=True)
class CertifiedName:
    """A `credential.Credential`: whoever holds a certificate for a name under given roots.

    Attributes:
        roots: CA certificates; a root file's intermediates are anchors too. kind: of `KINDS`. pattern: of the name.
    """

    roots: tuple[x509.Certificate, ...]
    kind: str
    pattern: Pattern

    @classmethod
    def of(cls, roots: bytes, identity: str, match: Match = "exact", *, where: str | None = None) -> CertifiedName:
        """Makes the credential from PEM roots and ``KIND:NAME``.

        Raises:
            FormatError: the roots can't be read. UsageError: the identity can't be.
        """
        kind, colon, name = identity.partition(":")
        known = {k.lower(): k for k in KINDS}
        if not colon or kind.lower() not in known:
            raise UsageError(
                f"{identity[:80]!r} does not say what kind of name it is",
                where=where,
                hint="write email:NAME, URI:NAME, DNS:NAME or CN:NAME",
            )
        return cls(load_roots(roots, where=where), known[kind.lower()], Pattern(name, match))

    @property
    def fingerprint(self) -> str:
        """Of roots and name: the same name under other roots is another credential."""
        digests = sorted(sha256(root.public_bytes(Encoding.DER)).hex() for root in self.roots)
        return identity_fingerprint(
            scheme=self.scheme, roots=" ".join(digests), identity=self._text, match=self.pattern.match
        )

    @property
    def scheme(self) -> str:
        """``x509``."""
        return "x509"

    @property
    def label(self) -> str:
        """The name, for people."""
        return self._text

    @property
    def _text(self) -> str:
        return f"{self.kind}:{self.pattern.text}"

    def recognise(
        self, bundle: Bundle, message: bytes, times: Sequence[TrustedTime] = (), *, now: datetime | None = None
    ) -> Signer:
        """Steps 1 to 6 of the module's list.

        Raises:
            SignatureInvalid: a step failed. FormatError: a certificate of the bundle can't be read.
        """
        if bundle.leaf is None:  # 1
            raise SignatureInvalid("the bundle carries no certificate", hint="trust the signer's public key instead")
        leaf = load(bundle.leaf, what="the signer's certificate")
        chain = bundle.material.ders[1:] if isinstance(bundle.material, Chain) else ()
        issuers = [load(der, what="an issuer's certificate") for der in chain]
        key = key_of(leaf)
        key.verify(bundle.signature, message)  # 2
        at = earliest(times, now)  # 3
        path = validate(leaf, issuers, self.roots, at=at)  # 4, 5
        name = self._name(leaf, path)  # 6
        fingerprint = identity_fingerprint(scheme=self.scheme, identity=name)
        return Signer(fingerprint, self.scheme, name, key.fingerprint)

    def _name(self, leaf: x509.Certificate, path: Sequence[x509.Certificate]) -> str:
        certified = names(leaf)
        prefix = f"{self.kind}:"
        found = sorted(n for n in certified if n.startswith(prefix) and self.pattern.matches(n.removeprefix(prefix)))
        if not found:
            shown = ", ".join(certified)[:300] or "nobody"
            raise SignatureInvalid(f"the certificate names {shown}; {self._text} is wanted")
        constrained = any(extension(issuer, x509.NameConstraints) is not None for issuer in path[1:])
        if self.kind == "CN" and constrained:
            raise SignatureInvalid(
                f"{found[0][:120]} is certified by an issuer that is bound to other kinds of names",
                hint="trust one of its subject alternative names instead",
            )
        return found[0]
