"""``dataseal ledger show``."""

from __future__ import annotations

from typing import Any

import click

from dataseal.cli.commands.ledger_group.sources import head_json, reading, tree_of
from dataseal.cli.context import Context, common
from dataseal.cli.trusting import read_publishers


@click.command("show")
@click.argument("index", type=click.IntRange(min=0))
@click.option("--publisher", "publishers", multiple=True, metavar="PUBKEY",
              help="Whose signature to check; default: the keys that the workspace's log lists.")  # fmt: skip
@reading
@common
def command(context: Context, index: int, publishers: tuple[str, ...], source: str | None, log: str | None) -> None:
    """Show entry INDEX: what the log says of it, its statement, and who signed it."""
    from dataseal.cli.render import Report, dumps
    from dataseal.ledger.inclusion import read_entry

    tree = tree_of(context, source, log)
    keys: Any = read_publishers(publishers)
    if not keys and source is None:
        keys = context.workspace().admission().credentials()
    found = read_entry(tree.entry(index), keys)
    header, statement = found.header, found.statement
    link = header.dataset_prev
    document = {
        "command": "ledger show",
        "index": index,
        "leaf": found.leaf.leaf.hex(),
        "bytes": len(found.leaf.body),
        "header": {
            "kind": header.kind,
            "dataset": header.dataset,
            "logged_at": header.logged_at,
            "prev": header.prev.hex() if header.prev else None,
            "dataset_prev": {"index": link.index, "leaf": link.leaf.hex()} if link else None,
        },
        "statement": {
            "predicate_type": statement.predicate_type,
            "dataset": statement.dataset,
            "version": statement.version,
            "root": statement.root,
            "table": statement.table,
            "predicate": statement.predicate,
        },
        "signer": found.signer.fingerprint if found.signer else None,
        "claimed_signer": found.claimed,
        "head": head_json(tree.checked),
    }
    report = Report()
    report.pair("log", f"{tree.checkpoint.origin}, size {tree.size}")
    report.pair("entry", f"{index}, leaf {found.leaf.leaf.hex()}, {len(found.leaf.body):,} bytes")
    report.pair("logged at", f"{header.logged_at}, by the log's own clock")
    report.pair("prev", header.prev.hex() if header.prev else "none: the log's first entry")
    report.pair("", f"of the dataset: {f'entry {link.index}, {link.leaf.hex()}' if link else 'none: its first entry'}")
    report.pair("statement", f"{statement.kind} of {statement.dataset}@{statement.version}")
    report.pair("root", statement.root)
    by = found.signer.fingerprint if found.signer else f"not checked; the bundle names key {found.claimed or 'none'}"
    report.pair("signed by", by)
    report.line(dumps(statement.predicate))
    context.emit(str(report), lambda: document)
