"""A logged entry as the store reads and writes it: its bytes, and what they say, read when it is asked for.

An entry's bytes decide. The tables beside them only lead to entries; what an entry is about is read from it, by two
shapes that every valid entry of ours has, or by the strict parsers when one does not:

- a bundle written by us begins ``{"dsseEnvelope":{"payload":"<base64>",``;
- a statement's canonical bytes end with its subject, ``"subject":[{"digest":{…},"name":"<dataset>@<version>"}]}``:
  the last key of the top-level object, whose quotes no string inside can hold unescaped.

A parsed JSON document costs some twenty times as much. What is read so of bytes that no strict parser would take
is never believed: entries are verified strictly before they are logged, and leaf hashes bind them from then on.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

from dataseal.ledger import entry as entries
from dataseal.ledger import statement as statements
from dataseal.ledger.bundle import parse as parse_bundle
from dataseal.ledger.store import lookups as keys
from dataseal.ledger.tlog import merkle

_PAYLOAD: Final = b'{"dsseEnvelope":{"payload":"'
_SUBJECT: Final = re.compile(
    rb'"subject":\[\{"digest":\{"datasealRoot":"([0-9a-f]{64})","sha256":"([0-9a-f]{64})"\},'
    rb'"name":"[A-Za-z0-9._/-]+@([0-9A-Za-z.+_-]{1,128})"\}\]\}\Z'
)
_SUBJECT_BYTES: Final = 600
"""More than the longest subject that the pattern matches: a name of 200, a version of 128, two digests."""


class StoredEntry:
    """One logged entry.

    Args:
        index: its place in the log. body: the leaf's bytes (`dataseal.ledger.entry`).
        signer: the fingerprint of the key that the log verified it with; the bytes only hint at it.
        known: attributes below that the caller knows already.

    Attributes:
        leaf: its leaf hash. header: what the log added. kind, dataset, logged_at: the header's.
        statement_bytes: the bundle's payload. payload: its SHA-256. subject: root, table and version, which stand in
            root, table_digest and version too. Digests are hexadecimal.
        sequence: of a release, else None. keys: what leads to it (`dataseal.ledger.store.lookups`), each once.

    Raises:
        FormatError: from an attribute, when the bytes are no entry.
    """

    def __init__(self, index: int, body: bytes, *, signer: str, **known: Any) -> None:
        self.__dict__.update(known, index=index, body=body, signer=signer)

    index: int
    body: bytes
    signer: str

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StoredEntry):
            return NotImplemented
        return (self.index, self.body, self.signer) == (other.index, other.body, other.signer)

    def __hash__(self) -> int:
        return hash((self.index, self.signer))

    def __repr__(self) -> str:
        return f"StoredEntry({self.index}, {self.body[:60]!r}…, signer={self.signer[:16]!r})"

    leaf: bytes
    header: entries.Header
    kind: str
    dataset: str
    logged_at: str
    statement_bytes: bytes
    payload: str
    version: str
    root: str
    table_digest: str
    subject: tuple[str, str, str]
    sequence: int | None
    keys: list[int]

    def __getattr__(self, name: str) -> Any:
        """Called for what was not read yet. (`functools.cached_property` of Python 3.11 takes a lock each time.)"""
        derive = _DERIVED.get(name)
        if derive is None:
            raise AttributeError(name)
        value = self.__dict__[name] = derive(self)
        return value


def _statement_bytes(row: StoredEntry) -> bytes:
    bundle = row.body.partition(b"\n")[2]
    if bundle.startswith(_PAYLOAD):
        text = bundle[len(_PAYLOAD) : bundle.find(b'"', len(_PAYLOAD))]
        with suppress(binascii.Error):
            return b64decode(text, validate=True)
    return parse_bundle(bundle).payload


def _subject(row: StoredEntry) -> tuple[str, str, str]:
    """Root, table and version."""
    if usual := _SUBJECT.search(row.statement_bytes, max(0, len(row.statement_bytes) - _SUBJECT_BYTES)):
        root, table, version = usual.groups()
        return root.decode(), table.decode(), version.decode()
    statement = statements.parse(row.statement_bytes)
    return statement.root, statement.table, statement.version


def _sequence(row: StoredEntry) -> int | None:
    return statements.parse(row.statement_bytes).release().sequence if row.kind == "release" else None


def _keys(row: StoredEntry) -> list[int]:
    by_payload, by_table = keys.of_payload(row.root, row.payload), keys.of_table(row.table_digest)
    found = [by_payload, by_table] if by_payload != by_table else [by_payload]
    if row.kind == "release" and (by_name := keys.of_release(row.dataset, row.version)) not in found:
        found.append(by_name)
    return found


_DERIVED: Final[dict[str, Callable[[StoredEntry], Any]]] = {
    "leaf": lambda row: merkle.leaf_hash(row.body),
    "header": lambda row: entries.parse(row.body).header,
    "kind": lambda row: row.header.kind,
    "dataset": lambda row: row.header.dataset,
    "logged_at": lambda row: row.header.logged_at,
    "statement_bytes": _statement_bytes,
    "payload": lambda row: sha256(row.statement_bytes).hexdigest(),
    "subject": _subject,
    "root": lambda row: row.subject[0],
    "table_digest": lambda row: row.subject[1],
    "version": lambda row: row.subject[2],
    "sequence": _sequence,
    "keys": _keys,
}
