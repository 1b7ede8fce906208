from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger import canonical, entry
from dataseal.ledger.entry import MAX_ENTRY, Entry, Header, Link, check_header, join, leaf_hash, parse, parse_header
from dataseal.ledger.errors import FormatError
from dataseal.ledger.statement import parse as parse_statement
from dataseal.ledger.tlog import merkle
from support import statements as make
from support.errors import refused

LEAF = bytes(range(32))
HEADER = Header("release", "acme/reviews", "2026-01-02T03:04:05Z", LEAF, Link(0, LEAF))
FIRST = Header("release", "acme/reviews", "2026-01-02T03:04:05Z", None, None)


def test_the_docstrings_header_parses() -> None:
    shown = re.search(r"    (\{\"dataset\".*?\"v\":1\})", entry.__doc__ or "", re.DOTALL)
    assert shown
    line = re.sub(r"\n\s*", "", shown[1]).replace("<hex>", LEAF.hex())
    assert parse_header(line.encode()) == HEADER
    assert HEADER.encode() == line.encode()


@pytest.mark.parametrize("header", [HEADER, FIRST])
def test_an_entry_round_trips_verbatim(header: Header) -> None:
    bundle = b'{"a": "b"}\n\n{"second":"line"}\n'
    data = Entry(header, bundle).encode()
    assert parse(data) == Entry(header, bundle)
    assert data == header.encode() + b"\n" + bundle


def test_the_leaf_hash_is_domain_separated_and_over_all_bytes() -> None:
    assert leaf_hash(HEADER.encode(), b"bundle") == merkle.leaf_hash(HEADER.encode() + b"\nbundle")


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_no_two_pairs_of_header_and_bundle_are_one_leaf(first: bytes, second: bytes) -> None:
    """A header is canonical JSON and holds no newline: the first one in the leaf ends it."""
    assert (Entry(HEADER, first).encode() == Entry(FIRST, second).encode()) is False
    assert (Entry(HEADER, first).encode() == Entry(HEADER, second).encode()) == (first == second)


def test_an_entry_of_65_535_bytes_fits_and_one_more_is_refused() -> None:
    room = MAX_ENTRY - len(HEADER.encode()) - 1
    assert len(parse(join(HEADER.encode(), b"x" * room)).bundle) == room
    with refused(FormatError, "65,536 bytes"):
        join(HEADER.encode(), b"x" * (room + 1))
    with refused(FormatError, "65,535"):
        parse(HEADER.encode() + b"\n" + b"x" * (room + 1))


def spoiled(**changes: Any) -> bytes:
    value = json.loads(HEADER.encode())
    return canonical.encode({k: v for k, v in {**value, **changes}.items() if v is not ...})


BAD: dict[str, bytes] = {
    "version 2": spoiled(v=2),
    "version true": spoiled(v=True),
    "version text": spoiled(v="1"),
    "unknown field": spoiled(more=1),
    "no prev": spoiled(prev=...),
    "unknown kind": spoiled(kind="revocation"),
    "kind null": spoiled(kind=None),
    "bad dataset": spoiled(dataset="../x"),
    "dataset number": spoiled(dataset=1),
    "time with offset": spoiled(logged_at="2026-01-02T03:04:05+00:00"),
    "time with fraction": spoiled(logged_at="2026-01-02T03:04:05.0Z"),
    "time with other digits": spoiled(logged_at="٢٠٢٦-01-02T03:04:05Z"),
    "time with newline": spoiled(logged_at="2026-01-02T03:04:05Z\n"),
    "prev short": spoiled(prev="00"),
    "prev upper-case": spoiled(prev=LEAF.hex().upper()),
    "link without leaf": spoiled(dataset_prev={"index": 0}),
    "link with more": spoiled(dataset_prev={"index": 0, "leaf": LEAF.hex(), "x": 1}),
    "link negative": spoiled(dataset_prev={"index": -1, "leaf": LEAF.hex()}),
    "link true": spoiled(dataset_prev={"index": True, "leaf": LEAF.hex()}),
    "link false": spoiled(dataset_prev={"index": False, "leaf": LEAF.hex()}),
    "link a list": spoiled(dataset_prev=[0, LEAF.hex()]),
    "not canonical": HEADER.encode().replace(b",", b", ", 1),
    "newline smuggled in": HEADER.encode().replace(b',"dataset_prev"', b',\n"dataset_prev"', 1),
    "duplicate key": HEADER.encode().replace(b'{"dataset"', b'{"v":1,"dataset"', 1),
    "too long": spoiled(dataset="a" * 3000),
    "empty": b"",
    "a list": b"[]",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_a_header_of_another_shape_is_refused(data: bytes) -> None:
    with refused(FormatError):
        parse_header(data)


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_an_entry_with_such_a_header_is_refused(data: bytes) -> None:
    with refused(FormatError):
        parse(data + b"\n{}")


def test_an_entry_without_a_newline_is_refused() -> None:
    with refused(FormatError, "header line and a bundle"):
        parse(HEADER.encode())


def test_a_header_smuggled_into_the_bundle_is_only_bundle() -> None:
    """The split is at the first newline, so that a second header changes nothing."""
    data = FIRST.encode() + b"\n" + HEADER.encode() + b"\n{}"
    assert parse(data).header == FIRST


@pytest.mark.parametrize(
    ("header", "word"),
    [
        (Header("modification", "acme/reviews", HEADER.logged_at, None, None), "modification of 'acme/reviews'"),
        (Header("release", "acme/other", HEADER.logged_at, None, None), "release of 'acme/other'"),
    ],
)
def test_a_header_that_says_something_else_than_the_statement_is_refused(header: Header, word: str) -> None:
    with refused(FormatError, word, "its statement is a release of 'acme/reviews'"):
        check_header(header, parse_statement(make.release_payload()))


def test_a_header_that_agrees_passes() -> None:
    check_header(HEADER, parse_statement(make.release_payload()))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse(data)
