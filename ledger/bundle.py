"""Sigstore bundle v0.3 around a DSSE envelope: one signature a bundle.

A bundle of a key signer, as written here (one line, canonical JSON)::

    {"dsseEnvelope":{"payload":"<base64>","payloadType":"application/vnd.in-toto+json",
                     "signatures":[{"keyid":"","sig":"<base64>"}]},
     "mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",
     "verificationMaterial":{"publicKey":{"hint":"<SHA-256 of the SubjectPublicKeyInfo, hex>"},"tlogEntries":[]}}

The signature is over the DSSE pre-authentication encoding (PAE) of payload type and payload; its length fields
count bytes, not characters. ``keyid`` and ``hint`` are unauthenticated hints and decide nothing. Bundles with a
certificate are read by later floors; here they are a `FormatError` that says so.

Sources: sigstore ``protobuf-specs`` ``sigstore_bundle.proto``; DSSE ``protocol.md`` version 1.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

from dataseal.ledger import canonical
from dataseal.ledger.errors import FormatError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.statement import PAYLOAD_TYPE

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
MAX_BUNDLE: Final = 60 * 1024
"""Bytes: an entry's leaf is at most 65,535 with its header, and a statement of 32 KiB takes 44 in base64."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A parsed bundle; nothing in it has been verified.

    Attributes:
        raw: the bytes as read. payload_type, payload: what was signed. signature: raw bytes.
        hint: which key the signer says it used.
    """

    raw: bytes
    payload_type: str
    payload: bytes
    signature: bytes
    hint: str


def pae(payload_type: str, payload: bytes) -> bytes:
    """The DSSE pre-authentication encoding: the bytes that are signed.

    ``pae("a", b"b") == b"DSSEv1 1 a 1 b"``; lengths are of the UTF-8 bytes (DSSE protocol, "PAE definition").
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def encode(payload: bytes, signature: bytes, key: PublicKey) -> bytes:
    """The bundle of a statement that ``key`` signed.

    Raises:
        FormatError: larger than `MAX_BUNDLE`.
    """
    raw = canonical.encode(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": key.fingerprint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payloadType": PAYLOAD_TYPE,
                "payload": base64.b64encode(payload).decode(),
                "signatures": [{"keyid": "", "sig": base64.b64encode(signature).decode()}],
            },
        }
    )
    if len(raw) > MAX_BUNDLE:
        raise FormatError(f"the bundle has {len(raw):,} bytes; at most {MAX_BUNDLE:,} fit into an entry")
    return raw


def parse(raw: bytes) -> Bundle:
    """Reads a key signer's bundle, strictly.

    Raises:
        FormatError: not strict JSON, an unknown field or media type, other than one signature, bad base64, or a
            bundle with a certificate instead of a key.
    """
    value = canonical.decode(raw, what="bundle", max_bytes=MAX_BUNDLE)
    top = _fields(value, "bundle", {"mediaType", "verificationMaterial", "dsseEnvelope"})
    if top["mediaType"] != MEDIA_TYPE:
        raise FormatError(f"bundle: media type {str(top['mediaType'])[:80]!r}; {MEDIA_TYPE} is read")
    material = top["verificationMaterial"]
    if isinstance(material, dict) and ("certificate" in material or "x509CertificateChain" in material):
        raise FormatError("bundle: signed with a certificate; this version reads key signatures only")
    material = _fields(material, "bundle.verificationMaterial", {"publicKey"}, {"tlogEntries"})
    if material.get("tlogEntries", []) != []:
        raise FormatError("bundle: tlogEntries in a key signer's bundle; the ledger's proof stands beside it")
    hint = _fields(material["publicKey"], "bundle.publicKey", {"hint"})["hint"]
    envelope = _fields(top["dsseEnvelope"], "bundle.dsseEnvelope", {"payload", "payloadType", "signatures"})
    signatures = envelope["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise FormatError("bundle: a bundle holds exactly one signature")
    signature = _fields(signatures[0], "bundle signature", {"sig"}, {"keyid"})
    if not isinstance(hint, str) or not isinstance(envelope["payloadType"], str):
        raise FormatError("bundle: hint and payloadType are strings")
    return Bundle(
        raw=raw,
        payload_type=envelope["payloadType"],
        payload=_base64(envelope["payload"], "payload"),
        signature=_base64(signature["sig"], "sig"),
        hint=hint,
    )


def _fields(value: Any, what: str, needed: set[str], optional: frozenset[str] | set[str] = frozenset()) -> Any:
    if not isinstance(value, dict):
        raise FormatError(f"{what} is not an object")
    missing, unknown = needed - set(value), set(value) - needed - optional
    if missing or unknown:
        names = ", ".join(sorted(repr(n[:40]) for n in (missing or unknown)))
        raise FormatError(f"{what}: {'missing' if missing else 'unknown'} {names}")
    return value


def _base64(text: Any, field: str) -> bytes:
    """Strict standard base64 with one reading: decoded bytes must encode to the same text."""
    if not isinstance(text, str):
        raise FormatError(f"bundle: {field} is not base64")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError(f"bundle: {field} is not base64") from None
    if base64.b64encode(data).decode() != text or not data:
        raise FormatError(f"bundle: {field} is not canonical base64")
    return data
