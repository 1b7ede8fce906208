"""Logs to be judged: static folders of any size from the pure formats, one of signed statements, and flipped copies."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataseal.ledger import bundle as bundles
from dataseal.ledger import statement as statements
from dataseal.ledger.errors import FormatError, Unavailable
from dataseal.ledger.predicates import Release
from dataseal.ledger.resources import CHECKPOINT, StoreResources
from dataseal.ledger.statement import PAYLOAD_TYPE, RELEASE
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from dataseal.ledger.tlog.cosignature import MLDSA44Cosigner
from dataseal.ledger.tlog.keys import parse_vkey
from dataseal.ledger.tlog.note import Ed25519Signer, Signer
from dataseal.ledger.tlog.reader import TileReader
from dataseal.ledger.tlog.tile import (
    HEIGHT,
    WIDTH,
    decode_bundle,
    encode_bundle,
    encode_tile,
    entries_path,
    entry_hashes,
    new_bundles,
    parse_path,
    tile_path,
    tiles_for,
    width_at,
)
from support.static_log import export, write
from support.workspaces import Bench

ORIGIN = "log.example/foreign"
LARGEST = 70_000
SIZES = (1, 2, 255, 256, 257, 65_536, LARGEST)
_PLACES = (0, 1, 255, 256, 257, 65_535, 65_536)


def seed(name: str) -> bytes:
    """The private key of a name."""
    return hashlib.sha256(name.encode()).digest()


def mldsa44(name: str) -> MLDSA44Cosigner:
    """An ML-DSA-44 cosigner; skips the test where ``cryptography`` has none."""
    mldsa: Any = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mldsa", reason="no ML-DSA here")
    return MLDSA44Cosigner(name, mldsa.MLDSA44PrivateKey.from_seed_bytes(seed(name)))


SIGNER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(seed("foreign log")))


@dataclass(frozen=True)
class StaticLog:
    """A log as files, and what its reader must know or may ask."""

    folder: Path
    origin: str
    keys: tuple[str, ...]
    size: int
    leaves: Sequence[bytes]

    def job(self, op: str = "read", **arguments: Any) -> dict[str, Any]:
        """A job for an adapter, with nothing to prove unless ``arguments`` say so."""
        asked = {"folder": str(self.folder), "origin": self.origin, "keys": list(self.keys)}
        return {"op": op, **asked, "inclusions": [], "consistency": [], **arguments}

    @cached_property
    def root(self) -> bytes:
        """The tree's root, from its leaves alone."""
        return merkle.root_from_leaves(self.leaves)

    @cached_property
    def proofs(self) -> dict[str, Any]:
        """Our proofs at the places where a tree of this size bends, made from its authenticated tiles."""
        reader = TileReader(self.read, size=self.size, root=self.root)
        places = sorted({*_PLACES, self.size - 1, self.size})
        return {
            "inclusions": [inclusion(reader, self.size, i, self.leaves[i]) for i in places if i < self.size],
            "consistency": [self._consistency(reader, old) for old in places if 0 < old <= self.size],
        }

    def read(self, path: str) -> bytes | None:
        """One resource."""
        file = self.folder / path
        return file.read_bytes() if file.exists() else None

    def paths(self) -> list[str]:
        """Every resource of the tree."""
        return [CHECKPOINT, *(tile.path for tile in (*new_bundles(0, self.size), *tiles_for(self.size)))]

    def head(self) -> dict[str, Any]:
        """The tree head as every tool must report it."""
        return {"origin": self.origin, "size": self.size, "root": text(self.root)}

    def _consistency(self, reader: TileReader, old: int) -> dict[str, Any]:
        hashes = merkle.prove_consistency(reader, old=old, new=self.size)
        root = merkle.root_from_leaves(self.leaves[:old])
        return {"size": old, "root": text(root), "hashes": [text(value) for value in hashes]}


def text(data: bytes) -> str:
    """Bytes in a job."""
    return base64.b64encode(data).decode()


def inclusion(reader: merkle.HashReader, size: int, index: int, leaf: bytes) -> dict[str, Any]:
    """Our inclusion proof for a job."""
    hashes = merkle.prove_inclusion(reader, size=size, index=index)
    return {"index": index, "leaf": text(leaf), "hashes": [text(value) for value in hashes]}


# --- logs from the pure formats ---


@cache
def all_entries() -> tuple[bytes, ...]:
    """70,000 entries of about 100 bytes; a few are empty, and not all are text."""
    return tuple(b"" if n % 10_007 == 3 else b"entry %d " % n + seed(str(n)) * 2 for n in range(LARGEST))


@cache
def all_leaves() -> tuple[bytes, ...]:
    """Their leaf hashes."""
    return tuple(entry_hashes(all_entries()))


def write_log(
    folder: Path, size: int, *, signers: Sequence[Signer] = (SIGNER,), keys: tuple[str, ...] = ()
) -> StaticLog:
    """A log of the first ``size`` of `all_entries`."""
    entries, leaves = all_entries()[:size], all_leaves()[:size]
    tree = merkle.CompactRange()
    rows = {subtrees.level: subtrees.hashes for subtrees in tree.extend(leaves)}
    for tile in new_bundles(0, size):
        write(folder, tile.path, encode_bundle(entries[tile.index * WIDTH :][: tile.width]))
    for tile in tiles_for(size):
        hashes = rows[HEIGHT * (tile.level or 0)][tile.index * WIDTH :][: tile.width]
        write(folder, tile.path, encode_tile(hashes))
    write(folder, CHECKPOINT, sign_checkpoint(Checkpoint(ORIGIN, size, tree.root()), signers))
    return StaticLog(folder, ORIGIN, (SIGNER.vkey,), size, leaves)


# --- a log of signed statements ---


def append_releases(bench: Bench, first: int, count: int) -> None:
    """Signs and logs releases ``first``… of one dataset, all in one append."""
    signed = []
    for number in range(first, first + count):
        payload = _release(number)
        signature = bench.publisher.sign(bundles.pae(PAYLOAD_TYPE, payload))
        signed.append(bundles.encode(payload, signature, bench.publisher.public))
    bench.log.append(signed)


def publish(bench: Bench, folder: Path) -> StaticLog:
    """The bench's log as files."""
    size = export(StoreResources(bench.log.store, "test ledger"), folder)
    with bench.log.store.view() as view:
        leaves = [merkle.leaf_hash(row.body) for row in view.entries(0, size)]
    return StaticLog(folder, bench.log.origin, (bench.log.vkey,), size, leaves)


def _release(number: int) -> bytes:
    root, table = (hashlib.sha256(f"{what} {number}".encode()).hexdigest() for what in ("root", "table"))
    before = hashlib.sha256(f"root {number - 1}".encode()).hexdigest()
    predicate = Release.make(
        sequence=number,
        previous={"version": f"{number - 1}", "root": before} if number > 1 else None,
        tree={"root": root, "shards": 1, "bytes": 1, "chunk_size": 1 << 22, "chunk_hash": "sha256"},
        derived_from=[],
        exclusions=[],
        metadata={},
    )
    return statements.encode(RELEASE, predicate, dataset="acme/reviews", version=f"{number}", table=table, root=root)


# --- our own reader: what is proven with the foreign ones is proven with it ---


def read_all(log: StaticLog) -> Checkpoint:
    """Opens the checkpoint, authenticates every tile, and every entry by its tile.

    Raises:
        DatasealError: whatever is wrong.
    """
    data = log.read(CHECKPOINT)
    keys = [parse_vkey(key) for key in log.keys]
    head = open_checkpoint(data or b"", keys[:1], origin=log.origin, cosigners=keys[1:], strict=True).checkpoint
    tiles = TileReader(log.read, size=head.size, root=head.root)
    for tile in new_bundles(0, head.size):
        served = log.read(tile.path)
        if served is None:
            raise Unavailable("no such bundle", where=tile.path)
        if entry_hashes(decode_bundle(served, tile.width)) != tiles.leaves(tile.index):
            raise FormatError("entries are not those of the tile", where=tile.path)
    return head


# --- flipped copies ---


@dataclass(frozen=True)
class Flip:
    """One flipped bit of one resource."""

    path: str
    at: int
    bit: int

    def __str__(self) -> str:
        return f"{self.path}, bit {self.bit} of byte {self.at}"


def flips(log: StaticLog, path: str, count: int) -> Iterator[Flip]:
    """Up to ``count`` sampled bits of a resource: of the last byte, of others, and from three on of the first."""
    length = len(log.read(path) or b"")
    ends = [length - 1, 0][: count - 1]
    places = [*ends, *(int.from_bytes(seed(f"{path} {number}")) % length for number in range(count - len(ends)))]
    yield from dict.fromkeys(Flip(path, at, number % 8) for number, at in enumerate(places))


def flipped(log: StaticLog, flip: Flip, folder: Path) -> StaticLog:
    """A copy of a log, by hard links, with one bit flipped."""
    data = bytearray(log.read(flip.path) or b"")
    data[flip.at] ^= 1 << flip.bit
    for path in log.paths():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        os.link(log.folder / path, folder / path)
    write(folder, flip.path, bytes(data))
    return replace(log, folder=folder)


class ServedTiles:
    """The hashes of a log's tiles, believed as they are: what a careless client makes its proofs from."""

    def __init__(self, log: StaticLog) -> None:
        self._log = log
        self._rows: dict[tuple[int, int], list[list[bytes]]] = {}

    def read(self, nodes: Sequence[merkle.Node]) -> list[bytes]:
        """A `merkle.HashReader`."""
        return [self._node(level, index) for level, index in nodes]

    def _node(self, level: int, index: int) -> bytes:
        tile_level, row = divmod(level, HEIGHT)
        tile, offset = divmod(index, WIDTH >> row)
        if (tile_level, tile) not in self._rows:
            width = width_at(tile_level, tile, self._log.size)
            data = self._log.read(tile_path(tile_level, tile, width)) or b""
            rows = [[data[at : at + 32] for at in range(0, len(data), 32)]]
            while len(rows[-1]) > 1:
                below = rows[-1]
                rows.append([merkle.node_hash(a, b) for a, b in zip(below[::2], below[1::2], strict=False)])
            self._rows[tile_level, tile] = rows
        return self._rows[tile_level, tile][row][offset]


def served_proofs(log: StaticLog, flip: Flip) -> dict[str, Any]:
    """Unauthenticated proofs from a flipped log's own tiles and entries, for a verifier that reads neither.

    They are of leaves whose proof is made from the flipped hash, or of the flipped entry; were the flip not found by
    them, a client of that verifier would not notice.
    """
    reader = ServedTiles(log)
    return {"inclusions": [inclusion(reader, log.size, i, _served_leaf(log, i)) for i in _touched(log, flip)]}


def _touched(log: StaticLog, flip: Flip) -> Iterable[int]:
    if flip.path == CHECKPOINT:
        return (0,)
    tile = parse_path(flip.path)
    if tile.level is None:
        position = end = 0
        lengths = [len(entry) + 2 for entry in all_entries()[tile.index * WIDTH :][: tile.width]]
        while end + lengths[position] <= flip.at:
            end += lengths[position]
            position += 1
        return (tile.index * WIDTH + position,)
    slot = tile.index * WIDTH + flip.at // 32
    span = WIDTH**tile.level
    beside = [leaf for leaf in ((slot ^ 1) * span, log.size - 1) if leaf < log.size]
    return [leaf for leaf in beside if leaf // span != slot]


def _served_leaf(log: StaticLog, index: int) -> bytes:
    number, position = divmod(index, WIDTH)
    data = log.read(entries_path(number, width_at(0, number, log.size))) or b""
    entries, at = [], 0
    while at + 2 <= len(data):
        (length,) = struct.unpack_from(">H", data, at)
        entries.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    return merkle.leaf_hash(entries[position] if position < len(entries) else b"")
