"""Clients that don't go on: none of them holds a connection, a thread or memory for long."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dataseal.ledger.server.body import Budget
from support.served import QUICK, Served, receipt, serving
from support.workspaces import make_bench

PATIENCE = 0.4


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with little patience."""
    folder: Path = tmp_path_factory.mktemp("slow")
    settings = replace(QUICK, header_seconds=PATIENCE, body_seconds=PATIENCE, send_seconds=PATIENCE)
    with serving(make_bench(folder / "workspace"), settings) as running:
        yield running


def closed_after(raw: socket.socket) -> tuple[bytes, float]:
    """What was said until the server closed, and how long that took."""
    started = time.monotonic()
    said = b""
    try:
        while piece := raw.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    return said, time.monotonic() - started


def test_a_connection_that_says_nothing_is_closed(served: Served) -> None:
    with served.connect() as raw:
        said, seconds = closed_after(raw)
    assert said == b""
    assert PATIENCE / 2 < seconds < 5


def sends_until_closed(raw: socket.socket, piece: bytes) -> float:
    """Seconds until the server no longer takes what drips in."""
    started = time.monotonic()
    while time.monotonic() < started + 5:
        try:
            raw.sendall(piece)
        except OSError:
            return time.monotonic() - started
        time.sleep(0.05)
    raise AssertionError("the server goes on taking it")


def test_headers_that_drip_do_not_hold_the_connection(served: Served) -> None:
    with served.connect() as raw:
        raw.sendall(b"GET /checkpoint HTTP/1.1\r\n")
        assert sends_until_closed(raw, b"x-drip: 1\r\n") < 4


def test_headers_of_a_second_request_may_not_drip_either(served: Served) -> None:
    with served.connect() as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert raw.recv(65536).startswith(b"HTTP/1.1 200 ")
        raw.sendall(b"GET /healthz HTTP/1.1\r\n")
        _, seconds = closed_after(raw)
    assert seconds < 5


def test_a_body_that_drips_is_408(served: Served) -> None:
    with served.connect() as raw:
        raw.sendall(b"POST /entries HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{")
        said, seconds = closed_after(raw)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert seconds < 5


def test_a_body_after_its_answer_does_not_go_on_for_ever(served: Served) -> None:
    with served.connect() as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000000\r\n\r\n")
        assert raw.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert sends_until_closed(raw, b"x" * 1000) < 4


@pytest.fixture(scope="module")
def bundle(served: Served) -> bytes:
    """A request for some 800 kB."""
    bench = served.bench
    bench.log.append([receipt(bench.gate, n, padding=30_000) for n in range(20)])
    return b"GET /tile/entries/000.p/20 HTTP/1.1\r\nhost: localhost\r\n\r\n"


def test_an_answer_that_is_not_read_is_given_up(served: Served, bundle: bytes) -> None:
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    state = served.server.server_state
    with raw:
        raw.connect(("127.0.0.1", served.port))
        raw.sendall(bundle * 30)  # more than any system buffers
        most, due = 0, time.monotonic() + 10
        while not state.connections and time.monotonic() < due:
            time.sleep(0.01)
        while state.connections and time.monotonic() < due:
            buffered = [connection.transport.get_write_buffer_size() for connection in list(state.connections)]
            most = max(most, *buffered, 0)
            time.sleep(0.01)
        assert not state.connections
    assert most < 256 * 1024


def test_a_slow_reader_that_reads_gets_everything(served: Served, bundle: bytes) -> None:
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    with raw:
        raw.connect(("127.0.0.1", served.port))
        raw.sendall(bundle * 5 + bundle.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        total = 0
        started = time.monotonic()
        while piece := raw.recv(65536):
            total += len(piece)
            time.sleep(0.005)
    assert total > 6 * 800_000
    assert time.monotonic() - started > PATIENCE


def test_requests_that_are_no_http_are_400_and_closed(served: Served) -> None:
    for junk in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10,
        b"GET / HTTP/9\r\n\r\n",
        b"\r\n\r\nnonsense\r\n\r\n",
    ):
        with served.connect() as raw:
            raw.sendall(junk)
            said, _ = closed_after(raw)
        assert said == b"" or said.startswith(b"HTTP/1.1 400 ")


def test_headers_are_bounded(served: Served) -> None:
    with served.connect() as raw:
        try:
            raw.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n" + b"x: " + b"y" * 2_000_000)
            said, _ = closed_after(raw)
        except (ConnectionResetError, BrokenPipeError):
            said = b""
    assert said == b"" or said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))


def test_bodies_share_one_budget_and_give_it_back() -> None:
    budget = Budget(10)
    assert budget.take(7)
    assert not budget.take(4)
    budget.give(7)
    assert budget.take(10)


def test_no_memory_left_is_503_and_comes_back(served: Served) -> None:
    service = served.server.service
    full, service.budget = service.budget, Budget(10)
    try:
        answer = served.post(receipt(served.bench.gate, 1))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert service.budget.take(10)
    finally:
        service.budget = full
