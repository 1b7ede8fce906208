"""``dataseal ledger import``."""

from __future__ import annotations

import click

from dataseal.cli.commands.ledger_group.sources import head_json, head_line, open_source, views_of
from dataseal.cli.context import Context, common


@click.command("import")
@click.argument("source", metavar="SRC")
@click.option(
    "--same-log-stopped", "stopped", is_flag=True, help="Nothing logs to SRC any more: this workspace goes on with it."
)
@common
def command(context: Context, source: str, stopped: bool) -> None:
    """Continue the log published at SRC in this workspace's empty ledger: same entries, same roots, same key.

    Every entry is verified and admitted anew, by this workspace's [[admission]] rules. The workspace needs the log's
    origin and its private key: a log that goes on under another key is another log.
    """
    from dataseal.cli.render import Report, count
    from dataseal.ledger.follow import JOBS
    from dataseal.ledger.importing import follow_own, import_log, open_ledger
    from dataseal.verifiers.verdict import Result

    workspace = context.workspace()
    resources = open_source(context, source)
    log = open_ledger(workspace, context.passphrase)
    tree = follow_own(log, resources, views_of(context))
    with context.progress("importing", unit="entries") as advance:
        size = import_log(log, tree, stopped=stopped, jobs=context.jobs or JOBS, progress=advance)
    report = Report()
    report.pair("log", log.origin)
    report.pair("head", head_line(tree.checked))
    report.pair("imported", f"{count(size, 'entry', 'entries')}, each verified and admitted anew")
    report.result(Result.PASSED, f"{workspace.ledger} continues {log.origin}")
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
