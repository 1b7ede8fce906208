"""``dataseal ledger``: the log itself. Each sub-command has a module of its own, imported when it is asked for."""

from __future__ import annotations

from typing import Final

import click

from dataseal.cli.lazy import LazyGroup

COMMANDS: Final = {
    "check": "ledger_group.check",
    "prove": "ledger_group.prove",
    "verify-proof": "ledger_group.verify_proof",
    "show": "ledger_group.show",
    "stats": "ledger_group.stats",
    "serve": "ledger_group.serve",
    "publish": "ledger_group.publish",
    "mirror": "ledger_group.mirror",
    "import": "ledger_group.take_over",
    "close": "ledger_group.close",
    "monitor": "ledger_group.monitor",
    "upgrade": "ledger_group.upgrade",
    "witness": "witness",
}
"""Name to module below `dataseal.cli.commands`, which holds it as ``command``."""


@click.group("ledger", cls=LazyGroup, modules=COMMANDS)
def command() -> None:
    """The append-only ledger itself."""
