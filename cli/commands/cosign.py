"""``dataseal cosign``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataseal.cli.context import Context, common
from dataseal.cli.signing import How, open_for_signing, signed_by, signing

if TYPE_CHECKING:
    from dataseal.ledger.cosign import Cosigned


@click.command("cosign")
@click.argument("target", type=click.Path(path_type=Path))
@signing
@common
def command(context: Context, target: Path, how: How) -> None:
    """Add a signature to the release in TARGET: over the same statement, logged beside the first.

    The files are hashed and held against the statement first. The ledger is the one that holds the release
    (--workspace, --ledger), and its dataseal.toml must list the key for the dataset, for `release` or `endorsement`.
    """
    from dataseal.ledger.cosign import cosign

    workspace = context.workspace(target)
    log, signer = open_for_signing(context, workspace, how)
    with context.progress("hashing") as advance:
        made = cosign(target, signer=signer, log=log, jobs=context.jobs, progress=advance)
    context.emit(_human(made, target), lambda: _json(made))


def _human(made: Cosigned, target: Path) -> str:
    from dataseal.cli.render import Report, count, safe
    from dataseal.ledger.seal import release_name

    logged = made.recorded.logged
    statement = logged.verified.statement
    report = Report()
    if made.recorded.existed:
        report.line("This signature was in the ledger already: the interrupted run is finished now.")
    report.pair("release", f"{statement.dataset}@{statement.version}, root {statement.root}")
    report.pair("signed by", signed_by(logged.verified.signer))
    report.pair("logged", f"entry {logged.index} of {logged.checked.checkpoint.origin}")
    name = f"{safe(target)}/.dataseal/{release_name(made.number, 'sigstore.json')}"
    report.line(
        f"COSIGNED {safe(statement.dataset)}@{safe(statement.version)}: wrote {name}, "
        f"{count(made.signers, 'signature')} in all"
    )
    return str(report)


def _json(made: Cosigned) -> dict[str, Any]:
    logged = made.recorded.logged
    return {
        "command": "cosign",
        "dataset": logged.verified.statement.dataset,
        "version": logged.verified.statement.version,
        "signer": logged.verified.signer.fingerprint,
        "number": made.number,
        "signatures": made.signers,
        "log": {"origin": logged.checked.checkpoint.origin, "index": logged.index},
        "existed": made.recorded.existed,
    }
