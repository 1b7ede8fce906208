"""Sigstore bundle v0.3 around a DSSE envelope: one signature a bundle.

A bundle of a key signer, as written here (one line, canonical JSON)::

    {"dsseEnvelope":{"payload":"<base64>","payloadType":"application/vnd.in-toto+json",
                     "signatures":[{"keyid":"","sig":"<base64>"}]},
     "mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",
     "verificationMaterial":{"publicKey":{"hint":"<SHA-256 of the SubjectPublicKeyInfo, hex>"},"tlogEntries":[]}}

Instead of ``publicKey`` the material may be a leaf ``certificate``, ``{"rawBytes":"<base64 of DER>"}``, or an
``x509CertificateChain``, ``{"certificates":[{"rawBytes":…},…]}``, leaf first. Beside it may stand RFC 3161 timestamps
over the signature, ``"timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":"<base64 of DER>"}]}``, and
with a certificate the entries of a Rekor log, ``tlogEntries``, as JSON objects that a verifier reads.

The signature is over the DSSE pre-authentication encoding (PAE) of payload type and payload; its length fields
count bytes, not characters. ``keyid`` and ``hint`` are unauthenticated hints and decide nothing. What is parsed here
has not been verified: `dataseal.ledger.credential` says by whom it is.

Sources: sigstore ``protobuf-specs`` ``sigstore_bundle.proto`` and ``sigstore_common.proto``; DSSE ``protocol.md``
version 1.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dataseal.ledger import canonical
from dataseal.ledger.errors import FormatError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.statement import PAYLOAD_TYPE

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
MAX_BUNDLE: Final = 60 * 1024
"""Bytes: an entry's leaf is at most 65,535 with its header, and a statement of 32 KiB takes 44 in base64."""

MAX_CHAIN: Final = 8
"""Certificates of a chain: public ones have three or four."""

MAX_EVIDENCE: Final = 4
"""Timestamps, and log entries: one is usual, and each costs signatures to verify."""

MATERIALS: Final = ("publicKey", "certificate", "x509CertificateChain")


@dataclass(frozen=True, slots=True)
class KeyHint:
    """Which key the signer says it used; anybody can write that."""

    hint: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """The signer's certificate alone, DER; who issued it is the verifier's to know."""

    der: bytes


@dataclass(frozen=True, slots=True)
class Chain:
    """The signer's certificate and its issuers, DER, leaf first."""

    ders: tuple[bytes, ...]


Material = KeyHint | Certificate | Chain


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature over the PAE of a payload, and what a bundle carries beside it.

    Attributes:
        signature: raw bytes. timestamps: RFC 3161 tokens over it, DER. tlog_entries: a Rekor log's entries, JSON.
    """

    signature: bytes
    material: Material
    timestamps: tuple[bytes, ...] = ()
    tlog_entries: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A parsed bundle; nothing in it has been verified.

    Attributes:
        raw: the bytes as read. payload_type, payload: what was signed. signature: raw bytes.
        material, timestamps, tlog_entries: as `Signed` has them.
    """

    raw: bytes
    payload_type: str
    payload: bytes
    signature: bytes
    material: Material
    timestamps: tuple[bytes, ...] = ()
    tlog_entries: tuple[dict[str, Any], ...] = ()

    @property
    def hint(self) -> str:
        """Which key the signer says it used; empty when the bundle has a certificate."""
        return self.material.hint if isinstance(self.material, KeyHint) else ""

    @property
    def leaf(self) -> bytes | None:
        """The signer's certificate, DER; None when the bundle only hints at a key."""
        if isinstance(self.material, Chain):
            return self.material.ders[0]
        return self.material.der if isinstance(self.material, Certificate) else None


def pae(payload_type: str, payload: bytes) -> bytes:
    """The DSSE pre-authentication encoding: the bytes that are signed.

    ``pae("a", b"b") == b"DSSEv1 1 a 1 b"``; lengths are of the UTF-8 bytes (DSSE protocol, "PAE definition").
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def encode(
    payload: bytes,
    signature: bytes,
    material: Material | PublicKey,
    timestamps: Sequence[bytes] = (),
    tlog_entries: Sequence[dict[str, Any]] = (),
    *,
    limit: int = MAX_BUNDLE,
) -> bytes:
    """The bundle of a signed statement; a public key stands for its hint.

    Args:
        limit: bytes; more than `MAX_BUNDLE` only for what is never logged.

    Raises:
        FormatError: larger than ``limit``, or it would not parse again.
    """
    if isinstance(material, PublicKey):
        material = KeyHint(material.fingerprint)
    proof: dict[str, Any] = {**_encode_material(material), "tlogEntries": list(tlog_entries)}
    if timestamps:
        tokens = [{"signedTimestamp": base64.b64encode(token).decode()} for token in timestamps]
        proof["timestampVerificationData"] = {"rfc3161Timestamps": tokens}
    raw = canonical.encode(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": proof,
            "dsseEnvelope": {
                "payloadType": PAYLOAD_TYPE,
                "payload": base64.b64encode(payload).decode(),
                "signatures": [{"keyid": "", "sig": base64.b64encode(signature).decode()}],
            },
        }
    )
    if len(raw) > limit:
        fit = "fit into an entry" if limit == MAX_BUNDLE else "are accepted"
        raise FormatError(f"the bundle has {len(raw):,} bytes; at most {limit:,} {fit}")
    if timestamps or tlog_entries or not isinstance(material, KeyHint):
        read_material(proof)  # whoever signs keeps the bounds that a reader will hold it to
    return raw


def parse(raw: bytes) -> Bundle:
    """Reads a bundle, strictly.

    Raises:
        FormatError: not strict JSON, an unknown field or media type, other than one signature or one kind of material,
            bad base64, or more certificates, timestamps or log entries than are accepted.
    """
    value = canonical.decode(raw, what="bundle", max_bytes=MAX_BUNDLE)
    top = fields(value, "bundle", {"mediaType", "verificationMaterial", "dsseEnvelope"})
    if top["mediaType"] != MEDIA_TYPE:
        raise FormatError(f"bundle: media type {str(top['mediaType'])[:80]!r}; {MEDIA_TYPE} is read")
    envelope = fields(top["dsseEnvelope"], "bundle.dsseEnvelope", {"payload", "payloadType", "signatures"})
    signatures = envelope["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise FormatError("bundle: a bundle holds exactly one signature")
    signature = fields(signatures[0], "bundle signature", {"sig"}, {"keyid"})
    if not isinstance(envelope["payloadType"], str) or not isinstance(signature.get("keyid", ""), str):
        raise FormatError("bundle: payloadType and keyid are strings")
    material, timestamps, entries = read_material(top["verificationMaterial"])
    return Bundle(
        raw=raw,
        payload_type=envelope["payloadType"],
        payload=decode_base64(envelope["payload"], "payload"),
        signature=decode_base64(signature["sig"], "sig"),
        material=material,
        timestamps=timestamps,
        tlog_entries=entries,
    )


def read_material(proof: Any) -> tuple[Material, tuple[bytes, ...], tuple[dict[str, Any], ...]]:
    """Reads a bundle's ``verificationMaterial``, parsed JSON: the material, RFC 3161 tokens, and log entries.

    Raises:
        FormatError: an unknown field, other than one kind of material, bad base64, or more than is accepted.
    """
    material = _material(proof)
    timestamps = _timestamps(proof.get("timestampVerificationData"))
    return material, timestamps, _tlog_entries(proof.get("tlogEntries", []), material)


def _encode_material(material: Material) -> dict[str, Any]:
    if isinstance(material, KeyHint):
        return {"publicKey": {"hint": material.hint}}
    if isinstance(material, Certificate):
        return {"certificate": {"rawBytes": base64.b64encode(material.der).decode()}}
    raw = [{"rawBytes": base64.b64encode(der).decode()} for der in material.ders]
    return {"x509CertificateChain": {"certificates": raw}}


def _material(proof: Any) -> Material:
    if isinstance(proof, dict) and len(found := [name for name in MATERIALS if name in proof]) != 1:
        names = " and ".join(found) or "none"
        raise FormatError(f"bundle.verificationMaterial: one of {', '.join(MATERIALS)} is wanted; it has {names}")
    fields(proof, "bundle.verificationMaterial", set(), {*MATERIALS, "tlogEntries", "timestampVerificationData"})
    if "publicKey" in proof:
        hint = fields(proof["publicKey"], "bundle.publicKey", {"hint"})["hint"]
        if not isinstance(hint, str):
            raise FormatError("bundle: the hint of a publicKey is a string")
        return KeyHint(hint)
    if "certificate" in proof:
        return Certificate(_raw_bytes(proof["certificate"], "certificate"))
    chain = fields(proof["x509CertificateChain"], "bundle.x509CertificateChain", {"certificates"})["certificates"]
    _count(chain, "x509CertificateChain", 1, MAX_CHAIN)
    return Chain(tuple(_raw_bytes(item, "x509CertificateChain") for item in chain))


def _timestamps(value: Any) -> tuple[bytes, ...]:
    if value is None:
        return ()
    tokens = fields(value, "bundle.timestampVerificationData", set(), {"rfc3161Timestamps"})
    found = tokens.get("rfc3161Timestamps", [])
    _count(found, "rfc3161Timestamps", 0, MAX_EVIDENCE)
    return tuple(
        decode_base64(
            fields(item, "bundle.rfc3161Timestamps", {"signedTimestamp"})["signedTimestamp"], "signedTimestamp"
        )
        for item in found
    )


def _tlog_entries(value: Any, material: Material) -> tuple[dict[str, Any], ...]:
    _count(value, "tlogEntries", 0, MAX_EVIDENCE)
    if value and isinstance(material, KeyHint):
        raise FormatError("bundle: tlogEntries in a key signer's bundle; the ledger's proof stands beside it")
    if not all(isinstance(item, dict) for item in value):
        raise FormatError("bundle: tlogEntries are objects")
    return tuple(value)


def _count(value: Any, field: str, least: int, most: int) -> None:
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise FormatError(f"bundle: {field} is not a list of {least} to {most}")


def _raw_bytes(value: Any, field: str) -> bytes:
    return decode_base64(fields(value, f"bundle.{field}", {"rawBytes"})["rawBytes"], f"{field} rawBytes")


def fields(value: Any, what: str, needed: set[str], optional: frozenset[str] | set[str] = frozenset()) -> Any:
    """``value`` as an object with these fields and no others. Raises `FormatError` naming ``what``."""
    if not isinstance(value, dict):
        raise FormatError(f"{what} is not an object")
    missing, unknown = needed - set(value), set(value) - needed - optional
    if missing or unknown:
        names = ", ".join(sorted(repr(n[:40]) for n in (missing or unknown)))
        raise FormatError(f"{what}: {'missing' if missing else 'unknown'} {names}")
    return value


def decode_base64(text: Any, field: str) -> bytes:
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
