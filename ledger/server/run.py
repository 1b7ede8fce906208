"""Running the server: one process, or a parent that keeps several workers on one socket.

A stop (SIGTERM, SIGINT) is told to the service at once: posts whose body is complete are logged and answered, others
hear 503; then connections are closed, and the process ends with 0. A worker whose parent died stops in the same way.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any, Final

import uvicorn

from dataseal.ledger.errors import Unavailable, UsageError
from dataseal.ledger.server import limits
from dataseal.ledger.server.app import create_app
from dataseal.ledger.server.metrics import MULTIPROCESS
from dataseal.ledger.server.protocol import protocol
from dataseal.ledger.server.service import Service, logger
from dataseal.ledger.server.settings import Settings
from dataseal.ledger.workspace import Workspace

BACKLOG: Final = 1024
SHORT_LIVED: Final = 5.0
"""Seconds: workers that end sooner, one after the other, will not do better the next time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker needs to open the log by itself: connections to a database don't survive into another process."""

    workspace: Workspace
    passphrase: bytes | None
    settings: Settings

    def service(self) -> Service:
        """The log, opened for writing; a head that a crash left unsigned is signed. Witnesses are asked later.

        Raises:
            UsageError, IntegrityError, Unavailable: it can't be opened.
        """
        log = self.workspace.log(lambda _path: self.passphrase)
        with log.store.view() as view:
            size = view.head().size
        if size:
            log.sign()
        return Service(log, self.settings)


class Server(uvicorn.Server):
    """uvicorn's server, which tells the service of a stop at once, and ends with 0 after a graceful one."""

    def __init__(self, service: Service, ready: Callable[[], None] | None = None) -> None:
        settings = service.settings
        super().__init__(
            uvicorn.Config(
                create_app(service),
                http=protocol(settings.header_seconds, settings.send_seconds),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=list(settings.trusted_proxies),
                limit_concurrency=limits.CONNECTIONS,
                timeout_keep_alive=limits.KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=limits.DRAIN_SECONDS,
            )
        )
        self.service = service
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to serve, and says so."""
        await super().startup(sockets)
        if self._ready is not None:
            self._ready()

    def stop(self) -> None:
        """What a signal does; may be called from any thread."""
        self.service.draining = True
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal (uvicorn's hook)."""
        self.service.draining = True
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, without raising the signal again afterwards: a graceful stop is a success."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {sig: signal.signal(sig, self.handle_exit) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        Unavailable: the address is taken. UsageError: there is no such address.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except socket.gaierror:
        raise UsageError(f"no such host: {host!r}", hint="give --host an address of this machine") from None
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unavailable(f"can't listen on {host} port {port}: {reason}", hint="choose another --port") from None


def serve(plan: Plan, sock: socket.socket, *, workers: int = 1, ready: Callable[[], None] | None = None) -> None:
    """Serves until it is told to stop.

    Args:
        sock: where to listen. ready: called once requests are answered.

    Raises:
        Unavailable: the workers don't stay alive. And what opening the log raises.
    """
    service = plan.service()
    if workers == 1:
        Server(service, ready).run([sock])
        return
    del service  # opened to find out that it opens: each worker has its own
    folder = tempfile.mkdtemp(prefix="dataseal-metrics-")
    os.environ[MULTIPROCESS] = folder
    try:
        _Parent(plan, sock, workers).run(ready)
    finally:
        del os.environ[MULTIPROCESS]
        shutil.rmtree(folder, ignore_errors=True)


def work(plan: Plan, sock: socket.socket, started: Any) -> None:
    """One worker's process."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    server = Server(plan.service(), started.set)
    threading.Thread(target=watch, daemon=True).start()
    server.run([sock])


class _Parent:
    """Keeps workers alive until a signal says stop."""

    def __init__(self, plan: Plan, sock: socket.socket, workers: int) -> None:
        self._arguments = (plan, sock)
        self._context = multiprocessing.get_context("spawn")
        self._workers = workers
        self._stop = False

    def run(self, ready: Callable[[], None] | None) -> None:
        def on_signal(_sig: int, _frame: FrameType | None) -> None:
            self._stop = True

        before = {sig: signal.signal(sig, on_signal) for sig in (signal.SIGINT, signal.SIGTERM)}
        processes: list[SpawnProcess] = []
        try:
            started = self._context.Event()
            processes = [self._start(started) for _ in range(self._workers)]
            self._keep(processes, started, ready)
        finally:
            _end(processes)
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def _start(self, started: Any) -> SpawnProcess:
        process = self._context.Process(target=work, args=(*self._arguments, started), name="dataseal-ledger")
        process.start()
        return process

    def _keep(self, processes: list[SpawnProcess], started: Any, ready: Callable[[], None] | None) -> None:
        born, failures = time.monotonic(), 0
        while not self._stop:
            if ready is not None and started.is_set():
                ready()
                ready = None
            wait([process.sentinel for process in processes], timeout=0.1)
            for number, process in enumerate(processes):
                if process.is_alive() or self._stop:
                    continue
                failures = failures + 1 if time.monotonic() - born < SHORT_LIVED else 1
                if failures > self._workers:
                    raise Unavailable(
                        f"the workers don't stay alive (the last ended with {process.exitcode})",
                        hint="see the messages above; try --workers 1",
                    )
                logger.error("worker %s ended with %s: starting another", process.pid, process.exitcode)
                born = time.monotonic()
                process.close()
                processes[number] = self._start(started)


def _end(processes: list[SpawnProcess]) -> None:
    for process in processes:
        if process.is_alive():
            process.terminate()
    due = time.monotonic() + limits.DRAIN_SECONDS + 5
    for process in processes:
        process.join(max(0.0, due - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
        process.close()
