"""Shards made from bytes in memory."""

from __future__ import annotations

from dataseal.ledger.digest import sha256
from dataseal.ledger.manifest import MIN_CHUNK, Parameters, Shard, shard_root

SMALL = Parameters(MIN_CHUNK)
"""The smallest chunks, so that small files have several."""


def shard(path: str, data: bytes = b"content", parameters: Parameters = SMALL) -> Shard:
    """The shard of a file with these bytes, made without the code that reads files."""
    size = parameters.chunk_size
    chunks = b"".join(sha256(data[i : i + size]) for i in range(0, len(data), size))
    return Shard(path, len(data), sha256(data), shard_root(chunks), chunks)
