"""``dataseal ledger check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dataseal.cli.context import Context, common

if TYPE_CHECKING:
    from dataseal.ledger.audit import Audit


@click.command("check")
@common
def command(context: Context) -> int:
    """Re-derive every hash, link, proof and signature from the stored entries alone, and name what does not hold."""
    from dataseal.cli.codes import BLOCKED, PASSED
    from dataseal.ledger.audit import check as audit

    log = context.workspace().log(None)
    with context.progress("checking entries", unit="entries") as advance:
        result = audit(log, advance)
    context.emit(
        _human(result, log.origin),
        lambda: {
            "command": "ledger check",
            "origin": log.origin,
            "result": "PASSED" if result.clean else "BLOCKED",
            "entries": result.entries,
            "heads": result.heads,
            "tiles": result.tiles,
            "proofs": result.proofs,
            "problems": [{"where": p.where, "what": p.what} for p in result.problems],
        },
    )
    return PASSED if result.clean else BLOCKED


def _human(result: Audit, origin: str) -> str:
    from dataseal.cli.render import Report, count, safe
    from dataseal.verifiers.verdict import Result

    report = Report()
    report.pair("ledger", origin)
    report.pair("checked", f"{count(result.entries, 'entry', 'entries')} with chain and signatures")
    report.pair("", count(result.proofs, "inclusion proof"))
    report.pair("", f"{count(result.tiles, 'tile')}, {count(result.heads, 'head')} with their checkpoints")
    for problem in result.problems:
        report.line(f"{click.style('fail', fg='red')}  {safe(problem.where)}: {safe(problem.what)}")
    if result.clean:
        report.result(Result.PASSED, f"{origin}: every entry is there, once, unchanged and in order")
    else:
        report.line(
            "        next  keep this file as evidence; restore the ledger from a backup, or from published tiles"
        )
        report.result(
            Result.BLOCKED,
            f"{origin}: {count(len(result.problems), 'problem')}; the first is in {result.problems[0].where}",
        )
    return str(report)
