"""A web server on loopback that serves a folder by ranges, and can lie."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


class WebStore(ThreadingHTTPServer):
    """Serves ``folder``. Each switch makes it one kind of bad server, for paths that end in `victim`.

    Attributes:
        ignore_range: answers 200 with the whole file. short: leaves out that many bytes at the end of each answer, and
            says so in its headers. cut: closes the connection that many bytes early. shift: answers with the range that
            lies so far behind the one that was asked for. claim: names the asked range all the same. flip: alters a bit
            of each answer. fail: how many requests to answer 503 first. after: from which request on it is bad.
        seen: paths and Range headers, in order.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.victim = ""
        self.ignore_range = self.claim = self.flip = self.pack = False
        self.short = self.cut = self.shift = self.fail = self.after = 0
        self.extra = b""
        self.seen: list[tuple[str, str | None]] = []

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is none of a test's business."""

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def asked(self, suffix: str) -> list[str | None]:
        """The ranges that were asked of files whose names end so."""
        return [ranges for path, ranges in self.seen if path.endswith(suffix)]


@contextmanager
def webstore(folder: Path) -> Iterator[WebStore]:
    """A server in a thread."""
    server = WebStore(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: WebStore
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024  # headers and body in one packet: else each answer waits for a delayed ACK

    def do_GET(self) -> None:
        store = self.server
        path = unquote(urlsplit(self.path).path).lstrip("/")
        store.seen.append((path, self.headers.get("range")))
        hit = path.endswith(store.victim) and bool(store.victim)
        bad = hit and len(store.asked(store.victim)) > store.after
        if bad and store.fail:
            store.fail -= 1
            self._answer(503, b"")
            return
        file = store.folder / path
        if not file.is_file():
            self._answer(404, b"")
            return
        data = file.read_bytes()
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range") or "")
        if match is None or (bad and store.ignore_range):
            self._answer(200, data)
            return
        start, stop = int(match[1]), min(int(match[2]) + 1, len(data))
        if start >= len(data):
            self._answer(416, b"")
            return
        if bad:
            self._lie(data, start, stop)
        else:
            self._part(data[start:stop], start, stop, len(data))

    def _lie(self, data: bytes, start: int, stop: int) -> None:
        store = self.server
        body = bytearray(data[start + store.shift : stop + store.shift])
        named = start if store.claim else start + store.shift
        if store.short:
            del body[-store.short :]
        if store.flip:
            body[len(body) // 2] ^= 1
        body += store.extra
        headers = {"content-encoding": "gzip"} if store.pack else {}
        self._part(bytes(body), named, named + len(body) - len(store.extra), len(data), **headers)

    def _part(self, body: bytes, start: int, stop: int, size: int, **headers: Any) -> None:
        self._answer(206, body, **{"content-range": f"bytes {start}-{stop - 1}/{size}"}, **headers)

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        cut = self.server.cut if status == 206 else 0
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) - cut])
        if cut:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""
