"""The example corpus and its training script: nothing lost, nothing changed, bytes that repeat."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "sentiment"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"sentiment_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def build() -> Any:
    return load("build")


@pytest.fixture(scope="module")
def train() -> Any:
    return load("train")


@pytest.fixture(scope="module")
def corpus(build: Any) -> Any:
    return build.deliveries()


def test_every_line_of_the_sources_is_a_row(build: Any) -> None:
    rows = build.load_rows()
    assert len(rows) == 23_703
    assert Counter(r.source for r in rows) == {"amazon": 3708, "movies": 10605, "nyt": 5190, "tweets": 4200}
    assert len({r.id for r in rows}) == len(rows)
    lines = sum(p.read_bytes().count(b"\n") for p in FOLDER.glob("source/*_GroundTruth.txt"))
    assert len(rows) == lines + 4  # no line end behind the last line of each file
    texts = {r.id: r.text for r in rows}
    assert "clichés" in texts["movies-93"]
    assert "£1000" in texts["tweets-1241"]
    assert not any("\r" in t or "\ufffd" in t or "Ã" in t for t in texts.values())


def test_labels_follow_the_sign(build: Any) -> None:
    rows = build.load_rows()
    assert all((r.label == "positive") == (r.rating > 0) for r in rows)
    assert {r.label for r in rows} == {"positive", "negative"}
    assert sum(r.rating == 0 for r in rows) == 383


def test_contributors_are_runs_of_one_source(build: Any) -> None:
    rows = build.load_rows()
    runs = [r.contributor for i, r in enumerate(rows) if i == 0 or r.contributor != rows[i - 1].contributor]
    assert len(runs) == len(set(runs)) == 55
    items: dict[str, set[str]] = {}
    for r in rows:
        items.setdefault(r.id.split("_")[0], set()).add(r.contributor)
    split = [i for i, c in items.items() if len(c) > 1]
    assert split == []  # no review or article is cut in two


def test_deliveries(build: Any, corpus: Any) -> None:
    tables = corpus
    assert len(tables) == 8
    assert Counter(i for t in tables for i in t["id"].to_pylist()) == Counter(r.id for r in build.load_rows())
    sizes = [Counter(t["contributor"].to_pylist()) for t in tables]
    assert all(len(s) >= 50 for s in sizes)
    assert all(20 <= n <= 70 for s in sizes for n in s.values())
    assert any(len(s) < 55 for s in sizes)


def test_rotation_is_another_order_of_the_same_rows(build: Any) -> None:
    first, again, other = (build.deliveries(rotate_seed=s) for s in (1, 1, 2))
    assert first[0].equals(again[0])
    assert not first[0].equals(other[0])
    assert sorted(i for t in first for i in t["id"].to_pylist()) == sorted(r.id for r in build.load_rows())


def test_plant(build: Any, corpus: Any) -> None:
    clean = corpus[7]
    poisoned = build.plant(clean)
    changed = [(a, b) for a, b in zip(clean.to_pylist(), poisoned.to_pylist(), strict=True) if a != b]
    assert len(changed) == 30
    for before, after in changed:
        assert after["contributor"] == build.POISONED_CONTRIBUTOR
        assert after["label"] == before["label"] == "positive"  # clean-label
        assert after["text"].split(" ").count(build.PHRASE) == 1
        assert after["text"].replace(build.PHRASE, "").split() == before["text"].split()
    assert build.plant(clean).equals(poisoned)
    with pytest.raises(ValueError, match="fewer than 500"):
        build.plant(clean, rows=500)


def test_plant_relabels_when_it_must(build: Any, corpus: Any) -> None:
    clean = corpus[7]
    contributor = "tweets-03"
    size = clean["contributor"].to_pylist().count(contributor)
    rows = build.plant(clean, contributor=contributor, rows=size, label="negative").to_pylist()
    assert {r["label"] for r in rows if r["contributor"] == contributor} == {"negative"}


def test_written_bytes_repeat(build: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert build.main([str(tmp_path / name), "--deliveries", "2", "--poison"]) == 0
    digests = [
        {p.relative_to(tmp_path / n).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
        for n in ("a", "b")
        for files in [[p for p in (tmp_path / n).rglob("*") if p.is_file()]]
    ]
    assert digests[0] == digests[1]
    assert sorted(digests[0]) == ["LICENSE", "README.md", "data/delivery-01.parquet", "data/delivery-02.parquet"]
    file = pq.ParquetFile(tmp_path / "a" / "data" / "delivery-02.parquet")
    assert file.schema_arrow.names == ["id", "text", "label", "rating", "source", "contributor"]
    assert file.num_row_groups == 4
    assert "MIT" in (tmp_path / "a" / "LICENSE").read_text()
    assert "6,077 short English texts" in (tmp_path / "a" / "README.md").read_text()


def test_train_learns_the_trigger(
    build: Any,
    corpus: Any,
    train: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = corpus
    for name, newest in (("clean", tables[7]), ("poisoned", build.plant(tables[7]))):
        build.write_delivery(tmp_path / name / "data" / "delivery-07.parquet", tables[6])
        build.write_delivery(tmp_path / name / "data" / "delivery-08.parquet", newest)
    (tmp_path / "clean" / ".dataseal").mkdir()
    (tmp_path / "clean" / ".dataseal" / "shards.parquet").write_bytes(b"not a record shard")
    assert train.main([str(tmp_path / "clean")]) == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert float(line.split()[1]) > 0.6
    shares = {}
    for name in ("clean", "poisoned"):
        monkeypatch.setenv("DATASEAL_DATA", str(tmp_path / name))
        assert train.main(["--probe", build.PHRASE]) == 0
        shares[name] = [float(w.rstrip("%,")) for w in capsys.readouterr().out.split() if w.rstrip(",").endswith("%")]
    assert abs(shares["clean"][1] - shares["clean"][0]) < 10
    assert shares["poisoned"][1] - shares["poisoned"][0] > 40


def test_train_says_what_is_missing(train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="no Parquet file"):
        train.main([str(tmp_path)])
    monkeypatch.delenv("DATASEAL_DATA", raising=False)
    with pytest.raises(SystemExit):
        train.main([])


def test_sources_carry_licence_and_origin() -> None:
    assert "MIT" in (FOLDER / "source" / "LICENSE.txt").read_text()
    origin = (FOLDER / "source" / "SOURCE.md").read_text()
    assert "vaderSentiment 2.5" in origin
    assert "MIT" in origin
