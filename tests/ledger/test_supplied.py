from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import supplied
from dataseal.ledger.errors import UsageError
from dataseal.ledger.manifest import MIN_CHUNK, Parameters, build, encode_table
from support.errors import refused
from support.shards import SMALL, shard

SHARDS = [shard("data/a.bin", b"abc"), shard("data/b.bin", b"x" * (MIN_CHUNK + 1)), shard("empty", b"")]


def lines(path: Path, *values: Any) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def header(**more: Any) -> dict[str, Any]:
    return {"dataseal_digests": 1, "chunk_size": MIN_CHUNK, "chunk_hash": "sha256"} | more


def row(**more: Any) -> dict[str, Any]:
    return {"path": "a", "size": 3, "sha256": "00" * 32, "chunks": ["11" * 32]} | more


def test_the_documented_example_is_a_list(tmp_path: Path) -> None:
    assert supplied.__doc__
    example = textwrap.dedent(supplied.__doc__.split("::\n\n", 1)[1].split("\n\n", 1)[0])
    (tmp_path / "list").write_text(example)
    assert supplied.read(tmp_path / "list") == ([SHARDS[0]], SMALL)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"".join(supplied.write(build(SHARDS, SMALL))))
    assert supplied.read(tmp_path / "list") == (SHARDS, SMALL)


def test_a_shard_table_is_a_list(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(encode_table(build(SHARDS, SMALL)))
    assert supplied.read(tmp_path / "list") == (SHARDS, None)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ((), "it is empty"),
        ((row(),), "does not say what this is"),
        ((header(dataseal_digests=2),), "does not say what this is"),
        ((header(more=1),), "other fields"),
        ((header(chunk_size="65536"),), "other fields"),
        ((header(chunk_size=65537),), "not a power of two"),
        ((header(chunk_hash="md5"),), "unknown chunk hash"),
        ((header(), [1]), "exactly path, size"),
        ((header(), row(more=1)), "exactly path, size"),
        ((header(), row(size=True)), "no number of bytes"),
        ((header(), row(size=3.0)), "no number of bytes"),
        ((header(), row(sha256="00")), "sha256 is not 64"),
        ((header(), row(chunks=["11" * 32, "AA" * 32])), "chunk 1 is not 64"),
    ],
)
def test_what_is_no_list_is_refused_with_its_line(tmp_path: Path, values: tuple[Any, ...], what: str) -> None:
    with refused(UsageError, what, str(tmp_path / "list")):
        supplied.read(lines(tmp_path / "list", *values))


@pytest.mark.parametrize("data", [b"\xff", b"{", b'{"a":1,"a":2}\n', b"PAR1 is no table"])
def test_other_bytes_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "list").write_bytes(data)
    with refused(UsageError, str(tmp_path / "list")):
        supplied.read(tmp_path / "list")


def test_a_missing_list_is_told(tmp_path: Path) -> None:
    with refused(UsageError, "No such file", "list"):
        supplied.read(tmp_path / "list")


def test_blake3_lists(tmp_path: Path) -> None:
    parameters = Parameters(MIN_CHUNK, "blake3")
    (tmp_path / "list").write_bytes(b"".join(supplied.write(build(SHARDS, parameters))))
    assert supplied.read(tmp_path / "list")[1] == parameters
