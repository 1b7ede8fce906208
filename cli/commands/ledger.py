"""``dataseal ledger``: the log itself. Each sub-command has a module of its own, imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any, Final

import click

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


class LedgerGroup(click.Group):
    """Imports a sub-command's module when the sub-command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """The sub-commands, in `COMMANDS`' order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The sub-command, or None."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"dataseal.cli.commands.{COMMANDS[cmd_name]}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Adds "did you mean" to click's message."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0] if args else "", COMMANDS, n=1)
            if close:
                raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", error.ctx) from None
            raise


@click.group("ledger", cls=LedgerGroup)
def command() -> None:
    """The append-only ledger itself."""
