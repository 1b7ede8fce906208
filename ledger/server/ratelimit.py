"""Token buckets: how many entries may come from one address, and from all of them."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from dataseal.ledger.server.limits import ADDRESSES


@dataclass(slots=True)
class Bucket:
    """``rate`` tokens a second, ``burst`` at most. It may be overdrawn by a batch, and then refills to zero first."""

    rate: float
    burst: float
    tokens: float
    then: float

    def wait(self, now: float) -> float:
        """Seconds until there is a token; 0 when there is one."""
        self.tokens = min(self.burst, self.tokens + (now - self.then) * self.rate)
        self.then = now
        return max(0.0, (1 - self.tokens) / self.rate)


class Limiter:
    """One bucket an address, and one for all.

    Args:
        rate, burst: of an address; a rate of 0 is no limit. total_rate, total_burst: of all together.
        clock: seconds that only go forward.
    """

    def __init__(
        self, *, rate: float, burst: float, total_rate: float, total_burst: float, clock: Callable[[], float]
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._total = Bucket(total_rate, total_burst, total_burst, clock()) if total_rate else None
        self._known: OrderedDict[str, Bucket] = OrderedDict()

    def wait(self, address: str) -> tuple[float, str]:
        """Seconds until an entry from ``address`` is welcome, and which limit says so; 0 when it is now."""
        now = self._clock()
        own = self._bucket(address, now)
        waits = [(b.wait(now), name) for b, name in ((own, "address"), (self._total, "total")) if b is not None]
        return max(waits, default=(0.0, ""))

    def charge(self, address: str, entries: int) -> None:
        """Takes the tokens of ``entries``."""
        now = self._clock()
        for bucket in (self._bucket(address, now), self._total):
            if bucket is not None:
                bucket.wait(now)
                bucket.tokens -= entries

    def _bucket(self, address: str, now: float) -> Bucket | None:
        if not self._rate:
            return None
        key = network(address)
        bucket = self._known.get(key)
        if bucket is None:
            bucket = self._known[key] = Bucket(self._rate, self._burst, self._burst, now)
            if len(self._known) > ADDRESSES:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return bucket


def network(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 address, which one host gets whole."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "other"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
