"""What a server is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass

from dataseal.ledger.server import limits


@dataclass(frozen=True, slots=True)
class Settings:
    """How one server behaves.

    Attributes:
        hosts: ``Host`` names that are answered; empty answers any. A server on loopback answers its own names only,
            so that no web page can read a private log through a name that it points to 127.0.0.1.
        rate, burst: entries a second and at once from one address; a rate of 0 lifts the limit.
        total_rate, total_burst: the same for all addresses together.
        trusted_proxies: addresses whose ``X-Forwarded-For`` says who the client is.
        header_seconds, body_seconds, send_seconds: how long a client may take (`dataseal.ledger.server.limits`).
    """

    hosts: frozenset[str] = frozenset()
    rate: float = limits.RATE
    burst: float = limits.BURST
    total_rate: float = limits.TOTAL_RATE
    total_burst: float = limits.TOTAL_BURST
    trusted_proxies: tuple[str, ...] = ()
    header_seconds: float = limits.HEADER_SECONDS
    body_seconds: float = limits.BODY_SECONDS
    send_seconds: float = limits.SEND_SECONDS
