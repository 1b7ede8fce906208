"""Each question about the log is answered through an index, by the store, and asked from the command line."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.admission import Admission, Rule
from dataseal.ledger.entry import ENDORSEMENT, ENTRY_KINDS
from dataseal.ledger.store.store import Store, View
from dataseal.ledger.store.stored import StoredEntry
from dataseal.ledger.store.view import MERGED
from support.cli import Said, dataseal, refused
from support.ledgers import made_up, raw
from support.statements import OTHER, ROOT, TABLE, receipt_payload, release_payload, sign_bundle, signer
from support.workspaces import Bench

KINDS = ("release", "modification", "receipt", "closed")


def rows(count: int, start: int = 0) -> list[StoredEntry]:
    """Entries of seven datasets by three signers, half of them releases, a second apart."""
    return [
        made_up(
            index,
            "release" if index % 2 else "receipt",
            dataset=f"d{index % 7}",
            version=f"{index}.0",
            root=(ROOT, OTHER)[index % 5 == 0],
            signer="abc"[index % 3],
            logged_at=f"2026-01-02T03:{index // 60:02}:{index % 60:02}Z",
        )
        for index in range(start, start + count)
    ]


ALL = rows(600)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store.create(tmp_path_factory.mktemp("store") / "l.sqlite", origin="o.example/l", log_key="k")
    for start in (0, 150, 300, 450):
        with made.appending() as view:
            view.insert(ALL[start : start + 150])
    return made


def matching(**wanted: Any) -> list[int]:
    """The naive answer."""
    found = []
    for row in ALL:
        told = {"dataset": row.dataset, "kind": row.kind, "signer": row.signer}
        if any(wanted.get(name) not in (None, value) for name, value in told.items()):
            continue
        if wanted.get("subject") not in (None, row.root, row.table_digest) or row.index >= wanted.get("before", 600):
            continue
        if wanted.get("since", "") <= row.logged_at <= wanted.get("until", "9"):
            found.append(row.index)
    return found[::-1]


TIMES = st.integers(0, 599).map(lambda n: f"2026-01-02T03:{n // 60:02}:{n % 60:02}Z")
WANTED = st.fixed_dictionaries(
    {},
    optional={
        "dataset": st.sampled_from([f"d{n}" for n in range(8)]),
        "kind": st.sampled_from(KINDS),
        "signer": st.sampled_from("abcz"),
        "subject": st.sampled_from([ROOT, OTHER, TABLE, "0" * 64]),
        "since": TIMES,
        "until": TIMES,
        "before": st.integers(0, 600),
    },
)


@given(wanted=WANTED)
def test_every_combination_finds_what_a_walk_over_all_finds(store: Store, wanted: dict[str, Any]) -> None:
    with store.view() as view:
        assert [row.index for row in view.search(**wanted)] == matching(**wanted)


def plans(view: View, **wanted: Any) -> Iterator[str]:
    """How SQLite answers each statement of a search."""
    asked: list[str] = []
    connection: Any = view._driver._raw
    connection.set_trace_callback(asked.append)
    try:
        assert list(view.search(**wanted))
    finally:
        connection.set_trace_callback(None)
    for statement in asked:
        for *_, plan in connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
            yield f"{plan} | {statement}"


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({"dataset": "d1"}, "sqlite_autoindex_names_1 (dataset=?"),
        ({"dataset": "d1", "kind": "release"}, "sqlite_autoindex_names_1 (dataset=? AND kind=?"),
        ({"kind": "release"}, "ix_names_kind (kind=?"),
        ({"signer": "a"}, "ix_names_signer (signer=?"),
        ({"signer": "a", "dataset": "d1"}, "names"),
        ({"subject": ROOT}, "lookups USING PRIMARY KEY (key>? AND key<?"),
        ({"subject": TABLE}, "lookups USING PRIMARY KEY (key>? AND key<?"),
        ({"since": "2026-01-02T03:05:00Z", "until": "2026-01-02T03:05:09Z"}, "segments USING INTEGER PRIMARY KEY"),
        ({"kind": "release", "since": "2026-01-02T03:05:00Z"}, "chains USING PRIMARY KEY (name=? AND index>? AND"),
    ],
    ids=str,
)
def test_an_index_answers(store: Store, wanted: dict[str, str], index: str) -> None:
    with store.view() as view:
        found = list(plans(view, **wanted))
    assert any(index in plan for plan in found), found
    # The newest head is the last row of its key: SQLite calls reading one row from the end a scan.
    scans = [plan for plan in found if plan.startswith("SCAN") and "ORDER BY heads.size DESC" not in plan]
    assert not scans


def test_of_many_triples_the_index_answers_too(tmp_path: Path) -> None:
    made = Store.create(tmp_path / "l.sqlite", origin="o.example/l", log_key="k")
    many = MERGED + 10
    with made.appending() as view:
        view.insert([made_up(n, dataset=f"d{n % many}") for n in range(4 * many)])
    with made.view() as view:
        assert [row.index for row in view.search(kind="receipt")] == list(range(4 * many))[::-1]
        assert [row.index for row in view.search(signer="s", before=9)] == list(range(9))[::-1]
        found = list(plans(view, kind="receipt"))
        assert any("chains USING PRIMARY KEY (name=?" in plan for plan in found), found
        assert not [plan for plan in found if plan.startswith("SCAN") and "heads.size DESC" not in plan]


def test_more_triples_than_a_statement_takes_values(tmp_path: Path) -> None:
    """A kind that 40,000 datasets have: SQLite takes 32,766 values in one statement."""
    made = Store.create(tmp_path / "l.sqlite", origin="o.example/l", log_key="k")
    with made.appending() as view:
        view.insert(rows(10))
    with raw(tmp_path / "l.sqlite") as connection:
        more = ((n, f"x{n}", "receipt", "a") for n in range(1000, 41_000))
        connection.executemany("INSERT INTO names VALUES (?, ?, ?, ?)", more)
    with made.view() as view:
        assert [row.index for row in view.search(kind="receipt")] == [8, 6, 4, 2, 0]
        assert [row.index for row in view.search(signer="a")] == [9, 6, 3, 0]


def test_the_indexes_are_there(tmp_path: Path) -> None:
    Store.create(tmp_path / "l.sqlite", origin="o.example/l", log_key="k")
    with closing(sqlite3.connect(tmp_path / "l.sqlite")) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert {"ix_names_kind", "ix_names_signer"} <= names


class TestCommand:
    @pytest.fixture
    def bench(self, bench: Bench) -> Bench:
        for number in range(3):
            bench.log.append([sign_bundle(receipt_payload(number, dataset=f"acme/d{number}"), bench.gate)])
        bench.log.append([sign_bundle(release_payload(dataset="acme/d1", root=OTHER), bench.publisher)])
        return bench

    @pytest.mark.parametrize("kind", ENTRY_KINDS)
    def test_every_kind_of_entry(self, bench: Bench, kind: str) -> None:
        assert self.indexes(bench, "--kind", kind) == {"release": [3], "receipt": [0, 1, 2]}.get(kind, [])

    def test_an_endorsement(self, bench: Bench) -> None:
        (rule, *others) = bench.log.admission.rules
        ben = signer("ben")
        bench.log.admission = Admission([Rule(("*",), (ENDORSEMENT,), (ben.public,)), rule, *others])
        bench.log.append([sign_bundle(release_payload(dataset="acme/d1", root=OTHER), ben)])
        assert self.indexes(bench, "--kind", "endorsement") == [4]
        assert self.indexes(bench, "--kind", "release") == [3]

    def log(self, bench: Bench, *options: object) -> Said:
        return dataseal("log", *options, "--workspace", bench.workspace.folder)

    def indexes(self, bench: Bench, *options: object) -> list[int]:
        said = self.log(bench, *options, "--format", "json")
        assert said.code == 0, said
        return [entry["index"] for entry in said.json["entries"]]

    def test_each_question(self, bench: Bench) -> None:
        keys = bench.workspace.folder / "keys"
        with bench.log.store.view() as view:
            times = [row.logged_at for row in view.entries()]
        assert self.indexes(bench) == [0, 1, 2, 3]
        assert self.indexes(bench, "acme/d1") == [1, 3]
        assert self.indexes(bench, "--kind", "receipt") == [0, 1, 2]
        assert self.indexes(bench, "acme/d1", "--kind", "release") == [3]
        assert self.indexes(bench, "--signer", keys / "publisher.pub") == [3]
        assert self.indexes(bench, "--signer", bench.gate.public.fingerprint) == [0, 1, 2]
        assert self.indexes(bench, "--subject", OTHER) == [3]
        assert self.indexes(bench, "--subject", ROOT) == [0, 1, 2]
        assert self.indexes(bench, "--subject", TABLE) == [0, 1, 2, 3]
        assert self.indexes(bench, "--subject", "0" * 64) == []
        assert self.indexes(bench, "--since", times[1], "--until", times[2]) == [1, 2]
        assert self.indexes(bench, "--since", "2026-01-02", "--until", "2026-01-02") == [0, 1, 2, 3]
        assert self.indexes(bench, "--until", "2026-01-01") == []
        assert self.indexes(bench, "-n", "2") == [2, 3]
        assert self.indexes(bench, "--kind", "receipt", "--limit", "1") == [2]

    @pytest.mark.parametrize(
        "options",
        [
            ("--kind", "releases"),
            ("--signer", "abc"),
            ("--subject", "AB" * 32),
            ("--since", "yesterday"),
            ("--since", "2026-13-01"),
            ("--until", "2026-01-02T03:04:05"),
            ("--until", "2026-1-2"),
        ],
    )
    def test_a_question_that_is_none(self, bench: Bench, options: tuple[str, str]) -> None:
        refused(self.log(bench, *options), 2, options[0])

    def test_a_dataset_that_is_not_there(self, bench: Bench) -> None:
        refused(self.log(bench, "acme/nothing"), 2, "nothing is recorded", "acme/d0")
        assert self.indexes(bench, "acme/d0", "--kind", "release") == []
