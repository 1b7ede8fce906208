"""Token buckets, on a clock that the test moves."""

from __future__ import annotations

import pytest

from dataseal.ledger.server import limits
from dataseal.ledger.server.ratelimit import Limiter, network


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def limiter(clock: Clock, rate: float = 1, burst: float = 3, total: float = 0, total_burst: float = 0) -> Limiter:
    return Limiter(rate=rate, burst=burst, total_rate=total, total_burst=total_burst, clock=clock)


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    limit = limiter(clock)
    for _ in range(3):
        assert limit.wait("192.0.2.1") == (0, "address")
        limit.charge("192.0.2.1", 1)
    assert limit.wait("192.0.2.1") == (1, "address")
    assert limit.wait("192.0.2.2")[0] == 0
    clock.now += 1
    assert limit.wait("192.0.2.1")[0] == 0


def test_a_batch_may_overdraw_and_is_paid_back() -> None:
    clock = Clock()
    limit = limiter(clock)
    limit.charge("192.0.2.1", 10)
    assert limit.wait("192.0.2.1")[0] == 8
    clock.now += 100
    limit.charge("192.0.2.1", 3)
    assert limit.wait("192.0.2.1")[0] == 1  # what was saved up is the burst, not the hundred


def test_all_addresses_share_the_total() -> None:
    clock = Clock()
    limit = limiter(clock, rate=0, total=2, total_burst=2)
    limit.charge("192.0.2.1", 1)
    limit.charge("192.0.2.2", 1)
    assert limit.wait("192.0.2.3") == (0.5, "total")


def test_no_limits() -> None:
    limit = limiter(Clock(), rate=0)
    limit.charge("192.0.2.1", 10**6)
    assert limit.wait("192.0.2.1") == (0, "")


def test_the_addresses_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataseal.ledger.server.ratelimit.ADDRESSES", 10)
    limit = limiter(Clock())
    for n in range(1000):
        limit.charge(f"10.0.{n // 250}.{n % 250}", 1)
    assert len(limit._known) == 10
    assert limits.ADDRESSES >= 1000


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("testclient", "other"),
        ("", "other"),
    ],
)
def test_what_counts_as_one_client(address: str, client: str) -> None:
    assert network(address) == client
