"""A group of commands that are imported when they are asked for: ``dataseal --help`` must not wait for libraries."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose commands lie in modules below `dataseal.cli.commands`, each as ``command``.

    Args:
        modules: a command's name to its module's, in the order in which they are listed.
    """

    def __init__(self, *args: Any, modules: Mapping[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """The commands, in their order."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, or None; unknown names get click's own message."""
        if cmd_name not in self._modules:
            return None
        command: click.Command = importlib.import_module(f"dataseal.cli.commands.{self._modules[cmd_name]}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Adds "did you mean" to click's message."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = difflib.get_close_matches(args[0] if args else "", self._modules, n=1)
            if close:
                raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", error.ctx) from None
            raise
