"""Certificate authorities in memory, good ones and bad ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

START = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
CODE_SIGNING = ExtendedKeyUsageOID.CODE_SIGNING
TIME_STAMPING = ExtendedKeyUsageOID.TIME_STAMPING

ALICE = x509.RFC822Name("alice@example.org")


def key(kind: str = "p256") -> Any:
    """A new private key: ``p256``, ``p384``, ``ed25519`` or ``rsa``."""
    if kind == "rsa":
        return _rsa()
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP384R1() if kind == "p384" else ec.SECP256R1())


@lru_cache
def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def name(common: str) -> x509.Name:
    """A subject of one common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


@dataclass
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        """The certificate, DER."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate, PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key, PKCS#8."""
        pem: bytes = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem


@dataclass
class Authority(Issued):
    """A CA: a root, or one that another CA issued."""

    issued: list[Issued] = field(default_factory=list)

    @classmethod
    def root(cls, common: str = "Root", **options: Any) -> Authority:
        """A self-signed CA; options as `certify` takes them."""
        own = options.pop("private", None) or key(options.pop("kind", "p256"))
        return cls(certify(name(common), own, name(common), own, ca=True, **options), own)

    def intermediate(self, common: str = "Intermediate", **options: Any) -> Authority:
        """A CA below this one."""
        own = options.pop("private", None) or key(options.pop("kind", "p256"))
        subject = self.certificate.subject
        return Authority(certify(name(common), own, subject, self.key, ca=True, **options), own)

    def leaf(self, common: str = "Alice", **options: Any) -> Issued:
        """A code-signing certificate for alice@example.org, or whatever the options make of it."""
        own = options.pop("private", None) or key(options.pop("kind", "p256"))
        options = {"names": [ALICE], "purposes": [CODE_SIGNING], **options}
        return Issued(certify(name(common), own, self.certificate.subject, self.key, ca=False, **options), own)


def certify(
    subject: x509.Name,
    own: Any,
    issuer: x509.Name,
    by: Any,
    *,
    ca: bool,
    start: datetime = START,
    end: datetime | None = None,
    names: Sequence[x509.GeneralName] = (),
    purposes: Sequence[x509.ObjectIdentifier] = (),
    critical_purposes: bool = False,
    digital_signature: bool = True,
    path_length: int | None = None,
    constraints: x509.NameConstraints | None = None,
    serial: int | None = None,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> x509.Certificate:
    """One certificate."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(own.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end or start + (10 if ca else 1) * YEAR)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=digital_signature and not ca,
                content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
                key_cert_sign=ca, crl_sign=ca, encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )  # fmt: skip
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=critical_purposes)
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    for value, critical in extra:
        builder = builder.add_extension(value, critical=critical)
    return builder.sign(by, None if isinstance(by, ed25519.Ed25519PrivateKey) else hashes.SHA256())
