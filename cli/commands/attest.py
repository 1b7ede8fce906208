"""``dataseal attest``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dataseal.cli.context import Context, common
from dataseal.cli.signing import How, open_for_signing, signed_by, signing
from dataseal.ledger.errors import UsageError

if TYPE_CHECKING:
    from dataseal.ledger.record import Recorded

_FILE = click.Path(path_type=Path)


@click.command("attest")
@click.argument("target")
@click.option("--predicate", type=_FILE, metavar="FILE", help="The predicate to sign: one JSON object.")
@click.option("--type", "predicate_type", metavar="URI", help="Its type, such as https://slsa.dev/provenance/v1.")
@click.option("--bundle", type=_FILE, metavar="FILE", help="Log this signed bundle of another tool's, as it is.")
@click.option("--to", type=_FILE, metavar="DIR", help="Write bundle and proof there, for `evidence verify`.")
@signing
@common
def command(
    context: Context,
    target: str,
    predicate: Path | None,
    predicate_type: str | None,
    bundle: Path | None,
    to: Path | None,
    how: How,
) -> None:
    """Sign evidence about a release, any in-toto predicate, and log it.

    TARGET is NAME@VERSION of a logged release, or its folder, whose files are not hashed. SLSA provenance v1 and VSA v1
    must have their published shape. dataseal.toml lists who may log `evidence` (a VSA is a `receipt`).
    """
    from dataseal.cli.evidence import read, write
    from dataseal.cli.render import Report, safe
    from dataseal.ledger import bundle as bundles
    from dataseal.ledger import evidence
    from dataseal.ledger import statement as statements

    signs = predicate is not None and predicate_type is not None
    if (bundle is None) != signs or (bundle is not None and (predicate or predicate_type or how != How.none())):
        raise UsageError(
            "either sign (--predicate FILE --type URI), or log what is signed (--bundle FILE, and no signer)",
            hint="see `dataseal attest --help`",
        )
    workspace = context.workspace(Path(target))
    attached = None
    if bundle is not None:
        log = context.open_log(workspace, sign=True)
        raw = read(bundle, bundles.MAX_BUNDLE)
        made = evidence.attest_bundle(raw, evidence.release_of(target, log), log=log)
    else:
        assert predicate is not None
        assert predicate_type is not None
        data = read(predicate, evidence.MAX_PREDICATE)
        log, signer = open_for_signing(context, workspace, how)
        release = evidence.release_of(target, log)
        made = evidence.attest(release, data, predicate_type, signer=signer, log=log, objects=workspace.objects)
        attached = data if made.logged.verified.statement.predicate_type == statements.ATTACHED else None
    logged = made.logged
    statement = logged.verified.statement
    wrote = write(to, evidence.files_of(logged.index, made.bundle, made.proof, attached)) if to else ()
    report = Report()
    if made.existed:
        report.line("This evidence was in the ledger already.")
    report.pair("about", f"{statement.dataset}@{statement.version}, root {statement.root}")
    report.pair("type", predicate_type or statement.predicate_type)
    report.pair("signed by", signed_by(logged.verified.signer))
    report.pair("logged", f"entry {logged.index} of {logged.checked.checkpoint.origin}")
    for path in wrote:
        report.pair("wrote", str(path))
    report.line(f"ATTESTED {safe(statement.dataset)}@{safe(statement.version)}")
    context.emit(str(report), lambda: _json(made, predicate_type, attached is not None))


def _json(made: Recorded, predicate_type: str | None, attached: bool) -> dict[str, object]:
    logged = made.logged
    statement = logged.verified.statement
    return {
        "command": "attest",
        "dataset": statement.dataset,
        "version": statement.version,
        "type": predicate_type or statement.predicate_type,
        "attached": attached,
        "signer": logged.verified.signer.fingerprint,
        "log": {"origin": logged.checked.checkpoint.origin, "index": logged.index},
        "existed": made.existed,
    }
