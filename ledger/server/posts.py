"""``POST /entries``: a bundle, or several as lines; authority is the signature itself.

The answer: 201, or 200 when all were there before ::

    {"checkpoint":"<signed note>",
     "entries":[{"existed":false,"index":7,"proof":"<.tlog-proof file; its extra is the entry's header>"}]}

``existed`` entries also have ``bundle``: what the log holds, which differs from what was posted by its signature, since
ECDSA is randomised. Who lost an answer posts again, and gets the entry that is there.
"""

from __future__ import annotations

import math
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from dataseal.ledger.server import body, limits
from dataseal.ledger.server.appender import Logged, admit
from dataseal.ledger.server.problem import JSON, Problem, dumps
from dataseal.ledger.server.service import Service


def routes(service: Service) -> APIRouter:
    """The write API over one worker's log."""
    router = APIRouter()

    @router.post("/entries", response_class=Response, summary="Log one bundle, or several as lines, all or none")
    async def post_entries(request: Request) -> Response:
        await _welcome(service, request)
        kind = body.media_type(request)
        limit = limits.MAX_POST if kind in body.LINES else limits.MAX_SINGLE
        async with body.read(
            request, limit=limit, seconds=service.settings.body_seconds, budget=service.budget
        ) as data:
            if service.draining:  # it arrived while we were told to stop
                raise _draining()
            bundles = body.split(data, kind)
            service.limiter.charge(_address(request), len(bundles) - 1)
            await run_in_threadpool(admit, bundles, service.log.admission)
            logged = await service.appender.append(bundles)
        created = any(not item.appended.existed for item in logged)
        for item in logged:
            service.metrics.entries.labels("existed" if item.appended.existed else "logged").inc()
        return Response(
            dumps({"entries": [_told(item) for item in logged], "checkpoint": _checkpoint(logged[0].proof)}),
            status_code=201 if created else 200,
            media_type=JSON,
            headers={"Cache-Control": "no-store"},
        )

    return router


async def _welcome(service: Service, request: Request) -> None:
    if service.draining:
        await body.refuse(request, _draining())
    address = _address(request)
    seconds, limit = service.limiter.wait(address)
    if seconds > 0:
        service.metrics.limited.labels(limit).inc()
        problem = Problem(
            429,
            "too many entries" + (" from your address" if limit == "address" else ""),
            hint="wait as long as Retry-After says",
            retry_after=math.ceil(seconds),
            close=True,
        )
        await body.refuse(request, problem)
    service.limiter.charge(address, 1)


def _draining() -> Problem:
    return Problem(503, "the server is shutting down", hint="try again in a moment", retry_after=2, close=True)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _told(item: Logged) -> dict[str, Any]:
    told: dict[str, Any] = {
        "index": item.appended.index,
        "existed": item.appended.existed,
        "proof": item.proof.decode(),
    }
    if item.appended.existed:
        told["bundle"] = item.appended.bundle.decode()
    return told


def _checkpoint(proof: bytes) -> str:
    """A proof file ends in its checkpoint, after the first empty line."""
    return proof.partition(b"\n\n")[2].decode()
