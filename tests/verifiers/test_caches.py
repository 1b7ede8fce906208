"""Caches built from verified bytes: sealed by a receipt, and every way in which one can be another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import bundle as bundles
from dataseal.ledger.errors import DatasealError, FormatError, IntegrityError, SignatureInvalid, UsageError
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.verifiers import OpenDataset
from dataseal.verifiers.caches import FIELD, check_cache, seal_cache
from dataseal.verifiers.reader.pin import Pin
from dataseal.verifiers.reader.report import Reads
from support.datasets import flip, home, run, signer, write
from support.reading import NAME, ROWS, Shelf, shelf, shelf_template

__all__ = ["home", "shelf", "shelf_template"]

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def builder(shelf: Shelf) -> KeyFileSigner:
    """Who builds caches: the gate's key."""
    return signer(shelf.ws / "keys" / "gate.key")


@pytest.fixture
def data(shelf: Shelf, tmp_path: Path) -> OpenDataset:
    """The shelf, which reports what is read."""
    (tmp_path / "reads").mkdir()
    return shelf.open(reads=tmp_path / "reads")


@pytest.fixture
def cache(data: OpenDataset, builder: KeyFileSigner, tmp_path: Path) -> Path:
    """A sealed cache of one column."""
    import pyarrow as pa

    folder = tmp_path / "cache"
    folder.mkdir()
    with pa.OSFile(str(folder / "rows.arrow"), "wb") as sink:
        batches = list(data.batches(["text"]))
        with pa.ipc.new_stream(sink, batches[0].schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    write(folder / "info" / "state.json", b"{}")
    seal_cache(folder, data, builder, now=NOW)
    return folder


def test_a_sealed_cache_checks_by_root_and_by_name(cache: Path, data: OpenDataset, builder: KeyFileSigner) -> None:
    found = check_cache(cache, [builder.public], root=data.root)
    assert (found.source, found.root, found.files) == (f"{NAME}@1.0.0", data.root, 2)
    assert check_cache(cache, [builder.public], dataset=f"{NAME}@1.0.0") == found


def test_the_receipt_says_how_much_of_the_source_was_read(cache: Path, data: OpenDataset) -> None:
    payload = bundles.parse((cache / ".dataseal" / "cache.sigstore.json").read_bytes()).payload
    statement = json.loads(payload)
    assert statement["subject"][0]["digest"]["datasealRoot"] == data.root
    reads = statement["predicate"][FIELD]["reads"]
    assert reads["shards"] == 2
    assert reads["chunks"] > 2


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "a flipped bit": lambda c: flip(c / "rows.arrow", 1000),
    "a truncated file": lambda c: write(c / "rows.arrow", (c / "rows.arrow").read_bytes()[:-1]),
    "a new file": lambda c: write(c / "cache-0123.arrow", b"x"),
    "a removed file": lambda c: (c / "info" / "state.json").unlink(),
    "a renamed file": lambda c: (c / "rows.arrow").rename(c / "others.arrow"),
    "a link": lambda c: (c / "link").symlink_to("rows.arrow"),
    "a file in the seal": lambda c: write(c / ".dataseal" / "more", b"x"),
    "a file in .git": lambda c: write(c / ".git" / "evil", b"x"),
    "a file in the hub's cache": lambda c: write(c / ".cache" / "huggingface" / "tok.bin", b"x"),
    "an edited table": lambda c: flip(c / ".dataseal" / "shards.parquet", 100),
    "no seal": lambda c: shutil.rmtree(c / ".dataseal"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_cache_that_changed(cache: Path, data: OpenDataset, builder: KeyFileSigner, damage: str) -> None:
    DAMAGES[damage](cache)
    with pytest.raises(IntegrityError):
        check_cache(cache, [builder.public], root=data.root)


def test_a_cache_of_another_release(cache: Path, builder: KeyFileSigner) -> None:
    for wanted in ({"root": "00" * 32}, {"dataset": f"{NAME}@2.0.0"}, {"dataset": NAME}):
        with pytest.raises(IntegrityError, match="was asked for"):
            check_cache(cache, [builder.public], **wanted)


def test_a_cache_that_may_come_from_anywhere_is_not_checked(cache: Path, builder: KeyFileSigner) -> None:
    with pytest.raises(UsageError, match="not said"):
        check_cache(cache, [builder.public])


def test_a_receipt_of_somebody_else(cache: Path, data: OpenDataset, tmp_path: Path) -> None:
    run("init", tmp_path / "stranger")
    with pytest.raises(SignatureInvalid):
        check_cache(cache, [signer(tmp_path / "stranger" / "keys" / "gate.key").public], root=data.root)
    with pytest.raises(UsageError, match="no trusted key"):
        check_cache(cache, [], root=data.root)


def test_a_release_in_the_receipts_place(cache: Path, shelf: Shelf, data: OpenDataset) -> None:
    shutil.copy(shelf.data / ".dataseal" / "release" / "1.sigstore.json", cache / ".dataseal" / "cache.sigstore.json")
    with pytest.raises(FormatError, match="no receipt of a cache"):
        check_cache(cache, [signer(shelf.ws / "keys" / "publisher.key").public], root=data.root)


def test_the_receipt_of_another_cache(cache: Path, data: OpenDataset, builder: KeyFileSigner, tmp_path: Path) -> None:
    write(tmp_path / "second" / "x", b"other")
    seal_cache(tmp_path / "second", data, builder, now=NOW)
    shutil.rmtree(cache / ".dataseal")
    shutil.copytree(tmp_path / "second" / ".dataseal", cache / ".dataseal")
    with pytest.raises(IntegrityError):
        check_cache(cache, [builder.public], root=data.root)


def test_nothing_is_sealed_that_was_not_read(shelf: Shelf, builder: KeyFileSigner, tmp_path: Path) -> None:
    write(tmp_path / "cache" / "x", b"made up")
    (tmp_path / "reads").mkdir()
    with pytest.raises(UsageError, match="nothing tells what was read"):
        seal_cache(tmp_path / "cache", shelf.open(), builder, now=NOW)
    with pytest.raises(UsageError, match="was not built from it"):
        seal_cache(tmp_path / "cache", shelf.open(reads=tmp_path / "reads"), builder, now=NOW)
    assert not (tmp_path / "cache" / ".dataseal").exists()


def test_reports_about_a_second_dataset_in_the_same_folder(
    data: OpenDataset, builder: KeyFileSigner, tmp_path: Path
) -> None:
    Reads(str(tmp_path / "reads"), Pin("11" * 32, "00" * 32)).note(7, 0, 3)
    data.open("rows.csv").read()
    write(tmp_path / "cache" / "x", b"made of it")
    seal_cache(tmp_path / "cache", data, builder, now=NOW)


def test_a_cache_can_be_sealed_again(cache: Path, data: OpenDataset, builder: KeyFileSigner) -> None:
    write(cache / "more", b"x")
    seal_cache(cache, data, builder, now=NOW)
    assert check_cache(cache, [builder.public], root=data.root).files == 3


def test_the_seal_of_a_release_is_not_replaced(shelf: Shelf, data: OpenDataset, builder: KeyFileSigner) -> None:
    data.open("rows.csv").read()
    before = sorted(path.name for path in (shelf.data / ".dataseal").rglob("*"))
    with pytest.raises(UsageError, match="no cache's"):
        seal_cache(shelf.data, data, builder, now=NOW)
    assert sorted(path.name for path in (shelf.data / ".dataseal").rglob("*")) == before


@pytest.mark.parametrize("what", ["empty", "link", "git"])
def test_what_can_not_be_sealed(data: OpenDataset, builder: KeyFileSigner, tmp_path: Path, what: str) -> None:
    (tmp_path / "cache").mkdir()
    data.open("rows.csv").read()
    if what == "link":
        (tmp_path / "cache" / "x").symlink_to("/etc/passwd")
    if what == "git":
        write(tmp_path / "cache" / "x", b"x")
        write(tmp_path / "cache" / ".git" / "x", b"x")
    with pytest.raises(DatasealError):
        seal_cache(tmp_path / "cache", data, builder, now=NOW)


def test_reports_need_a_folder(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        shelf.open(reads=tmp_path / "nothing")


def test_the_cache_of_datasets(
    shelf: Shelf, data: OpenDataset, builder: KeyFileSigner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_UPDATE_DOWNLOAD_COUNTS", "0")
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    datasets.disable_progress_bars()
    folder = tmp_path / "hf"

    def load() -> Any:
        return datasets.load_dataset(
            "parquet",
            data_files={"train": data.url("data/*.parquet")},
            split="train",
            storage_options=data.storage_options,
            cache_dir=str(folder),
        )

    built = load()
    assert built.num_rows == 2 * ROWS
    (arrow,) = {Path(file["filename"]) for file in built.cache_files}
    del built
    seal_cache(arrow.parent, data, builder, now=NOW)
    again = load()  # from the cache: it reads no shard
    assert {Path(file["filename"]) for file in again.cache_files} == {arrow}
    del again
    check_cache(arrow.parent, [builder.public], root=data.root)
    flip(arrow, arrow.stat().st_size // 2)
    with pytest.raises(IntegrityError, match=r"\.arrow"):
        check_cache(arrow.parent, [builder.public], root=data.root)
