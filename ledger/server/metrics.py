"""Prometheus metrics. Labels come from closed sets: no client can make a new time series.

With several workers the values of all are added up: the parent names a folder in ``PROMETHEUS_MULTIPROC_DIR`` before
the workers start (prometheus_client's way), and any worker answers for all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

MULTIPROCESS: Final = "PROMETHEUS_MULTIPROC_DIR"
_METHODS: Final = {"GET", "HEAD", "POST"}
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_ENTRIES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class _Size(Collector):
    """The size of the log, read when it is asked for: the same from every worker."""

    def __init__(self, size: Callable[[], int], held: Callable[[], int]) -> None:
        self._size = size
        self._held = held

    def collect(self) -> Iterable[Metric]:
        """What is served, and what is not yet: its checkpoint waits for witnesses."""
        size = self._size()
        yield GaugeMetricFamily("dataseal_log_entries", "Entries under the checkpoint that is served.", size)
        waiting = max(0, self._held() - size)
        yield GaugeMetricFamily("dataseal_waiting_entries", "Entries logged, and not yet under it.", waiting)


class Metrics:
    """What one server counts.

    Args:
        size: reads the size of the checkpoint that is served. held: how many entries are logged.
    """

    def __init__(self, size: Callable[[], int], held: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        own = self._registry
        self._requests = Counter(
            "dataseal_http_requests_total", "Requests answered.", ["route", "method", "status"], registry=own
        )
        self._seconds = Histogram(
            "dataseal_http_request_seconds", "Time to the last byte.", ["route"], registry=own, buckets=_SECONDS
        )
        self.entries = Counter("dataseal_entries_total", "Entries posted and logged.", ["result"], registry=own)
        self.groups = Histogram(
            "dataseal_group_entries", "Entries that shared one transaction.", registry=own, buckets=_ENTRIES
        )
        self.limited = Counter("dataseal_rate_limited_total", "Posts answered with 429.", ["limit"], registry=own)
        self._size = _Size(size, held)
        self._registry.register(self._size)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts one answer. ``route`` is a route's template or another word of the server's own."""
        self._requests.labels(route, method if method in _METHODS else "other", str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def render(self) -> bytes:
        """The text exposition format."""
        if MULTIPROCESS not in os.environ:
            return generate_latest(self._registry)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped
        everybody.register(self._size)
        return generate_latest(everybody)
