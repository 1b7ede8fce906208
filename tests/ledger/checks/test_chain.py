"""What binds entries to each other, found by the quick look at a segment and by the slow one alike."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataseal.ledger import audit
from dataseal.ledger.checks.chain import Chain, Read
from dataseal.ledger.store import segments
from dataseal.ledger.store.store import TILE_WIDTH
from dataseal.ledger.tlog import merkle
from support.ledgers import log_receipts, raw, tamper, tamper_entry
from support.statements import receipt_payload, sign_bundle
from support.workspaces import Bench, make_bench


@pytest.fixture
def full(bench: Bench) -> Bench:
    """Three datasets' entries in one segment."""
    payloads = [receipt_payload(number, dataset=f"acme/{number % 3}") for number in range(9)]
    bench.log.append([sign_bundle(payload, bench.gate) for payload in payloads])
    return bench


def problems(bench: Bench) -> list[tuple[str, str]]:
    """Without signatures: of links, leaves, tiles and heads alone."""
    return [(p.where, p.what) for p in audit.check(bench.log, signatures=False).problems]


def reads(bench: Bench) -> list[Read]:
    with bench.log.store.view() as view:
        return list(Chain(view, lambda *told: pytest.fail(str(told)), ("receipt",)).walk())


def rewrite(bench: Bench, index: int, change: Callable[[bytes], bytes]) -> None:
    """Changes an entry, and the tile's leaf hash with it: what tells then are the links of others, and the root."""
    with bench.log.store.view() as view:
        row, tile = view.entry(index), view.tile(0, 0)
    assert row
    body = change(row.body)
    assert body != row.body
    tamper_entry(bench.database, index, body)
    data = tile[: 32 * index] + merkle.leaf_hash(body) + tile[32 * (index + 1) :]
    tamper(bench.database, "UPDATE tiles SET data = ? WHERE level = 0 AND number = 0", [data])


def test_a_whole_segment_needs_no_second_look(full: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chain, "_entry", lambda *_: pytest.fail("the slow look"))
    log_receipts(full, 300)
    assert problems(full) == []


@settings(max_examples=15)
@given(data=st.data())
def test_both_looks_see_the_same(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever the datasets, kinds of segments and times."""
    bench = make_bench(tmp_path_factory.mktemp("looks") / "workspace")
    number = 0
    for names in data.draw(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=5)):
        payloads = [receipt_payload(number := number + 1, dataset=f"acme/{name}") for name in names]
        bench.log.append([sign_bundle(payload, bench.gate) for payload in payloads])
    quick = reads(bench)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Chain, "_usual", lambda *_: None)
        assert reads(bench) == quick
    assert [item.at for read in quick for item in read.items] == list(range(number))


HEADERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "prev of another": (lambda b: re.sub(rb'"prev":"[0-9a-f]{64}"', b'"prev":"%b"' % (b"0" * 64), b), "prev is not"),
    "no prev": (lambda b: re.sub(rb'"prev":"[0-9a-f]{64}"', b'"prev":null', b), "prev is not"),
    "dataset_prev skips": (lambda b: b.replace(b'"index":1', b'"index":0'), "dataset_prev does not"),
    "dataset_prev none": (lambda b: re.sub(rb'"dataset_prev":\{[^}]*\}', b'"dataset_prev":null', b), "dataset_prev"),
    "another dataset": (lambda b: b.replace(b'{"dataset":"acme/1"', b'{"dataset":"acme/2"'), "dataset_prev does not"),
    "another kind": (lambda b: b.replace(b'"kind":"receipt"', b'"kind":"release"'), "its name says kind"),
    "no such kind": (lambda b: b.replace(b'"kind":"receipt"', b'"kind":"recipes"'), "unknown kind"),
    "time back": (lambda b: b.replace(b'"logged_at":"20', b'"logged_at":"19'), "goes back"),
    "no time": (lambda b: b.replace(b'"logged_at":"20', b'"logged_at":"XX'), "a time in UTC"),
    "version": (lambda b: b.replace(b'"v":1}', b'"v":2}'), "six fields"),
    "a space": (lambda b: b.replace(b',"v":1}', b', "v":1}'), "canonical"),
    "no newline": (lambda b: b.replace(b"\n", b" "), "not a ledger entry"),
}


@pytest.mark.parametrize(("change", "what"), HEADERS.values(), ids=HEADERS.keys())
def test_a_header_that_the_log_would_not_have_written_is_named(
    full: Bench, change: Callable[[bytes], bytes], what: str
) -> None:
    """With leaf and tile made to fit: the entry itself, the one behind it, and the root tell."""
    rewrite(full, 4, change)
    found = problems(full)
    assert any(where == "entry 4" and what in told for where, told in found), found
    assert any(where == "entry 5" and "prev is not" in told for where, told in found), found
    assert any(where == "head of size 9" for where, _ in found), found


def test_a_bundle_that_was_changed_with_its_leaf_breaks_the_next_link(full: Bench) -> None:
    rewrite(full, 4, lambda body: body[:-1] + b" ")
    found = problems(full)
    assert [where for where, _ in found if where.startswith("entry")] == ["entry 5", "entry 7"]
    assert "prev is not" in found[0][1]
    assert "dataset_prev" in found[1][1]


def test_the_last_entry_changed_with_its_leaf_is_told_by_the_root(full: Bench) -> None:
    rewrite(full, 8, lambda body: body[:-1] + b" ")
    assert problems(full) == [("head of size 9", "its root is not the root of the entries")]


@pytest.mark.parametrize("seed", range(12))
def test_any_flipped_bit_of_a_segment_is_found(full: Bench, seed: int) -> None:
    """In lengths, headers or bundles; nothing but the segment is named."""
    with raw(full.database) as connection:
        (data,) = connection.execute("SELECT data FROM segments").fetchone()
    at = random.Random(seed).randrange(8 * len(data))
    spoiled = bytearray(data)
    spoiled[at // 8] ^= 1 << at % 8
    tamper(full.database, "UPDATE segments SET data = ?", [bytes(spoiled)])
    found = problems(full)
    assert found
    assert all(where.startswith(("entry ", "entries ")) for where, _ in found), found


@pytest.mark.parametrize("cut", [1, 2, 100])
def test_a_segment_that_was_cut_is_named(full: Bench, cut: int) -> None:
    tamper(full.database, "UPDATE segments SET data = CAST(substr(data, 1, length(data) - ?) AS BLOB)", [cut])
    assert [where for where, _ in problems(full)] == ["entries 0 to 8"]


def test_two_entries_of_one_segment_that_changed_places_are_named(full: Bench) -> None:
    with full.log.store.view() as view:
        bodies = view.bodies()
    bodies[3], bodies[6] = bodies[6], bodies[3]
    tamper(full.database, "UPDATE segments SET data = ?", [segments.encode(bodies)])
    assert {"entry 3", "entry 6"} <= {where for where, _ in problems(full)}


def test_a_segment_beyond_an_entry_bundle_is_named_with_all_that_it_hides(bench: Bench) -> None:
    log_receipts(bench, TILE_WIDTH + 4)
    with bench.log.store.view() as view:
        bodies = view.bodies()
    with raw(bench.database, without_triggers=True) as connection:
        connection.execute("DELETE FROM segments WHERE first > 0")
        values = (len(bodies), segments.encode_names([1] * len(bodies)), segments.encode(bodies))
        connection.execute("UPDATE segments SET entries = ?, names = ?, data = ?", values)
    assert [where for where, _ in problems(bench)] == [f"entries 0 to {TILE_WIDTH + 3}"]


def test_what_follows_an_unreadable_entry_is_still_held_to_its_links(full: Bench) -> None:
    """Entry 3 is gone; entry 6 names it as it was. Entry 7 skips a readable one, and is named."""
    rewrite(full, 7, lambda body: body.replace(b'"index":4', b'"index":1'))
    tamper_entry(full.database, 3, b"\0")
    found = {where for where, _ in problems(full)}
    assert {"entry 3", "entry 7"} <= found
    assert not {"entry 4", "entry 6"} & found


def test_a_link_to_an_unreadable_entry_must_name_the_leaf_that_the_tree_holds(full: Bench) -> None:
    rewrite(full, 6, lambda body: re.sub(rb'"index":3,"leaf":"[0-9a-f]{8}', b'"index":3,"leaf":"00000000', body))
    tamper_entry(full.database, 3, b"\0")
    assert ("entry 6", "dataset_prev does not name the entry before it of 'acme/0'") in problems(full)


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    """What a walk keeps from one segment to the next: a link a dataset, and a frame a name."""
    bench = make_bench(tmp_path / "workspace")
    log_receipts(bench, 3 * TILE_WIDTH)
    with bench.log.store.view() as view:
        chain = Chain(view, lambda *told: pytest.fail(str(told)), ())
        for read in chain.walk():
            assert read.items == []
            assert (len(chain._links), len(chain._frames), len(chain._unread)) == (1, 1, 0)
