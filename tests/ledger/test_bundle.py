from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as ForeignEnvelope
from sigstore.dsse import _pae as sigstore_pae
from sigstore.models import Bundle as SigstoreBundle
from sigstore_models.bundle.v1 import Bundle as ForeignBundle

from dataseal.ledger import bundle as bundles
from dataseal.ledger.bundle import MAX_BUNDLE, pae, parse
from dataseal.ledger.errors import FormatError
from dataseal.ledger.statement import PAYLOAD_TYPE
from support import statements as make
from support.errors import refused
from support.statements import b64, sign_bundle, signer, spoil

PAYLOAD = make.release_payload()
GOOD = sign_bundle(PAYLOAD)
ENVELOPE = "dsseEnvelope"


def test_the_docstrings_bundle_has_the_written_fields() -> None:
    shown = re.search(r"\{\"dsseEnvelope\".*\}\}\n", bundles.__doc__ or "", re.DOTALL)
    assert shown

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(item) for key, item in value.items()}
        return [shape(item) for item in value] if isinstance(value, list) else None

    assert shape(json.loads(shown[0])) == shape(json.loads(GOOD))


def test_a_bundle_round_trips() -> None:
    parsed = parse(GOOD)
    assert (parsed.raw, parsed.payload, parsed.payload_type) == (GOOD, PAYLOAD, PAYLOAD_TYPE)
    assert parsed.hint == signer().public.fingerprint
    signer().public.verify(parsed.signature, pae(PAYLOAD_TYPE, PAYLOAD))


# --- the pre-authentication encoding ---


def test_pae_is_the_protocols_example() -> None:
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected


def test_pae_counts_bytes_and_not_characters() -> None:
    assert pae("é", "ü€".encode()) == b"DSSEv1 2 \xc3\xa9 5 \xc3\xbc\xe2\x82\xac"


@given(st.text(st.characters(codec="utf-8"), max_size=20), st.binary(max_size=40))
def test_pae_agrees_with_securesystemslib_and_sigstore(kind: str, payload: bytes) -> None:
    assert pae(kind, payload) == ForeignEnvelope(payload, kind, {}).pae()
    if kind.isascii():  # sigstore's counts the type's characters, and only ever sees its own ASCII type
        assert pae(kind, payload) == sigstore_pae(kind, payload)


@given(st.text("a 1", max_size=6), st.binary(max_size=6), st.text("a 1", max_size=6), st.binary(max_size=6))
def test_pae_of_other_content_is_other(kind: str, payload: bytes, kind2: str, payload2: bytes) -> None:
    assert (pae(kind, payload) == pae(kind2, payload2)) == ((kind, payload) == (kind2, payload2))


# --- foreign readers ---


@pytest.mark.parametrize("scheme", ["ecdsa-p256", "ecdsa-p384", "ed25519", "ml-dsa-44"])
def test_sigstores_models_read_our_bundle(scheme: str) -> None:
    raw = sign_bundle(PAYLOAD, signer(scheme, scheme))
    foreign = ForeignBundle.from_json(raw)
    assert foreign.dsse_envelope is not None
    assert foreign.dsse_envelope.payload_type == PAYLOAD_TYPE
    assert foreign.dsse_envelope.payload == PAYLOAD
    assert foreign.verification_material.public_key is not None
    assert foreign.media_type == bundles.MEDIA_TYPE


def test_securesystemslib_verifies_our_envelope() -> None:
    from securesystemslib.signer import SSlibKey

    envelope = json.loads(GOOD)[ENVELOPE]
    key = SSlibKey.from_crypto(signer().public.key)  # type: ignore[arg-type]
    envelope["signatures"][0]["keyid"] = key.keyid  # an unsigned hint, which that library looks keys up by
    assert ForeignEnvelope.from_dict(envelope).verify([key], 1)


def test_sigstores_high_level_reader_takes_certificates_only() -> None:
    """Why key bundles are verified here and not there (DESIGN section 3)."""
    with pytest.raises(Exception, match=r"(?i)certificate|tlog|log entr"):
        SigstoreBundle.from_json(GOOD)


# --- strictness ---


def both_signatures() -> list[Any]:
    stranger = json.loads(sign_bundle(PAYLOAD, signer("b")))
    return [*json.loads(GOOD)[ENVELOPE]["signatures"], *stranger[ENVELOPE]["signatures"]]


def material(**changes: Any) -> bytes:
    return spoil(GOOD, "verificationMaterial", to=json.loads(GOOD)["verificationMaterial"] | changes)


BAD: dict[str, tuple[bytes, str]] = {
    "v0.2": (spoil(GOOD, "mediaType", to="application/vnd.dev.sigstore.bundle+json;version=0.2"), "media type"),
    "media type a number": (spoil(GOOD, "mediaType", to=3), "media type"),
    "unknown field": (spoil(GOOD, "more", to=1), "unknown 'more'"),
    "no envelope": (spoil(GOOD, ENVELOPE, to=...), "missing 'dsseEnvelope'"),
    "message signature beside": (spoil(GOOD, "messageSignature", to={}), "unknown"),
    "two signatures": (spoil(GOOD, ENVELOPE, "signatures", to=both_signatures()), "exactly one"),
    "no signature": (spoil(GOOD, ENVELOPE, "signatures", to=[]), "exactly one"),
    "signatures no list": (spoil(GOOD, ENVELOPE, "signatures", to={"0": {}}), "exactly one"),
    "empty signature": (spoil(GOOD, ENVELOPE, "signatures", 0, "sig", to=""), "sig"),
    "unknown signature field": (spoil(GOOD, ENVELOPE, "signatures", 0, "cert", to="x"), "unknown 'cert'"),
    "certificate": (material(certificate={"rawBytes": "AA=="}), "certificate"),
    "certificate alone": (spoil(GOOD, "verificationMaterial", to={"certificate": {}}), "certificate"),
    "certificate chain": (material(x509CertificateChain={"certificates": []}), "certificate"),
    "tlog entries": (material(tlogEntries=[{}]), "tlogEntries"),
    "no key": (spoil(GOOD, "verificationMaterial", "publicKey", to=...), "publicKey"),
    "hint a number": (spoil(GOOD, "verificationMaterial", "publicKey", "hint", to=1), "hint"),
    "key with more": (spoil(GOOD, "verificationMaterial", "publicKey", "rawBytes", to="AA=="), "rawBytes"),
    "payload type a number": (spoil(GOOD, ENVELOPE, "payloadType", to=1), "strings"),
    "payload a number": (spoil(GOOD, ENVELOPE, "payload", to=1), "base64"),
    "payload null": (spoil(GOOD, ENVELOPE, "payload", to=None), "base64"),
    "empty payload": (spoil(GOOD, ENVELOPE, "payload", to=""), "base64"),
    "material a list": (spoil(GOOD, "verificationMaterial", to=[]), "not an object"),
    "envelope null": (spoil(GOOD, ENVELOPE, to=None), "not an object"),
    "a list": (b"[]", "not an object"),
    "no JSON": (b"-----BEGIN", "bundle"),
    "duplicate key": (GOOD.replace(b'{"dsseEnvelope"', b'{"mediaType":"x","dsseEnvelope"', 1), "duplicate key"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "word"), BAD.values(), ids=BAD.keys())
def test_a_bundle_of_another_shape_is_refused(raw: bytes, word: str) -> None:
    with refused(FormatError, word):
        parse(raw)


TEXT = b64(PAYLOAD[:-1] if len(PAYLOAD) % 3 == 0 else PAYLOAD)


@pytest.mark.parametrize(
    "text",
    [
        TEXT.rstrip("="),
        TEXT + "=",
        TEXT[:-4] + "\n" + TEXT[-4:],
        " " + TEXT,
        TEXT + "\n",
        base64.urlsafe_b64encode(b"\xff\xfe\xfd\xfc").decode(),
        "QR==",  # 'A' is QQ==: stray pad bits
        "é" + TEXT[1:],
        "QQ==QQ==",
    ],
    ids=["no padding", "more padding", "line break", "space", "newline", "URL-safe", "pad bits", "not ASCII", "two"],
)
@pytest.mark.parametrize("place", ["payload", "sig"])
def test_base64_with_another_spelling_is_refused(text: str, place: str) -> None:
    path: tuple[str | int, ...] = (ENVELOPE, "payload") if place == "payload" else (ENVELOPE, "signatures", 0, "sig")
    with refused(FormatError, "base64", place):
        parse(spoil(GOOD, *path, to=text))


def test_a_missing_key_id_and_missing_log_entries_are_fine() -> None:
    parse(spoil(spoil(GOOD, ENVELOPE, "signatures", 0, "keyid", to=...), "verificationMaterial", "tlogEntries", to=...))


@pytest.mark.parametrize("filler", [b" ", b"[", b'"', b'{"a":', b"9"])
def test_a_bundle_of_100_megabytes_is_refused_before_it_is_parsed(filler: bytes) -> None:
    with refused(FormatError, "bytes; at most 61,440"):
        parse(filler * (100_000_000 // len(filler)))


def test_a_statement_of_full_size_fits_into_a_bundle_with_every_key() -> None:
    for scheme in ("ecdsa-p384", "ml-dsa-44"):
        key = signer(scheme, scheme)
        assert len(bundles.encode(b"x" * 32 * 1024, key.sign(b"m"), key.public)) <= MAX_BUNDLE


def test_a_bundle_that_would_not_fit_into_an_entry_is_not_written() -> None:
    with refused(FormatError, "at most 61,440"):
        bundles.encode(b"x" * 50_000, b"s", signer().public)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_format_error(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse(raw)
