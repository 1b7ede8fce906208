"""The p-value of the most extreme delivery against a null pool: a generalised Pareto tail, fitted so that it is heavy.

SCREEN.md, "the private-phrase test". With the pool's n0 values of z in falling order: m = min(max(5, n0 // 10),
n0 // 2); u = the (m+1)-th largest; sigma = (sum of the top m excesses over u, + 0.5) / (m + 4); M = m + 4. Then

    p(z) = min(1, (C m / n0) (1 + (z - u) / (sigma M)) ** -M),   and 1 unless z tops the whole pool

where C is the number of deliveries tested: the largest of C null values is below z with probability 1 - p.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SMALLEST_POOL = 2
"""Below two values there is no excess to fit."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A fitted tail. ``top`` is the largest value of the pool, ``n0`` its size."""

    n0: int
    top: float
    m: int
    u: float
    sigma: float

    @classmethod
    def fit(cls, pool: Sequence[float]) -> Tail | None:
        """Fit a pool of at least `SMALLEST_POOL` values; None for a smaller one."""
        n0 = len(pool)
        if n0 < SMALLEST_POOL:
            return None
        falling = sorted(pool, reverse=True)
        m = min(max(5, n0 // 10), n0 // 2)
        u = falling[m]
        sigma = (sum(z - u for z in falling[:m]) + 0.5) / (m + 4)
        return cls(n0=n0, top=falling[0], m=m, u=u, sigma=sigma)

    def p(self, z: float, tests: int = 1) -> float:
        """The chance that the largest of ``tests`` clean deliveries reaches z."""
        if z <= self.top:
            return 1.0
        weight = self.m + 4
        return min(1.0, tests * self.m / self.n0 * (1 + (z - self.u) / (self.sigma * weight)) ** -weight)

    def reach(self, alpha: float, tests: int = 1) -> float:
        """The smallest z with p(z) < alpha, to within rounding."""
        weight = self.m + 4
        needed = (tests * self.m / (self.n0 * alpha)) ** (1 / weight) - 1
        return float(max(self.top, self.u + self.sigma * weight * needed))
