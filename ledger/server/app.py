"""The application: routes behind one guard, and errors that are always JSON and never say too much."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dataseal.ledger.errors import DatasealError
from dataseal.ledger.server import limits, operations, posts, queries, reads
from dataseal.ledger.server.problem import Problem, of_error
from dataseal.ledger.server.service import Service, logger

_SAFE: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


def create_app(service: Service) -> ASGIApp:
    """One worker's application. The guard is outermost: answers to what nobody expected pass it too."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        service.appender.start()
        asking = asyncio.create_task(_keep_asking(service))
        yield
        asking.cancel()
        await service.appender.close()

    app = FastAPI(
        title="dataseal ledger",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        exception_handlers={
            Problem: _problem,
            HTTPException: _http,
            RequestValidationError: _invalid,
            DatasealError: _ours,
            Exception: _unexpected,
        },
    )
    for module in (reads, queries, posts, operations):
        app.include_router(module.routes(service))
    return Guard(app, service)


async def _keep_asking(service: Service) -> None:
    """Posts have the witnesses asked; this is for what a crash, or witnesses that were away, left behind.

    It goes on whatever happens: if it ended, what waits would never be served, and nobody would be told.
    """
    while service.log.cosigning is not None:
        try:
            await run_in_threadpool(service.witness)
        except Exception:  # noqa: BLE001  it is logged with its traceback
            logger.exception("the witnesses could not be asked")
        await asyncio.sleep(limits.WITNESS_SECONDS)


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = {404: "nothing is served here", 405: "this can't be done here"}.get(error.status_code, "not possible")
    return Problem(error.status_code, what, hint="GET / tells what is", headers=error.headers).response()


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return Problem(400, str(first["msg"]), where=".".join(str(part) for part in first["loc"])).response()


async def _ours(_request: Request, error: Exception) -> Response:
    assert isinstance(error, DatasealError)
    logger.error("%s: %s", type(error).__name__, error)
    return of_error(error).response() if _temporary(error) else _broken()


async def _unexpected(_request: Request, _error: Exception) -> Response:
    return _broken()  # uvicorn writes the traceback to the server's log


def _temporary(error: DatasealError) -> bool:
    return of_error(error).status == 503


def _broken() -> Response:
    return Problem(500, "the log can't answer: its operator has to look at it").response()


class Guard:
    """Around every request: whose name was asked for, headers that are always there, small pieces, and counting."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        status = 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", []), *_SAFE]}
            for piece in _pieces(message):
                await send(piece)

        try:
            if self._known(scope):
                await self._app(scope, receive, send_on)
            else:
                problem = Problem(421, "this server has another name", hint="serve it under a name with --public")
                await problem.response()(scope, receive, send_on)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._service.metrics.request(route, scope["method"], status, time.monotonic() - started)

    def _known(self, scope: Scope) -> bool:
        hosts = self._service.settings.hosts
        given = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1").lower()
        name = given.rpartition(":")[0] if given.rpartition(":")[2].isdigit() else given
        return not hosts or name in hosts


def _pieces(message: Message) -> list[Any]:
    """A body's message as several small ones; any other as it is."""
    body = message.get("body", b"")
    if message["type"] != "http.response.body" or len(body) <= limits.PIECE:
        return [message]
    parts = [body[at : at + limits.PIECE] for at in range(0, len(body), limits.PIECE)]
    more = [True] * (len(parts) - 1) + [message.get("more_body", False)]
    return [{**message, "body": part, "more_body": rest} for part, rest in zip(parts, more, strict=True)]
