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


def kill(folder: str, step: str, when: str) -> None:
    """Appends three receipts and dies before or after ``step``, ``Class.method``."""
    from dataseal.ledger.log import Log
    from dataseal.ledger.store.store import View
    from support.statements import receipt_payload, sign_bundle

    log, gate = _log(folder)
    owner, name = step.split(".")
    target = {"View": View, "Log": Log}[owner]
    real = getattr(target, name)

    def die(*arguments: Any, **options: Any) -> None:
        if when == "after":
            real(*arguments, **options)
        os._exit(KILLED)

    setattr(target, name, die)
    log.append([sign_bundle(receipt_payload(number), gate) for number in range(10, 13)])


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


def write(folder: str, number: int, count: int) -> Any:
    """Appends ``count`` receipts, one by one; says which index each number got."""
    from support.statements import receipt_payload, sign_bundle

    log, gate = _log(folder)
    numbers = [1000 * number + one for one in range(count)]
    return [(log.append([sign_bundle(receipt_payload(n), gate)])[0].index, n) for n in numbers]


def _told(action: Callable[[], object]) -> Any:
    from dataseal.ledger.errors import DatasealError

    try:
        action()
    except DatasealError as error:
        return [type(error).__name__, error.what, error.hint]
    return None


def _main(jobs: list[dict[str, Any]], together: bool) -> list[dict[str, Any]]:
    import support.workspaces  # noqa: F401  imported once, for all children

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
