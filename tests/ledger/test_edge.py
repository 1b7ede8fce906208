"""The tree's right edge, and what else a writer keeps between appends: used where it holds, and only there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.errors import IntegrityError
from dataseal.ledger.store import tiles
from dataseal.ledger.store.edge import Edge, partial_tiles
from dataseal.ledger.store.store import TILE_WIDTH, Store
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.tile import tiles_for
from support.errors import refused
from support.ledgers import stored, tamper

LEAVES = [merkle.leaf_hash(b"%d" % number) for number in range(70_000)]


def naive(size: int) -> dict[tuple[int, int], bytes]:
    """Every tile of the tree over the first leaves."""
    found, level, row = {}, 0, LEAVES[:size]
    while row:
        parts = [row[at : at + TILE_WIDTH] for at in range(0, len(row), TILE_WIDTH)]
        found.update({(level, number): b"".join(part) for number, part in enumerate(parts)})
        row, level = [merkle.root_from_leaves(part) for part in parts if len(part) == TILE_WIDTH], level + 1
    return found


@given(st.lists(st.one_of(st.integers(1, 3), st.integers(1, 700), st.sampled_from([255, 256, 257])), max_size=8))
def test_however_it_grows_tiles_and_root_are_those_of_the_leaves(counts: list[int]) -> None:
    edge, held, size = Edge(0, {}), {}, 0
    for count in counts:
        edge, grown = edge.extended(LEAVES[size : size + count])
        size += count
        for level, number, data, longer in grown:
            assert longer == ((level, number) in held)
            assert data.startswith(held.get((level, number), b""))
            held[level, number] = data
        assert edge.root == merkle.root_from_leaves(LEAVES[:size])
        again = Edge(size, edge.tiles)
        assert (again.size, again.root) == (edge.size, edge.root)
    assert held == naive(size)
    assert edge.size == size


def test_a_third_level_begins_at_65_536() -> None:
    edge, _ = Edge(0, {}).extended(LEAVES[:65_535])
    edge, grown = edge.extended(LEAVES[65_535:65_537])
    assert {(tile.level, tile.number) for tile in grown} == {(0, 255), (0, 256), (1, 255 // 256), (2, 0)}
    assert edge.root == merkle.root_from_leaves(LEAVES[:65_537])


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_535, 65_536, 70_000])
def test_the_partial_tiles_are_those_of_tlog_tiles(size: int) -> None:
    expected = [(tile.level, tile.index, tile.width) for tile in tiles_for(size) if tile.width < TILE_WIDTH]
    assert partial_tiles(size) == expected


@pytest.mark.parametrize("tiles", [{}, {0: b""}, {0: bytes(64)}, {0: bytes(97)}, {1: bytes(96)}])
def test_a_tile_of_another_width_is_no_edge(tiles: dict[int, bytes]) -> None:
    with refused(IntegrityError, "tile 0 of level 0", "3 hashes are due"):
        Edge(3, tiles)


# --- what a store keeps ---


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Store.create(tmp_path / "ledger.sqlite", origin="o", log_key="k").close()
    return tmp_path / "ledger.sqlite"


def append(store: Store, count: int = 1, **changes: str) -> None:
    with store.appending() as view:
        view.insert(stored(view.head().size, count, **changes))


def demand_whole(store: Store) -> None:
    with store.view() as view:
        rows = list(view.entries())
        assert view.head().root == merkle.root_from_leaves([row.leaf for row in rows])
        view.demand_whole()
        assert all(view.newest(row.dataset, row.kind) for row in rows)
        assert [view.name(view.name_of(row.index)).dataset for row in rows] == [row.dataset for row in rows]


def test_two_stores_that_write_in_turn_use_nothing_of_their_own_that_is_old(path: Path) -> None:
    """Each remembers names and an edge of a head that the other one has left behind."""
    one, two = Store.open(path), Store.open(path)
    for turn in range(6):
        append(one, 1 + turn % 2, dataset=f"one-{turn // 2}")
        append(two, 1, dataset=f"two-{turn // 3}")
        append(two, 2, dataset=f"one-{turn // 2}")
    demand_whole(one)


def test_what_was_rolled_back_is_not_remembered(path: Path) -> None:
    store = Store.open(path)
    append(store, 3)

    def crash() -> None:
        with store.appending() as view:
            view.insert(stored(3, 2, dataset="new"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash()
    append(store, 1, dataset="other")
    append(store, 1, dataset="new")
    demand_whole(store)


def test_an_older_copy_in_the_files_place_is_read_anew(path: Path, tmp_path: Path) -> None:
    store = Store.open(path)
    append(store, 3)
    store.close()
    shutil.copy(path, tmp_path / "old")
    append(store, 1, dataset="newer")
    path.unlink()
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "old", path)
    with store.view() as view:
        assert view.head().size == 3
    append(store, 1, dataset="other")
    demand_whole(store)


@pytest.mark.parametrize("count", [3, 256])
def test_a_tile_that_was_changed_behind_a_writers_back_is_noticed(path: Path, count: int) -> None:
    """What it remembers would go on fitting the head."""
    store = Store.open(path)
    append(store, 2)
    append(store, 1)
    tamper(path, "UPDATE tiles SET data = CAST(substr(data, 1, 40) || x'00' || substr(data, 42) AS BLOB)")
    with refused(IntegrityError, "tiles do not lead to the root"):
        append(store, count)


def test_hashed_tiles_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that grows by single appends used to leave a tile of every 256 behind."""
    monkeypatch.setattr(tiles, "KNOWN_TILES", 3)
    store = Store.open(path)
    for _ in range(6):
        append(store, 200)
        with store.view() as view:
            head = view.head()
            proof = merkle.prove_inclusion(view, size=head.size, index=head.size - 1)
            (leaf,) = view.read([(0, head.size - 1)])
        merkle.verify_inclusion(index=head.size - 1, size=head.size, leaf=leaf, proof=proof, root=head.root)
    assert 0 < len(store._known._tiles) <= 3


def test_a_tile_that_grew_is_hashed_on_from_where_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(path)
    append(store, 100)
    hashed: list[bytes] = []
    real = merkle.node_hash
    monkeypatch.setattr(merkle, "node_hash", lambda a, b: hashed.append(a) or real(a, b))  # type: ignore[func-returns-value]
    with store.view() as view:
        view.read([(6, 0)])
    assert hashed, "what the store hashes is counted"
    append(store, 1)
    hashed.clear()
    with store.view() as view:
        assert view.read([(6, 0)]) == [merkle.root_from_leaves([row.leaf for row in view.entries(0, 64)])]
    assert not hashed
