"""``dataseal record``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataseal.cli import options
from dataseal.cli.context import Context, common
from dataseal.cli.signing import How, open_for_signing, signed_by, signing

if TYPE_CHECKING:
    from dataseal.ledger.modify import RecordedModification


@click.command("record")
@click.argument("operation")
@click.argument("start", metavar="FROM")
@click.argument("path", metavar="TO", type=click.Path(path_type=Path))
@click.option("--reason", required=True, metavar="TEXT", help="Why, in one sentence; it is signed and public.")
@click.option("--dataset", metavar="NAME", help="Needed when FROM is `none`, or a root that several datasets have.")
@click.option("--tool", metavar="URI", help="What made the change.")
@click.option("--param", "settings", multiple=True, metavar="K=V", help="A parameter of the operation; repeatable.")
@options.hashed
@signing
@common
def command(
    context: Context,
    operation: str,
    start: str,
    path: Path,
    reason: str,
    dataset: str | None,
    tool: str | None,
    settings: tuple[str, ...],
    exclusions: tuple[str, ...],
    chunk_size: str | None,
    chunk_hash: str | None,
    fast: bool,
    how: How,
) -> None:
    """Record a modification: OPERATION led from FROM to what the folder TO holds now.

    OPERATION is one of collect, append, remove, dedupe, filter, relabel, edit, transform, augment, merge, split,
    redact, re-encode, sample, synthesise, or x-SOMETHING. FROM is a folder, NAME@VERSION, NAME@head (the newest
    recorded state), a root digest, or `none` for a dataset's first state.
    """
    from dataseal.ledger import modify as modifications
    from dataseal.ledger.statement import check_dataset, check_operation

    with options.typed():
        check_operation(operation)
        if dataset is not None:
            check_dataset(dataset)
    workspace = context.workspace(path, Path(start))
    log, signer = open_for_signing(context, workspace, how)
    with context.progress("hashing") as advance:
        parent = modifications.parent(
            start,
            dataset=dataset,
            log=log,
            objects=workspace.objects,
            jobs=context.jobs,
            progress=advance,
            memory=workspace.memory,
            fast=fast,
        )
        made = modifications.modify(
            operation,
            parent,
            path,
            reason=reason,
            log=log,
            signer=signer,
            objects=workspace.objects,
            parameters=options.parameters(chunk_size, chunk_hash),
            exclusions=exclusions,
            tool=tool,
            settings=options.pairs(settings, "--param"),
            jobs=context.jobs,
            progress=advance,
            memory=workspace.memory,
            fast=fast,
        )
    for note in made.hashed.notes:
        context.note(note)
    context.emit(_human(made), lambda: _json(made))


def _human(made: RecordedModification) -> str:
    from dataseal.cli.present import logged_line
    from dataseal.cli.render import Report, safe

    logged, modification = made.recorded.logged, made.modification
    report = Report()
    report.pair("operation", f"{modification.operation}: {modification.reason}")
    report.pair("from", modification.from_.root if modification.from_ else "nothing")
    report.pair("to", modification.to.root)
    report.pair("shards", changes(modification.counts.shards))
    report.pair("rows", changes(modification.counts.rows))
    report.pair("signed by", signed_by(logged.verified.signer))
    report.pair("logged", logged_line(logged))
    report.line(f"RECORDED {safe(logged.verified.statement.dataset)}: entry {logged.index} of the ledger")
    return str(report)


def changes(counts: Any) -> str:
    """``+1 -0 ~2``; a question mark where the old content was not at hand."""
    shown = {name: getattr(counts, name) for name in ("added", "removed", "changed")}
    return ", ".join(f"{'?' if value is None else format(value, ',')} {name}" for name, value in shown.items())


def _json(made: RecordedModification) -> dict[str, Any]:
    from dataseal.cli.present import logged_json

    logged = made.recorded.logged
    return {
        "command": "record",
        "dataset": logged.verified.statement.dataset,
        "modification": made.modification.model_dump(mode="json", by_alias=True),
        "signer": logged.verified.signer.fingerprint,
        "log": logged_json(logged),
        "existed": made.recorded.existed,
    }
