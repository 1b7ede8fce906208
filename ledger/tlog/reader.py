"""Reads a tree's hashes from its tiles and believes none that does not lead to the tree's root.

`TileReader` is a `merkle.HashReader` over any source of tiles: a folder, a bucket, a hostile mirror. Two
facts make it safe (tlog-tiles, "Partial Tiles"):

1. The partial tiles of a tree, at most one a level, are together exactly its right edge: folding all of
   their hashes gives the root. They are read, and compared with the known root, before anything else.
2. The hash of a full tile stands in a tile one level up, which is either such a partial tile or a full
   one, of which the same holds.

Example, the tiles that the reader fetches for leaf 0 of a tree of 70,000
(``tests/ledger/tlog/test_reader.py``)::

    tile/0/273.p/112
    tile/1/001.p/17
    tile/2/000.p/1
    tile/1/000
    tile/0/000
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from dataseal.ledger.errors import FormatError, ProofInvalid, Unavailable, UsageError
from dataseal.ledger.tlog.limits import CACHED_TILES, HASH_BYTES
from dataseal.ledger.tlog.merkle import EMPTY_ROOT, CompactRange, Node, node_hash
from dataseal.ledger.tlog.tile import HEIGHT, WIDTH, Tile, decode_tile, tile_path, width_at

ReadTile = Callable[[str], bytes | None]
"""From a tile's path to its bytes; None if there is none at that path."""


class TileReader:
    """The authenticated hashes of the tree with ``size`` leaves and ``root``.

    Args:
        read_tile: fetches one tile by path; called for a full tile where the partial one is gone.
        size: leaves of the tree, from a verified checkpoint.
        root: its root, from the same checkpoint.
    """

    def __init__(self, read_tile: ReadTile, *, size: int, root: bytes) -> None:
        self._read_tile = read_tile
        self._size = size
        self._root = root
        self._edge: dict[int, list[list[bytes]]] | None = None  # by tile level: the partial tile's rows
        self._full: OrderedDict[tuple[int, int], list[list[bytes]]] = OrderedDict()  # least recently used first

    def read(self, nodes: Sequence[Node]) -> list[bytes]:
        """The hash of each node, in order.

        Raises:
            UsageError: a node that is not complete in this tree.
            ProofInvalid: a tile whose hashes do not lead to the root.
            FormatError: a tile of the wrong length.
            Unavailable: a tile that is missing.
        """
        return [self._node(level, index) for level, index in nodes]

    def leaves(self, index: int) -> list[bytes]:
        """The authenticated leaf hashes of level-0 tile ``index``: what its bundle's entries must hash to.

        Raises:
            As `read`.
        """
        if index < 0 or not width_at(0, index, self._size):
            raise UsageError(f"no tile {index} in a tree of {self._size} leaves")
        return list(self._rows(0, index)[0])

    def _node(self, level: int, index: int) -> bytes:
        if level < 0 or index < 0 or (index + 1) << level > self._size:
            raise UsageError(f"node ({level}, {index}) is not complete in a tree of {self._size} leaves")
        tile_level, row = divmod(level, HEIGHT)
        tile_index, offset = divmod(index, WIDTH >> row)
        return self._rows(tile_level, tile_index)[row][offset]

    def _rows(self, level: int, index: int) -> list[list[bytes]]:
        if self._edge is None:
            self._edge = self._authenticate_edge()
        if width_at(level, index, self._size) < WIDTH:
            return self._edge[level]
        key = (level, index)
        if key in self._full:
            self._full.move_to_end(key)
            return self._full[key]
        parent = self._rows(level + 1, index // WIDTH)  # ends: at some level above, the tile is partial
        rows = _rows_of(self._fetch(level, index, WIDTH))
        if rows[HEIGHT][0] != parent[0][index % WIDTH]:
            raise _altered(tile_path(level, index), "its hash is not the one in the tile above")
        self._full[key] = rows
        if len(self._full) > CACHED_TILES:
            self._full.popitem(last=False)
        return rows

    def _authenticate_edge(self) -> dict[int, list[list[bytes]]]:
        edge: dict[int, list[list[bytes]]] = {}
        perfect: list[bytes] = []  # roots of the tree's perfect subtrees, smallest first
        for tile in edge_tiles(self._size):
            level = tile.level or 0
            rows = edge[level] = _rows_of(self._fetch(level, tile.index, tile.width))
            # Bit r of the width is the perfect subtree of 2**r hashes that ends the tile's row r.
            perfect += [rows[row][-1] for row in range(HEIGHT) if tile.width >> row & 1]
        root = CompactRange(self._size, perfect[::-1]).root() if perfect else EMPTY_ROOT
        if root != self._root:
            raise _altered("its partial tiles", f"they lead to root {root.hex()}, not {self._root.hex()}")
        return edge

    def _fetch(self, level: int, index: int, width: int) -> list[bytes]:
        path = tile_path(level, index, width)
        data = self._read_tile(path)
        if data is None and width < WIDTH:
            # "Clients MAY fetch the full tile as a fallback": a log may delete partials once it exists.
            path = tile_path(level, index)
            data = self._read_tile(path)
            if data is not None and len(data) == WIDTH * HASH_BYTES:
                data = data[: width * HASH_BYTES]
        if data is None:
            raise Unavailable(
                "the log does not serve a tile that its checkpoint requires",
                where=path,
                hint="try again, or a mirror",
            )
        try:
            return decode_tile(data, width)
        except FormatError as error:
            raise FormatError(error.what, where=path, hint="the tile is cut or not a tile: try a mirror") from error


def edge_tiles(size: int) -> list[Tile]:
    """The partial tiles of a tree of ``size`` leaves, level 0 first: what authenticates everything else."""
    tiles: list[Tile] = []
    level = 0
    while count := size >> (HEIGHT * level):
        if count % WIDTH:
            tiles.append(Tile(level, count // WIDTH, count % WIDTH))
        level += 1
    return tiles


def tiles_needed(nodes: Sequence[Node], size: int) -> list[Tile]:
    """The tiles that `TileReader.read` fetches for ``nodes``, so that a caller can fetch them in parallel."""
    needed = dict.fromkeys(edge_tiles(size))
    for level, index in nodes:
        tile_level, row = divmod(level, HEIGHT)
        tile_index = index // (WIDTH >> row)
        chain: list[Tile] = []
        while width_at(tile_level, tile_index, size) == WIDTH:
            chain.append(Tile(tile_level, tile_index))
            tile_level, tile_index = tile_level + 1, tile_index // WIDTH
        needed.update(dict.fromkeys(reversed(chain)))
    return list(needed)


def _rows_of(hashes: list[bytes]) -> list[list[bytes]]:
    """A tile's complete subtrees: row r holds those of 2**r hashes; row 8 a full tile's own hash."""
    rows = [hashes]
    while len(rows) <= HEIGHT:
        below = rows[-1]
        rows.append([node_hash(left, right) for left, right in zip(below[::2], below[1::2], strict=False)])
    return rows


def _altered(where: str, why: str) -> ProofInvalid:
    return ProofInvalid(
        f"the log's tiles do not lead to its checkpoint: {why}",
        where=where,
        hint="the tile was altered, or the checkpoint is of another tree: keep both and ask a mirror",
    )
