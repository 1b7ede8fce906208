"""What was hashed, with the files' identities, under a MAC: the format of journals and of ``--fast`` caches.

::

    "dataseal-stats/1\\n"
    frames, each:  length (4 bytes, big-endian), payload, HMAC-SHA256 (32 bytes)

The MAC of a frame is over the MAC of the frame before it (nothing, for the first) and the payload, so that no frame can
be left out, moved, or taken from another file. The first payload is a header, canonical JSON, which says what the file
is about (``tests/ledger/test_statfile.py`` parses this one)::

    {"boot":"","chunk_hash":"sha256","chunk_size":4194304,"device":"1","folder":"/data","host":"<hex>",
     "inode":"2","kind":"cache","purpose":"signed","v":1}

Every other payload is rows, by column: the number of rows and the length of the paths (8 bytes each, little-endian,
as all that follows); the paths, with a zero byte between; for each row device, inode, size, mtime and ctime in
nanoseconds (8 bytes each, the times signed); for each row the whole-file SHA-256, or 32 zero bytes where it was not
computed; the chunk digests of all rows, as many for each as its size makes.

The end of a file may be cut off, as a crash does: what is whole before it counts. A MAC that does not hold condemns
the whole file.
"""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Iterable, Sequence
from itertools import starmap
from typing import Any, Final, NamedTuple

from dataseal.ledger import canonical
from dataseal.ledger.digest import SIZE
from dataseal.ledger.errors import FormatError, IntegrityError
from dataseal.ledger.hashing.opening import Identity

MAGIC: Final = b"dataseal-stats/1\n"
MAX_FRAME: Final = 2**32 - 1
FRAME: Final = 64 * 1024 * 1024
"""Bytes of rows after which a frame ends; the chunk list of one huge file may make it longer."""

MAX_HEADER: Final = 16 * 1024

_COUNTS = struct.Struct("<QQ")
_IDENTITY = struct.Struct("<QQQqq")


class Entry(NamedTuple):
    """What is known about one file: the identity that it had, its SHA-256 (empty: not computed), its chunk digests."""

    identity: Identity
    sha256: bytes
    chunks: bytes


class Writer:
    """Makes a file's bytes, frame by frame."""

    def __init__(self, key: bytes, header: dict[str, Any]) -> None:
        self._key, self._mac = key, b""
        self.start = MAGIC + self.frame(canonical.encode(header))

    def frame(self, payload: bytes) -> bytes:
        """The next frame."""
        if len(payload) > MAX_FRAME:
            raise FormatError("a frame of a stat file is too long")
        self._mac = _mac(self._key, self._mac, payload)
        return len(payload).to_bytes(4, "big") + payload + self._mac


def read(data: bytes, key: bytes, header: dict[str, Any]) -> dict[str, Entry]:
    """The entries of a file that is about ``header``.

    Raises:
        IntegrityError: the MAC does not hold, or the file is about something else.
    """
    return decode(authentic(data, key, header), header["chunk_size"])


def authentic(data: bytes, key: bytes, header: dict[str, Any]) -> list[bytes]:
    """The payloads behind the header of a file that is about ``header``.

    Raises:
        IntegrityError: the MAC does not hold, or the file is about something else.
    """
    payloads: list[bytes] = []
    if not data.startswith(MAGIC):
        raise IntegrityError("it is no stat file")
    at, mac, number = len(MAGIC), b"", 0
    view = memoryview(data)
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(view[at : at + 4], "big")
        if end + SIZE > len(data):
            break  # cut off
        payload = bytes(view[at + 4 : end])
        mac = _mac(key, mac, payload)
        if not hmac.compare_digest(mac, view[end : end + SIZE]):
            raise IntegrityError("its MAC does not hold: it was altered, or made with another key")
        if number == 0:
            _same(payload, header)
        else:
            payloads.append(payload)
        at, number = end + SIZE, number + 1
    return payloads


def decode(payloads: Iterable[bytes], chunk: int) -> dict[str, Entry]:
    """The entries of authentic payloads.

    Raises:
        IntegrityError: the writer had a defect.
    """
    entries: dict[str, Entry] = {}
    for payload in payloads:
        _decode(payload, chunk, entries)
    return entries


def says(
    payloads: Sequence[bytes],
    paths: Sequence[str],
    identities: Sequence[Identity],
    chunks: Sequence[bytes],
    sha256: Sequence[bytes] | None,
) -> bool:
    """Whether authentic payloads list exactly these files, in this order: columns are compared, and no row is made.

    Args:
        chunks: of each file, as many digests as its identity's size makes. sha256: of each whole file; None when the
            chunk digests speak for the bytes.
    """
    listed = _columns(payloads)
    return (
        listed[0] == os.fsencode("\0".join(paths))
        and listed[1] == b"".join(starmap(_IDENTITY.pack, identities))
        and listed[3] == b"".join(chunks)
        and (sha256 is None or listed[2] == b"".join(sha256))
    )


def _columns(payloads: Sequence[bytes]) -> tuple[bytes, ...]:
    """Paths, identities, digests, chunks of all payloads. Equal columns are equal rows: no path holds a zero byte, and
    the identities, whose sizes tell how many chunks each row has, are of one length."""
    parts: list[tuple[bytes, ...]] = []
    for payload in payloads:
        count, length = _COUNTS.unpack_from(payload)
        at = (_COUNTS.size, _COUNTS.size + length, _COUNTS.size + length + count * _IDENTITY.size)
        parts.append(
            (payload[at[0] : at[1]], payload[at[1] : at[2]], payload[at[2] : at[2] + count * SIZE],
             payload[at[2] + count * SIZE :])
        )  # fmt: skip
    paths, *others = zip(*parts, strict=True) if parts else ((), (), (), ())
    return (b"\0".join(paths), *(b"".join(column) for column in others))


def _mac(key: bytes, before: bytes, payload: bytes | memoryview) -> bytes:
    made = hmac.new(key, before, "sha256")
    made.update(payload)
    return made.digest()


def _same(payload: bytes, wanted: dict[str, Any]) -> None:
    found = canonical.decode_canonical(payload, what="header", max_bytes=MAX_HEADER)
    if not isinstance(found, dict):
        raise IntegrityError("its header is no object")
    differs = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    if differs:
        raise IntegrityError(f"it was made for something else: {', '.join(differs)} differ")


def rows(entries: Iterable[tuple[str, Entry]]) -> list[bytes]:
    """Payloads for entries."""
    payloads: list[bytes] = []
    held: list[tuple[str, Entry]] = []
    size = 0
    for path, entry in entries:
        held.append((path, entry))
        size += len(path) + _IDENTITY.size + SIZE + len(entry.chunks)
        if size >= FRAME:
            payloads.append(_encode(held))
            held, size = [], 0
    return payloads + ([_encode(held)] if held else [])


def _encode(entries: list[tuple[str, Entry]]) -> bytes:
    paths = os.fsencode("\0".join([path for path, _ in entries]))
    none = bytes(SIZE)
    return b"".join(
        (
            _COUNTS.pack(len(entries), len(paths)),
            paths,
            *starmap(_IDENTITY.pack, [identity for _, (identity, _, _) in entries]),
            *[sha256 or none for _, (_, sha256, _) in entries],
            *[chunks for _, (_, _, chunks) in entries],
        )
    )


def _decode(payload: bytes, chunk: int, entries: dict[str, Entry]) -> None:
    """Authentic bytes; checked all the same, because a defect of the writer must not become a wrong digest."""
    count, length = _COUNTS.unpack_from(payload)
    at = _COUNTS.size + length
    paths = os.fsdecode(payload[_COUNTS.size : at]).split("\0")
    digests = at + count * _IDENTITY.size
    chunks = digests + count * SIZE
    if len(paths) != count:
        raise IntegrityError(f"it lists {len(paths)} paths for {count} files")
    none = bytes(SIZE)
    for row, identity in enumerate(_IDENTITY.iter_unpack(payload[at:digests])):
        sha256 = payload[digests + row * SIZE : digests + (row + 1) * SIZE]
        end = chunks + -(-identity[2] // chunk) * SIZE
        entries[paths[row]] = Entry(identity, b"" if sha256 == none else sha256, payload[chunks:end])
        chunks = end
    if chunks != len(payload):
        raise IntegrityError("its digests do not fit its sizes")
