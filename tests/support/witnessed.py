"""Workspaces whose own log has witnesses, and the witnesses: ours, live on loopback, which can be away."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dataseal.ledger import workspace as workspaces
from dataseal.ledger.log import Log
from dataseal.ledger.tlog.policy import CheckedCheckpoint
from support.statements import receipt_payload, sign_bundle
from support.witnessing import cosigner, opened, served
from support.workspaces import Bench, no_passphrase

NOWHERE = "http://127.0.0.1:9"
"""Nobody listens there."""

W1, W2 = cosigner("w1"), cosigner("w2")


@contextmanager
def witnesses(folder: Path, logs: str | Sequence[str], *keys: Any) -> Iterator[list[str]]:
    """Runs one witness a key, each of which knows the logs; gives their URLs. What they saw stays in ``folder``."""
    folder.mkdir(exist_ok=True)
    known = [logs] if isinstance(logs, str) else logs
    with ExitStack() as stack:
        urls = []
        for key in keys:
            path = folder / f"{key.name.replace('/', '-')}.sqlite"
            witness = stack.enter_context(opened(path, key, logs=known, clock=time.time))
            urls.append(stack.enter_context(served(witness)))
        yield urls


def configure(bench: Bench, *pairs: tuple[Any, str | None], quorum: str = "all", fail_open: bool = False) -> Bench:
    """Gives a workspace's log witnesses (key, URL); ``quorum`` is ``all``, ``any``, a number, or ``none``."""
    folder = bench.workspace.folder
    lines = [f"log {bench.log.vkey}"]
    lines += [f"witness W{n} {key.vkey}{f' {url}' if url else ''}" for n, (key, url) in enumerate(pairs, 1)]
    names = " ".join(f"W{n}" for n in range(1, len(pairs) + 1))
    lines += ["quorum none"] if quorum == "none" else [f"group enough {quorum} {names}", "quorum enough"]
    (folder / "witnesses.policy").write_text("\n".join(lines) + "\n")
    config = folder / workspaces.CONFIG
    text = config.read_text().partition("\n[ledger.witnesses]")[0]
    text += f'\n[ledger.witnesses]\npolicy = "witnesses.policy"\nfail_open = {str(fail_open).lower()}\ntimeout = 20\n'
    config.write_text(text)
    return reopened(folder, bench)


def reopened(folder: Path, bench: Bench) -> Bench:
    """The workspace in ``folder`` as the next process opens it."""
    workspace = workspaces.load(folder)
    return Bench(workspace, workspace.log(no_passphrase), bench.publisher, bench.gate, bench.clock)


def log_one(log: Log, bench: Bench, number: int) -> int:
    """Logs a receipt; returns its index."""
    return log.append([sign_bundle(receipt_payload(number), bench.gate)])[0].index


def log_some(bench: Bench, numbers: Sequence[int]) -> list[int]:
    """Logs receipts, each by itself; returns their indexes."""
    return [log_one(bench.log, bench, number) for number in numbers]


def published(log: Log) -> CheckedCheckpoint | None:
    """The checkpoint that may leave, verified by its policy; None when none may."""
    with log.store.view() as view:
        head = log.publishable(view)
    return log.quorum.check(head) if head.size else None
