"""For operators and for people: ``/healthz``, ``/readyz``, ``/metrics``, and the page at ``/``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from dataseal.ledger.server import page
from dataseal.ledger.server.problem import JSON, dumps
from dataseal.ledger.server.service import Service


def routes(service: Service) -> APIRouter:
    """Health, metrics and the page of one worker."""
    router = APIRouter()

    @router.get("/healthz", response_class=Response, summary="Whether the process lives")
    async def healthz() -> Response:
        return _json(200, {"live": True})

    @router.get("/readyz", response_class=Response, summary="Whether a post could be logged now")
    async def readyz() -> Response:
        if service.draining:
            return _json(503, {"ready": False, "reason": "the server is shutting down"})
        async with service.asking:
            reason = await run_in_threadpool(service.unready)
        return _json(503 if reason else 200, {"ready": reason is None, "reason": reason})

    @router.get("/metrics", response_class=Response, summary="Prometheus metrics")
    async def metrics() -> Response:
        text = await run_in_threadpool(service.metrics.render)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})

    @router.head("/", include_in_schema=False)
    @router.get("/", response_class=Response, summary="A page for people")
    async def index() -> Response:
        html = await run_in_threadpool(page.render, service.log)
        return Response(
            html,
            media_type="text/html; charset=utf-8",
            headers={"Cache-Control": "no-cache", "Content-Security-Policy": page.CSP},
        )

    return router


def _json(status: int, value: Any) -> Response:
    return Response(dumps(value), status_code=status, media_type=JSON, headers={"Cache-Control": "no-store"})
