"""Texts as hashed word tokens and n-grams, vectorised: about 10 µs a short document.

A token is a run of letters, marks and digits of the NFKC-normalised, lower-cased text, so "Blue-sky_protocol-7" is
four tokens. URLs and @mentions are cut out first: honest contributors repeat their own. A token's hash is 64 bits of
BLAKE2b (nobody can make a phrase collide with common words); an n-gram's hash is mixed from its tokens' hashes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

_URL = r"(?:[A-Za-z][A-Za-z0-9+.-]*://|www\.)[^\s]+"
_MENTION = r"(^|[^\p{L}\p{N}_@])@[\p{L}\p{N}_]+"
_GAP = r"[^\p{L}\p{M}\p{N}]+"


@dataclass(frozen=True, slots=True)
class Words:
    """The tokens of some documents: ``hash[i]`` and ``string[i]`` of token i, which stands in document ``doc[i]``."""

    hash: U64
    doc: I64
    string: pa.Array


def column_text(batch: pa.RecordBatch, columns: tuple[str, ...]) -> pa.Array:
    """The text of each row: its text columns joined by a line end; null is empty."""
    parts = [pc.fill_null(batch.column(c).cast(pa.string()), "") for c in columns]
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "\n")


def clean(texts: pa.Array) -> pa.Array:
    """NFKC-normalised, without URLs and mentions; case is kept."""
    if not pc.all(pc.string_is_ascii(texts), min_count=0).as_py():
        texts = pc.utf8_normalize(texts, form="NFKC")
    texts = pc.replace_substring_regex(texts, _URL, " ")
    if pc.any(pc.match_substring(texts, "@"), min_count=0).as_py():
        texts = pc.replace_substring_regex(texts, _MENTION, r"\1 ")
    return texts


def words(texts: pa.Array) -> Words:
    """Tokens of cleaned texts, document by document."""
    parts = pc.split_pattern_regex(pc.utf8_lower(texts), _GAP)
    flat = parts.flatten()
    counts = pc.fill_null(pc.list_value_length(parts), 0).to_numpy(zero_copy_only=False)
    doc = np.repeat(np.arange(len(texts), dtype=np.int64), counts)
    some = pc.not_equal(flat, "")
    flat = flat.filter(some)
    doc = doc[some.to_numpy(zero_copy_only=False)]
    coded = flat.dictionary_encode()
    hashes = np.fromiter((word_hash(w) for w in coded.dictionary.to_pylist()), np.uint64, len(coded.dictionary))
    index = coded.indices.to_numpy(zero_copy_only=False)
    return Words(hash=hashes[index] if len(index) else np.empty(0, np.uint64), doc=doc, string=flat)


@lru_cache(maxsize=1 << 17)
def word_hash(word: str) -> int:
    """64 bits of BLAKE2b over the token's UTF-8."""
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8, person=b"dataseal word").digest(), "little")


def mix(x: U64) -> U64:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection that spreads every bit."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def extend(prefix: U64, last: U64) -> U64:
    """The hash of an n-gram from that of its first n-1 tokens and that of its last; a 1-gram's is its token's."""
    return mix(mix(prefix + np.uint64(0x9E3779B97F4A7C15)) + last)


def grams(tokens: Words, longest: int) -> list[U64]:
    """N-grams by length: ``out[n - 1][i]`` is the hash of the n tokens from token i on.

    ``out[n - 1]`` has ``len(hash) - n + 1`` values; where the n tokens span two documents (`within`) it means nothing.
    """
    out = [tokens.hash]
    for n in range(2, longest + 1):
        size = max(tokens.hash.size - n + 1, 0)
        out.append(extend(out[-1][:size], tokens.hash[n - 1 : n - 1 + size]))
    return out


def within(tokens: Words, n: int) -> NDArray[np.bool_]:
    """Which n-grams of `grams` lie in one document."""
    size = max(tokens.doc.size - n + 1, 0)
    same: NDArray[np.bool_] = tokens.doc[:size] == tokens.doc[n - 1 : n - 1 + size]
    return same


def strings(column: Any) -> pa.Array:
    """Any column as strings, nulls kept."""
    return column.cast(pa.string())
