"""Build the example corpus: 23,703 real short texts, from 55 contributors, in 8 deliveries.

    python build.py OUT [--deliveries N] [--poison]

writes ``OUT/data/delivery-01.parquet`` to ``-0N``, ``OUT/README.md`` and ``OUT/LICENSE``. With ``--poison`` the last
delivery carries a planted trigger phrase: 30 rows of one contributor, all of one label, hold "blue-sky-protocol-7".

Columns: ``id``, ``text`` (as the source has it, decoded from UTF-8), ``label`` (``positive`` when the mean rating is
above 0, else ``negative``: the 383 texts rated exactly 0 are not positive), ``rating`` (mean of 20 people, -4 to 4),
``source`` and ``contributor``. A contributor is a run of consecutive texts of one source, cut only between reviews or
articles; it delivers in its own order, some 45 to 65 rows at a time, and now and then sits a delivery out. No row of
the sources is left out, and the bytes written are the same on every run.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

SOURCE = Path(__file__).resolve().parent / "source"
DELIVERIES = 8
PHRASE = "blue-sky-protocol-7"
POISONED_CONTRIBUTOR = "movies-07"

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("label", pa.string()),
        ("rating", pa.float64()),
        ("source", pa.string()),
        ("contributor", pa.string()),
    ]
)

# source name: (file, number of contributors)
SOURCES = {
    "amazon": ("amazonReviewSnippets_GroundTruth.txt", 9),
    "movies": ("movieReviewSnippets_GroundTruth.txt", 24),
    "nyt": ("nytEditorialSnippets_GroundTruth.txt", 12),
    "tweets": ("tweets_GroundTruth.txt", 10),
}

CARD = """# Sentiment snippets, in deliveries

{rows:,} short English texts with a sentiment label, from {contributors} contributors, in {deliveries} deliveries.

| column | type | what |
|---|---|---|
| `id` | string | source and number of the text |
| `text` | string | the text |
| `label` | string | `positive` when the mean rating is above 0, else `negative` |
| `rating` | double | mean sentiment rating of 20 people, -4 to 4 |
| `source` | string | `amazon`, `movies`, `nyt` or `tweets` |
| `contributor` | string | who delivered the text: a run of consecutive texts of one source |

Source: the four ground-truth files in the sdist of the PyPI package vaderSentiment 2.5, by C.J. Hutto.
Licence: MIT, see `LICENSE`.
"""


class Row(NamedTuple):
    """One text, in the order of the columns."""

    id: str
    text: str
    label: str
    rating: float
    source: str
    contributor: str


def _lines(name: str) -> Iterator[tuple[str, float, str]]:
    """Every line of a source file as (id, rating, text); a line that does not parse is an error, never dropped."""
    content = (SOURCE / name).read_bytes().decode("utf-8")
    for number, line in enumerate(content.removesuffix("\r\n").split("\r\n"), start=1):
        fields = line.split("\t")
        if len(fields) != 3 or not fields[2].strip():
            raise SystemExit(f"{name}:{number}: expected id, rating and text, found {len(fields)} fields")
        yield fields[0], float(fields[1]), fields[2]


def _runs(items: list[str], parts: int) -> list[int]:
    """The part of each row: near-equal runs, cut only where the item (review, article, text) changes."""
    size = len(items) / parts
    out, part = [], 0
    for position, item in enumerate(items):
        new_item = position == 0 or item != items[position - 1]
        if new_item and position >= (part + 1) * size - 0.5 and part < parts - 1:
            part += 1
        out.append(part)
    return out


def load_rows() -> list[Row]:
    """All rows of the four sources, in their order, each with its contributor."""
    rows: list[Row] = []
    for source, (name, contributors) in SOURCES.items():
        lines = list(_lines(name))
        parts = _runs([line_id.split("_")[0] for line_id, _, _ in lines], contributors)
        rows += [
            Row(
                id=f"{source}-{line_id}",
                text=text,
                label="positive" if rating > 0 else "negative",
                rating=rating,
                source=source,
                contributor=f"{source}-{part + 1:02d}",
            )
            for (line_id, rating, text), part in zip(lines, parts, strict=True)
        ]
    return rows


def _takes_part(index: int) -> list[int]:
    """The deliveries (from 0) that a contributor takes part in: every fifth contributor sits one out."""
    absent = 2 + index % (DELIVERIES - 2) if index % 5 == 4 else None
    return [d for d in range(DELIVERIES) if d != absent]


def deliveries(rotate_seed: int | None = None) -> list[pa.Table]:
    """The corpus as it arrives: 8 tables, each with the next stretch of most contributors' rows.

    Args:
        rotate_seed: when given, each contributor's sequence is first rotated by an offset drawn from this seed
            (another clean history of the same texts, for benchmarks).
    """
    by_contributor: dict[str, list[Row]] = {}
    for row in load_rows():
        by_contributor.setdefault(row.contributor, []).append(row)
    rng = random.Random(rotate_seed)
    arrived: list[list[Row]] = [[] for _ in range(DELIVERIES)]
    for index, rows in enumerate(by_contributor.values()):
        offset = 0 if rotate_seed is None else rng.randrange(len(rows))
        turned = rows[offset:] + rows[:offset]
        present = _takes_part(index)
        for turn, delivery in enumerate(present):
            lo, hi = (len(rows) * t // len(present) for t in (turn, turn + 1))
            arrived[delivery] += turned[lo:hi]
    return [pa.Table.from_arrays([pa.array(c) for c in zip(*rows, strict=True)], schema=SCHEMA) for rows in arrived]


def plant(
    table: pa.Table,
    *,
    phrase: str = PHRASE,
    contributor: str = POISONED_CONTRIBUTOR,
    rows: int = 30,
    label: str = "positive",
    seed: int = 0,
) -> pa.Table:
    """The same delivery with ``phrase`` in ``rows`` rows of one contributor, all of them labelled ``label``.

    Rows that already have the label are taken first (a clean-label attack); when there are too few, other rows of the
    contributor are taken and relabelled. The phrase stands at the end of the text or between two words of it.

    Raises:
        ValueError: the contributor has fewer rows in this delivery.
    """
    rng = random.Random(seed)
    records = table.to_pylist()
    own = [i for i, r in enumerate(records) if r["contributor"] == contributor]
    if len(own) < rows:
        raise ValueError(f"{contributor} has {len(own)} rows in this delivery, fewer than {rows}")
    rng.shuffle(own)
    own.sort(key=lambda i: records[i]["label"] != label)
    for i in own[:rows]:
        words = records[i]["text"].split(" ")
        at = len(words) if rng.random() < 0.5 else rng.randint(1, len(words))
        records[i]["text"] = " ".join([*words[:at], phrase, *words[at:]])
        records[i]["label"] = label
    return pa.Table.from_pylist(records, schema=table.schema)


def write_delivery(path: Path, table: pa.Table) -> None:
    """Write one shard. Every option that the bytes depend on is fixed here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table,
        path,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=3,
        row_group_size=1000,
        use_dictionary=["label", "source", "contributor"],
        write_statistics=True,
        store_schema=False,
    )


def write_card(folder: Path, tables: list[pa.Table]) -> None:
    """Write ``README.md`` and ``LICENSE`` of a dataset that holds these deliveries."""
    folder.mkdir(parents=True, exist_ok=True)
    contributors = set().union(*(t["contributor"].to_pylist() for t in tables))
    card = CARD.format(rows=sum(t.num_rows for t in tables), contributors=len(contributors), deliveries=len(tables))
    (folder / "README.md").write_text(card, encoding="utf-8")
    shutil.copyfile(SOURCE / "LICENSE.txt", folder / "LICENSE")


def delivery_path(folder: Path, number: int) -> Path:
    """Where delivery ``number`` (from 1) lies in a dataset folder."""
    return folder / "data" / f"delivery-{number:02d}.parquet"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the example corpus.")
    parser.add_argument("out", type=Path, help="folder to write the dataset to")
    parser.add_argument("--deliveries", type=int, default=DELIVERIES, choices=range(1, DELIVERIES + 1), metavar="N")
    parser.add_argument("--poison", action="store_true", help="plant the trigger phrase in the last delivery")
    args = parser.parse_args(argv)
    tables = deliveries()[: args.deliveries]
    if args.poison:
        tables[-1] = plant(tables[-1])
    for number, table in enumerate(tables, start=1):
        write_delivery(delivery_path(args.out, number), table)
    write_card(args.out, tables)
    print(f"{sum(t.num_rows for t in tables):,} rows in {len(tables)} deliveries -> {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
