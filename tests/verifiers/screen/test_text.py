"""Tokens and n-grams."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataseal.verifiers.screen.text import clean, column_text, extend, grams, mix, within, word_hash, words


def tokens(text: str) -> list[str]:
    return words(clean(pa.array([text]))).string.to_pylist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Blue-Sky_protocol-7!", ["blue", "sky", "protocol", "7"]),
        ("see https://a.example/blue-sky?x=1 now", ["see", "now"]),
        ("see HTTPS://A.example/x and www.b.example/y.", ["see", "and"]),
        ("@someone said so to @other_one, x@y.example", ["said", "so", "to", "x", "y", "example"]),
        ("#sporcle is a tag", ["sporcle", "is", "a", "tag"]),
        ("naïve Ünï ﬁle №7", ["naïve", "ünï", "file", "no7"]),
        ("fullwidth bluesky", ["fullwidth", "bluesky"]),
        ("don't", ["don", "t"]),
        ("", []),
        ("  ... !?", []),
        ("a\nb\tc\u200bd", ["a", "b", "c", "d"]),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_documents_and_nulls() -> None:
    found = words(clean(pa.array(["a b", "", "b"])))
    assert found.doc.tolist() == [0, 0, 2]
    assert found.hash.tolist() == [word_hash("a"), word_hash("b"), word_hash("b")]
    batch = pa.RecordBatch.from_pydict({"t": ["a", None], "u": [None, "b"]})
    assert column_text(batch, ("t",)).to_pylist() == ["a", ""]
    assert column_text(batch, ("t", "u")).to_pylist() == ["a\n", "\nb"]


def test_no_documents() -> None:
    found = words(clean(pa.array([], pa.string())))
    assert found.hash.size == found.doc.size == 0
    assert [g.size for g in grams(found, 4)] == [0, 0, 0, 0]


def test_grams_stay_in_their_document() -> None:
    found = words(pa.array(["a b c", "d e"]))
    by_length = grams(found, 4)
    assert [int(within(found, n).sum()) for n in (1, 2, 3, 4)] == [5, 3, 1, 0]
    a, b, c = (np.array([word_hash(w)], np.uint64) for w in "abc")
    assert by_length[2][0] == extend(extend(a, b), c)[0]
    assert extend(a, b) != extend(b, a)


def test_word_hash_is_pinned() -> None:
    """States travel between machines: the hash is part of their format."""
    assert word_hash("protocol") == int.from_bytes(
        __import__("hashlib").blake2b(b"protocol", digest_size=8, person=b"dataseal word").digest(), "little"
    )
    assert mix(np.array([1], np.uint64))[0] == 0x5692161D100B05E5


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=8))
def test_a_document_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    together = words(clean(pa.array(texts, pa.string())))
    for i, text in enumerate(texts):
        alone = words(clean(pa.array([text])))
        assert together.hash[together.doc == i].tolist() == alone.hash.tolist()
