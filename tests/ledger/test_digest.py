from __future__ import annotations

import hashlib

import pytest
from blake3 import blake3

from dataseal.ledger import digest
from dataseal.ledger.errors import FormatError
from support.errors import refused

HEX = "0123456789abcdef" * 4


def test_hexadecimal_round_trip() -> None:
    assert digest.parse_hex(HEX, field="root").hex() == HEX


@pytest.mark.parametrize(
    "text",
    [
        HEX.upper(),
        HEX[:-1],
        HEX + "0",
        HEX + "\n",
        " " + HEX[1:],
        "0x" + HEX[2:],
        "",
        "g" * 64,
        "٠" * 64,
        None,
        7,
        b"0" * 64,
    ],
)
def test_only_64_lower_case_digits_are_a_digest(text: object) -> None:
    with refused(FormatError, "root is not 64 lower-case hexadecimal digits"):
        digest.parse_hex(text, field="root")


def test_sha256_chunks() -> None:
    assert digest.chunk_hasher("sha256")(b"abc") == hashlib.sha256(b"abc").digest() == digest.sha256(b"abc")


def test_blake3_chunks() -> None:
    assert digest.chunk_hasher("blake3")(memoryview(b"abc")) == blake3(b"abc").digest()


@pytest.mark.parametrize("name", ["md5", "SHA256", "", "sha-256"])
def test_an_unknown_chunk_hash_is_refused_and_the_known_ones_named(name: str) -> None:
    with refused(FormatError, "unknown chunk hash", "sha256, blake3"):
        digest.chunk_hasher(name)
