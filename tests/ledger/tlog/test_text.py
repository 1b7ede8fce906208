"""One spelling for each number and each hash."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.errors import FormatError
from dataseal.ledger.tlog import text
from dataseal.ledger.tlog.limits import MAX_TREE_SIZE


def test_docstring_example(example):
    size, root = example(text).split()
    assert text.parse_decimal(size, what="size", maximum=MAX_TREE_SIZE) == 20852163
    assert text.encode_base64(text.decode_hash(root, what="root")) == root


@pytest.mark.parametrize(
    "spelling", ["", "00", "01", "+1", "-1", " 1", "1 ", "1\n", "1_0", "１", "0x1", "1e3", "9" * 21]
)
def test_other_spellings_of_numbers_are_refused(spelling):
    with pytest.raises(FormatError, match="decimal"):
        text.parse_decimal(spelling, what="size", maximum=MAX_TREE_SIZE)


def test_the_maximum_is_inclusive():
    assert text.parse_decimal(str(MAX_TREE_SIZE), what="size", maximum=MAX_TREE_SIZE) == MAX_TREE_SIZE
    with pytest.raises(FormatError, match="at most"):
        text.parse_decimal(str(MAX_TREE_SIZE + 1), what="size", maximum=MAX_TREE_SIZE)


@pytest.mark.parametrize(
    "spelling", ["A", "AA", "AA=", "AB==", "AAB=", "AA==\n", "A A=", "AA==AA==", "_-==", "é", "AAA=="]
)
def test_other_spellings_of_base64_are_refused(spelling):
    with pytest.raises(FormatError, match="base64"):
        text.decode_base64(spelling, what="key")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_hash_has_32_bytes(length):
    with pytest.raises(FormatError, match=f"{length} bytes"):
        text.decode_hash(text.encode_base64(bytes(length)), what="root")


@given(st.binary(max_size=80))
def test_base64_round_trip(data):
    assert text.decode_base64(text.encode_base64(data), what="x") == data


@given(st.text(alphabet="AQg/+=01", max_size=12))
def test_what_is_accepted_is_what_would_be_written(spelling):
    try:
        data = text.decode_base64(spelling, what="x")
    except FormatError:
        return
    assert text.encode_base64(data) == spelling
