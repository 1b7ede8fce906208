"""What the sub-commands say of a log that is closed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dataseal.cli.context import Context
from dataseal.ledger.errors import Unavailable, VerificationError

if TYPE_CHECKING:
    from dataseal.ledger.follow import Tree


def note_end(context: Context, tree: Tree) -> None:
    """Says it when a log is closed: its successor is never followed by itself."""
    from dataseal.ledger.importing import final

    with suppress(VerificationError, Unavailable):  # an entry that was not asked for does not stop the command
        if (closing := final(tree)) is not None:
            context.note(f"the log is closed: {closing.described()}; {closing.advice()}")
