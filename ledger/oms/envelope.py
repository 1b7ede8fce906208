"""The envelope of an OMS statement: a Sigstore bundle v0.3, read as leniently as released signers made it necessary.

`dataseal.ledger.oms.statement` has the format. Lenient is the reading of what decides nothing: absent hints and lists,
keys that anybody could write in. What decides is the signature, and *each* one of an envelope must be a trusted
signer's: the reference looks at the first only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from dataseal.ledger import bundle as bundles
from dataseal.ledger import canonical
from dataseal.ledger.bundle import Bundle, Certificate, Chain, KeyHint, Material, Signed
from dataseal.ledger.credential import Credential, Signer, TrustedTime
from dataseal.ledger.errors import FormatError, SignatureInvalid, UsageError
from dataseal.ledger.oms.statement import MAX_BUNDLE, PREDICATE_0_2
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.statement import PAYLOAD_TYPE

MAX_SIGNATURES: Final = 8
"""Signatures of an envelope: one is the specification's, and each is verified."""

MAX_MARKS: Final = 10_000
"""Braces, brackets and commas of an envelope: few have a hundred, and millions would fill the memory when parsed."""


def encode(payload: bytes, signed: Signed, public: PublicKey | None) -> bytes:
    """The bundle of a statement.

    Args:
        public: the key when the bundle only hints at one: the reference wants the SHA-256 of its PEM form there.

    Raises:
        FormatError: larger than `MAX_BUNDLE`.
    """
    material: Material = signed.material
    if isinstance(material, KeyHint) and public is not None:
        material = KeyHint(hashlib.sha256(public.pem()).hexdigest())
    elif isinstance(material, Certificate) and not signed.tlog_entries:
        material = Chain((material.der,))  # the reference reads a lone certificate from Sigstore only
    return bundles.encode(payload, signed.signature, material, signed.timestamps, signed.tlog_entries, limit=MAX_BUNDLE)


def parse(raw: bytes) -> tuple[Bundle, ...]:
    """Reads a bundle: one `Bundle` for each signature of its envelope, all over one payload.

    Raises:
        FormatError: not a Sigstore bundle v0.3 with a DSSE envelope of an in-toto statement.
    """
    if len(raw) <= MAX_BUNDLE and sum(map(raw.count, (b"{", b"[", b","))) > MAX_MARKS:
        raise FormatError("OMS bundle: it has thousands of fields; a bundle has a few, and one long payload")
    value = canonical.decode(raw, what="OMS bundle", max_bytes=MAX_BUNDLE)
    top = bundles.fields(value, "OMS bundle", {"mediaType", "verificationMaterial", "dsseEnvelope"})
    if top["mediaType"] != bundles.MEDIA_TYPE:
        raise FormatError(f"OMS bundle: media type {str(top['mediaType'])[:80]!r}; {bundles.MEDIA_TYPE} is read")
    envelope = bundles.fields(top["dsseEnvelope"], "OMS bundle.dsseEnvelope", {"payload", "payloadType", "signatures"})
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise FormatError(f"OMS bundle: payload type {str(envelope['payloadType'])[:80]!r}; {PAYLOAD_TYPE} is wanted")
    signatures = envelope["signatures"]
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise FormatError(f"OMS bundle: it has 1 to {MAX_SIGNATURES} signatures")
    material, timestamps, entries = bundles.read_material(_tolerated(top["verificationMaterial"]))
    payload = bundles.decode_base64(envelope["payload"], "payload")
    return tuple(
        Bundle(
            raw=raw,
            payload_type=PAYLOAD_TYPE,
            payload=payload,
            signature=bundles.decode_base64(
                bundles.fields(item, "OMS bundle signature", {"sig"}, {"keyid"})["sig"], "sig"
            ),
            material=material,
            timestamps=timestamps,
            tlog_entries=entries,
        )
        for item in signatures
    )


def _tolerated(proof: Any) -> Any:
    """The verification material without what older versions wrote into it and nothing may believe."""
    if isinstance(proof, dict) and isinstance(key := proof.get("publicKey"), dict):
        known = {name: item for name, item in key.items() if name not in ("rawBytes", "keyDetails")}
        known["hint"] = known.get("hint") or ""
        return {**proof, "publicKey": known}
    return proof


def recognise(
    parsed: Sequence[Bundle],
    credentials: Iterable[Credential],
    times: Sequence[TrustedTime] = (),
    *,
    now: datetime | None = None,
) -> tuple[Signer, ...]:
    """The signers of a bundle: *every* signature in its envelope must be a trusted credential's.

    Args:
        parsed: what `parse` gave. times, now: see `Credential.recognise`.

    Raises:
        SignatureInvalid: a signature that no credential recognises. FormatError: nor can its certificate be read.
        UsageError: no credential was given.
    """
    trusted = list(credentials)
    if not trusted:
        raise UsageError("no trusted key to verify with", hint="name a publisher")
    signers = []
    for number, bundle in enumerate(parsed, 1):
        which = f"signature {number} of {len(parsed)}: " if len(parsed) > 1 else ""
        signers.append(_recognise(bundle, trusted, times, now, which))
    return tuple(signers)


def _recognise(
    bundle: Bundle, trusted: list[Credential], times: Sequence[TrustedTime], now: datetime | None, which: str
) -> Signer:
    why = []
    unread: FormatError | None = None
    for credential in trusted:
        for message in _messages(bundle):
            try:
                return credential.recognise(bundle, message, times, now=now)
            except SignatureInvalid as error:
                if bundle.leaf is not None and credential.scheme in ("x509", "sigstore"):
                    why.append(f"; {credential.label}: {error.what}")
            except FormatError as error:  # a certificate that this one can't read is nothing to a key beside it
                unread = unread or error
    if unread is not None:
        raise unread
    raise SignatureInvalid(
        f"{which}no trusted key made it (trusted: {', '.join(c.label for c in trusted)}){''.join(dict.fromkeys(why))}",
        hint="either the statement was altered, or somebody else signed it: ask the publisher for the right key",
    )


def _messages(bundle: Bundle) -> list[bytes]:
    """What may have been signed: the PAE, and for 0.2's statements what 0.2 took for it. Neither can be the other."""
    messages = [bundles.pae(bundle.payload_type, bundle.payload)]
    if PREDICATE_0_2.encode() in bundle.payload:
        kind, payload = bundle.payload_type, bundle.payload
        messages.append(f"DSSEV1 {len(kind)} {kind} {len(payload)} {payload!r}".encode())
    return messages
