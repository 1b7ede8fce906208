"""``GET /entries``: pages of matching entries, newest first, each with what verifies it.

::

    GET /entries?dataset=acme/reviews&kind=release&limit=1

    {"before":4,"checkpoint":"<signed note>","size":9,
     "entries":[{"bundle":"{…}","hashes":["<base64>",…],"header":"{…}","index":4}]}

``header`` and ``bundle`` with a newline between are the leaf; ``hashes`` is its RFC 6962 inclusion proof in the tree of
``size`` entries. With ``size=`` a client that has verified a checkpoint of that size asks for the log as it was then;
no checkpoint comes along, and the pages fit together. ``before`` continues: give it as ``before=``; null ends.

Parameters: ``dataset``, ``kind``, ``signer`` (fingerprint), ``subject`` (a dataset root, or a shard table's SHA-256),
``since`` and ``until`` (as ``2026-01-02T03:04:05Z``, both included), ``before``, ``size``, ``limit`` (at most 100).
That an answer is complete is not proven by it: a dataset's entries are linked by ``dataset_prev``, and the client
follows that chain.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from dataseal.ledger.entry import ENTRY_KINDS
from dataseal.ledger.server import limits
from dataseal.ledger.server.problem import JSON, Problem, dumps
from dataseal.ledger.server.search import Search, search
from dataseal.ledger.server.service import Service
from dataseal.ledger.tlog import merkle

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Time = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
Index = Annotated[int, Field(ge=0, lt=2**63)]
Kind = Annotated[str, Field(pattern=f"^({'|'.join(ENTRY_KINDS)})$")]


class EntriesQuery(BaseModel):
    """The parameters of ``GET /entries``."""

    model_config = ConfigDict(extra="forbid")

    dataset: Annotated[str, Field(max_length=200)] | None = None
    kind: Kind | None = None
    signer: Digest | None = None
    subject: Digest | None = None
    since: Time | None = None
    until: Time | None = None
    before: Index | None = None
    size: Index | None = None
    limit: Annotated[int, Field(ge=1, le=limits.PAGE_ENTRIES)] = 50


def routes(service: Service) -> APIRouter:
    """The query API over one worker's log."""
    router = APIRouter()

    @router.get("/entries", response_class=Response, summary="Matching entries with their inclusion proofs")
    async def get_entries(query: Annotated[EntriesQuery, Query()]) -> Response:
        found = await run_in_threadpool(_find, service, query)
        return Response(dumps(found), media_type=JSON, headers={"Cache-Control": "no-store"})

    return router


def _find(service: Service, query: EntriesQuery) -> dict[str, Any]:
    with service.log.store.view() as view:
        head = service.log.publishable(view)
        size = head.size if query.size is None else query.size
        if size > head.size:
            raise Problem(404, f"the log holds {head.size} entries", hint="ask for a smaller size, or for none")
        wanted = Search(
            before=min(size, size if query.before is None else query.before),
            dataset=query.dataset,
            kind=query.kind,
            signer=query.signer,
            subject=query.subject,
            since=query.since,
            until=query.until,
        )
        indexes = search(view, wanted, query.limit + 1)
        entries: list[dict[str, Any]] = []
        used = 0
        for index in indexes[: query.limit]:
            row = view.entry(index)
            body = row.body if row else b""
            used += len(body)
            if entries and used > limits.PAGE_BYTES:
                break
            header, _, bundle = body.partition(b"\n")
            hashes = merkle.prove_inclusion(view, size=size, index=index)
            entries.append(
                {
                    "index": index,
                    "header": header.decode(),
                    "bundle": bundle.decode(),
                    "hashes": [b64encode(value).decode() for value in hashes],
                }
            )
        found: dict[str, Any] = {
            "size": size,
            "entries": entries,
            "before": entries[-1]["index"] if len(entries) < len(indexes) else None,
        }
        if query.size is None:
            found["checkpoint"] = (head.cosigned or head.note or b"").decode() or None
        return found
