"""A server that lies: what it answers to posts, which checkpoints it serves, where it sends us, and when it ends.

The server is real; what lies is a transport between it and the real client, which alters what comes back.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dataseal.ledger import workspace as workspaces
from dataseal.ledger.errors import (
    DatasealError,
    FormatError,
    IntegrityError,
    ProofInvalid,
    Rollback,
    SignatureInvalid,
    Unavailable,
)
from dataseal.ledger.follow import Fork
from dataseal.ledger.remote import exchange
from dataseal.ledger.remote.exchange import Exchange
from dataseal.ledger.remote.log import RemoteLog
from dataseal.ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from dataseal.ledger.tlog.note import Ed25519Signer
from support.errors import refused
from support.served import Liar, receipt, rewritten
from support.workspaces import Bench, make_bench, no_passphrase


def test_a_redirect_is_not_followed_with_a_post(bench: Bench, liar: tuple[RemoteLog, Liar]) -> None:
    log, transport = liar
    transport.tamper = lambda request, answer: httpx2.Response(307, headers={"location": "http://evil.example/"})
    with refused(Unavailable, "307", "not followed"):
        log.append([receipt(bench.gate)])
    assert transport.asked == ["POST /entries"]


@contextmanager
def endless(head: bytes) -> Iterator[str]:
    """A server whose answer never ends."""
    done = threading.Event()

    def talk() -> None:
        listener.settimeout(0.1)
        while not done.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.recv(65536)
                try:
                    connection.sendall(head)
                    while not done.is_set():
                        connection.sendall(b"x" * 65536)
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=talk)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        done.set()
        thread.join(10)


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden"])
def test_an_endless_answer_is_cut_off(status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_ANSWER", 1_000_000)
    with endless(f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n\r\n".encode()) as url:
        sender = Exchange(url)
        with refused(FormatError, "more than"):
            sender.post("entries", b"{}", "application/json")
        sender.close()


def test_an_answer_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "ANSWER_SECONDS", -1.0)
    monkeypatch.setattr(exchange, "TRIES", 1)
    with endless(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        sender = Exchange(url)
        with refused(Unavailable, "no whole answer"):
            sender.get("entries", {})
        sender.close()


def test_a_compressed_answer_is_not_unpacked() -> None:
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=Empty())
    )
    with refused(FormatError, "encoded"):
        Exchange("http://log.example", transport=transport).get("entries", {})


class Empty(httpx2.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b""


def swap_index(answer: Any) -> Any:
    answer["entries"][0]["index"] = 0
    return answer


def swap_proof(answer: Any) -> Any:
    answer["entries"][0]["proof"] = "c2sp.org/tlog-proof@v1\nindex 0\n\n" + answer["checkpoint"]
    return answer


def flip_hash(answer: Any) -> Any:
    lines = answer["entries"][0]["proof"].split("\n")
    at = next(n for n, line in enumerate(lines) if line.startswith("index ")) + 1
    lines[at] = ("A" if lines[at][0] != "A" else "B") + lines[at][1:]
    answer["entries"][0]["proof"] = "\n".join(lines)
    return answer


def other_header(answer: Any) -> Any:
    import base64

    lines = answer["entries"][0]["proof"].split("\n")
    header = json.loads(base64.b64decode(lines[1].removeprefix("extra ")))
    header["dataset"] = "somebody/else"
    lines[1] = "extra " + base64.b64encode(json.dumps(header, sort_keys=True, separators=(",", ":")).encode()).decode()
    answer["entries"][0]["proof"] = "\n".join(lines)
    return answer


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (swap_index, FormatError),
        (swap_proof, FormatError),
        (flip_hash, ProofInvalid),
        (other_header, FormatError),
        (lambda answer: {"entries": []}, FormatError),
        (lambda answer: [], FormatError),
        (lambda answer: {"entries": [{}]}, FormatError),
        (lambda answer: {"entries": [answer["entries"][0] | {"existed": True}]}, FormatError),
        (lambda answer: {"entries": [answer["entries"][0] | {"index": True}]}, FormatError),
        (lambda answer: {"entries": [answer["entries"][0] | {"proof": 1}]}, FormatError),
    ],
)
def test_an_answer_to_a_post_that_does_not_hold(
    bench: Bench, liar: tuple[RemoteLog, Liar], change: Any, error: type[DatasealError]
) -> None:
    log, transport = liar
    bench.log.append([receipt(bench.gate, 100)])  # so that a proof has a hash
    transport.tamper = rewritten("/entries", change)
    with pytest.raises(error) as caught:
        log.append([receipt(bench.gate, 1)])
    assert type(caught.value) is error


def test_another_statement_for_ours_is_refused(bench: Bench, liar: tuple[RemoteLog, Liar]) -> None:
    log, transport = liar
    other = receipt(bench.gate, 2)
    bench.log.append([other, receipt(bench.gate, 1)])

    def change(answer: Any) -> Any:
        answer["entries"][0]["bundle"] = other.decode()
        return answer

    transport.tamper = rewritten("/entries", change)
    with refused(IntegrityError, "another statement"):
        log.append([receipt(bench.gate, 1)])


def log_signer(bench: Bench) -> Ed25519Signer:
    key = workspaces.keyfile.load(bench.workspace.folder / "keys" / "log.key", no_passphrase).private
    return Ed25519Signer(bench.log.origin, key)  # type: ignore[arg-type]


def test_a_checkpoint_by_another_key_is_refused(bench: Bench, liar: tuple[RemoteLog, Liar], tmp_path: Path) -> None:
    log, transport = liar
    bench.log.append([receipt(bench.gate, 1)])
    impostor = make_bench(tmp_path / "impostor", bench.log.origin)
    impostor.log.append([receipt(impostor.gate, 1)])
    note = impostor.log.checkpoint()
    transport.tamper = lambda request, answer: (
        httpx2.Response(200, content=note) if request.url.path == "/checkpoint" else answer
    )
    with refused(SignatureInvalid, "no signature by a known key"):
        log.checkpoint()


def test_a_fork_is_seen_and_kept(bench: Bench, liar: tuple[RemoteLog, Liar], tmp_path: Path) -> None:
    log, transport = liar
    bench.log.append([receipt(bench.gate, 1)])
    log.checkpoint()
    forked = sign_checkpoint(Checkpoint(bench.log.origin, 1, bytes(32)), [log_signer(bench)])
    transport.tamper = lambda request, answer: (
        httpx2.Response(200, content=forked) if request.url.path == "/checkpoint" else answer
    )
    with pytest.raises((Fork, ProofInvalid)):
        log.checkpoint()


def test_a_rollback_to_an_older_or_an_empty_log_is_seen(bench: Bench, liar: tuple[RemoteLog, Liar]) -> None:
    log, transport = liar
    bench.log.append([receipt(bench.gate, 1)])
    old = bench.log.checkpoint()
    log.append([receipt(bench.gate, 2)])
    transport.tamper = lambda request, answer: (
        httpx2.Response(200, content=old) if request.url.path == "/checkpoint" else answer
    )
    with refused(Rollback, "size 1"):
        log.checkpoint()
    transport.tamper = lambda request, answer: httpx2.Response(404) if request.url.path == "/checkpoint" else answer
    with refused(Rollback, "no checkpoint", "size 2"):
        log.checkpoint()


def test_a_proof_beyond_the_served_checkpoint_is_a_rollback(bench: Bench, liar: tuple[RemoteLog, Liar]) -> None:
    log, transport = liar
    bench.log.append([receipt(bench.gate, 1)])
    old = bench.log.checkpoint()
    transport.tamper = lambda request, answer: (
        httpx2.Response(200, content=old) if request.url.path == "/checkpoint" else answer
    )
    with refused(Rollback, "proves an entry at size 2", "size 1"):
        log.append([receipt(bench.gate, 2)])


def test_a_wrong_address_is_no_empty_log(liar: tuple[RemoteLog, Liar]) -> None:
    log, transport = liar
    transport.tamper = lambda request, answer: httpx2.Response(404, content=b"not here")
    with refused(Unavailable, "404"):
        log.view()
    transport.tamper = lambda request, answer: (
        httpx2.Response(404) if request.url.path == "/checkpoint" else httpx2.Response(200, json={"size": 3})
    )
    with refused(FormatError, "no empty log either"):
        log.view()
