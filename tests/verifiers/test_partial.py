from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.errors import UsageError
from dataseal.ledger.manifest import build
from dataseal.verifiers.partial import Part, chance, chances, pick, share
from support.errors import refused
from support.shards import SMALL, shard

SHARDS = [shard("a", b"x" * 200_000), shard("b", b""), shard("c", b"y" * 70_000), shard("d", b"z")]


@given(st.integers(1, 60), st.data())
def test_the_chance_is_the_hypergeometric_one(total: int, data: st.DataObject) -> None:
    sample, bad = data.draw(st.integers(1, total)), data.draw(st.integers(0, total))
    exact = 1 - Fraction(math.comb(total - bad, sample), math.comb(total, sample))
    assert chance(bad, sample, total) == pytest.approx(float(exact), abs=1e-12)


def test_the_chance_of_a_huge_dataset_is_quick_and_no_nonsense() -> None:
    assert chance(1, 10_000_000, 200_000_000) == pytest.approx(0.05)
    assert 0.99 < chance(100, 10_000_000, 200_000_000) < 1
    assert "with 95% from k = 59" in chances(10_000_000, 200_000_000)


@given(st.fractions(min_value=Fraction(1, 1000), max_value=1))
def test_a_sample_has_the_wanted_size_no_chunk_twice_and_none_beside(part: Fraction) -> None:
    picked = pick(SHARDS, part)
    numbers = [(s.path, n) for s, found in picked for n in found]
    assert len(set(numbers)) == len(numbers) == math.ceil(7 * part)
    assert all(0 <= n < s.chunk_count for s, found in picked for n in found)


def test_every_chunk_can_be_drawn() -> None:
    drawn = {(s.path, n) for _ in range(300) for s, found in pick(SHARDS, Fraction(1, 7)) for n in found}
    assert len(drawn) == 7


def test_empty_files_have_nothing_to_draw() -> None:
    assert pick([SHARDS[1]], Fraction(1)) == []


@pytest.mark.parametrize(("text", "value"), [("5%", Fraction(1, 20)), ("0.5%", Fraction(1, 200)), ("100%", 1)])
def test_shares(text: str, value: Fraction) -> None:
    assert share(text) == value


def test_each_glob_must_match() -> None:
    manifest = build(SHARDS, SMALL)
    assert set(Part(("a", "[cd]")).choose(manifest)) == {"a", "c", "d"}
    with refused(UsageError, "'x*'", "first signed shard is 'a'"):
        Part(("a", "x*")).choose(manifest)


def test_nothing_signed_matches_nothing() -> None:
    with refused(UsageError, "matches no signed shard"):
        Part(("*",)).choose(build([], SMALL))
