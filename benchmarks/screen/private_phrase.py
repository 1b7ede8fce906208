"""The private-phrase test on the example corpus, with its defaults: what it finds, and what it says about clean data.

    python benchmarks/screen/private_phrase.py [--draws 50] [--first-seed 0]

Plants: 50 seeded draws of a phrase (three or more tokens), a contributor, a delivery and 15 to 30 rows; the release
that ends with that delivery is screened. A plant counts as found when a gate finding names the phrase, the
contributor and the delivery. Clean: 50 orders of the corpus, each contributor's sequence rotated by a seed.

Limits (exit 1 when one is missed): at least 9 in 10 plants found and rightly attributed, at most 1 in 25 clean orders
with a gate finding. Every clean alarm is printed with its rows, so that a reader sees whether it is a real burst.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import io
import random
import string
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from dataseal.verifiers.finding import Finding
from dataseal.verifiers.screen.detector import Context, Plan
from dataseal.verifiers.screen.engine import screen
from dataseal.verifiers.screen.phrase import PrivatePhrase
from dataseal.verifiers.screen.report import Delivery, ScreenReport
from dataseal.verifiers.screen.roles import Roles
from dataseal.verifiers.screen.text import words

ROOT = Path(__file__).resolve().parents[2]

# Ordinary words for phrases; none was chosen by looking at the corpus.
WORDS = """
amber anchor apple arrow autumn basin beacon birch bridge bronze canyon cedar cinder clover cobalt copper
coral  crystal delta desert echo ember falcon fern field forest garden glass granite harbor hazel hollow
indigo iron  island ivory jasper juniper kettle lantern laurel lemon linen lunar maple marble meadow mirror
morning mountain  needle night north ocean olive opal orchard paper pebble pepper pine planet plum prairie
quartz quiet rain raven  ribbon river rocket saddle saffron sail shadow silver sky slate snow south spruce
stone summer sunset thistle  thunder timber topaz tower valley velvet violet walnut water willow window winter
yellow zenith
""".split()  # noqa: SIM905  a list literal would be 95 lines


class Draw(NamedTuple):
    """One plant."""

    phrase: str
    contributor: str
    delivery: int
    rows: int
    label: str


class Memory:
    """Record shards in memory."""

    def __init__(self, tables: Sequence[pa.Table]) -> None:
        self.content = {f"data/delivery-{i:02d}.parquet": _parquet(t) for i, t in enumerate(tables, start=1)}

    def shards(self) -> Sequence[str]:
        return sorted(self.content)

    def open(self, shard: str) -> BinaryIO:
        return io.BytesIO(self.content[shard])

    def deliveries(self) -> list[Delivery]:
        return [
            Delivery(i, i + 1, "append", f"delivery {i + 1}", frozenset([shard]), "publisher", None)
            for i, shard in enumerate(self.shards())
        ]


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=1000)
    return sink.getvalue()


def corpus() -> ModuleType:
    """examples/sentiment/build.py, which is a script and not a package."""
    spec = importlib.util.spec_from_file_location("sentiment_build", ROOT / "examples" / "sentiment" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def phrase(rng: random.Random) -> str:
    """Half dashed codes ("cobalt-river-unit-42"), half phrases of three to five ordinary words."""
    chosen = rng.sample(WORDS, rng.randint(3, 5))
    if rng.random() < 0.5:
        return " ".join(chosen)
    code = "".join(rng.choices(string.ascii_lowercase, k=2)) + str(rng.randint(1, 999))
    return "-".join([*chosen[: rng.randint(2, 3)], rng.choice([str(rng.randint(1, 99)), code])])


def draw(seed: int, tables: Sequence[pa.Table]) -> Draw:
    """A plant in one of the deliveries 2 to 8: the first has no history to be judged against."""
    rng = random.Random(f"plant {seed}")
    rows = rng.randint(15, 30)
    number = rng.randint(2, len(tables))
    sizes = {c["values"]: c["counts"] for c in tables[number - 1]["contributor"].value_counts().to_pylist()}
    contributor = rng.choice(sorted(c for c, size in sizes.items() if size >= rows))
    return Draw(phrase(rng), contributor, number, rows, rng.choice(["positive", "negative"]))


def run(tables: Sequence[pa.Table]) -> ScreenReport:
    memory = Memory(tables)
    return screen(memory, deliveries=memory.deliveries(), history="benchmark", detectors=[PrivatePhrase()])


def gates(report: ScreenReport) -> list[Finding]:
    return [f for f in report.findings if f.evidence == "gate"]


def rightly(found: Sequence[Finding], plant: Draw) -> bool:
    """Whether a gate finding names the phrase, the contributor and the delivery."""
    tokens = words(pa.array([plant.phrase])).string.to_pylist()
    return any(
        f.data["tokens"].split() == tokens
        and f.data["contributor"] == plant.contributor
        and f.data["delivery"]["ordinal"] == plant.delivery - 1
        for f in found
    )


def texts(finding: Finding, tables: Sequence[pa.Table]) -> Iterator[str]:
    for pointer in finding.where[:5]:
        table = tables[int(pointer.shard[-10:-8]) - 1]
        yield table["text"][pointer.row].as_py()


def plants(build: Any, seeds: range) -> tuple[int, list[str]]:
    clean = build.deliveries()
    print(f"{'seed':>4}  {'delivery':>8}  {'rows':>4}  {'contributor':<11}  {'phrase':<42}  result")
    found, missed = 0, []
    for seed in seeds:
        plant = draw(seed, clean)
        tables = clean[: plant.delivery]
        tables[-1] = build.plant(
            tables[-1],
            phrase=plant.phrase,
            contributor=plant.contributor,
            rows=plant.rows,
            label=plant.label,
            seed=seed,
        )
        raised = gates(run(tables))
        good = rightly(raised, plant)
        found += good
        named = next((f for f in raised if f.data["contributor"] == plant.contributor), None)
        if good and named:
            result = f"found, adjusted p {named.data['adjusted_p']:.1g}"
        else:
            result = "NOT FOUND" if not raised else "WRONG: " + "; ".join(f.message for f in raised)
            missed.append(f"seed {seed}: {plant}: {result}")
        print(f"{seed:>4}  {plant.delivery:>8}  {plant.rows:>4}  {plant.contributor:<11}  {plant.phrase:<42}  {result}")
    return found, missed


def clean_orders(build: Any, seeds: range) -> int:
    alarms = 0
    for seed in seeds:
        tables = build.deliveries(rotate_seed=seed)
        report = run(tables)
        raised = gates(report)
        alarms += bool(raised)
        for finding in raised:
            print(f"clean order {seed} ALARM: {finding.message}")
            for text in texts(finding, tables):
                print(f"    | {text}")
        advice = [f for f in report.findings if f.evidence != "gate"]
        for finding in advice:
            print(f"clean order {seed} advice: {finding.message}")
    return alarms


def throughput(build: Any) -> str:
    """Documents a second and core of `map`, by round and over all rounds, and of a whole screen."""
    tables = build.deliveries()
    rows = sum(t.num_rows for t in tables)
    detector = PrivatePhrase()
    shards = {f"{i}": i for i in range(len(tables))}
    plan = Plan(Roles(text=("text",), contributor="contributor", id="id", label="label"), (), shards, 0)
    batches = [(i, b) for i, t in enumerate(tables) for b in t.to_batches(max_chunksize=8192)]
    prior, rounds = None, []
    while True:
        start = time.process_time()
        states = [detector.map(b, Context(plan, str(i), 0, 0, i, prior)) for i, b in batches]
        rounds.append(time.process_time() - start)
        following = detector.advance(functools.reduce(lambda x, y: x.merge(y), states), plan, prior)
        if following is None:
            break
        prior = following
    begun, cpu = time.perf_counter(), time.process_time()
    run(tables)
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    return (
        f"throughput: map {rows / sum(rounds):,.0f} documents/s a core over {len(rounds)} rounds "
        f"({', '.join(f'{rows / spent:,.0f}' for spent in rounds)}); whole screen of {rows:,} documents "
        f"{wall:.2f} s wall, {cpu:.2f} s CPU, {rows / cpu:,.0f} documents/s a core"
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--draws", type=int, default=50, help="plants, and clean orders (default 50 each)")
    parser.add_argument("--first-seed", type=int, default=0)
    args = parser.parse_args(argv)
    begun = time.perf_counter()
    build = corpus()
    seeds = range(args.first_seed, args.first_seed + args.draws)
    found, missed = plants(build, seeds)
    alarms = clean_orders(build, seeds)
    needed, allowed = -(-args.draws * 9 // 10), args.draws // 25
    print()
    print(f"plants found and rightly attributed: {found} of {args.draws} (at least {needed})")
    for line in missed:
        print(f"  missed {line}")
    print(f"clean orders with an alarm: {alarms} of {args.draws} (at most {allowed})")
    print(throughput(build))
    print(f"wall total: {time.perf_counter() - begun:.0f} s")
    passed = found >= needed and alarms <= allowed
    print("PASSED" if passed else "FAILED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
