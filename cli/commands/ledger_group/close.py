"""``dataseal ledger close``."""

from __future__ import annotations

import sys

import click

from dataseal.cli.context import Context, common
from dataseal.cli.passphrase import unlocking
from dataseal.ledger.errors import UsageError

REASON = "closed by its operator"


@click.command("close")
@click.option("--successor", metavar="VKEY|FILE", help="The log that goes on: its verifier key, or a file with it.")
@click.option("--reason", default=REASON, metavar="TEXT", help="Why; everybody can read it.")
@click.option("--key", metavar="URI", help="Who closes: a private key that [[admission]] lists; default: publisher.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@unlocking
@common
def command(context: Context, successor: str | None, reason: str, key: str | None, yes: bool) -> None:
    """End this log for good: a final entry, behind which nothing is admitted any more, under this key, anywhere.

    What it holds is still served, published and proven. With --successor another log may take over the entries
    (`dataseal ledger import`) and go on under its own key; nobody follows it unless they decide to.
    To move a log to another place under the same key, don't close it: see `dataseal ledger import --same-log-stopped`.
    """
    from dataseal.cli.render import Report, safe
    from dataseal.cli.signing import open_key
    from dataseal.ledger.record import close
    from dataseal.ledger.remote.log import RemoteLog
    from dataseal.verifiers.verdict import Result

    workspace = context.workspace()
    signer = open_key(context, workspace, key, "publisher")
    log = context.open_log(workspace, sign=True)
    if isinstance(log, RemoteLog):
        raise UsageError(
            "a log is closed where its key is, and this ledger is a server",
            where=workspace.config.ledger.path,
            hint="run `dataseal ledger close` in the server's workspace",
        )
    following = _vkey(successor)
    if not yes and log.closing() is None:
        _ask(log.origin, following)
    done = close(log, signer=signer, reason=reason, successor=following)
    closing = done.closing
    report = Report()
    report.pair("log", log.origin)
    report.pair("final entry", f"{closing.index}{', as before' if done.existed else ''}")
    report.pair("reason", closing.reason)
    report.pair("successor", closing.successor or "none")
    report.line()
    if closing.successor:
        report.line("Next: dataseal ledger publish PLACE, and in the successor's workspace:")
        report.line(f"      dataseal ledger import PLACE --log '{safe(log.vkey)}'")
        report.line("      Tell consumers on a way that they trust: they have to trust the successor's key themselves.")
    else:
        report.line("Next: dataseal ledger publish PLACE, so that consumers see the end.")
    report.result(Result.PASSED, f"{log.origin} is closed at size {closing.index + 1}")
    context.emit(
        str(report),
        lambda: {
            "command": "ledger close",
            "result": "PASSED",
            "origin": log.origin,
            "index": closing.index,
            "existed": done.existed,
            "log": closing.log,
            "successor": closing.successor,
            "reason": closing.reason,
        },
    )


def _vkey(successor: str | None) -> str | None:
    """The one Ed25519 verifier key that ``--successor`` says.

    Raises:
        UsageError: none, or several.
    """
    from dataseal.cli.trusting import read_logs
    from dataseal.ledger.tlog.note import Ed25519Verifier

    if successor is None:
        return None
    try:
        (log,) = read_logs([successor])
    except UsageError as error:
        what = f"--successor: {error.what.removeprefix('--log: ')}"
        raise UsageError(what, where=error.where, hint="give the next log's verifier key, or its log.vkey") from None
    keys = [entry.key.vkey for entry in log.policy.logs if isinstance(entry.key, Ed25519Verifier)]
    if len(keys) != 1:
        raise UsageError(f"--successor names {len(keys)} logs with an Ed25519 key", hint="one log succeeds another")
    return keys[0]


def _ask(origin: str, successor: str | None) -> None:
    from dataseal.cli.render import safe

    if not sys.stdin.isatty():
        raise UsageError("closing a log can't be undone, and nobody is there to ask", hint="say --yes")
    after = f"It goes on as {safe(successor)}." if successor else "No log succeeds it."
    click.confirm(
        f"{safe(origin)} will take no further entry, ever. {after} Close it?", abort=True, err=True, default=False
    )
