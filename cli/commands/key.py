"""``dataseal key``: keys in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dataseal.cli.commands.announce import command as announce
from dataseal.cli.context import Context, common
from dataseal.ledger.errors import UsageError

if TYPE_CHECKING:
    from dataseal.ledger.publickey import PublicKey

_FILE = click.argument("file", type=click.Path(path_type=Path))
SCHEMES = ("ecdsa-p256", "ecdsa-p384", "ed25519", "ml-dsa-44")


@click.group("key")
def command() -> None:
    """Make and look at key files."""


@command.command("new")
@_FILE
@click.option("--scheme", type=click.Choice(SCHEMES), default="ecdsa-p256", show_default=True)
@click.option("--encrypt", is_flag=True, help="Encrypt it with a passphrase (DATASEAL_KEY_PASSPHRASE, or asked).")
@common
def new(context: Context, file: Path, scheme: str, encrypt: bool) -> None:
    """Make a key: FILE (private, mode 0600) and FILE with the suffix .pub."""
    from dataseal.cli.passphrase import new_passphrase
    from dataseal.ledger.signers import keyfile

    if file.suffix == ".pub":
        raise UsageError("FILE is the private key; its public half is written beside it with the suffix .pub")
    signer = keyfile.generate(scheme)
    keyfile.save(signer, file, new_passphrase() if encrypt else None)
    _show(context, "key new", signer.public, f"made {file} (secret) and {file.with_suffix('.pub')} (to publish)")


@command.command("show")
@_FILE
@common
def show(context: Context, file: Path) -> None:
    """Show what a key file holds: scheme and fingerprint; never the private key."""
    _show(context, "key show", _public(context, file), str(file))


@command.command("fingerprint")
@_FILE
@common
def fingerprint(context: Context, file: Path) -> None:
    """Print a key's fingerprint: the SHA-256 of its SubjectPublicKeyInfo."""
    key = _public(context, file)
    context.emit(key.fingerprint, lambda: {"command": "key fingerprint", "fingerprint": key.fingerprint})


@command.command("export")
@_FILE
@common
def export(context: Context, file: Path) -> None:
    """Print a key's public half as PEM."""
    key = _public(context, file)
    context.emit(key.pem().decode().strip(), lambda: {"command": "key export", "pem": key.pem().decode()})


def _public(context: Context, file: Path) -> PublicKey:
    from dataseal.ledger.signers import keyfile

    if b"PRIVATE KEY" not in keyfile.read_key_file(file):
        return keyfile.load_public(file)
    context.warn_readable(file)
    return keyfile.load(file, context.passphrase).public


def _show(context: Context, name: str, key: PublicKey, what: str) -> None:
    from dataseal.cli.render import Report

    report = Report()
    report.pair("key", what)
    report.pair("scheme", key.scheme)
    report.pair("fingerprint", key.fingerprint)
    context.emit(
        str(report), lambda: {"command": name, "key": what, "scheme": key.scheme, "fingerprint": key.fingerprint}
    )


command.add_command(announce)
