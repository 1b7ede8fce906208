"""Rekor: a log that grows, with inclusion proofs and signed checkpoints; v1 also signs the time of each entry.

The tree is the naive recursion of RFC 6962 section 2.1, on purpose another one than dataseal's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import rfc8785
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from support.sigstore.keys import LogKey, b64

NAME = "localhost"
"""Verifiers want the host of the log's base URL."""

ORIGIN = f"{NAME} - 4711"
Json = dict[str, Any]


class Rejected(Exception):
    """An entry that Rekor refuses, with the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\0" + data).digest()


def _split(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


def root(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = _split(len(leaves))
    return hashlib.sha256(b"\1" + root(leaves[:k]) + root(leaves[k:])).digest()


def path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """The inclusion proof of a leaf, from the leaf upward."""
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return [*path(index, leaves[:k]), root(leaves[k:])]
    return [*path(index - k, leaves[k:]), root(leaves[:k])]


@dataclass
class Rekor:
    """The log. ``clock`` gives the seconds that entries are integrated at."""

    key: LogKey = field(default_factory=LogKey)
    bodies: list[bytes] = field(default_factory=list)
    clock: Any = time.time
    lies: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for number in range(5):  # others were here before
            self.bodies.append(b'{"other":%d}' % number)

    def submit(self, proposed: Json) -> Json:
        """The answer to ``POST /api/v1/log/entries``.

        Raises:
            Rejected: 400, the entry's own signature does not verify; 409, the log has it.
        """
        try:
            body = {"dsse": _dsse, "hashedrekord": _hashedrekord}[proposed["kind"]](proposed["spec"])
        except (KeyError, ValueError, TypeError, InvalidSignature) as error:
            raise Rejected(400, f"invalid entry: {error!r}") from None
        entry = rfc8785.dumps({"apiVersion": "0.0.1", "kind": proposed["kind"], "spec": body})
        if entry in self.bodies:
            raise Rejected(409, "an equivalent entry already exists in the transparency log")
        return self.append(entry)

    def submit_v2(self, request: Json) -> Json:
        """The answer to ``POST /api/v2/log/entries``: the entry as a bundle carries it, without a time.

        Raises:
            Rejected: 400, the entry's own signature does not verify.
        """
        try:
            asked = request["hashedRekordRequestV002"]
            signature, digest = asked["signature"], base64.b64decode(asked["digest"])
            der = base64.b64decode(signature["verifier"]["x509Certificate"]["rawBytes"])
            key = x509.load_der_x509_certificate(der).public_key()
            assert isinstance(key, ec.EllipticCurvePublicKey)
            algorithm = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
            key.verify(base64.b64decode(signature["content"]), digest, algorithm)
        except (KeyError, ValueError, TypeError, AssertionError, InvalidSignature) as error:
            raise Rejected(400, f"invalid entry: {error!r}") from None
        spec = {"hashedRekordV002": {"data": {"algorithm": "SHA2_256", "digest": b64(digest)}, "signature": signature}}
        body = rfc8785.dumps({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec})
        index, leaves, size, proof = self._grow(body)
        return {
            "logIndex": str(index),
            "logId": {"keyId": b64(self.key.id)},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "inclusionProof": {
                "logIndex": str(index),
                "rootHash": b64(root(leaves)),
                "treeSize": str(len(leaves)),
                "hashes": [b64(one) for one in proof],
                "checkpoint": {"envelope": self.checkpoint(size)},
            },
            "canonicalizedBody": b64(body),
        }

    def _grow(self, body: bytes) -> tuple[int, list[bytes], int, list[bytes]]:
        """Logs a body: its index, all leaf hashes, the size that the checkpoint shall have, and the inclusion proof."""
        self.bodies.append(body)
        index = len(self.bodies) - 1
        leaves = [_leaf(b) for b in self.bodies]
        size = len(leaves) - 1 if "old checkpoint" in self.lies else len(leaves)
        proof = path(index, leaves)
        if "wrong proof" in self.lies:
            proof = [hashlib.sha256(h).digest() for h in proof]
        return index, leaves, size, proof

    def append(self, body: bytes) -> Json:
        """Logs a body as it is, and answers with the entry of version 1."""
        index, leaves, size, hashes_ = self._grow(body)
        at = int(self.clock())
        entry = {"body": b64(body), "integratedTime": at, "logID": self.key.id.hex(), "logIndex": index}
        promise = self.key.sign(rfc8785.dumps(entry))
        if "wrong promise" in self.lies:
            promise = LogKey().sign(rfc8785.dumps(entry))
        proof = {
            "checkpoint": self.checkpoint(size),
            "hashes": [h.hex() for h in hashes_],
            "logIndex": index,
            "rootHash": root(leaves).hex(),
            "treeSize": len(leaves),
        }
        verification = {"inclusionProof": proof, "signedEntryTimestamp": b64(promise)}
        return {_leaf(body).hex(): {**entry, "verification": verification}}

    def checkpoint(self, size: int) -> str:
        """A signed note over the tree's first ``size`` leaves."""
        text = f"{ORIGIN}\n{size}\n{b64(root([_leaf(b) for b in self.bodies[:size]]))}\n"
        signer = LogKey() if "wrong checkpoint key" in self.lies else self.key
        signature = struct.pack("!4s", self.key.id[:4]) + signer.sign(text.encode())
        return f"{text}\n\N{EM DASH} {NAME} {b64(signature)}\n"


def _dsse(spec: Json) -> Json:
    content = spec["proposedContent"]
    raw = content["envelope"].encode()
    envelope = json.loads(raw)
    payload = base64.b64decode(envelope["payload"], validate=True)
    kind = envelope["payloadType"].encode()
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    (signature,) = envelope["signatures"]
    (verifier,) = content["verifiers"]
    _key(verifier).verify(base64.b64decode(signature["sig"]), message, ec.ECDSA(hashes.SHA256()))
    return dsse_body(raw, payload, signature["sig"], verifier)


def dsse_body(envelope: bytes, payload: bytes, signature: str, verifier: str) -> Json:
    """What a ``dsse`` 0.0.1 entry says of an envelope."""
    return {
        "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(envelope).hexdigest()},
        "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
        "signatures": [{"signature": signature, "verifier": verifier}],
    }


def _hashedrekord(spec: Json) -> Json:
    digest = bytes.fromhex(spec["data"]["hash"]["value"])
    signature = base64.b64decode(spec["signature"]["content"])
    algorithm = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
    _key(spec["signature"]["publicKey"]["content"]).verify(signature, digest, algorithm)
    return spec


def _key(verifier: str) -> ec.EllipticCurvePublicKey:
    certificate = x509.load_pem_x509_certificate(base64.b64decode(verifier))
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("no EC key")
    return key
