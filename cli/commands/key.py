"""``dataseal key``: keys in files, and wherever else they live."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dataseal.cli.commands.announce import command as announce
from dataseal.cli.context import Context, common
from dataseal.cli.passphrase import unlocking
from dataseal.ledger.errors import FormatError, UsageError

if TYPE_CHECKING:
    from dataseal.ledger.publickey import PublicKey

_FILE = click.argument("file", type=click.Path(path_type=Path))
_KEY = click.argument("key", metavar="FILE|URI")
SCHEMES = ("ecdsa-p256", "ecdsa-p384", "ed25519", "ml-dsa-44")


@click.group("key")
def command() -> None:
    """Make keys in files, and look at keys wherever they live.

    A key is a file (PKCS#8 PEM or OpenSSH), env:NAME, or with the extra `kms` one of awskms:, gcpkms:, azurekms:,
    hashivault:, hsm: and gnupg:.
    """


@command.command("new")
@_FILE
@click.option("--scheme", type=click.Choice(SCHEMES), default="ecdsa-p256", show_default=True)
@click.option("--encrypt", is_flag=True, help="Encrypt it with a passphrase.")
@unlocking
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
@_KEY
@unlocking
@common
def show(context: Context, key: str) -> None:
    """Show a key's scheme and fingerprint; never the private key."""
    _show(context, "key show", _public(context, key), key)


@command.command("fingerprint")
@_KEY
@unlocking
@common
def fingerprint(context: Context, key: str) -> None:
    """Print a key's fingerprint: the SHA-256 of its SubjectPublicKeyInfo."""
    public = _public(context, key)
    context.emit(public.fingerprint, lambda: {"command": "key fingerprint", "fingerprint": public.fingerprint})


@command.command("export")
@_KEY
@click.option("--as", "form", type=click.Choice(["pem", "ssh", "spki"]), default="pem", show_default=True,
              help="PEM, OpenSSH's line, or `spki:` and base64, as `trust add --key` takes it.")  # fmt: skip
@unlocking
@common
def export(context: Context, key: str, form: str) -> None:
    """Print a key's public half."""
    public = _public(context, key)
    try:
        if form == "ssh":
            text = public.ssh()
        else:
            text = public.pem().decode() if form == "pem" else f"spki:{public.to_spki()}"
    except FormatError as error:
        raise UsageError(error.what, where=key, hint=error.hint) from None
    context.emit(text.strip(), lambda: {"command": "key export", form: text})


def _public(context: Context, key: str) -> PublicKey:
    from dataseal.ledger.signers import keyfile
    from dataseal.ledger.signers import uri as uris

    path = uris.file_of(key)
    if path is None:
        return uris.open_key(key, context.passphrase).public
    if b"PRIVATE KEY" not in keyfile.read_key_file(path):
        return keyfile.load_public(path)
    context.warn_readable(path)
    return keyfile.load(path, context.passphrase).public


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
