"""Child processes that die, run out of disk, or write at once: forked from one fresh interpreter without threads.

``run`` starts that interpreter (``python -m support.children``), which forks one child a job: an import of dataseal is
paid once and not for each of them.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KILLED = 9
NOBODY = 65_534


@dataclass(frozen=True)
class Outcome:
    """How a child ended, and what it said: a JSON value."""

    status: int
    said: Any


def run(*jobs: dict[str, Any], together: bool = False) -> list[Outcome]:
    """Runs jobs (``{"job": name, **arguments}``), one after the other or all at once."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "support.children", json.dumps(jobs), json.dumps(together)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [Outcome(**item) for item in json.loads(done.stdout)]


def _log(folder: str) -> tuple[Any, Any]:
    from dataseal.ledger import workspace as workspaces
    from support.workspaces import no_passphrase

    workspace = workspaces.load(Path(folder))
    return workspace.log(no_passphrase), workspace.signer("gate", no_passphrase)


def kill(folder: str, step: str, when: str, out: str | None = None, call: int = 1, start: int = 0) -> None:
    """Appends three receipts and dies before or after the ``call``-th call of ``step``, ``Class.method``.

    ``out`` is a folder that each new checkpoint is published to, as a hook of the log.
    """
    from support.statements import receipt_payload, sign_bundle

    log, gate = _log(folder)
    if out is not None:
        log.after_checkpoint.append(lambda _note, _store: _publish(log, Path(out)))
    owner, name = step.split(".")
    target = _owner(owner)
    real, calls = getattr(target, name), [0]

    def die(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        done = real(*arguments, **options) if calls[0] < call or when == "after" else None
        if calls[0] == call:
            os._exit(KILLED)
        return done

    setattr(target, name, die)
    log.append([sign_bundle(receipt_payload(number), gate) for number in range(10 + start, 13 + start)])


def _owner(name: str) -> Any:
    from dataseal.ledger.log import Log
    from dataseal.ledger.places import Folder
    from dataseal.ledger.store.store import View
    from dataseal.ledger.witness.client import Witnesses
    from dataseal.ledger.witness.exchange import Exchange

    return {"View": View, "Log": Log, "Witnesses": Witnesses, "Exchange": Exchange, "Folder": Folder}[name]


def _publish(log: Any, out: Path) -> None:
    from dataseal.ledger.places import Folder
    from dataseal.ledger.publish import publish
    from dataseal.ledger.resources import StoreResources

    publish(StoreResources(log.store, "the ledger", log.publishable), Folder(out), log.quorum.demanded, jobs=1)


def full_disk(folder: str, limit: int) -> Any:
    """Appends sixty receipts where no file may grow beyond ``limit`` bytes."""
    from support.statements import receipt_payload, sign_bundle

    log, gate = _log(folder)
    bundles = [sign_bundle(receipt_payload(number), gate) for number in range(60)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return _told(lambda: log.append(bundles))


def read_only(folder: str) -> Any:
    """Appends a receipt as somebody whom permissions stop."""
    from support.statements import receipt_payload, sign_bundle

    log, gate = _log(folder)
    bundle = sign_bundle(receipt_payload(), gate)
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        log.store.close()  # which was opened by root
    return _told(lambda: log.append([bundle]))


def write(folder: str, number: int, count: int, threads: int = 1) -> Any:
    """Appends ``count`` receipts a thread, one by one; says which index each number got, thread after thread."""
    from support.statements import receipt_payload, sign_bundle

    log, gate = _log(folder)

    def work(thread: int) -> list[tuple[int, int]]:
        numbers = [1000 * number + 100 * thread + one for one in range(count)]
        return [(log.append([sign_bundle(receipt_payload(n), gate)])[0].index, n) for n in numbers]

    if threads == 1:
        return work(0)
    with ThreadPoolExecutor(threads) as pool:
        return [item for part in pool.map(work, range(threads)) for item in part]


def _told(action: Callable[[], object]) -> Any:
    from dataseal.ledger.errors import DatasealError

    try:
        action()
    except DatasealError as error:
        return [type(error).__name__, error.what, error.hint]
    return None


def _main(jobs: list[dict[str, Any]], together: bool) -> list[dict[str, Any]]:
    # Imported once, for all children.
    import httpx2  # noqa: F401

    import support.workspaces  # noqa: F401

    results = []
    started: list[tuple[int, int]] = []
    for job in jobs:
        mouth, ear = os.pipe()[::-1]
        child = os.fork()
        if not child:
            said = globals()[job.pop("job")](**job)
            os.write(mouth, json.dumps(said).encode())
            os._exit(0)
        os.close(mouth)
        started.append((child, ear))
        if not together:
            results.append(_end(*started.pop()))
    return results + [_end(*item) for item in started]


def _end(child: int, ear: int) -> dict[str, Any]:
    with os.fdopen(ear, "rb") as stream:
        data = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"status": status, "said": json.loads(data) if data else None}


if __name__ == "__main__":
    print(json.dumps(_main(json.loads(sys.argv[1]), json.loads(sys.argv[2]))))
