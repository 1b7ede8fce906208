"""A ledger entry: a canonical JSON header, one newline, and the bundle's bytes verbatim. At most 65,535 bytes.

::

    {"dataset":"acme/reviews","dataset_prev":{"index":0,"leaf":"<hex>"},"kind":"release",
     "logged_at":"2026-01-02T03:04:05Z","prev":"<hex>","v":1}
    {"dsseEnvelope":…}

(the header stands on one line). These bytes are the leaf: its hash is ``SHA-256(0x00 || bytes)``.

``kind`` is the statement's, or ``endorsement``: a further signature, by another signer, over the bytes of a release or
modification that the log holds already. It is no state of the dataset, and follows no sequence.

``prev`` is the leaf hash of the previous entry of the whole log, ``dataset_prev`` index and leaf hash of the
dataset's previous entry; both are null at a start. The chain is data: security comes from Merkle proofs and
checkpoints over it. ``logged_at`` is the log's own clock, in UTC: informative, never decreasing, and never used to
decide whom to trust. One who holds a log to its own rules judges a certificate as the log did, at that time.
``dataset`` of a ``closed`` entry is the origin of the log that it closes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from dataseal.ledger import canonical
from dataseal.ledger.digest import parse_hex
from dataseal.ledger.errors import FormatError
from dataseal.ledger.statement import KINDS, MAX_DATASET, Statement, check_subject
from dataseal.ledger.tlog import merkle

MAX_ENTRY: Final = 65_535
"""Bytes of a leaf: tlog-tiles entry bundles count an entry's length in 16 bits."""

MAX_HEADER: Final = 2048
"""Bytes of a header: 200 of dataset name and some 300 of the rest."""

ENDORSEMENT: Final = "endorsement"
ENDORSABLE: Final = ("release", "modification")
"""Kinds of statement that several may sign."""

ENTRY_KINDS: Final = (*KINDS.values(), ENDORSEMENT)
_KINDS: Final = frozenset(ENTRY_KINDS)
_FIELDS: Final = {"dataset", "dataset_prev", "kind", "logged_at", "prev", "v"}
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")

_PLAIN = re.compile(r"[A-Za-z0-9._/:-]*\Z")
"""Text that stands in canonical JSON as it is, between quotes."""

_USUAL = re.compile(
    rb'\{"dataset":"(?P<dataset>[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*){0,3})",'
    rb'"dataset_prev":(?:null|\{"index":(?P<index>0|[1-9][0-9]{0,14}),"leaf":"(?P<leaf>[0-9a-f]{64})"\}),'
    rb'"kind":"(?P<kind>[a-z]+)",'
    rb'"logged_at":"(?P<logged_at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)",'
    rb'"prev":(?:null|"(?P<prev>[0-9a-f]{64})"),"v":1\}\Z'
)
"""A valid header of less than 10**15 entries, and nothing else: a parser costs thirty times as much as this match."""


@lru_cache(maxsize=4096)
def _is_plain(text: str) -> bool:
    return _PLAIN.match(text) is not None


@dataclass(frozen=True, slots=True)
class Link:
    """The dataset's previous entry: its index in the log and its leaf hash."""

    index: int
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """What the log adds to a bundle."""

    kind: str
    dataset: str
    logged_at: str
    prev: bytes | None
    dataset_prev: Link | None

    @property
    def at(self) -> datetime:
        """``logged_at`` as a time, UTC: what the log said when it admitted the entry, and no trusted time.

        Raises:
            FormatError: no such day or hour.
        """
        try:
            return datetime.fromisoformat(self.logged_at)
        except ValueError:
            raise FormatError(f"logged_at is no time: {self.logged_at}") from None

    def encode(self) -> bytes:
        """The header's canonical bytes, without the newline."""
        link = self.dataset_prev
        if _is_plain(self.dataset) and _is_plain(self.kind) and _is_plain(self.logged_at):
            # By hand, in RFC 8785's order of keys: the log builds headers while others wait for its lock.
            after = f'{{"index":{link.index},"leaf":"{link.leaf.hex()}"}}' if link else "null"
            prev = f'"{self.prev.hex()}"' if self.prev else "null"
            return (
                f'{{"dataset":"{self.dataset}","dataset_prev":{after},"kind":"{self.kind}",'
                f'"logged_at":"{self.logged_at}","prev":{prev},"v":1}}'
            ).encode("ascii")
        return canonical.encode(
            {
                "v": 1,
                "kind": self.kind,
                "dataset": self.dataset,
                "logged_at": self.logged_at,
                "prev": self.prev.hex() if self.prev else None,
                "dataset_prev": {"index": link.index, "leaf": link.leaf.hex()} if link else None,
            }
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf of the log: header and bundle bytes."""

    header: Header
    bundle: bytes

    def encode(self) -> bytes:
        """The leaf's bytes.

        Raises:
            FormatError: more than `MAX_ENTRY` bytes.
        """
        return join(self.header.encode(), self.bundle)


def join(header: bytes, bundle: bytes) -> bytes:
    """The leaf's bytes from a header's bytes and a bundle's.

    Raises:
        FormatError: more than `MAX_ENTRY` bytes.
    """
    data = header + b"\n" + bundle
    if len(data) > MAX_ENTRY:
        raise FormatError(f"the entry has {len(data):,} bytes; at most {MAX_ENTRY:,} fit")
    return data


def leaf_hash(header: bytes, bundle: bytes) -> bytes:
    """The leaf hash over a header's bytes and a bundle's (RFC 6962 section 2.1)."""
    return merkle.leaf_hash(join(header, bundle))


def parse(data: bytes) -> Entry:
    """Splits a leaf's bytes at the first newline and reads the header.

    Raises:
        FormatError: too large, no newline, or a header that breaks the format.
    """
    header, newline, bundle = data.partition(b"\n")
    if len(data) > MAX_ENTRY or not newline:
        raise FormatError("not a ledger entry: a header line and a bundle, at most 65,535 bytes")
    return Entry(parse_header(header), bundle)


def parse_header(data: bytes) -> Header:
    """Reads a header, strictly.

    Raises:
        FormatError: not canonical JSON, other fields, or values out of range.
    """
    usual = _USUAL.match(data)
    if usual and len(usual[1]) <= MAX_DATASET and (kind := usual[4].decode()) in _KINDS:
        _, index, leaf, _, logged_at, prev = usual.groups()
        return Header(
            kind,
            usual[1].decode(),
            logged_at.decode(),
            bytes.fromhex(prev.decode()) if prev else None,
            Link(int(index), bytes.fromhex(leaf.decode())) if leaf else None,
        )
    return _parse_any_header(data)


def _parse_any_header(data: bytes) -> Header:
    value = canonical.decode_canonical(data, what="entry header", max_bytes=MAX_HEADER)
    if not isinstance(value, dict) or set(value) != _FIELDS or value["v"] != 1 or value["v"] is True:
        raise FormatError("entry header: not the six fields of version 1")
    kind, dataset, logged_at = value["kind"], value["dataset"], value["logged_at"]
    if kind not in _KINDS:
        raise FormatError(f"entry header: unknown kind {str(kind)[:40]!r}")
    if not isinstance(dataset, str) or not isinstance(logged_at, str) or not _TIME.match(logged_at):
        raise FormatError("entry header: dataset and logged_at are a name and a time in UTC")
    check_subject(kind, dataset)
    prev = None if value["prev"] is None else parse_hex(value["prev"], field="entry header prev")
    link: Link | None = None
    match value["dataset_prev"]:
        case None:
            pass
        case {"index": int(index), "leaf": leaf, **rest} if index >= 0 and not rest and not isinstance(index, bool):
            link = Link(index, parse_hex(leaf, field="entry header dataset_prev"))
        case _:
            raise FormatError("entry header: dataset_prev is not an index and a leaf hash")
    return Header(kind, dataset, logged_at, prev, link)


def check_header(header: Header, statement: Statement) -> None:
    """The header must say of the bundle what the statement says (DESIGN invariant 6).

    Raises:
        FormatError: kind or dataset differ.
    """
    endorses = header.kind == ENDORSEMENT and statement.kind in ENDORSABLE
    if header.dataset != statement.dataset or (header.kind != statement.kind and not endorses):
        raise FormatError(
            f"the entry's header says {header.kind} of {header.dataset!r}; "
            f"its statement is a {statement.kind} of {statement.dataset!r}"
        )
