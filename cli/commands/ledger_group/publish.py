"""``dataseal ledger publish``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dataseal.cli.commands.ledger_group.sources import (
    head_json,
    head_line,
    ledger_name,
    open_destination,
    own_log,
    store_resources,
)
from dataseal.cli.context import Context, common

if TYPE_CHECKING:
    from dataseal.ledger.errors import Unavailable
    from dataseal.ledger.log import Log


@click.command("publish")
@click.argument("destination", metavar="DEST")
@common
def command(context: Context, destination: str) -> int:
    """Write the ledger's log as static files to DEST, a folder or bucket (any fsspec URL), for anybody to read.

    Only what is new is written, the checkpoint last: at any moment DEST holds a valid log. Stops when DEST holds
    another log, or is ahead of this ledger (restored from a backup?). Where the log has witnesses, a checkpoint that
    their quorum did not cosign is not published (exit 3); they are asked about it first.
    """
    from dataseal.cli.codes import INDETERMINATE, PASSED
    from dataseal.cli.journal import tell
    from dataseal.cli.render import Report, count, safe, size
    from dataseal.ledger.follow import JOBS
    from dataseal.ledger.publish import publish
    from dataseal.verifiers.verdict import Result

    log = own_log(context)
    tell(context.note)
    waits = _witnessed(log)
    source = store_resources(log, ledger_name(context, log))
    place = open_destination(context, destination)
    with context.progress("publishing", unit="entries") as advance:
        done = publish(source, place, log.quorum.demanded, jobs=context.jobs or JOBS, progress=advance)
    with log.store.view() as view:
        head, signed = view.head().size, view.signed_head().size
    if head > signed:
        context.note(
            f"{count(head - signed, 'entry', 'entries')} without a checkpoint not published; log something to sign it"
        )
    new = done.tree.size - done.before
    report = Report()
    report.pair("log", done.tree.checkpoint.origin)
    checked = log.trusted().policy.check(done.tree.note, require_quorum=False)
    report.pair("head", head_line(checked))
    report.pair(
        "written", f"{count(done.written, 'file')}, {size(done.bytes)}; {count(new, 'new entry', 'new entries')}"
    )
    result = Result.INDETERMINATE if waits else Result.PASSED
    if waits:
        waiting = count(signed - done.tree.size, "entry waits", "entries wait")
        report.line(f"        next  {safe(waits.hint)}")
        report.result(result, f"published at {place.name} up to size {done.tree.size}; {waiting}: {waits.what}")
    else:
        report.result(result, f"published at {place.name}")
    context.emit(
        str(report),
        lambda: {
            "command": "ledger publish",
            "result": str(result),
            "destination": place.name,
            "head": head_json(checked),
            "waiting": {"entries": signed - done.tree.size, "why": waits.what} if waits else None,
            "size_before": done.before,
            "files_written": done.written,
            "bytes_written": done.bytes,
        },
    )
    return INDETERMINATE if waits else PASSED


def _witnessed(log: Log) -> Unavailable | None:
    """Has the newest checkpoint cosigned; why it is not, when an older one can be published instead.

    Raises:
        Unavailable: no checkpoint is cosigned enough.
    """
    from dataseal.ledger.errors import Unavailable

    try:
        log.witness()
    except Unavailable as error:
        with log.store.view() as view:
            if not log.publishable(view).size:
                raise
        return error
    return None
