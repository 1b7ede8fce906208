"""A real server on loopback, in a thread, over a real workspace."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from dataseal.ledger import bundle as bundles
from dataseal.ledger import statement as statements
from dataseal.ledger.remote.log import RemoteLog
from dataseal.ledger.remote.open import policy_of
from dataseal.ledger.server.run import Plan, Server, listen
from dataseal.ledger.server.settings import Settings
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.view import Views
from support.workspaces import DATASET, Bench

QUICK = Settings(rate=0, total_rate=0)
"""No limits on how many may be posted."""

HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass
class Served:
    """A running server: its workspace, its address, and a client for raw requests."""

    bench: Bench
    server: Server
    port: int
    client: httpx2.Client

    @property
    def url(self) -> str:
        """The server's prefix."""
        return f"http://127.0.0.1:{self.port}"

    def post(self, *items: bytes, **headers: str) -> httpx2.Response:
        """Posts bundles."""
        kind = "application/json" if len(items) == 1 else "application/x-ndjson"
        return self.client.post("/entries", content=b"\n".join(items), headers={"content-type": kind, **headers})

    def connect(self) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def remote(self, views: Views, transport: httpx2.BaseTransport | None = None) -> RemoteLog:
        """A client of it, which knows the log's key from the workspace."""
        workspace = self.bench.workspace
        return RemoteLog(
            self.url,
            policy_of(workspace),
            views,
            workspace.admission(),
            transport=transport,
            pause=lambda _seconds: None,
        )


@contextmanager
def serving(bench: Bench, settings: Settings = QUICK, *, port: int = 0) -> Iterator[Served]:
    """Serves a workspace while the block runs."""
    plan = Plan(bench.workspace, None, replace(settings, hosts=HOSTS))
    ready = threading.Event()
    with listen("127.0.0.1", port) as sock:
        server = Server(plan.service(), ready.set)
        number = sock.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            assert ready.wait(20)
            with httpx2.Client(base_url=f"http://127.0.0.1:{number}", timeout=20, trust_env=False) as client:
                yield Served(bench, server, number, client)
        finally:
            server.stop()
            thread.join(40)
    assert not thread.is_alive()


def receipt(signer: KeyFileSigner, number: int = 0, *, dataset: str = DATASET, padding: int = 0) -> bytes:
    """A signed receipt: entries of this kind may come in any order and number."""
    payload = statements.encode(
        statements.VSA,
        {"number": number, "padding": "x" * padding},
        dataset=dataset,
        version="1.0.0",
        table="00" * 32,
        root="11" * 32,
    )
    return signed(payload, signer)


def signed(payload: bytes, signer: KeyFileSigner) -> bytes:
    """A bundle over a statement."""
    signature = signer.sign(bundles.pae(statements.PAYLOAD_TYPE, payload))
    return bundles.encode(payload, signature, signer.public)


def release(bench: Bench, sequence: int = 1, *, signer: KeyFileSigner | None = None, dataset: str = DATASET) -> bytes:
    """A signed release statement of a small made-up tree, the first of its dataset whatever ``sequence`` says."""
    tree = {"root": "22" * 32, "shards": 1, "bytes": 1, "chunk_size": 65536, "chunk_hash": "sha256"}
    predicate = {
        "sequence": sequence, "previous": None, "tree": tree, "derived_from": [], "exclusions": [], "metadata": {},
    }  # fmt: skip
    payload = statements.encode(
        statements.RELEASE, predicate, dataset=dataset, version=f"{sequence}.0", table="00" * 32, root="22" * 32
    )
    return signed(payload, signer or bench.publisher)


Tamper = Callable[[httpx2.Request, httpx2.Response], httpx2.Response]


class Liar(httpx2.BaseTransport):
    """Hands requests on to the real server, and its answers through ``tamper``."""

    def __init__(self, tamper: Tamper | None = None) -> None:
        self._real = httpx2.HTTPTransport()
        self.tamper = tamper
        self.asked: list[str] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        answer = self._real.handle_request(request)
        data = answer.read()
        answer = httpx2.Response(answer.status_code, headers=answer.headers, content=data)
        return self.tamper(request, answer) if self.tamper else answer

    def close(self) -> None:
        self._real.close()


def rewritten(path: str, change: Callable[[Any], Any]) -> Tamper:
    """Alters the JSON answers of one path."""

    def tamper(request: httpx2.Request, answer: httpx2.Response) -> httpx2.Response:
        if request.url.path != path or answer.status_code not in (200, 201):
            return answer
        return httpx2.Response(answer.status_code, json=change(answer.json()))

    return tamper
