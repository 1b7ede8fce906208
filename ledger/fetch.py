"""A static log on a web server, and messages to one: bounded in bytes and in time.

A resource is there (200), is not there (404, 410), or it can't be told (anything else, and every failure of the
network). Buckets that may not be listed answer 403 for what is not there; that is believed of a partial tile alone,
whose full tile stands in for it.

Redirects are followed, since what is read is authenticated by the log's own hashes; nothing is sent along but the
request. Passing failures (time-outs, 429, 5xx) are tried again `RETRIES` times.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Final

from dataseal.ledger.errors import Unavailable, UsageError
from dataseal.ledger.places import bound, open_destination, scheme_of, within_bound, without_secrets
from dataseal.ledger.resources import Resources

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 20.0
"""Between two pieces of an answer."""

TOTAL_SECONDS: Final = 60.0
"""For one whole answer: a server that sends a byte now and then must not hold us. A bundle has at most 16 MiB."""

RETRIES: Final = 2
MAX_REDIRECTS: Final = 5
CONNECTIONS: Final = 32


def open_source(url: str) -> Resources:
    """The static log at ``url``, for reading.

    Raises:
        UsageError: nothing can read there: an unknown scheme, or one whose library is not installed.
    """
    return WebResources(url) if scheme_of(url) in ("http", "https") else open_destination(url)


class WebResources:
    """The log under a URL prefix.

    Args:
        url: the log's prefix. transport: where requests go instead of the network.
        pause: waits between two tries; the seconds are its argument.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: httpx2.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url.rstrip("/")
        self._transport = transport
        self._pause = pause

    @property
    def name(self) -> str:
        """The URL, without a password in it."""
        return without_secrets(self._url)

    @cached_property
    def _client(self) -> httpx2.Client:
        return client(self._transport)

    def close(self) -> None:
        """Ends the connections."""
        if "_client" in self.__dict__:
            self._client.close()

    def read(self, path: str) -> bytes | None:
        """The resource at ``path``; None when there is none."""
        limit = bound(path)
        for attempt in range(RETRIES + 1):
            try:
                return self._once(path, limit)
            except _Passing as error:
                failure = error
            if attempt < RETRIES:
                self._pause(0.25 * 4**attempt)
        raise Unavailable(failure.why, where=f"{self.name}/{path}", hint="check the address and the network; try again")

    def _once(self, path: str, limit: int) -> bytes | None:
        import httpx2

        deadline = time.monotonic() + TOTAL_SECONDS
        try:
            with self._client.stream("GET", f"{self._url}/{path}") as answer:
                status = answer.status_code
                if status in (404, 410) or (status == 403 and ".p/" in path):
                    return None
                if status == 429 or status >= 500:
                    raise _Passing(f"the server answers {status}")
                if status != 200:
                    raise Unavailable(
                        f"the server answers {status}",
                        where=f"{self.name}/{path}",
                        hint="check the address: a log's resources are served without a login",
                    )
                data = bytearray()
                for piece in answer.iter_bytes():
                    data += piece
                    if time.monotonic() > deadline:
                        raise Unavailable(
                            f"no whole answer within {TOTAL_SECONDS:.0f} seconds",
                            where=f"{self.name}/{path}",
                            hint="try again, or a mirror",
                        )
                    if len(data) > limit:
                        break
                return within_bound(path, bytes(data), self.name)
        except httpx2.InvalidURL as error:
            raise UsageError(f"not a URL: {error}", where=self.name) from None
        except httpx2.HTTPError as error:
            raise _Passing(f"no answer: {str(error)[:200] or type(error).__name__}") from None


class _Passing(Exception):
    """A failure that may be gone at the next try."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def client(transport: httpx2.BaseTransport | None = None) -> httpx2.Client:
    """A client with our time-outs."""
    from importlib.metadata import version

    import httpx2

    return httpx2.Client(
        transport=transport,
        timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        # Unpacked answers are bounded too, but a small one that unpacks to much costs memory before that is seen.
        headers={"accept-encoding": "identity", "user-agent": f"dataseal/{version('dataseal')}"},
    )


def post(url: str, body: bytes, *, transport: httpx2.BaseTransport | None = None) -> None:
    """POSTs a JSON document, once, without following redirects.

    Raises:
        Unavailable: no answer in time, or one that is not 2xx. It names the host alone: such URLs hold secrets.
    """
    from urllib.parse import urlsplit

    import httpx2

    where = urlsplit(url).hostname
    try:
        with client(transport) as sender:
            headers = {"content-type": "application/json"}
            with sender.stream("POST", url, content=body, headers=headers, follow_redirects=False) as answer:
                status = answer.status_code
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise Unavailable(f"no answer: {type(error).__name__}", where=where, hint="check the webhook's URL") from None
    if not 200 <= status < 300:
        raise Unavailable(f"the webhook answers {status}", where=where, hint="check its URL")
