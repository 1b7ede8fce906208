"""Bundles made without the client, which would refuse to make some of them."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any

import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from dataseal.ledger import bundle as bundles
from dataseal.ledger.statement import PAYLOAD_TYPE
from support.sigstore.fulcio import pem
from support.sigstore.instance import Sigstore
from support.sigstore.keys import b64
from support.sigstore.rekor import dsse_body

ALICE = "alice@example.org"


@dataclass
class Forger:
    """Somebody with a certificate of an instance; ``certificate`` may be put in."""

    instance: Sigstore
    identity: str = ALICE
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    certificate: x509.Certificate | None = None

    def __post_init__(self) -> None:
        if self.certificate is None:
            self.certificate = self.instance.certify(self.key.public_key(), self.identity, self.instance.url)

    @property
    def der(self) -> bytes:
        """The certificate, DER."""
        assert self.certificate is not None
        return self.certificate.public_bytes(Encoding.DER)

    def sign(self, payload: bytes) -> bytes:
        """A signature over the PAE."""
        return bytes(self.key.sign(bundles.pae(PAYLOAD_TYPE, payload), ec.ECDSA(hashes.SHA256())))

    def log(self, payload: bytes, signature: bytes) -> dict[str, Any]:
        """A log entry that says that the certificate's owner signed the payload with that signature."""
        assert self.certificate is not None
        verifier = b64(pem(self.certificate).encode())
        spec = dsse_body(b"{}", payload, b64(signature), verifier)
        body = rfc8785.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})
        return tlog_entry(self.instance.rekor.append(body))

    def bundle(self, payload: bytes, entry: dict[str, Any] | None = None, **changes: Any) -> bytes:
        """A bundle; every part may be another."""
        signature = changes.get("signature") or self.sign(payload)
        entries = changes.get("entries", [entry or self.log(payload, signature)])
        material = changes.get("material", bundles.Certificate(self.der))
        return bundles.encode(payload, signature, material, changes.get("timestamps", ()), entries)


def tlog_entry(answer: dict[str, Any]) -> dict[str, Any]:
    """Rekor's answer as a bundle carries it."""
    ((_, entry),) = answer.items()
    proof = entry["verification"]["inclusionProof"]
    return {
        "logIndex": str(entry["logIndex"]),
        "logId": {"keyId": b64(bytes.fromhex(entry["logID"]))},
        "kindVersion": {"kind": _kind(entry["body"]), "version": "0.0.1"},
        "integratedTime": str(entry["integratedTime"]),
        "inclusionPromise": {"signedEntryTimestamp": entry["verification"]["signedEntryTimestamp"]},
        "inclusionProof": {
            "logIndex": str(proof["logIndex"]),
            "rootHash": b64(bytes.fromhex(proof["rootHash"])),
            "treeSize": str(proof["treeSize"]),
            "hashes": [b64(bytes.fromhex(item)) for item in proof["hashes"]],
            "checkpoint": {"envelope": proof["checkpoint"]},
        },
        "canonicalizedBody": entry["body"],
    }


def _kind(body: str) -> str:
    return "dsse" if b'"kind":"dsse"' in b64decode(body) else "hashedrekord"
