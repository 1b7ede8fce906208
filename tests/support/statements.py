"""Statements, keys and bundles made by hand, valid but for what a test spoils."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any

from dataseal.ledger import bundle as bundles
from dataseal.ledger import canonical
from dataseal.ledger import statement as statements
from dataseal.ledger.signers import keyfile
from dataseal.ledger.signers.keyfile import KeyFileSigner

ROOT, TABLE, OTHER = "aa" * 32, "bb" * 32, "cc" * 32
DATASET = "acme/reviews"


def signer(name: str = "publisher", scheme: str = "ecdsa-p256") -> KeyFileSigner:
    """A key for each name and scheme, the same within one run."""
    return _signer(name, scheme)


@cache
def _signer(_name: str, scheme: str) -> KeyFileSigner:
    return keyfile.generate(scheme)


def tree(root: str = ROOT, **changes: Any) -> dict[str, Any]:
    """A tree of a predicate."""
    return {"root": root, "shards": 1, "bytes": 7, "chunk_size": 65_536, "chunk_hash": "sha256"} | changes


def release(**changes: Any) -> dict[str, Any]:
    """A release predicate."""
    return {
        "sequence": 1,
        "previous": None,
        "tree": tree(),
        "derived_from": [],
        "exclusions": [],
        "metadata": {},
    } | changes


def modification(**changes: Any) -> dict[str, Any]:
    """A modification predicate."""
    counts = {"added": 1, "removed": 0, "changed": 0}
    return {
        "operation": "append",
        "from": None,
        "to": tree(),
        "reason": "more data",
        "tool": None,
        "parameters": {},
        "exclusions": [],
        "counts": {"shards": counts, "rows": counts},
        "delta": OTHER,
    } | changes


def release_payload(version: str = "1.0.0", *, dataset: str = DATASET, root: str = ROOT, **changes: Any) -> bytes:
    """A release statement's bytes."""
    body = release(**{"tree": tree(root)} | changes)
    return statements.encode(statements.RELEASE, body, dataset=dataset, version=version, table=TABLE, root=root)


def modification_payload(start: str | None = None, to: str = ROOT, *, dataset: str = DATASET, **changes: Any) -> bytes:
    """A modification statement's bytes."""
    state = {"root": start, "table": TABLE} if start else None
    body = modification(**{"from": state, "to": tree(to)} | changes)
    version = statements.state_version(to)
    return statements.encode(statements.MODIFICATION, body, dataset=dataset, version=version, table=TABLE, root=to)


def receipt_payload(number: int = 0, *, dataset: str = DATASET, version: str = "1.0.0") -> bytes:
    """A VSA statement's bytes: what a gate logs, with no rule of order between them."""
    body = {"verificationResult": "PASSED", "number": number}
    return statements.encode(statements.VSA, body, dataset=dataset, version=version, table=TABLE, root=ROOT)


def sign_bundle(payload: bytes, by: KeyFileSigner | None = None, payload_type: str = statements.PAYLOAD_TYPE) -> bytes:
    """The bundle of ``payload``, signed under ``payload_type``."""
    key = by or signer()
    raw = bundles.encode(payload, key.sign(bundles.pae(payload_type, payload)), key.public)
    return spoil(raw, "dsseEnvelope", "payloadType", to=payload_type)


def spoil(raw: bytes, *path: str | int, to: Any) -> bytes:
    """A JSON document with another value at ``path``."""
    value = json.loads(raw)
    place = value
    for step in path[:-1]:
        place = place[step]
    if to is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return canonical.encode(value)


def b64(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()
