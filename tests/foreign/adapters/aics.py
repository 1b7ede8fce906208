"""aics-tlog: reads a log with its `audit_tiles`, its proofs from authenticated tiles, and its checkpoint verifier."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import aics_tlog as aics
import jobs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

REFUSALS = (ValueError, OSError)  # TileVerificationError and TileMissingError are their subclasses


def open_checkpoint(data: bytes, job: dict[str, Any]) -> dict[str, Any]:
    """Keys: the log's, then those of witnesses, every one of which must have cosigned."""
    log, *witnesses = map(aics.parse_vkey, job["keys"])
    result = aics.verify_checkpoint(
        aics.parse_note(data), log, witnesses, quorum=len(witnesses), expected_origin=job["origin"]
    )
    jobs.demand(result.ok, str(result.error))
    return jobs.head(result.origin, result.size, result.root)


def read(job: dict[str, Any]) -> dict[str, Any]:
    reader = aics.FileSystemTileReader(job["folder"])
    head = open_checkpoint(Path(job["folder"], "checkpoint").read_bytes(), job)
    size, root = head["size"], jobs.decode(head["root"])
    audit = aics.audit_tiles(reader, size, root)
    tiles = aics.VerifiedTileReader(reader, size, root)
    for ours in job["inclusions"]:
        index, hashes = ours["index"], [jobs.decode(text) for text in ours["hashes"]]
        proof = aics.inclusion_proof_from_tiles(tiles, index, size)
        jobs.demand(proof == hashes, f"inclusion proof of {index} differs")
        entry = tiles.entry(index)
        jobs.demand(aics.verify_leaf_inclusion(entry, index, size, proof, root), f"inclusion of {index}")
    for ours in job["consistency"]:
        old, hashes = ours["size"], [jobs.decode(text) for text in ours["hashes"]]
        proof = aics.consistency_proof_from_tiles(tiles, old, size)
        jobs.demand(proof == hashes, f"consistency proof from {old} differs")
        consistent = aics.verify_consistency(old, size, jobs.decode(ours["root"]), root, proof)
        jobs.demand(consistent, f"consistency with {old}")
    proofs = len(job["inclusions"]) + len(job["consistency"])
    return {"head": head, "checked": audit.tiles + audit.bundles + proofs}


def notes(job: dict[str, Any]) -> dict[str, Any]:
    return jobs.verdicts(job, lambda data: open_checkpoint(data, job), REFUSALS)


def write(job: dict[str, Any]) -> dict[str, Any]:
    store = aics.DirectoryTileStore(job["folder"], fsync=False)
    writer = aics.IncrementalTileWriter(store, size=0)
    writer.append([jobs.decode(text) for text in job["entries"]])
    key = Ed25519PrivateKey.from_private_bytes(jobs.decode(job["private"].rpartition("+")[2])[1:])
    checkpoint = aics.Checkpoint(job["origin"], writer.size, writer.root())
    store.write_checkpoint(aics.sign_checkpoint(checkpoint, key, job["origin"]).to_bytes())
    return {"head": jobs.head(job["origin"], writer.size, writer.root())}


if __name__ == "__main__":
    jobs.serve(f"aics-tlog {version('aics-tlog')}", {"read": read, "notes": notes, "write": write}, REFUSALS)
