"""What is read of an entry's bytes by shape is what the strict parsers read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger import canonical
from dataseal.ledger import entry as entries
from dataseal.ledger import statement as statements
from dataseal.ledger.bundle import parse as parse_bundle
from dataseal.ledger.errors import FormatError
from dataseal.ledger.store import lookups, segments
from dataseal.ledger.store.stored import StoredEntry
from support import statements as make
from support.ledgers import made_up

HEX = st.binary(min_size=32, max_size=32)
NAMES = st.from_regex(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}(/[A-Za-z0-9][A-Za-z0-9._-]{0,20}){0,3}"), fullmatch=True
)
TIMES = st.from_regex(re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"), fullmatch=True)
HEADERS = st.builds(
    entries.Header,
    kind=st.sampled_from(sorted(statements.KINDS.values())),
    dataset=NAMES,
    logged_at=TIMES,
    prev=st.none() | HEX,
    dataset_prev=st.none() | st.builds(entries.Link, st.integers(0, 2**53 - 1), HEX),
)


@given(HEADERS | st.builds(entries.Header, st.text(), st.text(), st.text(), st.none(), st.none()))
def test_a_headers_bytes_are_rfc_8785s(header: entries.Header) -> None:
    link = header.dataset_prev
    value = {
        "v": 1,
        "kind": header.kind,
        "dataset": header.dataset,
        "logged_at": header.logged_at,
        "prev": header.prev.hex() if header.prev else None,
        "dataset_prev": {"index": link.index, "leaf": link.leaf.hex()} if link else None,
    }
    try:
        expected = canonical.encode(value)
    except FormatError:
        return
    assert header.encode() == expected


@given(HEADERS)
def test_a_header_is_read_as_it_was_written(header: entries.Header) -> None:
    assert entries.parse_header(header.encode()) == entries._parse_any_header(header.encode()) == header


@given(HEADERS, st.integers(0, 400), st.integers(0, 255))
def test_the_quick_reader_takes_no_header_that_the_strict_one_refuses(
    header: entries.Header, at: int, byte: int
) -> None:
    data = bytearray(header.encode())
    data[at % len(data)] = byte
    try:
        expected = entries._parse_any_header(bytes(data))
    except FormatError:
        with pytest.raises(FormatError):
            entries.parse_header(bytes(data))
    else:
        assert entries.parse_header(bytes(data)) == expected


PAYLOADS = {
    "release": make.release_payload(),
    "modification": make.modification_payload(),
    "receipt": make.receipt_payload(7),
    "a subject inside a string": make.modification_payload(
        reason='"subject":[{"digest":{"datasealRoot":"' + "00" * 32 + '","sha256":"' + "00" * 32 + '"},"name":"x@y"}]}'
    ),
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
@pytest.mark.parametrize("blank", [b"", b" "], ids=["as we write it", "as others may"])
def test_what_an_entry_is_about_is_what_its_statement_says(payload: bytes, blank: bytes) -> None:
    bundle = blank + make.sign_bundle(payload)
    statement = statements.parse(parse_bundle(bundle).payload)
    header = entries.Header(statement.kind, statement.dataset, "2026-01-02T03:04:05Z", None, None)
    row = StoredEntry(0, entries.Entry(header, bundle).encode(), signer="s")
    assert row.statement_bytes == payload
    assert (row.kind, row.dataset) == (statement.kind, statement.dataset)
    assert (row.root, row.table_digest, row.version) == (statement.root, statement.table, statement.version)


@pytest.mark.parametrize("body", [b"", b"\0", b"{}\n{}", b"no newline"])
def test_bytes_that_are_no_entry_say_so_when_asked(body: bytes) -> None:
    row = StoredEntry(0, body, signer="s")
    for name in ("header", "kind", "payload", "root", "keys"):
        with pytest.raises(FormatError):
            getattr(row, name)


def test_an_entry_knows_nothing_else() -> None:
    with pytest.raises(AttributeError):
        _ = made_up(0).colour  # type: ignore[attr-defined]


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_roots_keys_are_one_range_that_holds_all_its_payloads(root: bytes, payload: bytes) -> None:
    first, last = lookups.of_root(root.hex())
    assert -(2**63) <= first <= lookups.of_payload(root.hex(), payload.hex()) <= last < 2**63


@given(st.integers(0, 10_000), st.integers(1, 2000))
def test_segments_are_cut_where_entry_bundles_end(first: int, count: int) -> None:
    parts = list(segments.cut(first, count))
    assert sum(n for _, n in parts) == count
    assert parts[0][0] == first
    assert all(at % 256 == 0 for at, _ in parts[1:])
    assert all(at // 256 == (at + n - 1) // 256 for at, n in parts)
