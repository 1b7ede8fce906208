"""Bundles with certificates, timestamps and log entries: what is read, what is written, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sigstore_models.bundle.v1 import Bundle as ForeignBundle

from dataseal.ledger import bundle as bundles
from dataseal.ledger.bundle import Certificate, Chain, KeyHint, pae, parse
from dataseal.ledger.errors import FormatError, SignatureInvalid
from dataseal.ledger.statement import PAYLOAD_TYPE
from dataseal.ledger.verify import verify_bundle
from support import statements as make
from support.certificates import Authority
from support.errors import refused
from support.statements import b64, sign_bundle, signer, spoil

PAYLOAD = make.release_payload()
KEY = signer()
SIGNATURE = KEY.sign(pae(PAYLOAD_TYPE, PAYLOAD))
ROOT = Authority.root()
LEAF = ROOT.leaf()
ENTRY = {"logIndex": "1", "canonicalizedBody": b64(b"body")}
MATERIAL = "verificationMaterial"


def written(material: Any = None, *more: Any) -> bytes:
    return bundles.encode(PAYLOAD, SIGNATURE, material or Chain((LEAF.der, ROOT.der)), *more)


def changed(raw: bytes = written(), **changes: Any) -> bytes:
    """A bundle with other verification material; ``...`` takes a field away."""
    material = json.loads(raw)[MATERIAL] | changes
    return spoil(raw, MATERIAL, to={name: value for name, value in material.items() if value is not ...})


@pytest.mark.parametrize(
    "material", [KeyHint("any hint"), Certificate(LEAF.der), Chain((LEAF.der,)), Chain((LEAF.der, ROOT.der))]
)
def test_every_material_round_trips(material: bundles.Material) -> None:
    entries = () if isinstance(material, KeyHint) else (ENTRY,)
    found = parse(written(material, (b"first", b"second"), entries))
    assert found.material == material
    assert found.timestamps == (b"first", b"second")
    assert found.tlog_entries == entries
    assert (found.payload, found.signature) == (PAYLOAD, SIGNATURE)
    assert found.leaf == (None if isinstance(material, KeyHint) else LEAF.der)
    assert found.hint == (material.hint if isinstance(material, KeyHint) else "")


def test_sigstores_models_read_a_chain_with_a_timestamp() -> None:
    foreign = ForeignBundle.from_json(written(None, (b"token",)))
    material = foreign.verification_material
    assert material.x509_certificate_chain is not None
    assert [c.raw_bytes for c in material.x509_certificate_chain.certificates] == [LEAF.der, ROOT.der]
    assert material.timestamp_verification_data is not None


def test_a_public_key_stands_for_its_hint() -> None:
    assert parse(written(KEY.public)).hint == KEY.public.fingerprint


def test_who_lists_the_key_of_a_certificate_recognises_its_signatures() -> None:
    """The certificate is then only something else in the bundle: it need not even be one."""
    raw = written(Certificate(b"no certificate"))
    assert verify_bundle(raw, [KEY.public]).signer.fingerprint == KEY.public.fingerprint
    with refused(SignatureInvalid, "no trusted key"):
        verify_bundle(raw, [signer("other").public])


RAW = {"rawBytes": b64(LEAF.der)}
BAD: dict[str, tuple[bytes, str]] = {
    "key and certificate": (changed(publicKey={"hint": "x"}, x509CertificateChain=..., certificate=RAW), "and certif"),
    "certificate and chain": (changed(certificate=RAW), "certificate and x509CertificateChain"),
    "no material": (changed(x509CertificateChain=...), "it has none"),
    "unknown material": (changed(x509CertificateChain=..., spiffe={}), "it has none"),
    "unknown field beside": (changed(more=1), "unknown 'more'"),
    "empty chain": (changed(x509CertificateChain={"certificates": []}), "a list of 1 to 8"),
    "long chain": (changed(x509CertificateChain={"certificates": [RAW] * 9}), "a list of 1 to 8"),
    "chain no list": (changed(x509CertificateChain={"certificates": RAW}), "a list of 1 to 8"),
    "chain null": (changed(x509CertificateChain=None), "not an object"),
    "certificate not base64": (changed(x509CertificateChain=..., certificate={"rawBytes": "?"}), "rawBytes is not"),
    "certificate loose base64": (changed(x509CertificateChain=..., certificate={"rawBytes": "QR=="}), "canonical"),
    "empty certificate": (changed(x509CertificateChain=..., certificate={"rawBytes": ""}), "base64"),
    "certificate of two": (changed(x509CertificateChain=..., certificate=RAW | {"x": 1}), "unknown 'x'"),
    "hint null": (changed(x509CertificateChain=..., publicKey={"hint": None}), "hint"),
    "timestamps no object": (changed(timestampVerificationData=[]), "not an object"),
    "timestamps of another kind": (changed(timestampVerificationData={"roughtime": []}), "unknown 'roughtime'"),
    "five timestamps": (
        changed(timestampVerificationData={"rfc3161Timestamps": [{"signedTimestamp": "QQ=="}] * 5}), "list of 0 to 4"),
    "timestamp not base64": (
        changed(timestampVerificationData={"rfc3161Timestamps": [{"signedTimestamp": "Q"}]}), "signedTimestamp"),
    "timestamp a text": (changed(timestampVerificationData={"rfc3161Timestamps": ["QQ=="]}), "not an object"),
    "five log entries": (changed(tlogEntries=[ENTRY] * 5), "a list of 0 to 4"),
    "a log entry that is a text": (changed(tlogEntries=["x"]), "objects"),
    "log entries no list": (changed(tlogEntries={}), "a list of 0 to 4"),
    "log entries with a key": (changed(written(KEY.public), tlogEntries=[ENTRY]), "tlogEntries"),
    "key id a number": (spoil(written(), "dsseEnvelope", "signatures", 0, "keyid", to=1), "keyid"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "word"), BAD.values(), ids=list(BAD))
def test_a_bundle_of_another_shape_is_refused(raw: bytes, word: str) -> None:
    with refused(FormatError, word):
        parse(raw)


@pytest.mark.parametrize(
    ("material", "timestamps", "entries"),
    [(Chain(()), (), ()), (Chain((b"x",) * 9), (), ()), (None, (b"t",) * 5, ()), (None, (), (ENTRY,) * 5),
     (KeyHint("x"), (), (ENTRY,)), (Certificate(b""), (), ())],
)  # fmt: skip
def test_what_nobody_would_read_is_not_written(material: Any, timestamps: Any, entries: Any) -> None:
    with pytest.raises(FormatError):
        written(material, timestamps, entries)


def test_what_does_not_fit_into_an_entry_is_not_written() -> None:
    with refused(FormatError, "at most 61,440"):
        written(Chain((b"x" * 30_000, b"y" * 30_000)))


# --- signed by somebody who counts characters ---


@pytest.mark.parametrize("kind", ["application/vnd.in-toto+jsön", "приложение/json", "é"])
def test_a_signature_over_characters_is_none_over_bytes(kind: str) -> None:
    """A signer whose PAE counts characters signs other bytes: with a type beyond ASCII the two differ."""
    wrong = f"DSSEv1 {len(kind)} {kind} {len(PAYLOAD)} ".encode() + PAYLOAD
    right = pae(kind, PAYLOAD)
    assert wrong != right
    assert int(right.split(b" ")[1]) == len(kind.encode())
    with refused(SignatureInvalid, "did not make this signature"):
        KEY.public.verify(KEY.sign(wrong), right)
    with refused(FormatError, "payload type"):  # and no other type is read anyway
        verify_bundle(sign_bundle(PAYLOAD, payload_type=kind), [KEY.public])
