"""The read API of C2SP tlog-tiles: ``/checkpoint``, ``/tile/<L>/<N>[.p/<W>]``, ``/tile/entries/<N>[.p/<W>]``.

The checkpoint is asked for anew each time (tlog-tiles: "prevent caching beyond a few seconds"); tiles and bundles,
partial ones too, never change and may be kept for ever. All have strong ETags, which differ for a compressed answer.
Only entry bundles are compressed, and only for who accepts it: hashes don't shrink.
"""

from __future__ import annotations

import gzip
from typing import Final

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from dataseal.ledger.resources import CHECKPOINT
from dataseal.ledger.server.problem import Problem
from dataseal.ledger.server.service import File, Service
from dataseal.ledger.tlog import checkpoint, tile

FOR_EVER: Final = "public, max-age=31536000, immutable"
ANEW: Final = "no-cache"
MAX_PATH: Final = 64
"""Characters: ``tile/entries/`` and the seven groups of the largest index are fewer."""


def routes(service: Service) -> APIRouter:
    """The read API over one worker's log."""
    router = APIRouter()

    @router.head("/checkpoint", include_in_schema=False)
    @router.get("/checkpoint", response_class=Response, summary="The signed tree head")
    async def read_checkpoint(request: Request) -> Response:
        file = await run_in_threadpool(service.files.read, CHECKPOINT)
        if file is None:
            raise Problem(404, "the log is empty", hint="post a first entry")
        return answer(request, file.data, file.etag, media_type=checkpoint.CONTENT_TYPE, cache=ANEW)

    @router.head("/tile/{path:path}", include_in_schema=False)
    @router.get("/tile/{path:path}", response_class=Response, summary="A tile or an entry bundle")
    async def read_tile(request: Request, path: str) -> Response:
        full = f"tile/{path}"
        file = service.files.kept(full)
        if file is None and len(full) <= MAX_PATH:
            file = await run_in_threadpool(service.files.read, full)
            if file is not None:
                service.files.keep(full, file)
        if file is None:
            raise Problem(404, "the log has no such tile or bundle")
        if not path.startswith("entries/"):
            return answer(request, file.data, file.etag, media_type=tile.CONTENT_TYPE, cache=FOR_EVER)
        return await _bundle(request, full, file)

    async def _bundle(request: Request, path: str, file: File) -> Response:
        data, etag, headers = file.data, file.etag, {"Vary": "Accept-Encoding"}
        if accepts_gzip(request.headers.get("accept-encoding", "")):
            if file.compressed is None:
                file.compressed = await run_in_threadpool(gzip.compress, file.data, 5, mtime=0)
                service.files.keep(path, file)
            data, etag = file.compressed, f"{file.etag}-gzip"
            headers["Content-Encoding"] = "gzip"
        return answer(request, data, etag, media_type=tile.CONTENT_TYPE, cache=FOR_EVER, headers=headers)

    return router


def answer(
    request: Request,
    data: bytes,
    etag: str,
    *,
    media_type: str,
    cache: str,
    headers: dict[str, str] | None = None,
) -> Response:
    """The bytes, or 304 when the client has them."""
    told = {"ETag": f'"{etag}"', "Cache-Control": cache, **(headers or {})}
    if matches(request.headers.get("if-none-match", ""), etag):
        told.pop("Content-Encoding", None)
        return Response(status_code=304, headers=told)
    return Response(data, headers={**told, "Content-Type": media_type})


def matches(condition: str, etag: str) -> bool:
    """RFC 9110 section 13.1.2: weak comparison with each listed tag, or any for ``*``."""
    tags = [tag.strip().removeprefix("W/") for tag in condition.split(",")]
    return "*" in tags or f'"{etag}"' in tags


def accepts_gzip(accepted: str) -> bool:
    """RFC 9110 section 12.5.3: gzip by name, or by ``*``, with a weight above 0."""
    weights: dict[str, str] = {}
    for item in accepted.lower().split(","):
        coding, _, weight = item.partition(";")
        weights[coding.strip()] = weight.replace(" ", "").removeprefix("q=")
    found = weights.get("gzip", weights.get("*"))
    return found is not None and (not found or found.strip("0.") != "")
