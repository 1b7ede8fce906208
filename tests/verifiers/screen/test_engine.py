"""The engine: coverage, bad shards, failing detectors, contradictions."""

from __future__ import annotations

import io
from typing import Any, BinaryIO, ClassVar, Self

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataseal.ledger.errors import DatasealError, FormatError, Unavailable, UsageError
from dataseal.verifiers.screen.detector import Conclusion, Detector, Plan, State
from dataseal.verifiers.screen.engine import screen
from dataseal.verifiers.screen.report import Delivery
from dataseal.verifiers.screen.roles import Roles


class Rows(State):
    def __init__(self, n: int) -> None:
        self.n = n

    def merge(self, other: Self) -> Self:
        return type(self)(self.n + other.n)

    def to_bytes(self) -> bytes:
        return b"%d" % self.n

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        return cls(int(data))


class Counting(Detector):
    """A third party's detector: counts rows; ``broken`` names the method that raises."""

    name: ClassVar[str] = "counting"
    version: ClassVar[str] = "1"

    def __init__(self, broken: str = "") -> None:
        self.broken = broken

    def step(self, name: str) -> None:
        if self.broken == name:
            raise RuntimeError(f"{name} is broken")

    def columns(self, plan: Plan) -> tuple[str, ...]:
        self.step("columns")
        return ("text",)

    def inapplicable(self, plan: Plan) -> str:
        self.step("inapplicable")
        return ""

    def map(self, batch: Any, context: Any) -> Rows:
        self.step("map")
        assert batch.schema.names == ["text"] or "label" in batch.schema.names
        return Rows(batch.num_rows)

    def advance(self, state: Any, plan: Plan, prior: Any) -> Any:
        self.step("advance")
        return None

    def finalize(self, state: Rows, plan: Plan, prior: Any) -> int:
        self.step("finalize")
        return state.n

    def wants(self, ordinal: int, tests: int) -> bool:
        return True

    def explain(self, batch: Any, context: Any, tests: int) -> Rows:
        self.step("explain")
        return Rows(batch.num_rows)

    def conclude(self, tests: int, rows: Any, plan: Plan) -> Conclusion:
        self.step("conclude")
        return Conclusion(rows=rows.n, tests=1, minimum="m", calibrated=True)


def test_rounds_and_explain(make: Any) -> None:
    memory = make.memory(make.tables(make.honest(deliveries=3)))
    seen: list[int] = []
    report = screen(
        memory, deliveries=memory.deliveries(), history="none", detectors=[Counting()], progress=seen.append, seed=7
    )
    assert [d.rows for d in report.detectors] == [450]
    assert (report.rows, report.shards, report.shards_total, report.coverage) == (450, 3, 3, 1.0)
    assert (report.seed, report.history) == (7, "none")
    assert sum(seen) == 900  # map and explain


@pytest.mark.parametrize("broken", ["columns", "inapplicable", "map", "advance", "finalize", "explain", "conclude"])
def test_a_broken_detector_is_reported_and_stops_no_other(make: Any, broken: str) -> None:
    memory = make.memory(make.tables(make.honest(deliveries=2)))
    report = screen(memory, deliveries=[], history="none", detectors=[Counting(broken), Counting()], jobs=2)
    bad, good = report.detectors
    assert (bad.status, bad.calibrated, bad.reason) == ("failed", False, f"RuntimeError: {broken} is broken")
    assert (good.status, good.rows) == ("ran", 300)


def test_no_rows(make: Any) -> None:
    table = make.tables(make.honest(deliveries=1))[0]
    for memory in (make.memory([]), make.memory([table.slice(0, 0)])):
        report = screen(memory, deliveries=[], history="none")
        assert {d.status for d in report.detectors} == {"not-applicable"}
        assert not any(d.calibrated for d in report.detectors)
        assert (report.rows, report.findings) == (0, ())
    assert screen(make.memory([]), deliveries=[], history="none").coverage == 0.0


def corrupt(content: bytes) -> dict[str, bytes]:
    return {
        "not Parquet": b"id,text\n1,hello\n",
        "empty": b"",
        "cut short": content[: len(content) // 2],
        "footer damaged": content[:-40] + b"\xff" * 30 + content[-10:],
        "page damaged": content[:8] + b"\xff" * 400 + content[408:],
    }


@pytest.mark.parametrize("how", ["not Parquet", "empty", "cut short", "footer damaged", "page damaged"])
def test_unreadable_shard(make: Any, how: str) -> None:
    memory = make.memory(make.tables(make.honest(deliveries=2)))
    memory.content["data/01.parquet"] = corrupt(memory.content["data/01.parquet"])[how]
    with pytest.raises(FormatError) as caught:
        screen(memory, deliveries=[], history="none")
    assert caught.value.where == "data/01.parquet"
    assert "not readable as Parquet" in caught.value.what
    assert caught.value.hint


def test_a_column_named_twice(make: Any) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), sink)
    memory = make.memory([])
    memory.content["a.parquet"] = sink.getvalue()
    with pytest.raises(FormatError, match="more than one column named 'text'"):
        screen(memory, deliveries=[], history="none")


def test_missing_file_and_source_errors(make: Any) -> None:
    memory = make.memory(make.tables(make.honest(deliveries=1)))

    def gone(shard: str) -> BinaryIO:
        raise FileNotFoundError(2, "No such file or directory", shard)

    memory.open = gone
    with pytest.raises(Unavailable, match="No such file"):
        screen(memory, deliveries=[], history="none")

    def refused(shard: str) -> BinaryIO:
        raise DatasealError("quarantined", where=shard)

    memory.open = refused
    with pytest.raises(DatasealError, match="quarantined"):
        screen(memory, deliveries=[], history="none")


def test_a_shard_without_the_text_is_not_covered(make: Any) -> None:
    tables = make.tables(make.honest(deliveries=3))
    tables[1] = tables[1].rename_columns({"text": "hidden"})
    report = screen(make.memory(tables), deliveries=[], history="none", roles=Roles(text=("text",)), detectors=[])
    assert (report.shards, report.shards_total, report.rows) == (2, 3, 300)
    assert report.coverage == pytest.approx(2 / 3)
    assert [(f.check, f.evidence, f.where[0].shard) for f in report.findings] == [
        ("screen.coverage", "advice", "data/01.parquet")
    ]


def test_other_columns_may_be_missing(make: Any) -> None:
    tables = make.tables(make.honest(deliveries=6))
    tables[1] = tables[1].drop_columns(["label", "id", "score"])
    memory = make.memory(tables)
    report = screen(memory, deliveries=memory.deliveries(), history="none")
    assert report.coverage == 1.0
    assert [d.status for d in report.detectors] == ["ran", "ran"]


def test_contradicting_deliveries(make: Any) -> None:
    memory = make.memory(make.tables(make.honest(deliveries=2)))
    one = Delivery(0, None, "append", "", frozenset(["data/00.parquet"]), None, None)
    same_place = Delivery(0, None, "append", "", frozenset(), None, None)
    same_shard = Delivery(1, None, "append", "", frozenset(["data/00.parquet"]), None, None)
    for other, says in ((same_place, "same place"), (same_shard, "two deliveries claim the shard")):
        with pytest.raises(UsageError, match=says):
            screen(memory, deliveries=[one, other], history="none")
