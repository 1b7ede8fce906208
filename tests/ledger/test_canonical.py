from __future__ import annotations

import contextlib
import json
import math
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger import canonical
from dataseal.ledger.errors import FormatError
from support.errors import refused

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT
DOUBLES = st.floats(-(2.0**53) + 1, 2.0**53 - 1)  # a larger whole double reads back as an integer, and is refused
JSON = st.recursive(
    SCALARS | DOUBLES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def decode(data: bytes) -> Any:
    return canonical.decode(data, what="document", max_bytes=1 << 20)


def decode_canonical(data: bytes) -> Any:
    return canonical.decode_canonical(data, what="document", max_bytes=1 << 20)


def test_docstring_example_holds() -> None:
    assert canonical.encode({"b": 1, "a": "é"}) == b'{"a":"\xc3\xa9","b":1}'


# RFC 8785, section 3.2.2 (numbers, literals, strings) and 3.2.3 (sorting), the documents of its examples.
RFC_SOURCE = rb"""{
  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}"""
RFC_CANONICAL = (
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
    '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
).encode()
RFC_SORTING = {
    "€": "Euro Sign",
    "\r": "Carriage Return",
    "\ufb33": "Hebrew Letter Dalet With Dagesh",
    "1": "One",
    "😀": "Emoji: Grinning Face",
    "\x80": "Control",
    "ö": "Latin Small Letter O With Diaeresis",
}
RFC_SORTED = [
    "Carriage Return",
    "One",
    "Control",
    "Latin Small Letter O With Diaeresis",
    "Euro Sign",
    "Emoji: Grinning Face",
    "Hebrew Letter Dalet With Dagesh",
]


def test_rfc_8785_example_document() -> None:
    assert canonical.encode(decode(RFC_SOURCE)) == RFC_CANONICAL


def test_rfc_8785_sorts_keys_by_utf_16_units() -> None:
    assert list(json.loads(canonical.encode(RFC_SORTING)).values()) == RFC_SORTED


@pytest.mark.parametrize(
    ("number", "text"),
    [  # RFC 8785, appendix B
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740994.0, "9007199254740994"),
        (295147905179352830000.0, "295147905179352830000"),
        (1e21, "1e+21"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
        (333333333.3333332, "333333333.3333332"),
    ],
)
def test_rfc_8785_numbers(number: float, text: str) -> None:
    assert canonical.encode(number).decode() == text


@given(JSON)
def test_encoded_documents_decode_to_themselves(value: Any) -> None:
    data = canonical.encode(value)
    assert canonical.encode(decode_canonical(data)) == data


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_a_format_error(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'[{"x":{"k":null,"k":null}}]'],
    ids=["plain", "escaped", "nested"],
)
def test_duplicate_keys_are_refused(data: bytes) -> None:
    with refused(FormatError, "duplicate key"):
        decode(data)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "[1e999]", "-1e999", "[1E400]"])
def test_numbers_that_are_no_double_are_refused(text: str) -> None:
    with refused(FormatError, "document"):
        decode(text.encode())


@pytest.mark.parametrize("digits", [canonical.MAX_NUMBER_DIGITS, 5000, 200_000])
def test_long_numbers_are_refused_before_they_are_parsed(digits: int) -> None:
    with refused(FormatError, "digits"):
        decode(b"[" + b"9" * digits + b"]")


def test_digits_inside_a_string_are_no_number() -> None:
    assert decode(b'["' + b"9" * 1000 + b'"]') == ["9" * 1000]


@pytest.mark.parametrize("pair", [b"[]", b"{}"])
def test_deep_nesting_is_refused(pair: bytes) -> None:
    opening = b'{"a":' if pair == b"{}" else b"["
    with refused(FormatError, "deeper"):
        decode(opening * 5000 + b"1" + pair[1:] * 5000)


def test_the_deepest_allowed_document_is_read() -> None:
    deepest = canonical.MAX_DEPTH
    assert decode(b"[" * deepest + b"]" * deepest)
    with refused(FormatError, "deeper"):
        decode(b"[" * (deepest + 1) + b"]" * (deepest + 1))


def test_brackets_inside_strings_do_not_count_as_depth() -> None:
    assert decode(b'["' + b"[" * 1000 + b'\\"[[", 1]')


def test_brackets_after_an_escaped_quote_do_count() -> None:
    with refused(FormatError, "deeper"):
        decode(b'["\\\\",' + b"[" * 100 + b"]" * 101)


def test_size_is_checked_before_a_byte_is_parsed() -> None:
    huge = b"[" * 100_000_000
    with refused(FormatError, "100,000,000 bytes", "at most 1,048,576"):
        decode(huge)


@pytest.mark.parametrize("text", [b'"\\ud800"', b'{"\\udc00":1}', b'[["\\ud83d "]]'])
def test_lone_surrogates_are_refused(text: bytes) -> None:
    with refused(FormatError, "strict JSON"):
        decode(text)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"\xef\xbb\xbf{}",
        b'"\xff"',
        b"{}\x00",
        b"{} {}",
        b"[1,]",
        b"{'a':1}",
        b"[01]",
        b"+1",
        b"[1] // x",
        b'"\n"',
    ],
)
def test_what_is_not_strict_json_is_refused(data: bytes) -> None:
    with refused(FormatError, "document"):
        decode(data)


@pytest.mark.parametrize("data", [b'{"a": 1}', b'{"b":1,"a":2}', b"1.0", b'"\\u0061"', b"[1]\n", b"1e2", b"-0"])
def test_another_spelling_of_a_canonical_document_is_refused(data: bytes) -> None:
    assert decode(data) is not None
    with refused(FormatError, "canonical"):
        decode_canonical(data)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, 2**53, -(2**53), {1: "x"}, b"bytes", {"a": {1}}, "\ud800", {"\udfff": 1}, object()]
)
def test_what_has_no_canonical_form_is_not_encoded(value: Any) -> None:
    with refused(FormatError, "canonical"):
        canonical.encode(value)


@pytest.mark.parametrize("unit", [b'\\"', b"\\\\", b'"', b"a", b"\\"])
def test_an_unclosed_string_is_scanned_once(unit: bytes) -> None:
    """It was O(n²): 60 kB of escaped quotes, less than one bundle, took half a minute."""
    with refused(FormatError, "document"):
        canonical.decode(b'["' + unit * 1_000_000, what="document", max_bytes=1 << 24)


def test_a_long_string_needs_no_more_memory_than_a_few_copies_of_it() -> None:
    """It was 110 bytes a character: a delta with one long string took gigabytes."""
    data = b'"' + b"a" * 2_000_000 + b'"'
    tracemalloc.start()
    try:
        canonical.decode(data, what="document", max_bytes=1 << 24)
        assert tracemalloc.get_traced_memory()[1] < 6 * len(data)
    finally:
        tracemalloc.stop()


@given(st.text(st.sampled_from('"[]{}:,1a '), max_size=40))
def test_without_escapes_strings_end_at_their_quotes(text: str) -> None:
    """The short way to what stands outside strings, against the expression that also knows escapes."""
    data = text.encode()
    assert b"".join(data.split(b'"')[::2]) == canonical._STRINGS.sub(b"", data)
