"""``dataseal ledger monitor``."""

from __future__ import annotations

import functools
import json
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from dataseal.cli.commands.ledger_group.sources import LOG_HELP, open_source, policy_of, views_of
from dataseal.cli.context import Context, common
from dataseal.cli.trusting import read_publishers
from dataseal.ledger.errors import Unavailable

if TYPE_CHECKING:
    from dataseal.ledger.monitor import Monitor, Outcome


@click.command("monitor")
@click.argument("source", metavar="URL|DIR")
@click.option("--log", metavar="VKEY", help=LOG_HELP)
@click.option("--dataset", "datasets", multiple=True, metavar="GLOB", help="Watch these datasets; default: all.")
@click.option(
    "--publisher",
    "publishers",
    multiple=True,
    metavar="PUBKEY",
    help="Who may sign for them; any other signer is an alarm. Repeatable: gates that log receipts too.",
)
@click.option("--once", is_flag=True, help="Look once and end.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=60.0,
    show_default=True,
    metavar="S",
    help="Seconds between two looks.",
)
@click.option(
    "--max-age",
    type=click.IntRange(min=1),
    metavar="S",
    help="Alarm when no quorum of witnesses cosigned within so many seconds.",
)
@click.option("--webhook", metavar="URL", help="POST each alarm there, as JSON; kept until it is taken.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the position is kept; default: the workspace's or the user's state.",
)
@common
def command(
    context: Context,
    source: str,
    log: str | None,
    datasets: tuple[str, ...],
    publishers: tuple[str, ...],
    once: bool,
    interval: float,
    max_age: int | None,
    webhook: str | None,
    state: Path | None,
) -> int:
    """Follow a log, and report new entries, unexpected signers and every misbehaviour, one JSON object a line.

    It goes on where it stopped; each new set of questions starts at the first entry. Exit: 0 all well, 1 an alarm was
    raised, 3 the log could not be read or an alarm not delivered.
    """  # fmt: skip
    from dataseal.ledger.monitor import Monitor, Watch
    from dataseal.ledger.replay import open_replay

    policy = policy_of(log)
    watch = Watch(datasets, read_publishers(publishers), max_age)
    resources, views = open_source(context, source), views_of(context)
    path = _state_file(views.folder.parent if state is None else state, policy, watch)
    with open_replay(path) as replay:
        monitor = Monitor(resources, policy, views=views, replay=replay, watch=watch, report=_print)
        return _run(context, monitor, webhook, None if once else interval)


def _run(context: Context, monitor: Monitor, webhook: str | None, interval: float | None) -> int:
    from dataseal.ledger.follow import JOBS

    stop = threading.Event()
    _stop_on_term(stop)
    code = 0
    try:
        while True:
            outcome = monitor.poll(jobs=context.jobs or JOBS)
            delivered = webhook is None or _deliver(monitor, webhook)
            code = 1 if outcome.alarms or code == 1 else 0 if delivered and not outcome.unavailable else 3
            _say(context, outcome)
            if interval is None or stop.wait(interval):
                return code
    except KeyboardInterrupt:
        return code


def _deliver(monitor: Monitor, webhook: str) -> bool:
    from dataseal.ledger.fetch import post

    try:
        monitor.deliver(functools.partial(post, webhook), time.sleep)
    except Unavailable:
        return False
    return True


def _say(context: Context, outcome: Outcome) -> None:
    if context.verbose:
        context.say(" ".join(f"{name}={count}" for name, count in sorted(outcome.counts.items())))


def _print(event: dict[str, Any]) -> None:
    # ASCII: no terminal is driven by what a log's entries say.
    click.echo(json.dumps(event, sort_keys=True, ensure_ascii=True))


def _stop_on_term(stop: threading.Event) -> None:
    def ask(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, ask)


def _state_file(folder: Path, policy: Any, watch: Any) -> Path:
    """One file for one set of questions: two monitors must not take each other's entries."""
    from dataseal.ledger.digest import sha256
    from dataseal.ledger.durable import make_folder
    from dataseal.ledger.view import log_name

    questions = [*sorted(watch.datasets), "", *sorted(key.fingerprint for key in watch.publishers)]
    name = f"{log_name(*(log.key for log in policy.logs))}-{sha256(chr(10).join(questions).encode()).hex()[:16]}.sqlite"
    make_folder(folder / "monitors")
    return folder / "monitors" / name
