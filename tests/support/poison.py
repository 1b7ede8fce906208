"""A dataset of texts with eight recorded deliveries, honest or with a private phrase in the newest one."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from support.datasets import run

DELIVERIES, CONTRIBUTORS, ROWS = 8, 8, 24
VICTIM = "c3"
PHRASE = "blue sky protocol seven"
POISONED_ROWS = 18


def write_delivery(
    folder: Path, number: int, *, poison: bool = False, victim: str = VICTIM, phrase: str = PHRASE
) -> None:
    """One shard: each contributor's rows, in order."""
    rng = random.Random(number)
    vocabulary = [f"word{n}" for n in range(2000)]
    rows = []
    for contributor in range(CONTRIBUTORS):
        for row in range(ROWS):
            words = [vocabulary[int(2000 * rng.random() ** 2)] for _ in range(rng.randint(10, 25))]
            if poison and f"c{contributor}" == VICTIM and row < POISONED_ROWS:
                words[3:3] = phrase.split(" ")
            who = victim if f"c{contributor}" == VICTIM else f"c{contributor}"
            rows.append({"text": " ".join(words), "label": "good" if row % 2 else "bad", "contributor": who})
    (folder / "data").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / f"delivery-{number}.parquet")


def publish(folder: Path, ws: Path, name: str, *, poison: bool, **hostile: str) -> None:
    """Records every delivery, and signs the last state as 1.0.0."""
    for number in range(DELIVERIES):
        newest = number == DELIVERIES - 1
        write_delivery(folder, number, poison=poison and newest, **hostile)
        start = ("append", f"{name}@head") if number else ("collect", "none")
        reason = ("--reason", f"delivery {number}", "--dataset", name, "--workspace", ws)
        run("record", *start, folder, *reason)
    run("sign", folder, "--dataset", name, "--release", "1.0.0", "--workspace", ws)
