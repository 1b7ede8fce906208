"""The witness's HTTP face: statuses, bounds in size, time and number, and a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dataseal.ledger.errors import Unavailable
from dataseal.ledger.witness.limits import MAX_ADDRESSES, MAX_REQUEST_BYTES
from dataseal.ledger.witness.rate import RateLimit
from dataseal.ledger.witness.server import GuardedProtocol, _read
from dataseal.ledger.witness.wire import monitor_path
from support.witnessing import ORIGIN, Tree, cosigner, make_state, opened, served

W1 = cosigner("w1")


@pytest.fixture
def witness(tmp_path):
    with opened(tmp_path / "w.sqlite", W1) as witness:
        yield witness


def call(url, method, path, body=None, headers=()):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def connected(url):
    return socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), 10)


def test_every_route(witness):
    log = Tree.of(5)
    with served(witness) as url:
        assert call(url, "GET", monitor_path(ORIGIN))[0] == 404
        assert call(url, "POST", "/add-checkpoint", log.request(0))[0] == 200
        status, headers, body = call(url, "POST", "/add-checkpoint", log.request(0))
        assert (status, headers["content-type"], body) == (409, "text/x.tlog.size", b"5\n")
        status, headers, body = call(url, "GET", monitor_path(ORIGIN))
        assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert body == witness.state.latest(ORIGIN).note
        assert call(url, "GET", "/health")[0] == 200
        for method, path in (("GET", "/add-checkpoint"), ("POST", "/health"), ("PUT", monitor_path(ORIGIN))):
            assert call(url, method, path)[0] == 405
        for path in ("/", "/add-checkpoint/", "/docs", monitor_path(ORIGIN).upper(), monitor_path(ORIGIN) + "\n"):
            assert call(url, "GET", path.replace("\n", "%0a"))[0] == 404


def test_connections_are_kept_alive(witness):
    log = Tree.of(5)
    with served(witness) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        for status in (200, 409, 409):
            connection.request("POST", "/add-checkpoint", log.request(0))
            response = connection.getresponse()
            response.read()
            kept = connection.sock
            assert (response.status, kept is not None) == (status, True)
        connection.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies_are_413(witness, chunked):
    body = b"old 0\n\n" + b"x" * MAX_REQUEST_BYTES
    with served(witness) as url:
        status, headers, _ = call(url, "POST", "/add-checkpoint", iter([body]) if chunked else body)
        assert (status, headers["connection"]) == (413, "close")


def test_an_endless_body_is_cut_off(witness):
    with served(witness) as url, connected(url) as client:
        client.sendall(b"POST /add-checkpoint HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        with pytest.raises(OSError):  # noqa: PT011  reset, or a broken pipe
            client.sendall((b"400\r\n" + b"x" * 1024 + b"\r\n") * 100_000)


def test_no_more_of_a_body_is_read_than_the_limit():
    pulled = []

    async def receive():
        pulled.append(1)
        assert len(pulled) < 100
        return {"type": "http.request", "body": bytes(1024), "more_body": True}

    assert len(asyncio.run(_read(receive))) > MAX_REQUEST_BYTES
    assert len(pulled) == MAX_REQUEST_BYTES // 1024 + 1


def test_a_slow_body_is_408(witness):
    with served(witness, body_timeout=0.1) as url, connected(url) as client:
        client.sendall(b"POST /add-checkpoint HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\nold")
        assert b" 408 " in client.recv(99)


@pytest.mark.parametrize("sent", [b"", b"POST /add-check", b"GET /health HTTP/1.1\r\nhost: x\r\n\r\nGET /hea"])
def test_slow_headers_and_idle_connections_are_closed(witness, monkeypatch, sent):
    monkeypatch.setattr(GuardedProtocol, "HEADER_TIMEOUT", 0.1)
    with served(witness) as url, connected(url) as client, contextlib.suppress(ConnectionResetError):
        client.sendall(sent)
        while client.recv(4096):  # a time-out, in 10 seconds, would be an error
            pass


def test_what_cant_be_decided_is_503_and_no_detail_leaks(witness, monkeypatch, caplog):
    def fail(_body):
        raise Unavailable("the witness's state is locked in /secret/place")

    monkeypatch.setattr(witness, "add_checkpoint", fail)
    with served(witness) as url:
        status, headers, body = call(url, "POST", "/add-checkpoint", b"")
    assert (status, headers["retry-after"]) == (503, "1")
    assert b"secret" not in body
    assert "/secret/place" in caplog.text


def test_too_many_requests_are_429(witness):
    now = [0.0]
    with served(witness, rate=RateLimit(lambda: now[0], rate=1, burst=3)) as url:
        assert [call(url, "GET", "/health")[0] for _ in range(5)] == [200, 200, 200, 429, 429]
        now[0] += 2
        assert [call(url, "GET", "/health")[0] for _ in range(3)] == [200, 200, 429]


def test_rates_are_by_address_and_bounded():
    limit = RateLimit(lambda: 0.0, rate=1, burst=1)
    assert [limit.allows(a) for a in ("1.2.3.4", "1.2.3.4", "1.2.3.5", "::ffff:1.2.3.4", "")] == [
        True, False, True, False, True,
    ]  # fmt: skip
    assert [limit.allows(a) for a in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "fe80::1%eth0")] == [
        True, False, True, True,
    ]  # fmt: skip
    for number in range(MAX_ADDRESSES + 5):
        limit.allows(f"host {number}")
    assert len(limit._buckets) == MAX_ADDRESSES


def test_a_proxys_word_is_believed_only_if_it_is_trusted(witness):
    with served(witness, rate=RateLimit(lambda: 0.0, rate=1, burst=1)) as url:
        statuses = [call(url, "GET", "/health", headers=[("x-forwarded-for", f"192.0.2.{i}")])[0] for i in range(2)]
    assert statuses == [200, 429]


def test_it_ends_gracefully_on_sigterm(tmp_path):
    """What runs is answered; then the process ends with 0."""
    path = tmp_path / "w.sqlite"
    make_state(path, W1).close()
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from support.witnessing import App, Server, cosigner, opened
with opened(Path({str(path)!r}), cosigner("w1")) as witness:
    decide = witness.add_checkpoint
    witness.add_checkpoint = lambda body: (print("begun", flush=True), time.sleep(0.5), decide(body))[2]
    server = Server(App(witness), host="127.0.0.1", port=0)
    print(server.url, flush=True)
    server.run()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=-1, text=True)
    url = process.stdout.readline().strip()
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(call(url, "POST", "/add-checkpoint", Tree.of(5).request(0)))
    )
    thread.start()
    assert process.stdout.readline() == "begun\n"
    os.kill(process.pid, signal.SIGTERM)
    thread.join(20)
    assert process.wait(20) == 0
    process.stdout.close()
    assert answers[0][0] == 200
    with pytest.raises(OSError):  # noqa: PT011  nobody listens any more
        call(url, "GET", "/health")


def test_a_taken_port_says_so(witness):
    from dataseal.ledger.witness.server import App, Server

    with served(witness) as url, pytest.raises(OSError, match="in use"):
        Server(App(witness), host="127.0.0.1", port=urlsplit(url).port)
