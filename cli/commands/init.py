"""``dataseal init``."""

from __future__ import annotations

from pathlib import Path

import click

from dataseal.cli.context import Context, common
from dataseal.cli.passphrase import unlocking


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path), default=".", metavar="[DIR]")
@click.option("--origin", metavar="NAME", help="The log's name: its URL without the scheme. Default: a minted one.")
@click.option(
    "--encrypt", is_flag=True, help="Encrypt the private keys with a passphrase (DATASEAL_KEY_PASSPHRASE, or asked)."
)
@unlocking
@common
def command(context: Context, directory: Path, origin: str | None, encrypt: bool) -> None:
    """Make a workspace: configuration, ledger, log key, publisher key, gate key."""
    from dataseal.cli.passphrase import new_passphrase
    from dataseal.cli.render import Report, safe
    from dataseal.ledger import workspace as workspaces
    from dataseal.ledger.signers.keyfile import load_public

    passphrase = new_passphrase() if encrypt else None
    url = context.ledger if context.ledger and "://" in context.ledger else None
    made = workspaces.create(directory, origin=origin, passphrase=passphrase, url=url)
    keys = made.folder / "keys"
    publisher, gate = load_public(keys / "publisher.pub"), load_public(keys / "gate.pub")
    vkey = (keys / "log.vkey").read_text(encoding="utf-8").strip()
    report = Report()
    report.line(f"Made a workspace in {safe(directory)}")
    report.line()
    report.line("  dataseal.toml        what is where, and who may log what")
    if url is None:
        report.line("  ledger.sqlite        the append-only ledger")
    report.line()
    report.line("Secret (mode 0600; never share, never put beside a dataset; back up):")
    report.line(
        f"  keys/publisher.key   signs releases and modifications   {'encrypted' if passphrase else 'not encrypted'}"
    )
    report.line("  keys/log.key         signs the ledger's checkpoints")
    report.line("  keys/gate.key        signs the receipts of gated runs")
    report.line()
    report.line("Publish, where consumers will look for them:")
    report.line(f"  keys/publisher.pub   ECDSA P-256, fingerprint {publisher.fingerprint}")
    report.line(f"  keys/log.vkey        {safe(vkey)}")
    report.line()
    report.line("Next: dataseal sign PATH --dataset NAME --release VERSION")
    context.emit(
        str(report),
        lambda: {
            "command": "init",
            "workspace": str(directory),
            "origin": made.config.ledger.origin,
            "log": vkey,
            "publisher": publisher.fingerprint,
            "gate": gate.fingerprint,
        },
    )
