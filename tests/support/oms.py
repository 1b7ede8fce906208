"""OMS statements and bundles made by hand, in the reference's shape, valid but for what a test spoils."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dataseal.ledger import bundle as bundles
from dataseal.ledger.digest import sha256
from dataseal.ledger.oms.statement import GIT_NAMES, PREDICATE
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.statement import PAYLOAD_TYPE, STATEMENT
from support.statements import b64, signer

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "oms"
FILES = {"config.json": b"{}\n", "data/a.txt": b"one", "data/b.txt": b"two, and a few more bytes"}

Resource = dict[str, Any]


def resource(name: str, data: bytes, algorithm: str = "sha256") -> Resource:
    """A resource under SHA-256, whatever it is called."""
    return {"name": name, "algorithm": algorithm, "digest": sha256(data).hex()}


def whole(files: dict[str, bytes]) -> list[Resource]:
    """The resources of method ``files``."""
    return [resource(name, data) for name, data in sorted(files.items())]


def sharded(files: dict[str, bytes], size: int) -> list[Resource]:
    """The resources of method ``shards``."""
    return [
        resource(f"{name}:{start}:{min(start + size, len(data))}", data[start : start + size], f"sha256-sharded-{size}")
        for name, data in sorted(files.items())
        for start in range(0, len(data), size)
    ]


def statement(resources: list[Resource] | None = None, *, subject: str | None = None, **changes: Any) -> bytes:
    """A statement over ``resources`` (those of `FILES`), indented as the reference writes it.

    Args:
        subject: another subject digest than theirs. changes: of the serialization; ``...`` takes a field out.
    """
    found = whole(FILES) if resources is None else resources
    serialization = {
        "method": "files",
        "hash_type": "sha256",
        "allow_symlinks": False,
        "ignore_paths": list(GIT_NAMES),
    } | changes
    digest = sha256(b"".join(bytes.fromhex(item["digest"]) for item in found)).hex()
    value = {
        "_type": STATEMENT,
        "subject": [{"name": "model", "digest": {"sha256": subject or digest}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {name: item for name, item in serialization.items() if item is not ...},
            "resources": found,
        },
    }
    return json.dumps(value, indent=2).encode()


def bundle(payload: bytes, *signers: KeyFileSigner, **changes: Any) -> bytes:
    """The bundle of ``payload``, signed by each of ``signers``; changes are of its verification material."""
    message = bundles.pae(PAYLOAD_TYPE, payload)
    value = {
        "mediaType": bundles.MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": "x"}, "tlogEntries": []} | changes,
        "dsseEnvelope": {
            "payload": b64(payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": b64(key.sign(message)), "keyid": ""} for key in signers or (signer(),)],
        },
    }
    return json.dumps(value).encode()


def write(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    """Writes files (`FILES`) below ``folder``."""
    for name, data in (FILES if files is None else files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def vector_tree(folder: Path) -> Path:
    """The tree that the vectors sign."""
    texts = json.loads((VECTORS / "tree.json").read_text(encoding="utf-8"))
    return write(folder, {name: text.encode() for name, text in texts.items()})
