"""Where passphrases come from: ``--passphrase-fd``, ``DATASEAL_KEY_PASSPHRASE``, or a person on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from dataseal.ledger.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

MAX_PASSPHRASE: Final = 4096
"""Bytes."""

_GIVEN: Final = "dataseal.passphrase"
"""Where the passphrase of ``--passphrase-fd`` is kept, in the invocation's ``meta``: a descriptor is read once."""


def _read(ctx: click.Context, _param: click.Parameter, descriptor: int | None) -> None:
    """Reads the descriptor to its end.

    Raises:
        UsageError: it is not open for reading, or gives no passphrase.
    """
    if descriptor is None:
        return
    hint = "such as --passphrase-fd 3 3<FILE"
    try:
        data = b""
        while len(data) <= MAX_PASSPHRASE and (more := os.read(descriptor, MAX_PASSPHRASE + 1)):
            data += more
        if descriptor > 2:
            os.close(descriptor)  # a gated command has no use for it
    except OSError as error:
        raise UsageError(f"--passphrase-fd {descriptor}: can't be read: {error.strerror}", hint=hint) from None
    line = data.removesuffix(b"\n").removesuffix(b"\r")
    if not line or b"\n" in line or len(data) > MAX_PASSPHRASE:
        raise UsageError(
            f"--passphrase-fd {descriptor}: no passphrase, or more than one line of {MAX_PASSPHRASE:,} bytes", hint=hint
        )
    ctx.meta[_GIVEN] = line


def unlocking(function: F) -> F:
    """Adds ``--passphrase-fd`` to a command that opens or encrypts private keys."""
    option = click.option(
        "--passphrase-fd", type=click.IntRange(min=0), metavar="N", expose_value=False, callback=_read,
        help="Read the passphrase of encrypted keys from this file descriptor. "
             "Else: DATASEAL_KEY_PASSPHRASE, or asked.",
    )  # fmt: skip
    return option(function)


def given() -> bytes | None:
    """The passphrase that was given without asking anybody."""
    context = click.get_current_context(silent=True)
    found: bytes | None = context.meta.get(_GIVEN) if context else None
    return found or os.environ.get("DATASEAL_KEY_PASSPHRASE", "").encode("utf-8", "surrogateescape") or None


def passphrase_of(name: str) -> bytes | None:
    """The passphrase of an encrypted key: given, else asked for on a terminal; None when there is nobody to ask."""
    found = given()
    if found is None and sys.stdin.isatty():
        from dataseal.cli.render import safe

        secret: str = click.prompt(f"Passphrase of {safe(name)}", hide_input=True, err=True, default="")
        found = secret.encode() or None
    return found


def new_passphrase() -> bytes:
    """For new keys: given, else asked for twice on a terminal.

    Raises:
        UsageError: there is neither.
    """
    found = given()
    if found is None and sys.stdin.isatty():
        text: str = click.prompt("Passphrase for the new keys", hide_input=True, confirmation_prompt=True, err=True)
        found = text.encode() or None
    if found is None:
        raise UsageError(
            "no passphrase to encrypt with",
            hint="set DATASEAL_KEY_PASSPHRASE, give --passphrase-fd, or run in a terminal",
        )
    return found
