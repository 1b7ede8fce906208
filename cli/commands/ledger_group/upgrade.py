"""``dataseal ledger upgrade``."""

from __future__ import annotations

import click

from dataseal.cli.context import Context, common


@click.command("upgrade")
@common
def command(context: Context) -> None:
    """Bring a ledger that an older dataseal made to this one's schema: its entries stay byte for byte.

    Make a backup before. Other machines that share the ledger need this dataseal afterwards.
    """
    from dataseal.cli.render import Report
    from dataseal.ledger.store.models import REVISION
    from dataseal.ledger.store.store import Store
    from dataseal.verifiers.verdict import Result

    workspace = context.workspace()
    before = Store.upgrade(workspace.database)
    workspace.log(None)  # which opens with the new schema only
    told = f"has schema {REVISION} already" if before == REVISION else f"went from schema {before} to {REVISION}"
    report = Report()
    report.result(Result.PASSED, f"{workspace.config.ledger.origin} {told}")
    context.emit(str(report), lambda: {"command": "ledger upgrade", "from": before, "to": REVISION})
