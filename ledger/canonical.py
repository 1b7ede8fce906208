"""JSON as it is signed (RFC 8785, canonical) and as it is read (strict and bounded).

What is verified is always the bytes as read, never a re-serialisation. Reading is strict because two
parsers that disagree on one document are two documents: duplicate keys, NaN, infinities, lone
surrogates and bytes that are not UTF-8 are errors, and depth and size are bounded before a byte is parsed.

Example (``tests/ledger/test_canonical.py`` holds it)::

    >>> encode({"b": 1, "a": "é"})
    b'{"a":"\\xc3\\xa9","b":1}'
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from dataseal.ledger.errors import FormatError

MAX_DEPTH: Final = 64
"""Nesting of any document that we read. in-toto predicates nest fewer than ten levels; Python's parser recurses."""

MAX_NUMBER_DIGITS: Final = 400
"""Digits of one number: more than any double needs, fewer than int() takes quadratic time for."""

Json = Any

# Possessive, and closed by the end of the document too: nothing is scanned twice, whatever quotes are left open.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_LONG_NUMBER = re.compile(rb"[0-9.eE+-]{%d}" % MAX_NUMBER_DIGITS)


def encode(value: Json) -> bytes:
    """RFC 8785 canonical bytes of ``value``.

    Raises:
        FormatError: ``value`` holds what canonical JSON can't (NaN, integers beyond 2**53 - 1, other types).
    """
    import rfc8785

    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise FormatError(f"no canonical JSON form: {error}") from error


def decode(data: bytes, *, what: str, max_bytes: int) -> Json:
    """Reads one JSON document strictly.

    Args:
        data: the document's bytes, UTF-8 with no byte order mark.
        what: the document's name in error messages.
        max_bytes: the largest document accepted.

    Raises:
        FormatError: too large, too deep, not UTF-8, not JSON, or a duplicate key.
    """
    if len(data) > max_bytes:
        raise FormatError(f"{what} has {len(data):,} bytes; at most {max_bytes:,} are accepted")
    # A quote ends every string where nothing is escaped: a bundle of megabytes is cut forty times as fast that way.
    bare = _STRINGS.sub(b"", data) if b"\\" in data else b"".join(data.split(b'"')[::2])
    _check_depth(bare, what)
    if _LONG_NUMBER.search(bare):
        raise FormatError(f"{what} holds a number of {MAX_NUMBER_DIGITS} digits or more")
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite
        )
        if b"\\u" in data:  # UTF-8 has none: only an escape can make one
            _refuse_surrogates(value)
    except FormatError as error:
        raise FormatError(f"{what}: {error.what}") from None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not strict JSON: {error}") from None
    return value


def decode_canonical(data: bytes, *, what: str, max_bytes: int) -> Json:
    """Like `decode`, and the bytes must be the document's canonical form.

    Raises:
        FormatError: as `decode`, or the bytes are not RFC 8785.
    """
    value = decode(data, what=what, max_bytes=max_bytes)
    if encode(value) != data:
        raise FormatError(f"{what} is not in RFC 8785 canonical form")
    return value


def _check_depth(bare: bytes, what: str) -> None:
    depth = 0
    for bracket in _BRACKETS.findall(bare):
        if bracket in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise FormatError(f"{what} nests deeper than {MAX_DEPTH} levels")
        else:
            depth -= 1


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        duplicate = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise FormatError(f"duplicate key {duplicate[:80]!r}")
    return result


def _refuse_constant(name: str) -> Json:
    raise FormatError(f"{name} is not JSON")


def _finite(text: str) -> float:
    """``1e999`` is JSON's grammar, and Python reads it as infinity."""
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise FormatError(f"{text[:40]} is beyond every double")
    return value


def _refuse_surrogates(value: Json) -> None:
    """An escaped lone surrogate parses in Python and has no UTF-8 form."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            item.encode("utf-8")
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
