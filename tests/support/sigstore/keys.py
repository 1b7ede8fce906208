"""P-256 keys of logs, as a trusted root lists them."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

START = "2020-01-01T00:00:00Z"


def b64(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()


@dataclass
class LogKey:
    """A log's key."""

    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def id(self) -> bytes:
        """The log's id (RFC 6962 section 3.2)."""
        return hashlib.sha256(self.spki).digest()

    def sign(self, message: bytes) -> bytes:
        """ECDSA with SHA-256, DER."""
        return self.private.sign(message, ec.ECDSA(hashes.SHA256()))

    def instance(self, url: str) -> dict[str, Any]:
        """The log as a ``TransparencyLogInstance`` of a trusted root."""
        key = {"rawBytes": b64(self.spki), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": {"start": START}}
        return {"baseUrl": url, "hashAlgorithm": "SHA2_256", "publicKey": key, "logId": {"keyId": b64(self.id)}}
