"""``dataseal key announce``."""

from __future__ import annotations

from pathlib import Path

import click

from dataseal.cli.context import Context, common
from dataseal.cli.signing import How, open_for_signing, signed_by, signing


@click.command("announce")
@click.argument("file", type=click.Path(path_type=Path), metavar="NEWKEY.pub")
@click.option("--dataset", required=True, metavar="NAME", help="The dataset that it will sign for.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in one sentence; it is signed and public.")
@click.option("--replaces", type=click.Path(path_type=Path), metavar="OLDKEY.pub", help="The key that is given up.")
@signing
@common
def command(context: Context, file: Path, dataset: str, reason: str, replaces: Path | None, how: How) -> None:
    """Log that another key will sign for a dataset. Consumers are shown it with the command that accepts it.

    It is signed with the key that they trust now. Nobody follows it by himself: a thief of a key could write one.
    Releases that the old key signed are endorsed by the new one with `dataseal cosign`.
    """
    from dataseal.cli.render import Report, safe
    from dataseal.ledger.announce import announce
    from dataseal.ledger.signers import keyfile

    key = keyfile.load_public(file)
    old = keyfile.load_public(replaces) if replaces else None
    workspace = context.workspace()
    log, signer = open_for_signing(context, workspace, how)
    made = announce(key, dataset=dataset, reason=reason, log=log, signer=signer, replaces=old)
    logged = made.logged
    accept = f"dataseal trust add NAME --key spki:{key.to_spki()}"
    report = Report()
    report.pair("key", f"{key.scheme} {key.fingerprint}")
    report.pair("signed by", signed_by(logged.verified.signer))
    report.pair("logged", f"entry {logged.index} of {logged.checked.checkpoint.origin}")
    report.pair("consumers", f"accept it with: {accept}")
    report.line(f"ANNOUNCED for {safe(dataset)}: it travels with the next release, and with `dataseal cosign`")
    context.emit(
        str(report),
        lambda: {
            "command": "key announce",
            "dataset": dataset,
            "key": key.fingerprint,
            "signer": logged.verified.signer.fingerprint,
            "log": {"origin": logged.checked.checkpoint.origin, "index": logged.index},
            "accept": accept,
            "existed": made.existed,
        },
    )
