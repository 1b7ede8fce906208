"""``dataseal ledger publish``."""

from __future__ import annotations

import click

from dataseal.cli.commands.ledger_group.sources import head_json, head_line, open_destination, own_log, store_resources
from dataseal.cli.context import Context, common


@click.command("publish")
@click.argument("destination", metavar="DEST")
@common
def command(context: Context, destination: str) -> None:
    """Write the ledger's log as static files to DEST, a folder or bucket (any fsspec URL), for anybody to read.

    Only what is new is written, the checkpoint last: at any moment DEST holds a valid log. Stops when DEST holds
    another log, or is ahead of this ledger (restored from a backup?).
    """
    from dataseal.cli.render import Report, count, size
    from dataseal.ledger.follow import JOBS
    from dataseal.ledger.publish import publish
    from dataseal.verifiers.verdict import Result

    log = own_log(context)
    source = store_resources(log, str(context.workspace().ledger))
    place = open_destination(context, destination)
    with context.progress("publishing", unit="entries") as advance:
        done = publish(source, place, log.trusted().policy, jobs=context.jobs or JOBS, progress=advance)
    with log.store.view() as view:
        unsigned = view.head().size - done.tree.size
    if unsigned:
        context.note(
            f"{count(unsigned, 'entry', 'entries')} without a checkpoint not published; log something to sign it"
        )
    new = done.tree.size - done.before
    report = Report()
    report.pair("log", done.tree.checkpoint.origin)
    report.pair("head", head_line(done.tree.checked))
    report.pair(
        "written", f"{count(done.written, 'file')}, {size(done.bytes)}; {count(new, 'new entry', 'new entries')}"
    )
    report.result(Result.PASSED, f"published at {place.name}")
    context.emit(
        str(report),
        lambda: {
            "command": "ledger publish",
            "result": "PASSED",
            "destination": place.name,
            "head": head_json(done.tree.checked),
            "size_before": done.before,
            "files_written": done.written,
            "bytes_written": done.bytes,
        },
    )
