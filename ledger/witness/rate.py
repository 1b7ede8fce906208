"""How often one address may ask: a token bucket each, in memory, for a bounded number of addresses.

By address and not by log: a log's checkpoints are public, and whoever repeats them must not use up the log's share.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable

from dataseal.ledger.witness.limits import BURST, MAX_ADDRESSES, RATE


class RateLimit:
    """``rate`` requests a second for each address, up to ``burst`` at once. For one thread."""

    def __init__(self, clock: Callable[[], float], *, rate: float = RATE, burst: float = BURST) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when; oldest first

    def allows(self, address: str) -> bool:
        """Takes one request from the address's share; False when there is nothing left of it."""
        key, now = _network(address), self._clock()
        tokens, then = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return allowed


def _network(address: str) -> str:
    """One host has a whole IPv6 /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
