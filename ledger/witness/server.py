"""The witness's HTTP face: a plain ASGI application, run by uvicorn.

::

    POST /add-checkpoint              tlog-witness, "add-checkpoint"
    GET  /<origin hash>/checkpoint    tlog-witness, "Monitor Retrieval Mechanism"
    GET  /health                      200 when the state can be read

Why uvicorn and not the standard library's server: its parser (h11) is strict, it keeps connections alive, as witnesses
SHOULD, and it ends gracefully; ``http.server`` has a thread a connection and no bound on either. Why no FastAPI: three
routes with byte bodies need no framework, and what is exposed stays what is written here. Uvicorn bounds neither the
time of headers nor that of bodies; `GuardedProtocol` and `App` do.

Beyond the specification: 405 another method, 408 a body too slow, 413 too large, 429 too often, 503 the state is
locked or can't be written; then nothing was cosigned.
"""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from dataseal.ledger.errors import DatasealError
from dataseal.ledger.witness import limits
from dataseal.ledger.witness.rate import RateLimit
from dataseal.ledger.witness.wire import ADD_CHECKPOINT
from dataseal.ledger.witness.witness import Reply, Witness

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_MONITOR: Final = re.compile(r"/([0-9a-f]{64})/checkpoint\Z")
_HEALTH: Final = "/health"
_journal = logging.getLogger("dataseal.witness")


class App:
    """The ASGI application of a witness.

    Args:
        witness: who answers. rate: how often one address may ask; default: `limits.RATE`.
        body_timeout: seconds for a request's body to arrive.
    """

    def __init__(
        self, witness: Witness, *, rate: RateLimit | None = None, body_timeout: float = limits.BODY_TIMEOUT
    ) -> None:
        self._witness = witness
        self._rate = rate or RateLimit(time.monotonic)
        self._body_timeout = body_timeout
        self._workers = ThreadPoolExecutor(limits.WORKERS, thread_name_prefix="witness")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        reply = await self._reply(scope, receive)
        if reply is None:
            return
        headers = [
            (b"content-type", reply.content_type.encode()),
            (b"content-length", str(len(reply.body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        headers += [(b"retry-after", b"1")] if reply.status in (429, 503) else []
        # The rest of a body that was not read would be taken for the next request.
        headers += [(b"connection", b"close")] if reply.status in (405, 408, 413, 429) else []
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def close(self) -> None:
        """Waits for what is being decided."""
        self._workers.shutdown()

    async def _reply(self, scope: Scope, receive: Receive) -> Reply | None:
        """None when the client is gone."""
        method, path = scope["method"], scope["path"]
        client = scope.get("client")
        found = _MONITOR.match(path)
        wanted = "POST" if path == ADD_CHECKPOINT else "GET" if found or path == _HEALTH else None
        if wanted is None:
            return Reply(404, b"no such path; there is POST /add-checkpoint and GET /<origin hash>/checkpoint\n")
        if not self._rate.allows(client[0] if client else ""):
            return Reply(429, b"too many requests\n")
        if method != wanted:
            return Reply(405, f"use {wanted}\n".encode())
        if found:
            return await self._work(lambda: self._witness.checkpoint(found[1]))
        if path == _HEALTH:
            return await self._work(self._health)
        try:
            async with asyncio.timeout(self._body_timeout):
                body = await _read(receive)
        except TimeoutError:
            return Reply(408, b"the request's body did not arrive in time\n")
        if body is None:
            return None
        if len(body) > limits.MAX_REQUEST_BYTES:
            return Reply(413, f"the request's body exceeds {limits.MAX_REQUEST_BYTES} bytes\n".encode())
        return await self._work(lambda: self._witness.add_checkpoint(body))

    async def _work(self, job: Callable[[], Reply]) -> Reply:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, job)
        except DatasealError as error:
            _journal.error("%s", error)
            return Reply(503, b"the witness can't decide now; nothing was cosigned\n")

    def _health(self) -> Reply:
        self._witness.state.meta()
        return Reply(200, b"ok\n")


class GuardedProtocol(H11Protocol):
    """Closes a connection that ran no request for `HEADER_TIMEOUT` seconds: uvicorn waits for headers without end."""

    HEADER_TIMEOUT = limits.HEADER_TIMEOUT

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to watch."""
        super().connection_made(transport)
        self._watch()

    def _watch(self, last: object = None) -> None:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, though it is not declared so
        if self.transport.is_closing():
            return
        if last == (cycle,) and (cycle is None or cycle.response_complete):  # a whole interval, and no request began
            self.transport.abort()
            return
        self.loop.call_later(self.HEADER_TIMEOUT, self._watch, (cycle,))


class Server:
    """A witness on a socket: `run` serves until SIGTERM, SIGINT or `stop`, and ends when running requests have.

    Args:
        app: what answers. host, port: where; port 0 takes a free one.
        trusted_proxies: addresses whose ``X-Forwarded-For`` says who the client is.
        tls: files of the certificate and its key; None behind a proxy that ends TLS.

    Raises:
        OSError: the address can't be had.
    """

    def __init__(
        self, app: App, *, host: str, port: int, trusted_proxies: Sequence[str] = (), tls: tuple[str, str] | None = None
    ) -> None:
        config = uvicorn.Config(
            app,
            http=GuardedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            limit_concurrency=limits.MAX_CONNECTIONS,
            h11_max_incomplete_event_size=limits.MAX_REQUEST_BYTES,
            timeout_graceful_shutdown=limits.SHUTDOWN_TIMEOUT,
            ssl_certfile=tls[0] if tls else None,
            ssl_keyfile=tls[1] if tls else None,
        )
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=config.backlog)
        self._app = app
        self._server = uvicorn.Server(config)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if tls else 'http'}://{shown}:{self._socket.getsockname()[1]}"

    def run(self) -> None:
        """Serves."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, _ended)  # uvicorn sets its own for the run, and then raises what it caught again
        with self._socket:
            self._server.run(sockets=[self._socket])
        self._app.close()

    def stop(self) -> None:
        """Ends `run`, from another thread."""
        self._server.should_exit = True


def _ended(_number: int, _frame: object) -> None:
    """The signal has done its work."""


async def _read(receive: Receive) -> bytes | None:
    """The body, cut just above the limit; None when the client hung up."""
    body = b""
    while len(body) <= limits.MAX_REQUEST_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body
