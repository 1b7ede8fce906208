"""The manifest: the ordered list of shards, its Parquet table, and the dataset root that binds it.

Shard tree. A shard is cut into chunks of ``chunk_size`` bytes (a power of two, 64 KiB to 64 MiB; the last may be
shorter). Leaf i of the shard's RFC 6962 tree is the leaf hash of the 32-byte digest of chunk i; the shard root
is the tree's root. An empty file has no chunks and the empty tree's root.

Shard table, ``.dataseal/shards.parquet``: one row a shard, sorted by the path's UTF-8 bytes::

    path    string                      relative, POSIX, normalised (dataseal.ledger.paths)
    size    int64                       bytes
    sha256  fixed_size_binary[32]       SHA-256 of the whole file
    root    fixed_size_binary[32]       the shard root
    chunks  list<fixed_size_binary[32]> the chunk digests, in order

The table is parsed only after its own SHA-256 matched the signed one.

Dataset root. An RFC 6962 tree whose leaf 0 binds the tree's parameters and whose leaf i+1 binds shard i, each as
canonical JSON::

    {"chunk_hash":"sha256","chunk_size":4194304,"v":1}
    {"path":"data/a.parquet","root":"<hex>","sha256":"<hex>","size":1234}

So the root binds every path, size and digest and the parameters; one shard is provable with a short path.
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, starmap
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple

from dataseal.ledger import canonical
from dataseal.ledger.digest import CHUNK_HASHES, SIZE, sha256
from dataseal.ledger.errors import FormatError, IntegrityError
from dataseal.ledger.paths import check_path, check_unique
from dataseal.ledger.tlog import merkle

MIN_CHUNK: Final = 64 * 1024
MAX_CHUNK: Final = 64 * 1024 * 1024
DEFAULT_CHUNK: Final = 4 * 1024 * 1024
SEAL_TABLE: Final = ".dataseal/shards.parquet"

MAX_SHARD: Final = 2**53 - 1
"""Sizes stand in canonical JSON, whose integers are exact up to here."""


class Shard(NamedTuple):
    """One file: its path, size in bytes, whole-file SHA-256, shard root, and its chunk digests, concatenated.

    A tuple, because there are millions.
    """

    path: str
    size: int
    sha256: bytes
    root: bytes
    chunks: bytes

    @property
    def chunk_count(self) -> int:
        """How many chunks the file has: 0 for an empty one."""
        return len(self.chunks) // SIZE

    def chunk(self, index: int) -> bytes:
        """The digest of chunk ``index``."""
        return self.chunks[index * SIZE : (index + 1) * SIZE]


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the tree's shape depends on."""

    chunk_size: int = DEFAULT_CHUNK
    chunk_hash: str = "sha256"

    def __post_init__(self) -> None:
        if not (MIN_CHUNK <= self.chunk_size <= MAX_CHUNK) or self.chunk_size & (self.chunk_size - 1):
            raise FormatError(f"chunk size {self.chunk_size} is not a power of two from {MIN_CHUNK} to {MAX_CHUNK}")
        if self.chunk_hash not in CHUNK_HASHES:
            raise FormatError(f"unknown chunk hash {self.chunk_hash!r}")

    def leaf(self) -> bytes:
        """Leaf 0 of the dataset tree."""
        return canonical.encode({"chunk_hash": self.chunk_hash, "chunk_size": self.chunk_size, "v": 1})


@dataclass(frozen=True, slots=True)
class Manifest:
    """Shards in path order under one set of parameters. Made by `build` or `parse_table` only."""

    parameters: Parameters
    shards: tuple[Shard, ...]
    root: bytes

    @property
    def bytes(self) -> int:
        """Bytes of all shards together."""
        return sum(shard.size for shard in self.shards)

    def by_path(self) -> dict[str, Shard]:
        """The shards, keyed by path."""
        return {shard.path: shard for shard in self.shards}


def shard_root(chunks: bytes) -> bytes:
    """The shard root over concatenated 32-byte chunk digests (RFC 6962 section 2.1)."""
    if len(chunks) == SIZE:
        return sha256(b"\0" + chunks)  # most files have one chunk; this is its leaf hash
    leaves = [merkle.leaf_hash(chunks[i : i + SIZE]) for i in range(0, len(chunks), SIZE)]
    return merkle.root_from_leaves(leaves)


def shard_leaf(shard: Shard) -> bytes:
    """The leaf that binds ``shard``: canonical JSON.

    Written by hand because a million of them are hashed; a test holds it against the canonical encoder. Paths hold
    no control characters, so that JSON's and RFC 8785's escapes agree.
    """
    path, size, digest, root, _ = shard
    return (
        f'{{"path":{encode_basestring(path)},"root":"{root.hex()}","sha256":"{digest.hex()}","size":{size}}}'.encode()
    )


def build(shards: Sequence[Shard], parameters: Parameters) -> Manifest:
    """Orders, checks and binds shards.

    Raises:
        FormatError: a path that breaks the rules, two that collide, or a shard whose chunk count, size or root
            do not fit together.
    """
    ordered = tuple(sorted(shards))  # paths differ, and code points stand in the order of their UTF-8 bytes
    leaves = [merkle.leaf_hash(parameters.leaf())]
    for shard in ordered:
        check_path(shard.path)
        _check_shard(shard, parameters)
        leaves.append(sha256(b"\0" + shard_leaf(shard)))  # the leaf hash
    check_unique(s.path for s in ordered)
    return Manifest(parameters, ordered, merkle.root_from_leaves(leaves))


def _check_shard(shard: Shard, parameters: Parameters) -> None:
    path, size, digest, root, chunks = shard
    if not 0 <= size <= MAX_SHARD:
        raise FormatError(f"shard {path!r} has size {size}")
    wanted = -(-size // parameters.chunk_size)
    if len(chunks) != wanted * SIZE:
        raise FormatError(f"shard {path!r} lists {shard.chunk_count} chunks; {size:,} bytes make {wanted}")
    if len(digest) != SIZE:
        raise FormatError(f"shard {path!r} has no whole-file SHA-256")
    if shard_root(chunks) != root:
        raise FormatError(f"shard {path!r}: its root is not the root of its chunks")


def encode_table(manifest: Manifest) -> bytes:
    """The shard table as Parquet bytes. The same manifest gives the same bytes under one version of pyarrow."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(_to_arrow(manifest.shards), sink, compression="zstd", use_dictionary=False, write_statistics=False)
    return sink.getvalue()


def _to_arrow(shards: Sequence[Shard]) -> Any:
    import pyarrow as pa

    # From buffers: `pyarrow.array` of a list would import pandas where it is installed, which takes longer than
    # everything else that is done to verify a small dataset.
    def numbers(kind: Any, code: str, values: Iterable[int]) -> Any:
        made = array(code, values)
        return pa.Array.from_buffers(kind, len(made), [None, pa.py_buffer(made)])

    def digests(joined: bytes) -> Any:
        return pa.Array.from_buffers(pa.binary(SIZE), len(joined) // SIZE, [None, pa.py_buffer(joined)])

    paths = [shard.path.encode() for shard in shards]
    offsets = numbers(pa.int32(), "i", accumulate(map(len, paths), initial=0)).buffers()[1]
    return pa.table(
        {
            "path": pa.StringArray.from_buffers(len(paths), offsets, pa.py_buffer(b"".join(paths))),
            "size": numbers(pa.int64(), "q", [s.size for s in shards]),
            "sha256": digests(b"".join(s.sha256 for s in shards)),
            "root": digests(b"".join(s.root for s in shards)),
            "chunks": pa.ListArray.from_arrays(
                numbers(pa.int32(), "i", accumulate((s.chunk_count for s in shards), initial=0)),
                digests(b"".join(s.chunks for s in shards)),
            ),
        }
    )


def parse_table(data: bytes, parameters: Parameters, *, digest: bytes, root: bytes) -> Manifest:
    """Reads a shard table, strictly: the digest first, then every shard root, then the dataset root.

    Args:
        data: the bytes of ``shards.parquet``.
        parameters: as signed.
        digest: the signed SHA-256 of ``data``. root: the signed dataset root.

    Raises:
        IntegrityError: the digest or the root differs. FormatError: a signed table that breaks the format.
    """
    if sha256(data) != digest:
        raise IntegrityError(
            f"the shard table's SHA-256 is {sha256(data).hex()}; {digest.hex()} was signed",
            where=SEAL_TABLE,
            hint="the table was edited after signing: fetch it again from the publisher",
        )
    stored = read_table(data)
    manifest = build(stored, parameters)
    if list(manifest.shards) != stored:
        raise FormatError("the shard table is not sorted by path", where=SEAL_TABLE)
    if manifest.root != root:
        raise IntegrityError(
            f"the shard table leads to root {manifest.root.hex()}; {root.hex()} was signed", where=SEAL_TABLE
        )
    return manifest


def _read(data: bytes) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # `read_table` would import pyarrow.dataset, and with it pandas. One thread: another that lets go of a Python
        # object while the interpreter ends kills the process (measured with pyarrow alone: 1 of 100 short processes).
        table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
        table.validate(full=True)  # paths that are not UTF-8, offsets that lead outside
        return table
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"not a Parquet table: {' '.join(str(error).split())[:120]}", where=SEAL_TABLE) from None


def read_table(data: bytes) -> list[Shard]:
    """The shards of a table's bytes, as they stand there; `parse_table` is for those that were signed.

    Raises:
        FormatError: not a shard table.
    """
    table = _read(data)
    if not table.schema.equals(_to_arrow(()).schema):
        raise FormatError(f"columns {table.schema.names} are not a shard table's", where=SEAL_TABLE)
    if any(column.null_count for column in table.columns) or any(
        part.values.null_count for part in table["chunks"].chunks
    ):
        raise FormatError("a shard table holds no nulls", where=SEAL_TABLE)
    shards: list[Shard] = []
    for batch in table.to_batches():
        lists = batch.column("chunks")
        offsets, flat = lists.offsets.to_pylist(), _raw(lists.values)
        columns = (
            batch.column("path").to_pylist(),
            batch.column("size").to_pylist(),
            _cut(_raw(batch.column("sha256"))),
            _cut(_raw(batch.column("root"))),
            [flat[start * SIZE : end * SIZE] for start, end in pairwise(offsets)],
        )
        shards.extend(starmap(Shard, zip(*columns, strict=True)))
    return shards


def _raw(digests: Any) -> bytes:
    """The bytes of an array of digests."""
    buffer = digests.buffers()[1]
    return bytes(memoryview(buffer)[digests.offset * SIZE :][: len(digests) * SIZE]) if buffer is not None else b""


def _cut(digests: bytes) -> list[bytes]:
    return [digests[start : start + SIZE] for start in range(0, len(digests), SIZE)]
