"""A dataset on a web server, by byte ranges. It can't be listed, so its seal is probed.

An answer is used only if it is exactly the range that was asked for: 206 with that ``Content-Range`` (RFC 9110 section
15.3.7). A server that ignores ``Range`` answers 200 with the whole file; that is refused before its body is read,
except where the whole file was asked for. Redirects are followed: the bytes are checked, not the address.
"""

from __future__ import annotations

import re
import time
import weakref
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from dataseal.ledger.errors import UsageError
from dataseal.ledger.fetch import RETRIES, client
from dataseal.ledger.paths import SEAL
from dataseal.ledger.places import without_secrets
from dataseal.verifiers.reader.errors import TargetUnavailable
from dataseal.verifiers.reader.targets import bounded, probe

if TYPE_CHECKING:
    import httpx2

_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)\Z")

PAUSE_SECONDS: Final = 0.25
REQUEST_SECONDS: Final = 300.0
"""For one whole answer: a server that sends a byte now and then must not hold us."""


class Web:
    """A folder on a web server.

    Args:
        url: its address. headers: sent with every request; ``Authorization`` does not follow a redirect elsewhere.

    Raises:
        UsageError: options that mean nothing here.
    """

    request = 8 * 1024 * 1024

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, **unknown: Any) -> None:
        if unknown:
            raise UsageError(f"unknown options for a web server: {', '.join(sorted(unknown))}", hint="known: headers")
        self._url = url.rstrip("/")
        self._headers = dict(headers or {})
        self.name = without_secrets(self._url)

    @cached_property
    def _client(self) -> httpx2.Client:
        made = client()
        made.headers.update(self._headers)
        weakref.finalize(self, made.close)
        return made

    def read_into(self, path: str, start: int, view: memoryview) -> int:
        """See `Target`. Passing failures are tried again."""
        for attempt in range(RETRIES + 1):
            try:
                return self._once(path, start, view)
            except TargetUnavailable as error:
                if attempt == RETRIES or not isinstance(error, _Passing):
                    raise TargetUnavailable(error.what, where=f"{self.name}/{path}") from None
            time.sleep(PAUSE_SECONDS * 4**attempt)
        raise AssertionError

    def _once(self, path: str, start: int, view: memoryview) -> int:
        import httpx2

        url, deadline = f"{self._url}/{quote(path)}", time.monotonic() + REQUEST_SECONDS
        headers = {"range": f"bytes={start}-{start + len(view) - 1}"}
        try:
            with self._client.stream("GET", url, headers=headers) as answer:
                if answer.status_code in (404, 410, 416):  # 416: the file ends before the range begins
                    raise FileNotFoundError(path)
                _check(answer, start, len(view))
                filled = 0
                for piece in answer.iter_raw():
                    room = len(view) - filled
                    view[filled : filled + len(piece)] = piece[:room]
                    filled += min(len(piece), room)
                    if len(piece) > room:
                        raise TargetUnavailable("the answer is longer than the range that was asked for", where=path)
                    if time.monotonic() > deadline:
                        raise TargetUnavailable(f"no whole answer within {REQUEST_SECONDS:.0f} seconds", where=path)
                return filled
        except httpx2.InvalidURL as error:
            raise UsageError(f"not a URL: {error}", where=self.name) from None
        except httpx2.HTTPError as error:
            raise _Passing(f"no answer: {str(error)[:200] or type(error).__name__}", where=path) from None

    def seal(self) -> list[str] | None:
        """See `Target`."""
        return probe(self)

    def read_seal(self, name: str, limit: int) -> bytes | None:
        """See `Target`. In pieces, because the size is not known."""
        data, piece = bytearray(), bytearray(min(limit + 1, self.request))
        while len(data) <= limit:
            try:
                got = self.read_into(f"{SEAL}/{name}", len(data), memoryview(piece))
            except FileNotFoundError:
                return bounded(bytes(data), limit, name) if data else None
            data += memoryview(piece)[:got]
            if got < len(piece):
                break
        return bounded(bytes(data), limit, name)


class _Passing(TargetUnavailable):
    """A failure that may be gone at the next try."""


def _check(answer: httpx2.Response, start: int, wanted: int) -> None:
    status = answer.status_code
    if status == 429 or status >= 500:
        raise _Passing(f"the server answers {status}", where="")
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise TargetUnavailable("the server packs its answer, which was not asked for", where="")
    if status == 206:
        match = _RANGE.match(answer.headers.get("content-range", ""))
        if not match or int(match[1]) != start or int(match[2]) >= start + wanted:
            shown = answer.headers.get("content-range", "nothing")[:80]
            raise TargetUnavailable(f"the server answers with another range than the one asked for: {shown}", where="")
    elif status == 200:
        length = answer.headers.get("content-length", "")
        # Whatever is shorter than the range, from byte 0 on, is what the range would have given.
        if start or not length.isdigit() or int(length) > wanted:
            raise TargetUnavailable("the server ignores Range: it would send the whole file for each chunk", where="")
    else:
        raise TargetUnavailable(f"the server answers {status}", where="")
