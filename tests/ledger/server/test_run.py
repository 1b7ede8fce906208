"""The server as a process: stopped, killed, and several workers at once, while clients go on posting."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dataseal.ledger.audit import check
from dataseal.ledger.remote.log import RemoteLog
from dataseal.ledger.remote.open import policy_of
from dataseal.ledger.view import Views
from support.cli import PROGRAM, dataseal, refused
from support.served import receipt, serving
from support.workspaces import Bench

ROOT = Path(__file__).parents[3]


class Process:
    """``dataseal ledger serve``, and where it is."""

    def __init__(self, bench: Bench, *options: object, port: int = 0) -> None:
        command = [PROGRAM, "ledger", "serve", "--workspace", bench.workspace.folder, "--port", port, "--rate", 0]
        self.child = subprocess.Popen(
            [str(part) for part in (*command, *options)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.child.stdout is not None
        self.said = self.child.stdout.readline().strip()
        self.url = self.said.rpartition(" ")[2]
        self.port = int(self.url.rpartition(":")[2])

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal; the exit code."""
        self.child.send_signal(how)
        assert self.child.stdout is not None
        with self.child.stdout:
            return self.child.wait(40)


@contextmanager
def process(bench: Bench, *options: object, port: int = 0) -> Iterator[Process]:
    running = Process(bench, *options, port=port)
    try:
        yield running
    finally:
        if running.child.poll() is None:
            running.end(signal.SIGKILL)


def client(bench: Bench, url: str, views: Path, pause: Any = time.sleep) -> RemoteLog:
    workspace = bench.workspace
    return RemoteLog(url, policy_of(workspace), Views(views), workspace.admission(), pause=pause)


def demand_each_once(bench: Bench, bundles: list[bytes]) -> None:
    """The log holds these statements, each once and nothing else, and nothing in it is wrong."""
    audit = check(bench.again())
    assert audit.clean, audit.problems
    assert audit.entries == len(bundles)
    again = bench.again().append(bundles)
    assert all(item.existed for item in again)
    assert sorted(item.index for item in again) == list(range(len(bundles)))


def test_two_clients_race_through_several_workers_and_one_worker_dies(bench: Bench, tmp_path: Path) -> None:
    shared = [receipt(bench.gate, n) for n in range(10)]
    own = [[receipt(bench.gate, 100 * who + n) for n in range(10)] for who in (1, 2)]
    with process(bench, "--workers", 2) as server:
        assert server.said.startswith("SERVING dataseal.invalid/0123456789abcdef at http://127.0.0.1:")

        def post(who: int) -> list[int]:
            log = client(bench, server.url, tmp_path / f"views-{who}")
            indexes = []
            for number, bundle in enumerate(b for pair in zip(shared, own[who], strict=True) for b in pair):
                if (who, number) == (0, 8):
                    kill_one_worker(server.child.pid)
                indexes.append(log.append([bundle])[0].index)
            log.close()
            return indexes

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(post, range(2))
        assert first[::2] == second[::2]  # the shared ones are at the same places, whoever was first
        assert server.end() == 0
    demand_each_once(bench, [*shared, *own[0], *own[1]])


def kill_one_worker(parent: int) -> None:
    for task in Path(f"/proc/{parent}/task").iterdir():
        for child in (task / "children").read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_text()
            if "spawn_main" in command:
                os.kill(int(child), signal.SIGKILL)
                return


def test_a_killed_server_loses_no_answered_post_and_logs_none_twice(bench: Bench, tmp_path: Path) -> None:
    bundles = [receipt(bench.gate, n) for n in range(12)]
    running = [Process(bench)]
    port = running[0].port

    def start_again(_seconds: float) -> None:
        kill.join()
        if running[-1].child.poll() is not None:
            running.append(Process(bench, port=port))

    log = client(bench, running[0].url, tmp_path / "views", start_again)
    kill = threading.Timer(0, lambda: None)
    try:
        indexes = []
        for number, bundle in enumerate(bundles):
            if number == 5:  # somewhere in the middle of the post
                kill = threading.Timer(0.006, running[-1].end, [signal.SIGKILL])
                kill.start()
            indexes.append(log.append([bundle])[0].index)
            if number == 6:
                kill.join()
    finally:
        kill.join()
        log.close()
        codes = [process.end() if process.child.poll() is None else process.child.returncode for process in running]
    assert codes == [-signal.SIGKILL, 0]
    assert indexes == sorted(set(indexes))
    demand_each_once(bench, bundles)


def test_a_stop_while_posting_answers_what_it_took_and_refuses_the_rest(bench: Bench) -> None:
    bundles = [receipt(bench.gate, n) for n in range(100)]
    logged: list[bytes] = []
    statuses: set[int] = set()
    posted = threading.Semaphore(0)

    def post(part: list[bytes], url: str) -> None:
        with httpx2.Client(base_url=url, trust_env=False, timeout=20) as own:
            for bundle in part:
                try:
                    answer = own.post("/entries", content=bundle)
                except httpx2.TransportError:
                    return  # the server is gone
                statuses.add(answer.status_code)
                if answer.status_code == 201:
                    logged.append(bundle)
                    posted.release()

    with serving(bench) as served, ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(post, bundles[n::4], served.url) for n in range(4)]
        for _ in range(12):
            assert posted.acquire(timeout=20)
        served.server.stop()
        for task in tasks:
            task.result()
    assert statuses <= {201, 503}
    audit = check(bench.again())
    assert audit.clean
    assert 12 <= len(logged) <= audit.entries < len(bundles)
    assert all(item.existed for item in bench.again().append(logged))
    with serving(bench) as served:
        assert {served.post(*bundles[n : n + 50]).status_code for n in range(0, 100, 50)} <= {200, 201}
    demand_each_once(bench, bundles)


def test_only_loopback_without_public(bench: Bench) -> None:
    folder = bench.workspace.folder
    for host in ("0.0.0.0", "::", "192.0.2.7", "example.org"):
        refused(dataseal("ledger", "serve", "--workspace", folder, "--host", host), 2, "--public", host)
    said = dataseal("ledger", "serve", "--workspace", folder, "--host", "no.such.host.invalid", "--public")
    refused(said, 2, "no such host")


def test_an_address_that_is_taken(bench: Bench) -> None:
    with serving(bench) as served:
        said = dataseal("ledger", "serve", "--workspace", bench.workspace.folder, "--port", served.port)
    refused(said, 3, "choose another --port")


def test_without_the_extra_it_says_what_to_install(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("dataseal.ledger.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    said = dataseal("ledger", "serve", "--workspace", bench.workspace.folder)
    refused(said, 2, "pip install 'dataseal[server]'", "fastapi")


def test_no_other_module_loads_the_server_before_it_is_asked_for() -> None:
    for path in [*ROOT.glob("ledger/**/*.py"), *ROOT.glob("cli/**/*.py"), *ROOT.glob("verifiers/**/*.py")]:
        if path.is_relative_to(ROOT / "ledger" / "server"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith("dataseal.ledger.server") for name in names), path
