"""The tail fit, against the formula worked by hand."""

from __future__ import annotations

import math

import pytest

from dataseal.verifiers.screen.tail import Tail


def test_worked_by_hand() -> None:
    pool = [1.0] * 35 + [1.1, 1.2, 1.3, 1.4, 1.5]  # n0 = 40: m = 5, u = 1, excesses .1 to .5
    tail = Tail.fit(pool)
    assert tail is not None
    assert (tail.n0, tail.m, tail.u, tail.top) == (40, 5, 1.0, 1.5)
    assert tail.sigma == pytest.approx((1.5 + 0.5) / 9)
    expected = 10 * 5 / 40 * (1 + 1.0 / (2 / 9 * 9)) ** -9
    assert tail.p(2.0, tests=10) == pytest.approx(expected)


@pytest.mark.parametrize(("n0", "m"), [(2, 1), (3, 1), (9, 4), (10, 5), (20, 5), (59, 5), (60, 6), (374, 37)])
def test_how_much_of_the_pool_is_tail(n0: int, m: int) -> None:
    tail = Tail.fit([1.0 + i / 1000 for i in range(n0)])
    assert tail is not None
    assert tail.m == m


def test_p_is_one_unless_it_tops_the_pool() -> None:
    tail = Tail.fit([1.0] * 30 + [1.7])
    assert tail is not None
    assert tail.p(1.7) == 1.0
    assert tail.p(1.7 + 1e-9) < 1.0
    assert tail.p(1.6, tests=50) == 1.0


def test_too_small_a_pool() -> None:
    assert Tail.fit([]) is None
    assert Tail.fit([1.0]) is None


@pytest.mark.parametrize("tests", [1, 55, 1000])
@pytest.mark.parametrize("alpha", [0.05, 0.01 / 3])
def test_reach_is_the_inverse(tests: int, alpha: float) -> None:
    tail = Tail.fit([1.0 + 0.01 * i for i in range(100)])
    assert tail is not None
    z = tail.reach(alpha, tests)
    assert tail.p(z + 1e-6, tests) < alpha
    below = tail.p(z - 1e-6, tests)
    assert below >= alpha * (1 - 1e-9) or z == tail.top
    assert not math.isnan(z)


def test_p_falls_as_z_grows() -> None:
    tail = Tail.fit([1.0] * 40)
    assert tail is not None
    values = [tail.p(z) for z in (1.1, 1.5, 2.0, 5.0, 100.0)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 1e-9
