"""Keys by URI: where a private key lives, in one word.

::

    keys/publisher.key            a file (PKCS#8 PEM or OpenSSH), relative to the configuration or the current folder
    file:keys/publisher.key       the same; file:///abs/path too. What stands after `file:` is taken as it is
    env:DATASEAL_SIGNING_KEY      the same bytes in an environment variable, for CI systems that hand secrets out so

and, through securesystemslib (extra ``kms``, `dataseal.ledger.signers.kms`), keys that never leave where they are::

    awskms:KEY  gcpkms:projects/…/N  azurekms:VAULT/KEY  hashivault:KEY  hsm:ID?label=TOKEN  gnupg:FINGERPRINT

A name that looks like a URI is one: a file called ``a:b`` is written ``file:a:b``. No error text shows what a variable
or a file holds, nor a key that was given in place of its URI.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from dataseal.ledger.errors import UsageError
from dataseal.ledger.signers import keyfile
from dataseal.ledger.signers.base import KeyedSigner
from dataseal.ledger.signers.keyfile import MAX_KEY_FILE, Passphrase

REMOTE: Final = ("awskms", "gcpkms", "azurekms", "hashivault", "hsm", "pkcs11", "gnupg")
"""Schemes of `dataseal.ledger.signers.kms`."""

PIN: Final = "DATASEAL_HSM_PIN"
"""The variable with a token's PIN (`dataseal.ledger.signers.kms`)."""

NETWORK: Final = ("awskms", "gcpkms", "azurekms", "hashivault")

_URI = re.compile(r"([a-z][a-z0-9+.-]+):(.*)\Z", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SECRETS: Final = {"hashivault": ("VAULT_TOKEN",), "hsm": (PIN,), "pkcs11": (PIN,)}


def open_key(uri: str, passphrase: Passphrase, *, folder: Path | None = None) -> KeyedSigner:
    """The signer behind a URI.

    Args:
        passphrase: asked only when the key wants one. folder: what file names are relative to.

    Raises:
        UsageError: no such key, one that can't be used, or an unknown scheme.
        Unavailable: a key service does not answer.
    """
    scheme, rest = split(uri)
    if scheme == "file":
        return keyfile.load(_path(rest, folder), passphrase)
    if scheme == "env":
        return keyfile.decode(_variable(rest), passphrase, where=f"env:{rest}")
    from dataseal.ledger.signers import kms

    return kms.open_key(scheme, rest, passphrase)


def split(uri: str) -> tuple[str, str]:
    """Scheme and rest of a URI; the scheme of a plain file name is ``file``.

    Raises:
        UsageError: an unknown scheme, nothing behind it, or a key instead of its URI.
    """
    if "PRIVATE KEY" in uri or "\n" in uri:
        raise UsageError(
            "a private key where its URI is wanted",
            hint="put it into a file, or a variable that env:NAME names; others may see what a command line holds",
        )
    match = _URI.match(uri)
    scheme, rest = match.groups() if match else ("file", uri)
    if scheme not in ("file", "env", *REMOTE):
        raise UsageError(
            f"unknown kind of key: {scheme}:",
            hint=f"one of {', '.join(f'{name}:' for name in ('file', 'env', *REMOTE))}; "
            "a file whose name looks like this is given as file:NAME",
        )
    if not rest and scheme not in ("hsm", "pkcs11"):
        raise UsageError(f"{uri!r} names no key", hint="such as file:keys/publisher.key or env:SIGNING_KEY")
    return scheme, rest


def file_of(uri: str, folder: Path | None = None) -> Path | None:
    """The key file that a URI names; None when it lives elsewhere. Raises `UsageError` as `split`."""
    scheme, rest = split(uri)
    return _path(rest, folder) if scheme == "file" else None


def secrets_of(uri: str) -> tuple[str, ...]:
    """The environment variables that let whoever has them sign with the key. Raises `UsageError` as `split`."""
    scheme, rest = split(uri)
    return (rest,) if scheme == "env" else _SECRETS.get(scheme, ())


def _path(rest: str, folder: Path | None) -> Path:
    if rest.startswith("//"):  # RFC 8089: file://<host>/<path>, where only this host has files
        host, slash, path = rest[2:].partition("/")
        if host not in ("", "localhost") or not slash:
            raise UsageError(f"file://{host}: a key is read from a file of this machine", hint="write file:///PATH")
        rest = f"/{path}"
    return (folder or Path()) / rest


def _variable(name: str) -> bytes:
    if not _NAME.match(name):
        raise UsageError("env: is followed by the name of an environment variable", hint="such as env:SIGNING_KEY")
    value = os.environ.get(name, "").encode("utf-8", "surrogateescape")
    if not value.strip():
        raise UsageError(
            f"the environment variable {name} is not set, or is empty", hint="set it to the key itself, as PEM"
        )
    if len(value) > MAX_KEY_FILE:
        raise UsageError(f"the environment variable {name} has more than {MAX_KEY_FILE:,} bytes")
    return value
