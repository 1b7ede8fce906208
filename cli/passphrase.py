"""Asking for the passphrase of new keys."""

from __future__ import annotations

import os
import sys

import click

from dataseal.ledger.errors import UsageError


def new_passphrase() -> bytes:
    """From ``DATASEAL_KEY_PASSPHRASE``, else asked for twice on a terminal.

    Raises:
        UsageError: there is neither.
    """
    given = os.environ.get("DATASEAL_KEY_PASSPHRASE")
    if not given and sys.stdin.isatty():
        given = click.prompt("Passphrase for the new keys", hide_input=True, confirmation_prompt=True, err=True)
    if not given:
        raise UsageError("no passphrase to encrypt with", hint="set DATASEAL_KEY_PASSPHRASE, or run in a terminal")
    return given.encode()
