"""Fulcio: short-lived certificates for OIDC identities, with an embedded SCT of a CT log of its own.

The profile is Fulcio's: an empty subject, the identity as a critical SAN, codeSigning, the issuer in the extensions
1.3.6.1.4.1.57264.1.1 (bare) and .1.8 (a DER UTF8String), and an SCT over the certificate without its SCT list.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from support.certificates import YEAR, Authority
from support.sigstore.keys import START, LogKey, b64

ISSUER_BARE = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
ISSUER_DER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
LIFE = timedelta(minutes=10)


def _ca(name: str) -> dict[str, Any]:
    return {"common": name, "start": datetime.now(UTC) - YEAR}


@dataclass
class Fulcio:
    """The CA and its CT log."""

    root: Authority = field(default_factory=lambda: Authority.root(**_ca("Fulcio root")))
    ct: LogKey = field(default_factory=LogKey)
    intermediate: Authority = field(init=False)

    def __post_init__(self) -> None:
        purposes = [ExtendedKeyUsageOID.CODE_SIGNING]
        self.intermediate = self.root.intermediate(path_length=0, purposes=purposes, **_ca("Fulcio intermediate"))

    @property
    def chain(self) -> Sequence[Authority]:
        """Intermediate and root."""
        return (self.intermediate, self.root)

    def issue(
        self,
        key: Any,
        identity: str,
        issuer: str,
        *,
        start: datetime | None = None,
        sct: bool = True,
        ct: LogKey | None = None,
        bare_issuer: str | None = None,
    ) -> x509.Certificate:
        """A certificate for a public key.

        Args:
            sct: whether it has one. ct: the log that makes it, when not ours.
            bare_issuer: another issuer in the older of the two extensions.
        """
        begin = (start or datetime.now(UTC)).replace(microsecond=0)
        name = x509.RFC822Name(identity) if "://" not in identity else x509.UniformResourceIdentifier(identity)
        by = self.intermediate
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(by.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + LIFE)
            .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(x509.UnrecognizedExtension(ISSUER_BARE, (bare_issuer or issuer).encode()), critical=False)
            .add_extension(x509.UnrecognizedExtension(ISSUER_DER, _der(0x0C, issuer.encode())), critical=False)
        )
        bare = builder.sign(by.key, hashes.SHA256())
        if not sct:
            return bare
        stamp = x509.UnrecognizedExtension(SCT_LIST, self._sct(bare, ct or self.ct))
        return builder.add_extension(stamp, critical=False).sign(by.key, hashes.SHA256())

    def _sct(self, certificate: x509.Certificate, log: LogKey) -> bytes:
        """A list of one SCT (RFC 6962 section 3.2) in its DER OCTET STRING."""
        at = int(certificate.not_valid_before_utc.timestamp() * 1000)
        tbs = certificate.tbs_certificate_bytes
        issuer = LogKey(self.intermediate.key).id
        signed = struct.pack("!BBQH", 0, 0, at, 1) + issuer + len(tbs).to_bytes(3, "big") + tbs + b"\0\0"
        signature = log.sign(signed)
        sct = struct.pack("!B32sQH", 0, log.id, at, 0) + b"\x04\x03" + struct.pack("!H", len(signature)) + signature
        items = struct.pack("!H", len(sct)) + sct
        return _der(0x04, struct.pack("!H", len(items)) + items)

    def authority(self, url: str) -> dict[str, Any]:
        """The CA as a ``CertificateAuthority`` of a trusted root."""
        return {
            "subject": {"organization": "a test", "commonName": "Fulcio"},
            "uri": url,
            "certChain": {"certificates": [{"rawBytes": b64(one.der)} for one in self.chain]},
            "validFor": {"start": START},
        }


def pem(certificate: x509.Certificate) -> str:
    """A certificate as text."""
    return certificate.public_bytes(Encoding.PEM).decode()


def _der(tag: int, data: bytes) -> bytes:
    assert len(data) < 256
    return bytes([tag, len(data)] if len(data) < 128 else [tag, 0x81, len(data)]) + data
