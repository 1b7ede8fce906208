"""Requests to a log server: bounded in bytes and in time, and repeated while it makes sense.

Posting an entry twice logs it once (`dataseal.ledger.log`), so that every request here may be repeated: after 429
and 503 (as ``Retry-After`` says, within reason), 408, 502 and 504, and after a connection that broke or was silent.
Redirects are not followed: what is posted goes to the server that was named, and to no other.

What a server says in words is shown as its words, on one line; nothing is decided by them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from dataseal.ledger import canonical
from dataseal.ledger.errors import FormatError, Refused, Unavailable, UsageError
from dataseal.ledger.fetch import client
from dataseal.ledger.places import without_secrets

if TYPE_CHECKING:
    import httpx2

MAX_ANSWER: Final = 16 * 1024 * 1024
"""Bytes of one answer: a page of entries with 1 MiB of bundles, or the proofs of a batch of 256."""

MAX_REFUSAL: Final = 64 * 1024
"""Bytes of an answer that only says why not."""

TRIES: Final = 6
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 5.0
LONGEST_ASKED: Final = 30.0
"""Seconds: a server that asks for longer is not waited for."""

ANSWER_SECONDS: Final = 60.0
"""For one whole answer, however slowly it comes."""

_AGAIN: Final = frozenset({408, 429, 502, 503, 504})
_REFUSED: Final = frozenset({400, 403, 409, 413, 415, 422})


class Exchange:
    """Asks the server under one URL.

    Args:
        url: its prefix. transport: where requests go instead of the network.
        pause: waits between two tries; the seconds are its argument.

    Raises:
        UsageError: not a URL of a web server.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: httpx2.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        if not url.startswith(("http://", "https://")) or "?" in url or "#" in url:
            raise UsageError(f"not the address of a ledger server: {without_secrets(url)!r}", hint="such as https://…")
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

    def get(self, path: str, parameters: Mapping[str, str | int]) -> Any:
        """The JSON answer to a question.

        Raises:
            Unavailable: no answer. FormatError: not a JSON answer.
        """
        return self._ask("GET", path, params=dict(parameters))

    def post(self, path: str, body: bytes, media_type: str) -> Any:
        """The JSON answer to a post.

        Raises:
            Refused: the server does not take it, and says why. Unavailable: no answer. FormatError: not a JSON answer.
        """
        return self._ask("POST", path, content=body, headers={"content-type": media_type})

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        where = f"{self.name}/{path}"
        why, pause = "", FIRST_PAUSE
        for attempt in range(TRIES):
            try:
                return self._once(method, path, **options)
            except _Passing as error:
                why = error.why
                if error.after is not None and error.after > LONGEST_ASKED:
                    break
                # A little chance, so that clients that failed together don't come back together.
                wait = max(error.after or 0.0, pause * random.uniform(0.5, 1.0))  # noqa: S311  no secret
            if attempt + 1 < TRIES:
                self._pause(wait)
                pause = min(2 * pause, LONGEST_PAUSE)
        raise Unavailable(why, where=where, hint="run the command again: what was logged already is found and used")

    def _once(self, method: str, path: str, **options: Any) -> Any:
        import httpx2

        where = f"{self.name}/{path}"
        try:
            with self._client.stream(method, f"{self._url}/{path}", follow_redirects=False, **options) as answer:
                status = answer.status_code
                data = _read(answer, MAX_ANSWER if status in (200, 201) else MAX_REFUSAL, where)
                after = _seconds(answer.headers.get("retry-after", ""))
        except httpx2.InvalidURL as error:
            raise UsageError(f"not a URL: {error}", where=self.name) from None
        except httpx2.HTTPError as error:
            raise _Passing(f"no answer: {str(error)[:200] or type(error).__name__}") from None
        if status in (200, 201):
            return canonical.decode(data, what=f"the answer of {where}", max_bytes=MAX_ANSWER)
        raise _failure(status, _words(data), where, after)


def _read(answer: httpx2.Response, limit: int, where: str) -> bytes:
    deadline = time.monotonic() + ANSWER_SECONDS
    data = bytearray()
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise FormatError("the answer is encoded, which was not asked for", where=where)
    for piece in answer.iter_bytes():
        data += piece
        if len(data) > limit:
            raise FormatError(f"the answer has more than {limit:,} bytes", where=where, hint="this is no ledger server")
        if time.monotonic() > deadline:
            raise _Passing(f"no whole answer within {ANSWER_SECONDS:.0f} seconds")
    return bytes(data)


def _failure(status: int, words: tuple[str, str], where: str, after: float | None) -> Exception:
    what, hint = words
    if status in _AGAIN:
        return _Passing(f"the server answers {status}{f': {what}' if what else ''}", after)
    if status in _REFUSED:
        return Refused(f"the log refuses it: {what or f'the server answers {status}'}", where=where, hint=hint or None)
    if 300 <= status < 400:
        hint = "redirects are not followed: give the address that the ledger has now"
        return Unavailable(f"the server answers {status}: it is elsewhere", where=where, hint=hint)
    hint = "check the address of the ledger"
    return Unavailable(f"the server answers {status}{f': {what}' if what else ''}", where=where, hint=hint)


def _words(data: bytes) -> tuple[str, str]:
    """*What* and *what next* of a refusal, as far as it has them."""
    try:
        value = canonical.decode(data, what="refusal", max_bytes=MAX_REFUSAL)
    except FormatError:
        return "", ""
    if not isinstance(value, dict):
        return "", ""
    what, where, hint = (" ".join(str(value.get(key) or "").split())[:500] for key in ("what", "where", "next"))
    return (f"{what} ({where})" if where else what), hint


def _seconds(text: str) -> float | None:
    """``Retry-After`` in seconds; as a date it is not read."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


class _Passing(Exception):
    """A failure that may be gone at the next try."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.after = after
