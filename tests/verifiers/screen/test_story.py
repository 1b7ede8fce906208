"""The example corpus: clean releases pass with no finding, the poisoned eighth delivery is found and named."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dataseal.verifiers.screen.engine import screen
from dataseal.verifiers.screen.report import ScreenReport

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sentiment_build", ROOT / "examples" / "sentiment" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def corpus(build: Any) -> Any:
    return build.deliveries()


def run(make: Any, tables: Any) -> ScreenReport:
    memory = make.memory(tables, row_group_size=1000)
    return screen(memory, deliveries=memory.deliveries(), history="test")


@pytest.mark.parametrize("last", [6, 7, 8])
def test_clean_releases_have_no_finding(make: Any, corpus: Any, last: int) -> None:
    report = run(make, corpus[:last])
    assert report.findings == ()
    assert [(d.detector, d.status) for d in report.detectors] == [("private-phrase", "ran"), ("outlier", "ran")]
    assert report.detectors[0].calibrated
    assert report.roles["contributor"] == "contributor"
    assert report.roles["text"] == "text"


def test_poisoned_release_is_found_and_named(make: Any, build: Any, corpus: Any) -> None:
    tables = list(corpus)
    tables[7] = build.plant(tables[7])
    rows = [i for i, text in enumerate(tables[7]["text"].to_pylist()) if build.PHRASE in text]
    report = run(make, tables)
    assert [(f.check, f.evidence) for f in report.findings] == [("screen.private-phrase", "gate")]
    finding = report.findings[0]
    assert finding.data["phrase"] == build.PHRASE
    assert finding.data["contributor"] == build.POISONED_CONTRIBUTOR
    assert (finding.data["delivery"]["ordinal"], finding.data["delivery"]["entry"]) == (7, 17)
    assert finding.data["labels"] == {"positive": 30}
    assert [(p.shard, p.row_group, p.row) for p in finding.where] == [("data/07.parquet", r // 1000, r) for r in rows]


def test_plants_of_several_contributors_do_not_hide_each_other(make: Any, build: Any, corpus: Any) -> None:
    tables = corpus[:3]
    planted = {"movies-02": "amber-unit-91-x", "tweets-04": "quiet thunder over marble", "nyt-03": "cedar-lantern-5"}
    for contributor, phrase in planted.items():
        tables[2] = build.plant(tables[2], phrase=phrase, contributor=contributor, rows=20)
    found = {f.data["contributor"]: f.data["phrase"] for f in run(make, tables).findings if f.evidence == "gate"}
    assert found == planted
