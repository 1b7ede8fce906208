"""The remembered sizes are a hint: nothing that is wrong with the file is an error."""

from __future__ import annotations

import pytest

from dataseal.ledger.witness.sizes import MemorySizes, SizeFile


@pytest.fixture(params=["memory", "file"])
def sizes(request, tmp_path):
    return MemorySizes() if request.param == "memory" else SizeFile(tmp_path / "witnesses.json")


def test_sizes_are_kept_and_added_to(sizes):
    assert sizes.load() == {}
    sizes.save({"a": 3})
    sizes.save({"b": 2**64 - 1})
    sizes.save({"a": 5})
    assert sizes.load() == {"a": 5, "b": 2**64 - 1}


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "null", '{"a": -1}', '{"a": true}', '{"a": "3"}', '{"a": 1.5}', "[" * 100_000, "\xff"]
)
def test_a_damaged_file_is_an_empty_one(tmp_path, text):
    path = tmp_path / "witnesses.json"
    path.write_text(text, encoding="latin-1")
    assert SizeFile(path).load() == {}
    SizeFile(path).save({"a": 1})
    assert SizeFile(path).load() == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["witnesses.json"]


def test_what_cant_be_written_is_no_error(tmp_path):
    SizeFile(tmp_path / "none" / "witnesses.json").save({"a": 1})
    (tmp_path / "folder").mkdir()
    SizeFile(tmp_path / "folder").save({"a": 1})
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
