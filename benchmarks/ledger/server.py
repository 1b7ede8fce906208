"""Requests a second of `dataseal ledger serve` on loopback, and CPU a request, for many clients at once.

    python benchmarks/ledger/server.py [--posts 300] [--reads 600] [--clients 16] [--workers 1 2]

The server runs as the command runs it (SQLite, synchronous FULL, limits lifted). Clients are threads of one process,
each with a connection of its own that is kept; they take a good part of the CPU themselves, so that on few cores these
are lower bounds. ``appended directly`` is the same entries through `Log.append`, one by one and in groups of as many as
there are clients, in the same run: what HTTP, the proofs and group commit add or save. ``server ms`` is the CPU time
of the server's processes for one request (for one entry, where several are posted): it holds on a busy machine too.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from dataseal.ledger import bundle as bundles
from dataseal.ledger import statement as statements
from dataseal.ledger import workspace as workspaces
from dataseal.ledger.signers.keyfile import KeyFileSigner

PROGRAM = str(Path(sys.executable).with_name("dataseal"))


def receipts(signer: KeyFileSigner, start: int, count: int) -> list[bytes]:
    """Signed receipts of about 2 kB."""
    made = []
    for number in range(start, start + count):
        payload = statements.encode(
            statements.VSA, {"number": number, "padding": "x" * 900}, dataset="bench/data", version="1.0.0",
            table="00" * 32, root="11" * 32,
        )  # fmt: skip
        signature = signer.sign(bundles.pae(statements.PAYLOAD_TYPE, payload))
        made.append(bundles.encode(payload, signature, signer.public))
    return made


@contextmanager
def server(folder: Path, workers: int) -> Iterator[tuple[int, int]]:
    """The port and the process id of a running server."""
    command = [PROGRAM, "ledger", "serve", "--workspace", str(folder), "--port", "0", "--rate", "0",
               "--workers", str(workers)]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        yield int(child.stdout.readline().strip().rpartition(":")[2]), child.pid
        child.terminate()


def spread(port: int, clients: int, jobs: list[tuple[str, str, bytes | None, str]]) -> float:
    """Seconds for all jobs (method, path, body, media type), divided among clients with a kept connection each."""

    def one(part: list[tuple[str, str, bytes | None, str]]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for method, path, body, kind in part:
            connection.request(method, path, body, {"content-type": kind} if body else {})
            answer = connection.getresponse()
            answer.read()
            assert answer.status in (200, 201), answer.status
        connection.close()

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, [jobs[n::clients] for n in range(clients)]))
    return time.perf_counter() - started


def cpu(pid: int) -> float:
    """CPU seconds of a process and its children so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu(int(child)) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def timed(what: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=300)
    parser.add_argument("--reads", type=int, default=600)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    result: dict[str, object] = {"cores": os.cpu_count(), "clients": options.clients}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "workspace"
        workspace = workspaces.create(folder)
        gate = workspace.signer("gate", lambda _: None)
        log = workspace.log(lambda _: None)
        count, group, made = options.posts, options.clients, 0

        def fresh(wanted: int) -> list[bytes]:
            nonlocal made
            made += wanted
            return receipts(gate, made - wanted, wanted)

        one_by_one, grouped = fresh(100), fresh(count)
        direct = {
            "one by one": round(100 / timed(lambda: [log.append([bundle]) for bundle in one_by_one])),
            f"in groups of {group}": round(
                count / timed(lambda: [log.append(grouped[n : n + group]) for n in range(0, count, group)])
            ),
        }
        result["appended directly, entries/s"] = direct
        for workers in options.workers:
            rates: dict[str, dict[str, float]] = {}
            singles, batches = fresh(count), fresh(count)
            with server(folder, workers) as (port, pid):

                def rate(
                    clients: int, jobs: list[tuple[str, str, bytes | None, str]], entries: int | None = None, *,
                    port: int = port, pid: int = pid,
                ) -> dict[str, float]:  # fmt: skip
                    before, number = cpu(pid), entries or len(jobs)
                    seconds = spread(port, clients, jobs)
                    used = cpu(pid) - before
                    return {"per second": round(number / seconds), "server ms": round(1000 * used / number, 2)}

                reads = options.reads
                rate(4, [("GET", "/readyz", None, "")] * 20)
                rates["POST one entry, 1 client"] = rate(
                    1, [("POST", "/entries", b, "application/json") for b in singles[:100]]
                )
                rates["POST one entry"] = rate(
                    options.clients, [("POST", "/entries", b, "application/json") for b in singles[100:]]
                )
                lines = [b"\n".join(batches[n : n + 50]) for n in range(0, count, 50)]
                rates["POST 50 entries as lines, entries"] = rate(
                    4, [("POST", "/entries", b, "application/x-ndjson") for b in lines], count
                )
                rates["GET checkpoint"] = rate(options.clients, [("GET", "/checkpoint", None, "")] * reads)
                rates["GET tile, kept in memory"] = rate(options.clients, [("GET", "/tile/0/000", None, "")] * reads)
                rates["GET bundle of 256, kept in memory"] = rate(
                    options.clients, [("GET", "/tile/entries/000", None, "")] * (reads // 3)
                )
                rates["GET entries?dataset=, 10 with proofs"] = rate(
                    options.clients, [("GET", "/entries?dataset=bench/data&limit=10", None, "")] * (reads // 5)
                )
            result[f"{workers} worker{'s' if workers > 1 else ''}, requests"] = rates
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
