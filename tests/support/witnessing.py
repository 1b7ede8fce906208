"""Witnesses and logs for tests: a log that can fork, our witness on a loopback socket, and witnesses that lie."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from dataseal.ledger.tlog import merkle, note
from dataseal.ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from dataseal.ledger.tlog.cosignature import Ed25519Cosigner, MLDSA44Cosigner
from dataseal.ledger.tlog.policy import LogPolicy, parse_policy
from dataseal.ledger.witness.rate import RateLimit
from dataseal.ledger.witness.server import App, Server
from dataseal.ledger.witness.state import State
from dataseal.ledger.witness.wire import AddCheckpoint
from dataseal.ledger.witness.witness import Witness

ORIGIN = "dataseal.invalid/0123456789abcdef"
NOW = 1767225600  # 2026-01-01T00:00:00Z


def seed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def ed25519(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed(name))


def cosigner(name: str) -> Ed25519Cosigner:
    return Ed25519Cosigner(f"witness.example/{name}", ed25519(name))


def pq_cosigner(name: str) -> MLDSA44Cosigner:
    return MLDSA44Cosigner(f"witness.example/{name}", MLDSA44PrivateKey.from_seed_bytes(seed(name)))


@dataclass
class Tree:
    """A log in memory with its key: a `merkle.HashReader` that can fork and roll back."""

    leaves: list[bytes] = field(default_factory=list)
    signer: note.Ed25519Signer = field(default_factory=lambda: note.Ed25519Signer(ORIGIN, ed25519("the log")))

    @classmethod
    def of(cls, size: int, salt: str = "") -> Tree:
        return cls().grow(size, salt)

    def grow(self, count: int, salt: str = "") -> Tree:
        self.leaves += [merkle.leaf_hash(f"{salt}{len(self.leaves) + i}".encode()) for i in range(count)]
        return self

    def fork(self, size: int, grow: int, salt: str = "other") -> Tree:
        return Tree(self.leaves[:size], self.signer).grow(grow, salt)

    @property
    def size(self) -> int:
        return len(self.leaves)

    def root(self, size: int | None = None) -> bytes:
        return merkle.root_from_leaves(self.leaves[: self.size if size is None else size])

    def read(self, nodes: Sequence[merkle.Node]) -> list[bytes]:
        assert all((i + 1) << level <= self.size for level, i in nodes), "not of this tree"
        return [merkle.root_from_leaves(self.leaves[i << level : (i + 1) << level]) for level, i in nodes]

    def checkpoint(self, size: int | None = None, *signers: note.Signer) -> bytes:
        at = self.size if size is None else size
        return sign_checkpoint(Checkpoint(self.signer.name, at, self.root(at)), signers or (self.signer,))

    def proof(self, old: int, size: int | None = None) -> tuple[bytes, ...]:
        return tuple(merkle.consistency_proof(self.leaves[: self.size if size is None else size], old)) if old else ()

    def request(self, old: int, size: int | None = None) -> bytes:
        at = self.size if size is None else size
        return AddCheckpoint(old, self.proof(old, at) if old <= at else (), self.checkpoint(at)).encode()


def make_state(path: Path, *cosigners: Any, logs: Sequence[str] | None = None) -> State:
    """A new witness state, which knows the log of `Tree`."""
    state = State(path, create=True)
    state.describe({"name": cosigners[0].name, "vkeys": "\n".join(c.vkey for c in cosigners)})
    for vkey in [Tree().signer.vkey] if logs is None else logs:
        state.add_key(vkey.partition("+")[0], vkey)
    return state


@contextlib.contextmanager
def opened(path: Path, *cosigners: Any, logs: Sequence[str] | None = None, clock: Any = None) -> Iterator[Witness]:
    """Our witness, without HTTP."""
    state = make_state(path, *cosigners, logs=logs) if not path.exists() else State(path)
    try:
        yield Witness(state, cosigners, clock=clock or (lambda: NOW))
    finally:
        state.close()


_idle: list[tuple[Server, App, threading.Thread]] = []


@contextlib.contextmanager
def served(witness: Witness, **options: Any) -> Iterator[str]:
    """Our witness on a loopback port; gives its URL. Servers are used again, since uvicorn takes 0.2 s to stop."""
    server, app, thread = _idle.pop() if _idle and not options else _start(witness, **options)
    app._witness = witness
    try:
        yield server.url
    finally:
        if options:
            _stop(server, thread)
        else:
            _idle.append((server, app, thread))


def stop_servers() -> None:
    """At the end of the tests."""
    while _idle:
        server, _, thread = _idle.pop()
        _stop(server, thread)


def _start(witness: Witness, **options: Any) -> tuple[Server, App, threading.Thread]:
    app = App(witness, rate=options.pop("rate", None) or RateLimit(time.monotonic, rate=1e6, burst=1e6), **options)
    server = Server(app, host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, daemon=True)  # `stop_servers` may not be called elsewhere
    thread.start()
    return server, app, thread


def _stop(server: Server, thread: threading.Thread) -> None:
    server.stop()
    thread.join(20)
    assert not thread.is_alive()


def policy(
    *witnesses: tuple[Any, str | None], quorum: str | None = None, groups: str = "", logs: Any = None
) -> LogPolicy:
    """A policy of `Tree`'s log with witnesses W1, W2, …; all are needed unless ``groups`` and ``quorum`` say else."""
    lines = [f"log {vkey}" for vkey in (logs or [Tree().signer.vkey])]
    names = []
    for number, (key, url) in enumerate(witnesses, 1):
        names.append(f"W{number}")
        lines.append(f"witness W{number} {key.vkey}" + (f" {url}" if url else ""))
    if quorum is None and names:
        groups, quorum = f"group all-of-them all {' '.join(names)}\n", "all-of-them"
    return parse_policy("\n".join(lines) + f"\n{groups}quorum {quorum or 'none'}\n")


# --- a witness that answers whatever a test says ---

Send = Callable[[bytes], None]
Script = Callable[[str, bytes, Send], bytes | None]
"""From path and body to a whole HTTP answer, or None when the script has sent, by ``send``, all that it wants to."""


def http(status: int, body: bytes = b"", kind: str = "text/plain", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def size_answer(size: object, status: int = 409) -> bytes:
    return http(status, f"{size}\n".encode(), "text/x.tlog.size")


class Liar:
    """An HTTP server that plays a script and remembers what it was asked."""

    def __init__(self, script: Script) -> None:
        self.requests: list[tuple[str, bytes]] = []
        self.ended = threading.Event()
        self._script = script
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    @property
    def olds(self) -> list[int]:
        """The old sizes that it was asked from."""
        return [int(body.split(b"\n")[0].split()[1]) for path, body in self.requests if path == "/add-checkpoint"]

    def close(self) -> None:
        self.ended.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(10)
        self._socket.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._answer, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            data = b""
            while b"\r\n\r\n" not in data:
                piece = connection.recv(65536)
                if not piece:
                    return
                data += piece
            head, _, body = data.partition(b"\r\n\r\n")
            length = next(
                (int(h.split(b":")[1]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-len")), 0
            )
            while len(body) < length:
                body += connection.recv(65536)
            path = head.split(b" ")[1].decode()
            self.requests.append((path, body))
            answer = self._script(path, body, connection.sendall)
            if answer:
                connection.sendall(answer)


@contextlib.contextmanager
def lying(script: Script) -> Iterator[Liar]:
    """A witness that plays a script."""
    liar = Liar(script)
    try:
        yield liar
    finally:
        liar.close()
