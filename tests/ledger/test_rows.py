from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dataseal.ledger import rows
from dataseal.ledger.delta import Delta, bare
from dataseal.ledger.errors import FormatError, Unavailable
from support.errors import refused
from support.shards import shard
from support.workspaces import flip, write_shard


def item(path: str, data: bytes = b"x") -> Any:
    return bare([shard(path, data)])[path]


def delta(*, added: str = "", removed: str = "", changed: str = "") -> Delta:
    pairs = tuple((item(p), item(p, b"new")) for p in changed.split())
    return Delta(tuple(map(item, added.split())), tuple(map(item, removed.split())), pairs)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write_shard(tmp_path / "old" / "a.parquet", 5).parent


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return write_shard(tmp_path / "new" / "a.parquet", 5).parent


def test_added_and_removed_shards_count_by_their_rows(old: Path, new: Path) -> None:
    write_shard(new / "b.parquet", 7)
    write_shard(old / "c.parquet", 3)
    assert rows.counts(delta(added="b.parquet", removed="c.parquet"), old, new) == (7, 3, 0)


def test_what_is_no_parquet_has_no_rows(old: Path, new: Path) -> None:
    (new / "README.md").write_text("x")
    assert rows.counts(delta(added="README.md"), old, new) == (0, 0, 0)


def test_without_the_old_bytes_nothing_is_guessed(new: Path) -> None:
    write_shard(new / "b.parquet", 7)
    assert rows.counts(delta(added="b.parquet"), None, new) == (7, 0, 0)
    assert rows.counts(delta(added="b.parquet", removed="c.parquet"), None, new) == (7, None, 0)
    assert rows.counts(delta(added="b.parquet", changed="a.parquet"), None, new) == (None, None, None)


def test_changed_rows_count_as_multisets(old: Path, new: Path) -> None:
    write_shard(old / "a.parquet", {"id": [1, 1, 1, 2, 3]})
    write_shard(new / "a.parquet", {"id": [3, 1, 1, 4, 5, 6]})
    assert rows.counts(delta(changed="a.parquet"), old, new) == (3, 2, None)


def test_rows_in_another_order_are_the_same_rows(old: Path, new: Path) -> None:
    write_shard(new / "a.parquet", {"id": [2, 1]})
    write_shard(old / "a.parquet", {"id": [1, 2]})
    assert rows.counts(delta(changed="a.parquet"), old, new) == (0, 0, None)


@pytest.mark.parametrize(
    "columns",
    [{"id": [1, 2]}, {"id": [1], "more": [2]}, {"other": [1]}, {"id": ["one"]}, {"id": pa.array([None], pa.null())}],
)
def test_other_columns_make_other_rows(old: Path, new: Path, columns: dict[str, Any]) -> None:
    write_shard(old / "a.parquet", {"id": [10, 20, 30], "text": ["a", "b", "c"]})
    write_shard(new / "a.parquet", columns)
    count = rows.count(new / "a.parquet")
    assert rows.counts(delta(changed="a.parquet"), old, new) == (count, 3, None)


def test_a_type_that_can_not_be_compared_makes_other_rows(old: Path, new: Path) -> None:
    write_shard(old / "a.parquet", {"id": [1, 2]})
    write_shard(new / "a.parquet", {"id": [[1], [2]]})
    assert rows.counts(delta(changed="a.parquet"), old, new) == (2, 2, None)


@pytest.mark.parametrize(
    "name", ["part[1].parquet", "a*.parquet", "a?.parquet", "lang=en/it's.parquet", "{a,b}.parquet"]
)
def test_a_name_that_looks_like_a_pattern_is_a_name(old: Path, new: Path, name: str) -> None:
    """DuckDB takes paths for globs: `a*` compared the rows of `a.parquet` too."""
    write_shard(new / "a.parquet", {"id": [7, 8, 9]})
    write_shard(old / name, {"id": [1, 2, 3]})
    write_shard(new / name, {"id": [1, 2, 4]})
    assert rows.counts(Delta((), (), ((item(name), item(name, b"new")),)), old, new) == (1, 1, None)


@pytest.mark.parametrize("data", [b"", b"id,text\n1,a\n", b"PAR1", b"PAR1" + b"\0" * 50 + b"PAR1"])
def test_a_file_that_is_no_parquet_is_named(new: Path, data: bytes) -> None:
    (new / "sub").mkdir()
    (new / "sub" / "b.parquet").write_bytes(data)
    with refused(FormatError, "not a readable Parquet file", "sub/b.parquet", "--exclude"):
        rows.counts(delta(added="sub/b.parquet"), None, new)


def test_a_corrupt_footer_is_named(old: Path, new: Path) -> None:
    path = write_shard(new / "a.parquet", 50)
    flip(path, path.stat().st_size - 6)
    with refused(FormatError, "a.parquet"):
        rows.counts(delta(changed="a.parquet"), old, new)


def test_corrupt_pages_are_no_count_and_no_crash(old: Path, new: Path) -> None:
    """The footer is whole and the data are not: the count was silently "all rows changed"."""
    path = write_shard(new / "a.parquet", 500)
    data = bytearray(path.read_bytes())
    data[4:200] = b"\xff" * 196
    path.write_bytes(data)
    with refused(Unavailable, "can't compare the rows", "a.parquet"):
        rows.counts(delta(changed="a.parquet"), old, new)


def test_nothing_is_left_in_the_current_folder(
    old: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    rows.counts(delta(changed="a.parquet"), old, new)
    assert list((tmp_path / "here").iterdir()) == []
