"""What a gate says beside its verdict: where its receipts stand, and how the command ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from dataseal.cli.context import Context
    from dataseal.ledger.record import Recorded
    from dataseal.verifiers.examine import Examination
    from dataseal.verifiers.gate import Ended
    from dataseal.verifiers.policy import Policy

NOT_EXECUTABLE: Final = 126


def entry(recorded: Recorded) -> str:
    """Where a receipt stands."""
    return f"entry {recorded.logged.index} of {recorded.logged.checked.checkpoint.origin}"


def say_end(context: Context, ended: Ended) -> None:
    """How the command ended, on stderr."""
    from dataseal.cli.main import tell
    from dataseal.cli.present import findings_text

    for item in ended.receipts:
        context.say(f"receipt     {entry(item)}")
    if not ended.started:
        why = "not executable" if ended.code == NOT_EXECUTABLE else "not found"
        click.echo(f"dataseal: the command is {why}\n  next: check the words after --", err=True)
    if ended.unwritten:
        tell(ended.unwritten)
        click.echo("BLOCKED the command has run, and its second receipt could not be written", err=True)
    if ended.notes:
        click.echo(findings_text(ended.notes), err=True)
    if ended.changes:
        click.echo(findings_text(ended.changes), err=True)
        click.echo(
            "BLOCKED the data changed while the command ran: its result is tainted"
            + (", and the receipt says so" if ended.receipts else ""),
            err=True,
        )


def document(examined: list[Examination], policy: Policy, written: list[Recorded]) -> dict[str, Any]:
    """The gate's result as JSON values."""
    from dataseal.cli import present

    return {
        "command": "gate",
        "result": str(present.overall(examined)),
        "targets": [present.examination_json("gate", e, policy) for e in examined],
        "receipts": [{"index": r.logged.index, "log": r.logged.checked.checkpoint.origin} for r in written],
    }
