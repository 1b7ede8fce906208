"""The envelope around an OMS statement: every signature counts, and nothing that anybody can write does."""

from __future__ import annotations

import json

import pytest
from sigstore_models.bundle.v1 import Bundle as ForeignBundle

from dataseal.ledger import bundle as bundles
from dataseal.ledger.errors import FormatError, SignatureInvalid, UsageError
from dataseal.ledger.oms import envelope
from dataseal.ledger.oms.envelope import parse, recognise
from dataseal.ledger.oms.statement import MAX_BUNDLE, PREDICATE_0_2
from dataseal.ledger.statement import PAYLOAD_TYPE
from support import oms as make
from support.errors import refused
from support.statements import b64, signer, spoil

KEY, OTHER = signer(), signer("other")
PAYLOAD = make.statement()
GOOD = make.bundle(PAYLOAD)
ENVELOPE = "dsseEnvelope"


def test_a_bundle_is_recognised() -> None:
    [found] = recognise(parse(GOOD), [OTHER.public, KEY.public])
    assert found.fingerprint == KEY.public.fingerprint


def test_what_we_write_is_read_again_and_hints_as_the_reference_wants() -> None:
    import hashlib

    raw = envelope.encode(PAYLOAD, KEY.sign_payload(PAYLOAD), KEY.public)
    [bundle] = parse(raw)
    assert bundle.payload == PAYLOAD
    assert bundle.hint == hashlib.sha256(KEY.public.pem()).hexdigest()
    assert recognise([bundle], [KEY.public])
    assert ForeignBundle.from_json(raw.decode()).dsse_envelope


def test_a_bundle_larger_than_any_entry_is_written() -> None:
    payload = make.statement([make.resource(f"data/{n:05}", b"") for n in range(2000)])
    raw = envelope.encode(payload, KEY.sign_payload(payload), KEY.public)
    assert len(raw) > bundles.MAX_BUNDLE
    assert parse(raw)[0].payload == payload


@pytest.mark.parametrize("field", ["keyid", "hint", "tlogEntries"])
def test_fields_that_old_versions_left_out(field: str) -> None:
    value = json.loads(GOOD)
    value[ENVELOPE]["signatures"][0].pop(field, None)
    value["verificationMaterial"].pop(field, None)
    value["verificationMaterial"]["publicKey"].pop(field, None)
    assert recognise(parse(json.dumps(value).encode()), [KEY.public])


def test_a_key_id_that_is_null() -> None:
    assert recognise(parse(spoil(GOOD, ENVELOPE, "signatures", 0, "keyid", to=None)), [KEY.public])


def test_a_key_in_the_bundle_is_believed_by_nobody() -> None:
    raw = make.bundle(PAYLOAD, OTHER, publicKey={"rawBytes": b64(KEY.public.pem()), "keyDetails": "X"})
    with refused(SignatureInvalid, "no trusted key"):
        recognise(parse(raw), [KEY.public])


# --- attacks ---


def test_two_signatures_of_trusted_keys() -> None:
    found = recognise(parse(make.bundle(PAYLOAD, KEY, OTHER)), [KEY.public, OTHER.public])
    assert [one.fingerprint for one in found] == [KEY.public.fingerprint, OTHER.public.fingerprint]


def test_a_second_signature_that_does_not_verify() -> None:
    raw = spoil(make.bundle(PAYLOAD, KEY, OTHER), ENVELOPE, "signatures", 1, "sig", to=b64(KEY.sign(b"other")))
    with refused(SignatureInvalid, "signature 2 of 2"):
        recognise(parse(raw), [KEY.public, OTHER.public])


def test_a_second_signature_of_somebody_unknown() -> None:
    with refused(SignatureInvalid, "signature 2 of 2"):
        recognise(parse(make.bundle(PAYLOAD, KEY, OTHER)), [KEY.public])


def test_another_payload_under_the_signature() -> None:
    other = make.statement([make.resource("a", b"poison")])
    with refused(SignatureInvalid):
        recognise(parse(spoil(GOOD, ENVELOPE, "payload", to=b64(other))), [KEY.public])


def test_no_credential_at_all() -> None:
    with refused(UsageError):
        recognise(parse(GOOD), [])


def test_no_signature_at_all() -> None:
    with refused(FormatError, "signatures"):
        parse(spoil(GOOD, ENVELOPE, "signatures", to=[]))


def test_more_signatures_than_anybody_makes() -> None:
    with refused(FormatError, "signatures"):
        parse(make.bundle(PAYLOAD, *[KEY] * 9))


def test_another_payload_type() -> None:
    with refused(FormatError, "payload type"):
        parse(spoil(GOOD, ENVELOPE, "payloadType", to="text/plain"))


def test_another_media_type() -> None:
    with refused(FormatError, "media type"):
        parse(spoil(GOOD, "mediaType", to="application/vnd.dev.sigstore.bundle+json;version=0.1"))


@pytest.mark.parametrize("text", ["", "e30", "e30=\n", "====", 7])
def test_a_payload_that_is_not_base64(text: object) -> None:
    with refused(FormatError, "base64"):
        parse(spoil(GOOD, ENVELOPE, "payload", to=text))


def test_a_bundle_of_more_bytes_than_are_read() -> None:
    with refused(FormatError, "at most"):
        parse(b" " * (MAX_BUNDLE + 1))


@pytest.mark.parametrize("filler", [b"{}", b"[]", b"0"])
def test_millions_of_values_are_not_parsed(filler: bytes) -> None:
    raw = b'{"verificationMaterial":[' + b",".join([filler] * 3_000_000) + b"]}"
    with refused(FormatError, "thousands of fields"):
        parse(raw)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'{"a":1}', b"\xff"])
def test_no_bundle(raw: bytes) -> None:
    with refused(FormatError):
        parse(raw)


def test_the_encoding_of_0_2_is_not_accepted_for_todays_statements() -> None:
    message = f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(PAYLOAD)} {PAYLOAD!r}".encode()
    raw = spoil(GOOD, ENVELOPE, "signatures", 0, "sig", to=b64(KEY.sign(message)))
    with refused(SignatureInvalid):
        recognise(parse(raw), [KEY.public])


def test_the_encoding_of_0_2_does_not_let_another_payload_pass() -> None:
    raw = (make.VECTORS / "0.2.0-key.json").read_bytes()
    value = json.loads(raw)
    assert PREDICATE_0_2.encode() in parse(raw)[0].payload
    value[ENVELOPE]["payload"] = b64(parse(raw)[0].payload.replace(b"config.json", b"config.yaml"))
    from dataseal.ledger.publickey import PublicKey

    key = PublicKey.from_pem((make.VECTORS / "keys" / "p256.pub").read_bytes())
    assert recognise(parse(raw), [key])
    with refused(SignatureInvalid):
        recognise(parse(json.dumps(value).encode()), [key])
