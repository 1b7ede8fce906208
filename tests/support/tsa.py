"""A time-stamping authority on loopback: ``openssl ts`` behind a web server, and forged responses."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from rfc3161_client import TimestampRequestBuilder, decode_timestamp_response
from rfc3161_client.base import HashAlgorithm

from dataseal.ledger.timestamp import TimestampAuthority
from support.certificates import TIME_STAMPING, Authority, Issued

LONG_AGO = datetime.now(UTC) - timedelta(days=400)
TST_INFO = "1.2.840.113549.1.9.16.1.4"
_SETTINGS = """\
[t]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


def stamping(issuer: Authority, **options: Any) -> Issued:
    """A certificate that may time-stamp, issued long ago and valid for 10 years, but for what the options say."""
    usual = {"names": [], "purposes": [TIME_STAMPING], "critical_purposes": True, "start": LONG_AGO}
    end = {"end": LONG_AGO + timedelta(days=3650)}
    return issuer.leaf("Timestamping", **(usual | end | options))


@dataclass
class Tsa:
    """An authority: its root, and the certificate that it stamps with."""

    root: Authority
    signer: Issued

    @classmethod
    def new(cls, name: str = "TSA root", *, kind: str = "p256", **options: Any) -> Tsa:
        """One whose certificates were issued long ago, since ``openssl`` stamps with the real time."""
        root = Authority.root(name, start=LONG_AGO)
        return cls(root, stamping(root, kind=kind, **options))

    @property
    def authority(self) -> TimestampAuthority:
        """What a verifier pins."""
        return TimestampAuthority.of("a test's authority", self.root.pem)

    def answer(self, query: bytes) -> bytes:
        """The response of ``openssl ts`` to a request."""
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "serial").write_text("01\n")
            (folder / "settings").write_text(_SETTINGS.format(folder=folder))
            (folder / "query").write_bytes(query)
            (folder / "key").write_bytes(self.signer.key_pem)
            (folder / "signer").write_bytes(self.signer.pem)
            openssl(
                "ts", "-reply", "-config", folder / "settings", "-section", "t", "-queryfile", folder / "query",
                "-inkey", folder / "key", "-signer", folder / "signer", "-out", folder / "reply",
            )  # fmt: skip
            return (folder / "reply").read_bytes()

    def stamp(self, signature: bytes, algorithm: HashAlgorithm = HashAlgorithm.SHA256) -> bytes:
        """A response over a signature."""
        return self.answer(TimestampRequestBuilder().data(signature).hash_algorithm(algorithm).build().as_bytes())


def openssl(*arguments: str | Path) -> None:
    """Runs the program; the test is skipped where there is none."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl program on this machine")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()


def signed_by(signer: Issued, response: bytes, *also: Issued) -> bytes:
    """The statement of ``response``, signed anew by somebody who need not be an authority."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "token").write_bytes(decode_timestamp_response(response).time_stamp_token())
        (folder / "key").write_bytes(signer.key_pem)
        (folder / "signer").write_bytes(signer.pem)
        (folder / "also").write_bytes(b"".join(issued.pem for issued in also))
        openssl("cms", "-verify", "-noverify", "-nosigs", "-inform", "DER", "-in", folder / "token",
                "-out", folder / "info")  # fmt: skip
        openssl("cms", "-sign", "-binary", "-nodetach", "-nosmimecap", "-cades", "-econtent_type", TST_INFO,
                "-md", "sha256", "-in", folder / "info", "-signer", folder / "signer", "-inkey", folder / "key",
                "-outform", "DER", "-out", folder / "out",
                *(["-certfile", folder / "also"] if also else []))  # fmt: skip
        body = b"\x30\x03\x02\x01\x00" + (folder / "out").read_bytes()
    return b"\x30\x82" + len(body).to_bytes(2, "big") + body


Reply = Callable[[bytes], tuple[int, str, bytes]]


@contextmanager
def serving(reply: Reply) -> Iterator[str]:
    """A web server whose every answer ``reply`` makes from the request's body; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, kind, answer = reply(body)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/tsr"
        finally:
            server.shutdown()
            thread.join(20)


@contextmanager
def responder(tsa: Tsa) -> Iterator[str]:
    """The authority's web server; gives its URL."""
    with serving(lambda query: (200, "application/timestamp-reply", tsa.answer(query))) as url:
        yield url
