"""``dataseal ledger check``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dataseal.cli.commands.ledger_group.ends import note_end
from dataseal.cli.commands.ledger_group.sources import (
    head_json,
    head_line,
    open_source,
    policy_of,
    reading,
    views_of,
)
from dataseal.cli.context import Context, common
from dataseal.cli.trusting import read_publishers
from dataseal.ledger.errors import UsageError

if TYPE_CHECKING:
    from dataseal.cli.render import Report
    from dataseal.ledger.audit import Audit, Problem
    from dataseal.ledger.follow import Tree
    from dataseal.ledger.served import ServedAudit

PUBLISHER_HELP = "With --from: whose signatures to check; repeatable. Others are counted as not checked."


@click.command("check")
@click.option("--publisher", "publishers", multiple=True, metavar="PUBKEY", help=PUBLISHER_HELP)
@click.option("--no-signatures", is_flag=True, help="Every byte, link and tile against the newest signed checkpoint.")
@reading
@common
def command(
    context: Context, publishers: tuple[str, ...], no_signatures: bool, source: str | None, log: str | None
) -> int:
    """Re-derive every hash, link, proof and signature from the entries alone, and name what does not hold.

    Of a ledger of one's own all of it is checked: entries, tiles, heads, and the tables that its queries use. Of a log
    that is served or published (--from URL, or --ledger with a server or a place), all that it serves; what can't be
    seen from outside is said.
    """
    from dataseal.ledger.remote.open import policy_of as own_policy
    from dataseal.ledger.view import follow

    if no_signatures and (source is not None or _elsewhere(context)):
        raise UsageError(
            "--no-signatures goes with a ledger of one's own", hint="leave it out: a served log is checked whole"
        )
    if source is not None:
        tree = follow(open_source(context, source), policy_of(log), views_of(context))
        return _served(context, tree, publishers, own=False)
    if log is not None or publishers:
        raise UsageError("--log and --publisher go with --from", hint="a workspace's ledger is read with its own keys")
    if url := _elsewhere(context):
        policy = own_policy(context.workspace())
        tree = follow(open_source(context, url), policy, views_of(context), require_quorum=False)
        return _served(context, tree, (), own=True)
    return _stored(context, signatures=not no_signatures)


def _elsewhere(context: Context) -> str | None:
    """Where the workspace's ledger is served or published, if it is."""
    from dataseal.ledger.remote.open import is_remote, published_at

    workspace = context.workspace()
    path = workspace.config.ledger.path
    return path if is_remote(path) else published_at(workspace)


def _stored(context: Context, *, signatures: bool) -> int:
    from dataseal.cli.render import Report, count
    from dataseal.ledger.audit import check as audit

    log = context.workspace().log(None)
    with context.progress("checking entries", unit="entries") as advance:
        result = audit(log, advance, signatures=signatures, views=views_of(context))
    unchecked = ["what entries say and who signed it, older checkpoints' signatures, and the tables that queries use"]
    unchecked = [] if signatures else unchecked
    report = Report()
    report.pair("ledger", log.origin)
    report.pair("checked", f"{count(result.entries, 'entry', 'entries')} with chain{' and signatures' * signatures}")
    report.pair("", f"{count(result.tiles, 'tile')}, {count(result.heads, 'head')} with their checkpoints")
    for what in unchecked:
        report.pair("not checked", what)
    counts = {"heads": result.heads, "tiles": result.tiles, "not_checked": unchecked}
    partial = "" if signatures else "signatures not checked"
    return _tell(context, report, log.origin, result, counts, partial=partial)


def _served(context: Context, tree: Tree, publishers: tuple[str, ...], *, own: bool) -> int:
    from dataseal.cli.render import Report, count
    from dataseal.ledger.follow import JOBS
    from dataseal.ledger.served import check

    admission = context.workspace().admission() if own else None
    keys = read_publishers(publishers)
    with context.progress("checking entries", unit="entries") as advance:
        jobs = context.jobs or JOBS
        result = check(tree, admission=admission, publishers=keys, jobs=jobs, progress=advance)
    unchecked = _unchecked(tree, result)
    report = Report()
    report.pair("log", f"{tree.checkpoint.origin} at {tree.resources.name}")
    report.pair("head", head_line(tree.checked))
    report.pair("checked", f"{count(result.entries, 'entry', 'entries')} with tiles, chain and order of admission")
    report.pair("", count(result.signed, "signature"))
    for what in unchecked:
        report.pair("not checked", what)
    note_end(context, tree)
    counts = {
        "head": head_json(tree.checked),
        "signed": result.signed,
        "unknown_signers": result.unknown,
        "not_checked": unchecked,
    }
    partial = f"{count(result.unknown, 'signature')} not checked" if result.unknown and not own else ""
    return _tell(context, report, tree.checkpoint.origin, result, counts, partial=partial)


def _unchecked(tree: Tree, result: ServedAudit) -> list[str]:
    from dataseal.cli.render import count

    found = []
    if result.entries < result.size:
        found.append(f"entries {result.entries} to {result.size - 1}: behind what does not hold, or can't be read")
    if result.unknown:
        entries = count(result.unknown, "entry", "entries")
        found.append(f"signatures of {entries}: by keys that are not at hand (--publisher)")
    if not tree.checked.witnesses_known:
        found.append("cosignatures: no witness is known (--log with a tlog-policy file)")
    return [*found, "older checkpoints, and the tables that a ledger's queries use: they are not served"]


def _tell(
    context: Context,
    report: Report,
    origin: str,
    result: Audit | ServedAudit,
    counts: dict[str, Any],
    *,
    partial: str,
) -> int:
    from dataseal.cli.codes import BLOCKED, PASSED
    from dataseal.verifiers.verdict import Result

    _problems(report, result.problems)
    if result.clean:
        whole = "every entry is there, once, unchanged and in order"
        report.result(Result.PASSED, f"partial {origin}: {partial}" if partial else f"{origin}: {whole}")
    else:
        report.line(
            "        next  keep what is there as evidence; restore the ledger from a backup, or from published tiles"
        )
        report.result(Result.BLOCKED, f"{origin}: {_summary(result.problems)}")
    context.emit(
        str(report),
        lambda: {
            "command": "ledger check",
            "origin": origin,
            "result": "PASSED" if result.clean else "BLOCKED",
            "partial": bool(partial),
            "entries": result.entries,
            **counts,
            "problems": [{"where": p.where, "what": p.what} for p in result.problems],
        },
    )
    return PASSED if result.clean else BLOCKED


def _problems(report: Report, problems: list[Problem]) -> None:
    from dataseal.cli.render import safe

    for problem in problems:
        report.line(f"{click.style('fail', fg='red')}  {safe(problem.where)}: {safe(problem.what)}")


def _summary(problems: list[Problem]) -> str:
    from dataseal.cli.render import count

    first = f"; the first is in {problems[0].where}" if problems else ""
    return f"{count(len(problems), 'problem')}{first}"
