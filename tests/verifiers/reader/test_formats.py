"""The examples that the modules show are what the modules read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from dataseal.ledger import canonical
from dataseal.ledger.errors import FormatError
from dataseal.ledger.manifest import Manifest, Parameters, Shard, build, shard_root
from dataseal.verifiers import caches
from dataseal.verifiers.reader import handle, pin, report


def example(module: ModuleType) -> bytes:
    """The indented block of a module's docstring, its lines joined."""
    (block,) = re.findall(r"::\n\n((?:    .*\n)+)", (module.__doc__ or "") + "\n")[-1:]
    return "".join(line.strip() for line in block.splitlines()).encode()


def test_the_pin_that_the_module_shows() -> None:
    data = example(pin)
    parsed = pin.parse_pin(json.loads(data), what="example")
    assert parsed.name == "acme/reviews@1.1.0"
    assert canonical.encode(parsed.json()) == data


@pytest.mark.parametrize(
    "change",
    [{"root": "AB" * 32}, {"root": None}, {"chunk_size": 5}, {"chunk_size": True}, {"chunk_hash": "md5"}, {"more": 1}],
)
def test_a_pin_is_parsed_strictly(change: dict[str, object]) -> None:
    value = {**json.loads(example(pin)), **change}
    with pytest.raises(FormatError):
        pin.parse_pin(value, what="example")


def test_the_handle_that_the_module_shows() -> None:
    data = example(handle)
    parsed = handle.parse(data)
    assert [t.pin.name for t in parsed.targets] == ["acme/reviews@1.1.0"]
    assert parsed.encode() == data


def test_the_report_that_the_module_shows(tmp_path: Path) -> None:
    (block,) = re.findall(r"::\n\n((?:    .*\n)+)", report.__doc__ or "")
    text = "".join(line.strip() + "\n" for line in block.splitlines())
    root = json.loads(text.splitlines()[0])["root"]
    (tmp_path / "1-00.reads").write_text(text)
    found = report.collect(tmp_path, {root: _manifest()})
    assert found[root].json() == {"shards": 2, "chunks": 5, "bytes": 5 * 65536}


def _manifest() -> Manifest:
    chunks = bytes(32) * 20
    shards = [Shard(name, 20 * 65536, bytes(32), shard_root(chunks), chunks) for name in "abc"]
    return build(shards, Parameters(chunk_size=65536))


def test_the_receipt_of_a_cache_that_the_module_shows() -> None:
    name, _, value = example(caches).decode().partition(":{")
    assert json.loads(name) == caches.FIELD
    assert set(json.loads("{" + value)) == {"bytes", "chunk_hash", "chunk_size", "files", "reads", "root", "table"}
