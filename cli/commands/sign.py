"""``dataseal sign``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataseal.cli import options
from dataseal.cli.context import Context, common
from dataseal.cli.signing import How, open_for_signing, signed_by, signing

if TYPE_CHECKING:
    from dataseal.ledger.sign import SignedRelease


@click.command("sign")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--dataset", required=True, metavar="NAME", help="The dataset's name, such as acme/reviews.")
@click.option("--release", "version", required=True, metavar="VERSION", help="The release's version, such as 1.0.0.")
@click.option(
    "--derived-from", multiple=True, metavar="REF", help="A recorded state that this one derives from; repeatable."
)
@click.option(
    "--meta", "metadata", multiple=True, metavar="K=V", help="Metadata to sign, such as license=MIT; repeatable."
)
@click.option(
    "--from-digests",
    "digests",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Sign digests that were computed elsewhere, and read no data: a shard table, or JSON lines.",
)
@click.option(
    "--oms/--no-oms",
    default=None,
    help="Write an OpenSSF Model Signing bundle too, for tools that know no other. Default: if they can check it.",
)
@options.hashed
@signing
@common
def command(
    context: Context,
    path: Path,
    dataset: str,
    version: str,
    derived_from: tuple[str, ...],
    metadata: tuple[str, ...],
    oms: bool | None,
    exclusions: tuple[str, ...],
    chunk_size: str | None,
    chunk_hash: str | None,
    fast: bool,
    digests: Path | None,
    how: How,
) -> None:
    """Sign a release: hash every file in PATH, sign the root, log it, and write PATH/.dataseal/.

    A run that was cut off goes on where it was. With --from-digests PATH is only where .dataseal/ goes.
    """
    from dataseal.ledger.sign import sign
    from dataseal.ledger.statement import check_dataset, check_version

    with options.typed():
        check_dataset(dataset)
        check_version(version)
    parameters = options.parameters(chunk_size, chunk_hash)
    supplied = None
    if digests is not None:
        supplied, parameters = options.supplied(digests, parameters, path, fast=fast)
    workspace = context.workspace(path)
    log, signer = open_for_signing(context, workspace, how)
    with context.progress("hashing") as advance:
        signed = sign(
            path,
            dataset=dataset,
            version=version,
            log=log,
            signer=signer,
            objects=workspace.objects,
            parameters=parameters,
            exclusions=exclusions,
            derived_from=derived_from,
            metadata=options.pairs(metadata, "--meta"),
            oms=oms,
            jobs=context.jobs,
            progress=advance,
            memory=workspace.memory,
            fast=fast,
            supplied=supplied,
        )
    for note in signed.hashed.notes:
        context.note(note)
    context.emit(_human(signed, path), lambda: _json(signed))


def _human(signed: SignedRelease, path: Path) -> str:
    from dataseal.cli.present import logged_line
    from dataseal.cli.render import Report, count, safe, size

    logged = signed.recorded.logged
    statement, tree = logged.verified.statement, signed.release.tree
    report = Report()
    if signed.recorded.existed:
        report.line("This release was in the ledger already: the interrupted run is finished now.")
    report.pair("release", f"{statement.dataset}@{statement.version}, sequence {signed.release.sequence}")
    report.pair("tree", f"{count(tree.shards, 'shard')}, {size(tree.bytes)}, root {tree.root}")
    if signed.release.digests:
        report.pair("digests", "supplied: no file was read, and none was searched for private keys")
    elif signed.hashed.unchanged:
        report.pair("not read", f"{count(signed.hashed.unchanged, 'file')}, unchanged since they were signed (--fast)")
    report.pair("signed by", signed_by(logged.verified.signer))
    report.pair("logged", logged_line(logged))
    report.pair("history", f"{count(signed.history, 'earlier entry', 'earlier entries')} beside it")
    if signed.oms_omits is not None:
        report.pair("oms", ".dataseal/oms.sigstore.json, for tools that know only OpenSSF Model Signing")
    for item in signed.oms_omits or ():
        report.pair("", f"it can't name {item}: OMS tools skip that name (the release itself covers it)")
    for item in signed.hashed.excluded:
        report.pair("left out", f"{item} (recorded)")
    for item in signed.hashed.left_out:
        if item != ".dataseal":
            report.pair("left out", f"{item}/ (never part of a dataset)")
    report.line(f"SIGNED {safe(statement.dataset)}@{safe(statement.version)}: wrote {safe(path)}/.dataseal/")
    return str(report)


def _json(signed: SignedRelease) -> dict[str, Any]:
    from dataseal.cli.present import logged_json

    logged = signed.recorded.logged
    return {
        "command": "sign",
        "dataset": logged.verified.statement.dataset,
        "version": logged.verified.statement.version,
        "release": signed.release.model_dump(mode="json"),
        "signer": logged.verified.signer.fingerprint,
        "log": logged_json(logged),
        "existed": signed.recorded.existed,
        "excluded": list(signed.hashed.excluded),
        "resumed": signed.hashed.resumed,
        "unchanged": signed.hashed.unchanged,
        "notes": list(signed.hashed.notes),
        "oms": None if signed.oms_omits is None else {"omits": list(signed.oms_omits)},
    }
