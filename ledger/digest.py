"""SHA-256 and BLAKE3 digests: 32 bytes inside, 64 lower-case hexadecimal digits outside.

Everything above the chunk digest is SHA-256; the chunk digest itself is the release's ``chunk_hash``
(DESIGN section 3).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final, Literal, Protocol, get_args

from dataseal.ledger.errors import FormatError

SIZE: Final = 32
"""Bytes of every digest used here."""

ChunkHash = Literal["sha256", "blake3"]
CHUNK_HASHES: Final[tuple[str, ...]] = get_args(ChunkHash)

_HEX = re.compile(r"[0-9a-f]{64}\Z")


def sha256(data: bytes | memoryview) -> bytes:
    """The SHA-256 digest of ``data``: 32 bytes."""
    return hashlib.sha256(data).digest()


def parse_hex(text: object, *, field: str) -> bytes:
    """Reads 64 lower-case hexadecimal digits.

    Raises:
        FormatError: anything else, upper-case digits included, naming ``field``.
    """
    if not isinstance(text, str) or not _HEX.match(text):
        raise FormatError(f"{field} is not 64 lower-case hexadecimal digits: {str(text)[:80]!r}")
    return bytes.fromhex(text)


def chunk_hasher(name: str) -> Callable[[bytes | memoryview], bytes]:
    """The function from one chunk's bytes to its 32-byte digest.

    Raises:
        FormatError: ``name`` is not one of `CHUNK_HASHES`.
    """
    if name == "sha256":
        return sha256
    if name == "blake3":
        from blake3 import blake3  # lazy: few releases use it

        return lambda data: blake3(data).digest()
    raise FormatError(f"unknown chunk hash {name!r}", hint=f"known: {', '.join(CHUNK_HASHES)}")


class Hash(Protocol):
    """A digest that is made piece by piece."""

    def update(self, data: memoryview, /) -> object:
        """Adds bytes."""

    def digest(self) -> bytes:
        """The digest of all of them: 32 bytes."""


def chunk_hash(name: str) -> Callable[[], Hash]:
    """What begins the digest of a chunk that is read in pieces.

    Raises:
        FormatError: ``name`` is not one of `CHUNK_HASHES`.
    """
    if name == "blake3":
        from blake3 import blake3

        return blake3
    chunk_hasher(name)
    return hashlib.sha256


def chunks_hasher(name: str) -> Callable[[memoryview, int], bytes]:
    """The function from (bytes, chunk size) to the digests of the chunks that tile the bytes, concatenated.

    It is given as many chunks at once as are at hand, because they are independent: a back end that hashes several of
    them in one processor's lanes would stand here, and no caller would know.

    Raises:
        FormatError: ``name`` is not one of `CHUNK_HASHES`.
    """
    one = chunk_hasher(name)

    def several(data: memoryview, size: int) -> bytes:
        if len(data) <= size:
            return one(data) if data else b""
        return b"".join(one(data[start : start + size]) for start in range(0, len(data), size))

    return several
