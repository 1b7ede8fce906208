"""``dataseal ledger import``."""

from __future__ import annotations

import click

from dataseal.cli.commands.ledger_group.sources import head_json, head_line, open_source, policy_of, views_of
from dataseal.cli.context import Context, common
from dataseal.cli.passphrase import unlocking


@click.command("import")
@click.argument("source", metavar="SRC")
@click.option(
    "--same-log-stopped", "stopped", is_flag=True, help="Nothing logs to SRC any more: this workspace goes on with it."
)
@click.option("--log", metavar="VKEY", help="The verifier key of the log at SRC, which is closed and names this one.")
@unlocking
@common
def command(context: Context, source: str, stopped: bool, log: str | None) -> None:
    """Continue the log published at SRC in this workspace's empty ledger: same entries, same roots.

    Every entry is verified and admitted anew, by this workspace's [[admission]] rules. Either the log moves: the
    workspace has its origin and private key, and nothing logs to SRC any more. Or it was closed with this workspace's
    log as its successor (`dataseal ledger close`), which goes on under its own key.
    """
    from dataseal.cli.render import Report, count
    from dataseal.ledger.follow import JOBS
    from dataseal.ledger.importing import follow_source, import_log, open_ledger
    from dataseal.verifiers.verdict import Result

    workspace = context.workspace()
    resources = open_source(context, source)
    own = open_ledger(workspace, context.passphrase)
    tree = follow_source(own, resources, views_of(context), policy_of(log) if log else None)
    with context.progress("importing", unit="entries") as advance:
        size = import_log(own, tree, stopped=stopped, jobs=context.jobs or JOBS, progress=advance)
    report = Report()
    report.pair("log", own.origin)
    report.pair("head", head_line(tree.checked))
    report.pair("imported", f"{count(size, 'entry', 'entries')}, each verified and admitted anew")
    report.result(Result.PASSED, f"{workspace.ledger} continues {tree.checkpoint.origin}")
    context.emit(
        str(report),
        lambda: {
            "command": "ledger import",
            "result": "PASSED",
            "source": resources.name,
            "ledger": str(workspace.ledger),
            "head": head_json(tree.checked),
        },
    )
