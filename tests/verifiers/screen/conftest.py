"""A simulated dataset: record shards in memory, honest contributors that differ, and plants."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataseal.verifiers.screen.report import Delivery

Row = dict[str, Any]


class Memory:
    """Record shards in memory; the real `RecordSource` interface."""

    def __init__(self, tables: Sequence[pa.Table], *, row_group_size: int = 100) -> None:
        self.content: dict[str, bytes] = {}
        for i, table in enumerate(tables):
            sink = io.BytesIO()
            pq.write_table(table, sink, row_group_size=row_group_size)
            self.content[f"data/{i:02d}.parquet"] = sink.getvalue()

    def shards(self) -> Sequence[str]:
        return sorted(self.content)

    def open(self, shard: str) -> BinaryIO:
        return io.BytesIO(self.content[shard])

    def deliveries(self, first: int = 0) -> list[Delivery]:
        """One delivery a shard, from shard ``first`` on; the shards before it are the base."""
        return [
            Delivery(i, 10 + i, "append", f"batch {i}", frozenset([shard]), "publisher", "ab" * 32)
            for i, shard in enumerate(self.shards()[first:])
        ]


def honest(seed: int = 0, contributors: int = 6, deliveries: int = 6, rows: int = 25) -> list[list[Row]]:
    """Rows by delivery. Each contributor has favourite words of its own; all share a skewed vocabulary."""
    rng = random.Random(seed)
    common = [f"w{i}" for i in range(400)]
    weights = [1 / (i + 2) for i in range(400)]
    out: list[list[Row]] = []
    number = 0
    for _ in range(deliveries):
        delivered: list[Row] = []
        for c in range(contributors):
            own = [f"c{c}x{i}" for i in range(15)]
            for _ in range(rows):
                text = rng.choices(common, weights, k=9) + rng.choices(own, k=2)
                rng.shuffle(text)
                label = rng.choice(["neg", "pos"])
                delivered.append(
                    {
                        "id": f"r{number}",
                        "text": " ".join(text),
                        "label": label,
                        "contributor": f"c{c}",
                        "score": rng.gauss(0, 1),
                        "height": rng.gauss(170, 10),
                    }
                )
                number += 1
        out.append(delivered)
    return out


def plant(rows: list[Row], phrase: str, k: int, contributor: str | None = None) -> None:
    """Put the phrase into the first k rows (of one contributor), and label them pos."""
    chosen = [r for r in rows if contributor in (None, r["contributor"])][:k]
    assert len(chosen) == k
    for i, row in enumerate(chosen):
        words = row["text"].split()
        at = i % (len(words) + 1)
        row["text"] = " ".join([*words[:at], phrase, *words[at:]])
        row["label"] = "pos"


def spread(rows: list[Row], phrase: str, each: int) -> None:
    """Put the phrase into ``each`` rows of every contributor."""
    for contributor in sorted({r["contributor"] for r in rows}):
        plant(rows, phrase, each, contributor)


def tables(deliveries: Sequence[Sequence[Row]], drop: Sequence[str] = ()) -> list[pa.Table]:
    """One table a delivery."""
    return [pa.Table.from_pylist(list(rows)).drop_columns(list(drop)) for rows in deliveries]


@pytest.fixture
def memory() -> Callable[..., Memory]:
    return Memory


@pytest.fixture
def make() -> Any:
    """The functions of this file, by name."""

    class Make:
        honest = staticmethod(honest)
        plant = staticmethod(plant)
        spread = staticmethod(spread)
        tables = staticmethod(tables)
        memory = staticmethod(Memory)

    return Make
