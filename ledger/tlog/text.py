"""Decimals and base64 as the C2SP documents write them: one spelling for each value.

A second spelling of a number or a hash would be a second document with the same meaning under the same
signature, so both are refused: leading zeros, signs, other digits; missing padding, stray pad bits, line
breaks.

Example (``tests/ledger/tlog/test_text.py`` holds it)::

    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
"""

from __future__ import annotations

import base64
import binascii
import re

from dataseal.ledger.errors import FormatError
from dataseal.ledger.tlog.limits import HASH_BYTES

_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,19})\Z")


def parse_decimal(text: str, *, what: str, maximum: int) -> int:
    """Reads an ASCII decimal with no leading zeros (tlog-checkpoint, "Note text", line 2).

    Raises:
        FormatError: another spelling, or a value above ``maximum``.
    """
    if not _DECIMAL.match(text):
        raise FormatError(f"{what} is not a decimal number without leading zeros: {text[:40]!r}")
    value = int(text)
    if value > maximum:
        raise FormatError(f"{what} is {value}; at most {maximum} is possible")
    return value


def decode_base64(text: str, *, what: str) -> bytes:
    """Reads standard base64 (RFC 4648 section 4) in its canonical spelling (section 3.5).

    Raises:
        FormatError: anything that does not encode back to the same text.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise FormatError(f"{what} is not base64: {text[:60]!r}") from error
    if encode_base64(data) != text:
        raise FormatError(f"{what} is not canonical base64 (pad bits or padding): {text[-60:]!r}")
    return data


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode_hash(text: str, *, what: str) -> bytes:
    """Reads one base64 SHA-256 hash: 32 bytes.

    Raises:
        FormatError: not canonical base64, or another length.
    """
    value = decode_base64(text, what=what)
    if len(value) != HASH_BYTES:
        raise FormatError(f"{what} has {len(value)} bytes; a SHA-256 hash has {HASH_BYTES}")
    return value
