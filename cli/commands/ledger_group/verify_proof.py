"""``dataseal ledger verify-proof``."""

from __future__ import annotations

from pathlib import Path

import click

from dataseal.cli.commands.ledger_group.sources import LOG_HELP, head_json, head_line
from dataseal.cli.context import Context, common
from dataseal.cli.trusting import read_logs, read_publishers
from dataseal.ledger.errors import UsageError


@click.command("verify-proof")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--bundle", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The entry's bundle.")
@click.option("--log", "logs", multiple=True, metavar="VKEY", help=f"{LOG_HELP} Repeatable, any of them.")
@click.option("--publisher", "publishers", multiple=True, metavar="PUBKEY",
              help="Check the bundle's signature too: a trusted publisher's key; repeatable, any of them.")  # fmt: skip
@common
def command(context: Context, file: Path, bundle: Path, logs: tuple[str, ...], publishers: tuple[str, ...]) -> None:
    """Verify that a trusted log holds the bundle, by the .tlog-proof FILE alone: no network, no ledger.

    Without --publisher the bundle's own signature is not checked: the log holds it, whoever signed it.
    """
    from dataseal.cli.render import Report
    from dataseal.ledger.bundle import MAX_BUNDLE
    from dataseal.ledger.inclusion import verify_included
    from dataseal.ledger.tlog.limits import MAX_PROOF_BYTES
    from dataseal.verifiers.verdict import Result

    trusted = read_logs(logs)
    if not trusted:
        raise UsageError(
            "no log to believe", hint="give --log the log's verifier key (log.vkey), or a tlog-policy file"
        )
    found = verify_included(
        _read(file, MAX_PROOF_BYTES), _read(bundle, MAX_BUNDLE), trusted, read_publishers(publishers)
    )
    statement = found.statement
    report = Report()
    report.pair("log", found.checked.log)
    report.pair("head", head_line(found.checked))
    report.pair("entry", f"{found.index}, logged at {found.header.logged_at} by the log's clock")
    report.pair("statement", f"{statement.kind} of {statement.dataset}@{statement.version}, root {statement.root}")
    report.pair("signed by", found.signer.fingerprint if found.signer else "not checked (no --publisher)")
    report.result(Result.PASSED, f"the log holds this bundle as entry {found.index}")
    context.emit(
        str(report),
        lambda: {
            "command": "ledger verify-proof",
            "result": "PASSED",
            "index": found.index,
            "leaf": found.leaf.hex(),
            "logged_at": found.header.logged_at,
            "kind": statement.kind,
            "dataset": statement.dataset,
            "version": statement.version,
            "root": statement.root,
            "signer": found.signer.fingerprint if found.signer else None,
            "head": head_json(found.checked),
        },
    )


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(limit + 1)  # one byte too many is refused where the bytes are parsed
