"""``dataseal ledger mirror``."""

from __future__ import annotations

import click

from dataseal.cli.commands.ledger_group.ends import note_end
from dataseal.cli.commands.ledger_group.sources import (
    LOG_HELP,
    head_json,
    head_line,
    open_destination,
    open_source,
    policy_of,
    views_of,
)
from dataseal.cli.context import Context, common


@click.command("mirror")
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DEST")
@click.option("--log", metavar="VKEY", help=LOG_HELP)
@click.option("--recheck", is_flag=True, help="Read and check all of DEST afterwards, not only what was copied.")
@common
def command(context: Context, source: str, destination: str, log: str | None, recheck: bool) -> None:
    """Copy the log published at SRC to DEST, and verify every tile and entry on the way.

    SRC is a folder, a bucket or https://…; DEST a folder or bucket. What DEST has is kept; it never goes backwards. Run
    it again to go on where it stopped.
    """
    from dataseal.cli.render import Report, count, size
    from dataseal.ledger import mirror
    from dataseal.ledger.follow import JOBS
    from dataseal.verifiers.verdict import Result

    policy, jobs = policy_of(log), context.jobs or JOBS
    resources, place = open_source(context, source), open_destination(context, destination)
    with context.progress("copying", unit="entries") as advance:
        done = mirror.mirror(resources, place, policy, views_of(context), jobs=jobs, progress=advance)
    if recheck:
        with context.progress("checking", unit="entries") as advance:
            mirror.recheck(place, policy, jobs=jobs, progress=advance)
    note_end(context, done.tree)
    new = done.tree.size - done.before
    report = Report()
    report.pair("log", done.tree.checkpoint.origin)
    report.pair("head", head_line(done.tree.checked))
    report.pair(
        "copied", f"{count(done.written, 'file')}, {size(done.bytes)}; {count(new, 'new entry', 'new entries')}"
    )
    if recheck:
        report.pair("checked", f"all {count(done.tree.size, 'entry', 'entries')} at {place.name}")
    report.result(Result.PASSED, f"mirrored at {place.name}")
    context.emit(
        str(report),
        lambda: {
            "command": "ledger mirror",
            "result": "PASSED",
            "source": resources.name,
            "destination": place.name,
            "head": head_json(done.tree.checked),
            "size_before": done.before,
            "files_written": done.written,
            "bytes_written": done.bytes,
            "rechecked": recheck,
        },
    )
