"""The gate: a command starts only on data that passed, and a signed receipt says so before it does.

Order: verify and judge every target → receipts appended → the command starts → when it ends, the data is looked at
again (hold ``recheck``) → second receipts with the exit code and what the look found.

Exit codes around a command (DESIGN section 7): before it starts 121 blocked, 122 usage, 123 indeterminate; 120 when
the data changed while it ran; 126 and 127 not executable and not found; 128+n when a signal ended it; else its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from dataseal.ledger.log import Log
from dataseal.ledger.record import Recorded, record
from dataseal.ledger.signers.base import Signer
from dataseal.verifiers.compare import compare, forbidden
from dataseal.verifiers.examine import Examination
from dataseal.verifiers.finding import Finding
from dataseal.verifiers.policy import Policy
from dataseal.verifiers.receipt import receipt
from dataseal.verifiers.sources.local import LocalFolder

Hold = Literal["none", "recheck"]
HOLDS: Final[tuple[Hold, ...]] = ("none", "recheck")

CHANGED: Final = 120
NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127

_FORWARDED: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""SIGINT and SIGQUIT reach the child from the terminal by themselves: it is in our process group."""


@dataclass(frozen=True, slots=True)
class Target:
    """One gated dataset: where it lies, what was found, and what its files looked like before that (`snapshot`)."""

    source: LocalFolder
    examination: Examination
    stats: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Book:
    """Where receipts go: the gate's key and its ledger; None writes none (``--no-ledger``)."""

    signer: Signer
    log: Log

    def write(self, payload: bytes) -> Recorded:
        """Signs and logs one receipt."""
        return record(payload, signer=self.signer, log=self.log)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a gated command ended: its exit code as the gate reports it, and what the look afterwards found."""

    code: int
    changes: tuple[Finding, ...]
    receipts: tuple[Recorded, ...]


def snapshot(source: LocalFolder) -> dict[str, tuple[int, ...]]:
    """Identity, size and times of every file, taken *before* the files are verified: a change after this shows."""
    return {f.path: found for f in source.walk(()).files if (found := _stat(f.location))}


def _stat(location: str) -> tuple[int, ...] | None:
    try:
        s = os.stat(location, follow_symlinks=False)
    except OSError:
        return None
    return s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns


def write_receipts(
    targets: Sequence[Target],
    policy: Policy,
    book: Book | None,
    *,
    command: Sequence[str],
    hold: Hold,
    phase: str,
    now: datetime,
    extra: Callable[[Target], dict[str, Any]] = lambda _: {},
    failed: Callable[[Target], bool] = lambda _: False,
) -> list[Recorded]:
    """Signs and logs one receipt a target.

    Raises:
        Refused: the ledger does not list the gate's key. Unavailable: it can't be written.
    """
    if book is None:
        return []
    return [
        book.write(
            receipt(
                t.examination,
                policy,
                source=t.source,
                command=command,
                hold=hold,
                phase=phase,
                now=now,
                extra=extra(t),
                failed=failed(t),
            )
        )
        for t in targets
    ]


def run(
    targets: Sequence[Target],
    policy: Policy,
    book: Book | None,
    *,
    command: Sequence[str],
    hold: Hold,
    clock: Callable[[], datetime],
    environment: Mapping[str, str],
    on_start: Callable[[list[Recorded]], None] = lambda _: None,
) -> Ended:
    """Writes the first receipts, runs the command, looks again, writes the second receipts.

    The caller has decided that the verdicts open the gate.

    Args:
        environment: the child's environment; ``DATASEAL_DATA`` (the first target's folder) is added.
        on_start: told the first receipts, just before the command starts.
    """
    first = write_receipts(targets, policy, book, command=command, hold=hold, phase="start", now=clock())
    on_start(first)
    data = os.path.abspath(targets[0].source.folder)
    code = _child(command, {**environment, "DATASEAL_DATA": data, "DATASEAL_POLICY_DIGEST": policy.digest})
    changes = {id(t): _recheck(t) if hold == "recheck" else [] for t in targets}

    def extra(target: Target) -> dict[str, Any]:
        looked = {"recheck": "changed" if changes[id(target)] else "unchanged"} if hold == "recheck" else {}
        return {"exit_code": code, **looked}

    second = write_receipts(
        targets,
        policy,
        book,
        command=command,
        hold=hold,
        phase="end",
        now=clock(),
        extra=extra,
        failed=lambda t: bool(changes[id(t)]),
    )
    found = tuple(f for t in targets for f in changes[id(t)])
    return Ended(CHANGED if found else code, found, (*first, *second))


def _recheck(target: Target) -> list[Finding]:
    """What changed in the folder while the command ran: what stats say is new is hashed again. Detection only."""
    checked = target.examination.checked
    if checked.manifest is None or checked.release is None:
        return []
    walked = target.source.walk(checked.release.exclusions)
    wanted = checked.manifest.by_path()
    again = [f for f in walked.files if f.path not in wanted or _stat(f.location) != target.stats.get(f.path)]
    fresh = {f.path for f in again}
    unchanged = [wanted[f.path] for f in walked.files if f.path not in fresh]
    hashed = target.source.hash(again, checked.manifest.parameters, whole=False)
    return [*forbidden(walked.problems), *compare(checked.manifest, [*unchanged, *hashed], digests=False)]


def _child(command: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        process = subprocess.Popen(list(command), env=dict(environment))  # noqa: S603  the user's own command
    except FileNotFoundError:
        return NOT_FOUND
    except OSError:
        return NOT_EXECUTABLE
    with _forwarding(process):
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:
                continue  # the child got it too, and decides
    return 128 - code if code < 0 else code


@contextmanager
def _forwarding(process: subprocess.Popen[bytes]) -> Iterator[None]:
    def forward(number: int, _frame: object) -> None:
        process.send_signal(number)

    previous = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
