"""The gate: a command starts only on data that passed, and a signed receipt says so before it does.

Order: verify and judge every target → the hold is made ready → receipts appended → the command starts → when it ends,
the hold looks (`dataseal.verifiers.holds`) → second receipts with the exit code and what the look found.

Exit codes around a command (DESIGN section 7): before it starts 121 blocked, 122 usage, 123 indeterminate; 120 when
the data changed while it ran, or when a command that ended well has no second receipt; 126 and 127 not executable and
not found; 128+n when a signal ended it; else its own.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from dataseal.ledger.anylog import Recorder
from dataseal.ledger.errors import DatasealError
from dataseal.ledger.record import Recorded, record
from dataseal.ledger.signers.base import Signer
from dataseal.verifiers.finding import Finding
from dataseal.verifiers.holds.base import DATA, TARGETS, Hold, HoldName, Target
from dataseal.verifiers.policy import Policy
from dataseal.verifiers.reader.handle import VARIABLE
from dataseal.verifiers.receipt import receipt

CHANGED: Final = 120
NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127

SECRETS: Final = ("DATASEAL_KEY_PASSPHRASE", "DATASEAL_HSM_PIN")
"""Of the environment, what the command does not get: with it, it could sign receipts of its own.

`Book` may name more.
"""

_OURS: Final = (DATA, TARGETS, VARIABLE)
"""What a gate around this gate gave to its own command is not for ours."""

_FORWARDED: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""SIGINT and SIGQUIT reach the child from the terminal by themselves: it is in our process group."""


@dataclass(frozen=True, slots=True)
class Book:
    """Where receipts go: the gate's key and its ledger; None writes none (``--no-ledger``).

    ``secrets`` are the environment variables that the key is read or unlocked from.
    """

    signer: Signer
    log: Recorder
    secrets: frozenset[str] = frozenset()

    def write(self, payload: bytes) -> Recorded:
        """Signs and logs one receipt."""
        return record(payload, signer=self.signer, log=self.log)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a gated command ended.

    Attributes:
        code: the exit code as the gate reports it. started: False when there was no such command, or none that runs.
        changes: what the look afterwards found. receipts: the second ones. notes: what it found and does not taint.
        unwritten: why the second receipts could not be written, or None.
    """

    code: int
    started: bool
    changes: tuple[Finding, ...]
    receipts: tuple[Recorded, ...]
    unwritten: DatasealError | None = None
    notes: tuple[Finding, ...] = ()


def new_run() -> str:
    """An id for one run of a gate, random."""
    return secrets.token_hex(16)


def write_receipts(
    targets: Sequence[Target],
    policy: Policy,
    book: Book | None,
    *,
    command: Sequence[str],
    hold: HoldName,
    phase: str,
    run: str,
    now: datetime,
    extra: Callable[[Target], dict[str, Any]] = lambda _: {},
    failed: Callable[[Target], bool] = lambda _: False,
) -> list[Recorded]:
    """Signs and logs one receipt a target.

    Args:
        run: the run's id (`new_run`): it ties the receipts of one run together, and keeps those of two apart.

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
                run=run,
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
        environment: the child's environment, without `SECRETS` and the book's; what the hold gives
            (``DATASEAL_DATA``) is added.
        on_start: told the first receipts, just before the command starts.
    """
    one = new_run()
    given = hold.ready(targets)
    first = write_receipts(
        targets,
        policy,
        book,
        command=command,
        hold=hold.name,
        phase="start",
        run=one,
        now=clock(),
        extra=lambda t: {"opened": True, **hold.facts(t)},
    )
    on_start(first)
    withheld = {*SECRETS, *_OURS, *(book.secrets if book else ())}
    inherited = {k: v for k, v in environment.items() if k not in withheld}
    code, started = _child(command, {**inherited, **given, "DATASEAL_POLICY_DIGEST": policy.digest})
    looked = {id(t): hold.after(t) for t in targets}

    def extra(target: Target) -> dict[str, Any]:
        return {"exit_code": code, **looked[id(target)].facts}

    second: list[Recorded] = []
    unwritten: DatasealError | None = None
    try:
        second = write_receipts(
            targets,
            policy,
            book,
            command=command,
            hold=hold.name,
            phase="end",
            run=one,
            now=clock(),
            extra=extra,
            failed=lambda t: bool(looked[id(t)].changes),
        )
    except DatasealError as error:
        unwritten = error  # the command has run: codes that say it did not must not be given any more
    found = tuple(f for t in targets for f in looked[id(t)].changes)
    notes = tuple(f for t in targets for f in looked[id(t)].notes)
    tainted = bool(found) or (unwritten is not None and code == 0)
    return Ended(CHANGED if tainted else code, started, found, tuple(second), unwritten, notes)


def _child(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, bool]:
    """The command's exit code, and whether it started at all."""
    with _forwarding() as started:
        try:
            process = subprocess.Popen(list(command), env=dict(environment))  # noqa: S603  the user's own command
        except FileNotFoundError:
            return NOT_FOUND, False
        except OSError:
            return NOT_EXECUTABLE, False
        started(process)
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:
                continue  # the child got it too, and decides
    return 128 - code if code < 0 else code, True


@contextmanager
def _forwarding() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Hands signals on to the command; those that come before it is there are kept for it.

    What the caller ignores (``nohup``) stays ignored, here and in the command.
    """
    child: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def forward(number: int, _frame: object) -> None:
        if child:
            child[0].send_signal(number)
        else:
            early.append(number)

    def started(process: subprocess.Popen[bytes]) -> None:
        child.append(process)
        for number in early:
            process.send_signal(number)

    taken = [n for n in _FORWARDED if signal.getsignal(n) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, forward) for number in taken}
    try:
        yield started
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
