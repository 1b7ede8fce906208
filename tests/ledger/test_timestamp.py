"""RFC 3161 timestamps of a real ``openssl ts``: what gives a trusted time, and one attack a test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from rfc3161_client.base import HashAlgorithm

from dataseal.ledger.errors import FormatError, SignatureInvalid, Unavailable, UsageError, VerificationError
from dataseal.ledger.signers.timestamping import TimestampClient
from dataseal.ledger.timestamp import MAX_TOKEN, TimestampAuthority, parse, trusted_times
from support.certificates import CODE_SIGNING, TIME_STAMPING, Authority
from support.errors import refused
from support.tsa import LONG_AGO, Tsa, responder, serving, signed_by, stamping

SIGNATURE = b"a signature"
REPLY = "application/timestamp-reply"


@cache
def tsa() -> Tsa:
    return Tsa.new()


@cache
def token() -> bytes:
    return tsa().stamp(SIGNATURE)


def refuses(response: bytes, *authorities: TimestampAuthority) -> None:
    """The response is over the signature, and no authority vouches for it."""
    assert trusted_times([response], SIGNATURE, authorities or [tsa().authority]) == ()


def test_a_response_gives_a_time() -> None:
    (time,) = trusted_times([token()], SIGNATURE, [tsa().authority])
    assert (time.source, time.by) == ("rfc3161", "a test's authority")
    assert abs(time.at - datetime.now(UTC)) < timedelta(minutes=10)
    assert time.at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("kind", ["rsa", "p384"])
def test_authorities_with_keys_of_each_kind(kind: str) -> None:
    other = Tsa.new(kind=kind)
    assert trusted_times([other.stamp(SIGNATURE)], SIGNATURE, [other.authority])


def test_an_imprint_of_another_hash() -> None:
    assert trusted_times([tsa().stamp(SIGNATURE, HashAlgorithm.SHA512)], SIGNATURE, [tsa().authority])


def test_an_intermediate_that_is_pinned_beside_the_root() -> None:
    root = Authority.root(start=LONG_AGO)
    issuer = root.intermediate(start=LONG_AGO)
    response = Tsa(root, stamping(issuer)).stamp(SIGNATURE)
    assert trusted_times([response], SIGNATURE, [TimestampAuthority.of("it", root.pem + issuer.pem)])
    refuses(response, TimestampAuthority.of("it", root.pem))


def test_of_two_responses_the_known_one_counts_and_the_earliest_is_first() -> None:
    unknown, known = Tsa.new("Another"), tsa()
    times = trusted_times([unknown.stamp(SIGNATURE), token(), token()], SIGNATURE, [known.authority])
    assert [time.by for time in times] == ["a test's authority"]


def test_nobody_pinned_means_no_time() -> None:
    assert trusted_times([token()], SIGNATURE, []) == ()


def test_the_fingerprint_is_of_the_certificates() -> None:
    mine = tsa().authority
    assert mine.fingerprint == TimestampAuthority.of("renamed", tsa().root.pem).fingerprint
    assert mine.fingerprint != Tsa.new().authority.fingerprint


# --- attacks ---


def test_an_unknown_authority_of_the_same_name() -> None:
    refuses(Tsa.new().stamp(SIGNATURE))


def test_a_response_over_another_signature() -> None:
    with refused(SignatureInvalid, "not over this signature"):
        trusted_times([tsa().stamp(b"another")], SIGNATURE, [tsa().authority])


def test_an_authority_whose_certificate_had_expired_by_then() -> None:
    late = Tsa.new(end=datetime.now(UTC) - timedelta(days=1))
    refuses(late.stamp(SIGNATURE), late.authority)


def test_an_authority_whose_certificate_was_not_valid_yet() -> None:
    early = Tsa.new(start=datetime.now(UTC) + timedelta(days=1))
    refuses(early.stamp(SIGNATURE), early.authority)


@pytest.mark.parametrize(
    ("purposes", "critical"),
    [([], False), ([CODE_SIGNING], True), ([TIME_STAMPING], False), ([TIME_STAMPING, CODE_SIGNING], True)],
)
def test_a_certificate_of_the_authority_that_may_not_stamp(purposes: list[object], critical: bool) -> None:
    signer = stamping(tsa().root, purposes=purposes, critical_purposes=critical)
    refuses(signed_by(signer, token()))


def test_the_same_statement_by_one_that_may_stamp_is_the_control() -> None:
    assert trusted_times([signed_by(stamping(tsa().root), token())], SIGNATURE, [tsa().authority])


@pytest.mark.parametrize("longer", [False, True])
def test_a_forged_twin_of_a_certificate_that_may_not_stamp(longer: bool) -> None:
    """Issuer and serial number name the signer in a response; certificates in it stand in DER order, shorter first."""
    mine = stamping(tsa().root, purposes=[CODE_SIGNING], serial=77)
    names = [x509.RFC822Name(f"{'a' * 60}@example.org")] if longer else []
    twin = stamping(Authority.root("TSA root", start=LONG_AGO), serial=77, names=names)
    if longer:
        assert len(mine.der) < len(twin.der)
    refuses(signed_by(mine, token(), twin))


def test_a_refusal_is_no_timestamp() -> None:
    with refused(SignatureInvalid, "status 2"):
        parse(b"\x30\x05\x30\x03\x02\x01\x02", SIGNATURE)


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"\x30\x05\x30\x03\x02\x01\x00", b"<html>"])
def test_bytes_that_are_no_response(data: bytes) -> None:
    with refused(FormatError):
        parse(data, SIGNATURE)


def test_a_response_that_is_too_large() -> None:
    with refused(FormatError, "at most"):
        parse(b"\x30" * (MAX_TOKEN + 1), SIGNATURE)


@given(st.integers(min_value=0), st.integers(1, 255), st.booleans())
def test_a_spoilt_byte_never_crashes_nor_moves_the_time(position: int, mask: int, cut: bool) -> None:
    good = trusted_times([token()], SIGNATURE, [tsa().authority])
    data = bytearray(token())
    position %= len(data)
    data[position] ^= mask
    spoilt = bytes(data[:position] if cut else data)
    try:
        times = trusted_times([spoilt], SIGNATURE, [tsa().authority])
    except VerificationError:
        return
    assert times in ((), good)  # some bytes are not signed, such as those of the status's text


def test_an_authority_without_a_root() -> None:
    with refused(FormatError, "no root among them", "tsa.pem"):
        TimestampAuthority.of("it", tsa().root.intermediate().pem, where="tsa.pem")


# --- asking ---


def client(url: str) -> TimestampClient:
    return TimestampClient(url, pause=lambda _: None)


def test_a_real_authority_is_asked() -> None:
    with responder(tsa()) as url:
        assert trusted_times([client(url)(SIGNATURE)], SIGNATURE, [tsa().authority])


def test_an_answer_to_an_earlier_request() -> None:
    with serving(lambda _: (200, REPLY, token())) as url, refused(Unavailable, "nonce"):
        client(url)(SIGNATURE)


def test_an_answer_over_another_signature() -> None:
    other = tsa().stamp(b"another")
    with serving(lambda _: (200, REPLY, other)) as url, refused(Unavailable, "not over this"):
        client(url)(SIGNATURE)


@pytest.mark.parametrize(
    ("status", "kind", "body", "word"),
    [
        (200, REPLY, b"\x30" * 20_000, "exceeds"),
        (200, "text/html", b"<html>", "no application/timestamp-reply"),
        (200, REPLY, b"<html>", "no RFC 3161"),
        (302, REPLY, b"", "302"),
        (404, REPLY, b"", "404"),
        (503, REPLY, b"", "503"),
    ],
)
def test_an_answer_that_is_none(status: int, kind: str, body: bytes, word: str) -> None:
    with serving(lambda _: (status, kind, body)) as url, refused(Unavailable, word, "sign without --tsa"):
        client(url)(SIGNATURE)


def test_a_passing_failure_is_tried_again() -> None:
    asked: list[bytes] = []

    def reply(query: bytes) -> tuple[int, str, bytes]:
        asked.append(query)
        return (503, REPLY, b"") if len(asked) < 3 else (200, REPLY, tsa().answer(query))

    with serving(reply) as url:
        assert client(url)(SIGNATURE)
    assert len(asked) == 3


def test_nobody_there() -> None:
    with refused(Unavailable, "no answer"):
        client("http://127.0.0.1:1/")(SIGNATURE)


@pytest.mark.parametrize(
    "url", ["", "tsa.example.org", "ftp://x/", "http://", "http://[", "http://x:99999/", "http://a:b@c/"]
)
def test_what_is_no_address(url: str) -> None:
    with refused(UsageError, "timestamp authority"):
        TimestampClient(url)
