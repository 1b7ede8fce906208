"""Reading a body that a stranger sends: bounded in bytes, in time, and in what all of them together may hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, NoReturn

from starlette.requests import ClientDisconnect, Request

from dataseal.ledger.server import limits
from dataseal.ledger.server.problem import Problem

SINGLE: Final = ("", "application/json", "application/vnd.dev.sigstore.bundle.v0.3+json")
LINES: Final = ("application/x-ndjson", "application/jsonl", "application/json-lines")


class Budget:
    """Bytes that may be in memory at once."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, count: int) -> bool:
        """Takes bytes; False when there aren't that many left."""
        if count > self._left:
            return False
        self._left -= count
        return True

    def give(self, count: int) -> None:
        """Gives bytes back."""
        self._left += count


def media_type(request: Request) -> str:
    """The body's media type in lower case, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@asynccontextmanager
async def read(request: Request, *, limit: int, seconds: float, budget: Budget) -> AsyncIterator[bytes]:
    """The whole body; its bytes count against the budget until the block ends.

    Raises:
        Problem: 408 too slow, 413 too large (with or without ``Content-Length``), 415 encoded, 503 no memory left.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        await refuse(request, Problem(415, "encoded bodies are not read", hint="send the bundle as it is", close=True))
    length = request.headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or len(length) > 18 or int(length) > limit:
        await refuse(request, _too_large(limit))
    taken = 0
    data = bytearray()
    try:
        try:
            async with asyncio.timeout(seconds):
                async for chunk in request.stream():
                    if len(data) + len(chunk) > limit:
                        await refuse(request, _too_large(limit))
                    if not budget.take(len(chunk)):
                        await refuse(request, _too_many())
                    taken += len(chunk)
                    data += chunk
        except TimeoutError:
            raise Problem(408, f"the body did not arrive within {seconds:g} s", hint="try again", close=True) from None
        except ClientDisconnect:
            raise Problem(400, "the client went away", close=True) from None
        yield bytes(data)
    finally:
        budget.give(taken)


async def refuse(request: Request, problem: Problem) -> NoReturn:
    """Raises the problem, after reading on for a moment: to close with bytes unread resets the connection, and the
    client would not get to read the refusal. One that waits for ``100 Continue`` has sent nothing.
    """
    seen = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(limits.LINGER_SECONDS):
            while seen < limits.LINGER_BYTES and "expect" not in request.headers:
                message = await asyncio.wait_for(request.receive(), limits.SILENCE_SECONDS)
                seen += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    break
    raise problem


def _too_large(limit: int) -> Problem:
    return Problem(
        413,
        f"the body is larger than {limit:,} bytes",
        hint="an entry holds at most 60 KiB; send several as lines, in several posts",
        close=True,
    )


def _too_many() -> Problem:
    return Problem(503, "too many posts at once", hint="try again in a moment", retry_after=1, close=True)


def split(data: bytes, kind: str) -> list[bytes]:
    """The bundles of a body: one, or one a line.

    Raises:
        Problem: 400 none or too many, 415 another media type.
    """
    if kind in LINES:
        bundles = [line.removesuffix(b"\r") for line in data.split(b"\n") if line.strip()]
    elif kind in SINGLE:
        bundles = [data] if data else []
    else:
        raise Problem(415, "not a media type of bundles", hint=f"send {SINGLE[1]}, or several as {LINES[0]}")
    if not bundles:
        raise Problem(400, "the body is empty", hint="send a Sigstore bundle")
    if len(bundles) > limits.MAX_BATCH:
        raise Problem(400, f"{len(bundles)} bundles in one post", hint=f"send at most {limits.MAX_BATCH}")
    return bundles
