"""A foreign witness, aics-witness: set up and run as its users do, on loopback."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dataseal.ledger.tlog.text import encode_base64
from foreign.tools import executable

NAME = "witness.example/aics"


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    body: bytes
    type: str


@dataclass(frozen=True)
class Witness:
    """A running aics-witness."""

    folder: Path
    port: int
    vkey: str
    version: str

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """One request, with no header but ``headers``."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in (headers if headers is not None else {"Content-Length": str(len(body))}).items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, response.read(), response.headers.get("Content-Type", ""))

    def add(self, old: int, proof: Sequence[bytes], checkpoint: bytes) -> Answer:
        """tlog-witness add-checkpoint."""
        lines = [f"old {old}", *map(encode_base64, proof), "", ""]
        return self.request("POST", "/add-checkpoint", "\n".join(lines).encode() + checkpoint)

    def latest(self, origin: str) -> Answer:
        """tlog-witness's monitoring endpoint."""
        return self.request("GET", f"/{sha256(origin.encode()).hexdigest()}/checkpoint")


def aics(folder: Path, *arguments: str) -> str:
    """Runs a command of aics-witness."""
    command = [executable("aics/bin/aics-witness"), arguments[0], "--config", "witness.json", *arguments[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def set_up(folder: Path, logs: Iterable[tuple[str, str]]) -> Path:
    """A witness, not yet running, that knows logs by origin and verifier key."""
    aics(folder, "init", "--name", NAME)
    config = json.loads((folder / "witness.json").read_text())
    config["logs"] = [{"origin": origin, "vkeys": [vkey]} for origin, vkey in logs]
    (folder / "witness.json").write_text(json.dumps(config))
    return folder


@contextmanager
def serving(folder: Path) -> Iterator[Witness]:
    """Runs the witness that was set up in ``folder`` until the block ends."""
    command = [executable("aics/bin/aics-witness"), "serve", "--config", "witness.json", "--listen", "127.0.0.1:0"]
    journal = folder / "witness.log"
    with journal.open("w") as errors, subprocess.Popen(command, cwd=folder, stderr=errors) as process:
        try:
            deadline = time.monotonic() + 30
            while not (port := re.search(r"listening on http://127\.0\.0\.1:(\d+)", journal.read_text())):
                assert process.poll() is None, journal.read_text()
                assert time.monotonic() < deadline, journal.read_text()
                time.sleep(0.05)
            said = re.search(r"aics-witness (\S+),[^\0]*witness vkey (\S+)", journal.read_text())
            assert said, journal.read_text()
            yield Witness(folder, int(port[1]), said[2], said[1])
        finally:
            process.terminate()
            process.wait(timeout=20)
