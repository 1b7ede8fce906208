"""tlog-scales: reads a log with its `TilesReader` and verifies with its proofs and keys, ML-DSA-44 among them.

Its reader does not authenticate tiles; its proofs, made from all of a tile's hashes, do. So each level-0 tile is proven
by the proofs of two of its leaves, which together are made from every hash in it and in the tiles above, and every
other entry is compared with the hash that the proven tile holds.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import jobs
from cryptography.exceptions import InvalidSignature
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import PlainEd25519Signer, Vkey
from tlog_scales.tiles import leaf_hash
from tlog_scales.tlog import Checkpoint, ConsistencyProof, ConsistencyProofInvalid, InclusionProofInvalid
from tlog_scales.writer import TilesWriter

# It raises whatever its parsing runs into.
REFUSALS = (ValueError, RuntimeError, IndexError, InvalidSignature, InclusionProofInvalid, ConsistencyProofInvalid)


def check(checkpoint: Checkpoint, job: dict[str, Any]) -> dict[str, Any]:
    """Keys: every one must have signed."""
    for key in job["keys"]:
        checkpoint.verify(Vkey.from_string(key))
    jobs.demand(checkpoint.origin == job["origin"], "another origin")
    return jobs.head(checkpoint.origin, checkpoint.size, checkpoint.root_hash)


def read(job: dict[str, Any]) -> dict[str, Any]:
    reader = TilesReader(LocalBackend(Path(job["folder"])))
    checkpoint = reader.get_checkpoint()
    head = check(checkpoint, job)
    size, root = checkpoint.size, checkpoint.root_hash
    jobs.demand(reader.calculate_root_hash() == root, "the tiles' root is not the checkpoint's")
    checked = 0
    for first in range(0, size, 256):
        last = min(first + 256, size) - 1
        for index in {first, last}:
            reader.get_inclusion_proof(index, size).check(leaf_hash(reader.get_entry(index)), root)
            checked += 1
        for index in range(first, last + 1):
            entry = leaf_hash(reader.get_entry(index))
            jobs.demand(entry == reader.mth(index, index + 1), f"entry {index} is not the tile's")
    for ours in job["inclusions"]:
        proof = reader.get_inclusion_proof(ours["index"], size)
        jobs.demand(proof.node_hashes == [jobs.decode(text) for text in ours["hashes"]], "inclusion proof differs")
        proof.check(jobs.decode(ours["leaf"]), root)
    for ours in job["consistency"]:
        made: ConsistencyProof = reader.get_consistency_proof(ours["size"], size)
        jobs.demand(made.node_hashes == [jobs.decode(text) for text in ours["hashes"]], "consistency proof differs")
        made.check(jobs.decode(ours["root"]), root)
    return {"head": head, "checked": checked + len(job["inclusions"]) + len(job["consistency"])}


def notes(job: dict[str, Any]) -> dict[str, Any]:
    return jobs.verdicts(job, lambda data: check(Checkpoint.from_text(data.decode()), job), REFUSALS)


def write(job: dict[str, Any]) -> dict[str, Any]:
    folder = Path(job["folder"])
    writer = TilesWriter.create(folder, job["origin"])
    for text in job["entries"]:
        writer.add_leaf(jobs.decode(text))
    seed = jobs.decode(job["private"].rpartition("+")[2])[1:]
    writer.commit([PlainEd25519Signer(job["origin"], seed)])
    checkpoint = Checkpoint.from_text((folder / "checkpoint").read_text())
    return {"head": jobs.head(checkpoint.origin, checkpoint.size, checkpoint.root_hash)}


if __name__ == "__main__":
    jobs.serve(f"tlog-scales {version('tlog-scales')}", {"read": read, "notes": notes, "write": write}, REFUSALS)
