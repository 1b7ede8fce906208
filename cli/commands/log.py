"""``dataseal log``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dataseal.cli.context import Context, common

if TYPE_CHECKING:
    from dataseal.ledger.store.models import StoredEntry


@click.command("log")
@click.argument("dataset", required=False)
@common
def command(context: Context, dataset: str | None) -> None:
    """Show the ledger's history, oldest first: what was recorded, by whom, and the hash chain that links it.

    DATASET shows one dataset only.
    """
    from dataseal.cli.present import witnesses, witnesses_json
    from dataseal.ledger.errors import UsageError

    workspace = context.workspace()
    log = context.open_log(workspace)
    with log.store.view() as view:
        rows = [row for row in view.entries() if dataset in (None, row.dataset)]
        known = view.datasets()
        head, signed = view.head(), view.signed_head()
    note = signed.cosigned or signed.note
    checked = log.trusted().policy.check(note, require_quorum=False) if note else None
    if dataset and not rows:
        raise UsageError(f"nothing is recorded of {dataset!r}", hint=f"datasets: {', '.join(known) or 'none yet'}")
    entries = [_entry(row) for row in rows]
    context.emit(
        _human(entries, log.origin, head.size, head.root.hex(), witnesses(checked) if checked else "unsigned"),
        lambda: {
            "command": "log",
            "origin": log.origin,
            "size": head.size,
            "root": head.root.hex(),
            "checkpoint": {"size": signed.size, **witnesses_json(checked)} if checked else None,
            "entries": entries,
        },
    )


def _entry(row: StoredEntry) -> dict[str, Any]:
    from dataseal.ledger import entry as entries
    from dataseal.ledger.states import statement_of

    header = entries.parse(row.body).header
    statement = statement_of(row)
    link = header.dataset_prev
    return {
        "index": row.index,
        "leaf": row.leaf.hex(),
        "prev": header.prev.hex() if header.prev else None,
        "dataset_prev": {"index": link.index, "leaf": link.leaf.hex()} if link else None,
        "kind": header.kind,
        "dataset": statement.dataset,
        "version": statement.version,
        "root": statement.root,
        "signer": row.signer,
        "logged_at": row.logged_at,
        "predicate": statement.predicate,
    }


def _human(entries: list[dict[str, Any]], origin: str, size: int, root: str, seen: str) -> str:
    from dataseal.cli.render import Report, count, safe

    report = Report()
    report.line(f"ledger {safe(origin)}: {count(size, 'entry', 'entries')}, root {root}; {seen}")
    for item in entries:
        report.line()
        report.line(
            f"{item['index']:>4}  {safe(item['logged_at'])}  {safe(item['kind']):<12}  "
            f"{safe(item['dataset'])}@{safe(item['version'])}"
        )
        report.line(f"      {safe(_what(item))}")
        report.line(f"      signed by {safe(item['signer'][:16])}")
        report.line(f"      leaf {item['leaf'][:16]}  prev {(item['prev'] or 'none')[:16]}{_dataset_prev(item)}")
    return str(report)


def _dataset_prev(item: dict[str, Any]) -> str:
    link = item["dataset_prev"]
    return f"  dataset_prev {link['index']}:{link['leaf'][:16]}" if link else ""


def _what(item: dict[str, Any]) -> str:
    predicate = item["predicate"]
    if item["kind"] == "modification":
        rows, shards = predicate["counts"]["rows"], predicate["counts"]["shards"]
        return f"{predicate['operation']}: {predicate['reason']} (shards {_signed(shards)}; rows {_signed(rows)})"
    if item["kind"] == "endorsement":
        return f"a further signature over {item['dataset']}@{item['version']}, root {item['root'][:16]}"
    if item["kind"] == "key":
        replaced = f", which replaces {predicate['replaces'][:16]}" if predicate["replaces"] else ""
        return f"announces key {predicate['fingerprint'][:16]}{replaced}: {predicate['reason']}"
    if item["kind"] == "release":
        tree = predicate["tree"]
        what = f"{tree['shards']} shards, {tree['bytes']:,} bytes, root {tree['root'][:16]}"
        return f"sequence {predicate['sequence']}: {what}"
    if item["kind"] == "closed":
        return f"{predicate['reason']}; goes on as {predicate['successor'] or 'no other log'}"
    # A receipt may be another program's: of its predicate nothing is known but that it is an object.
    run = next((value for key, value in predicate.items() if key.endswith("#run") and isinstance(value, dict)), {})
    ended = f", exit code {run['exit_code']}" if "exit_code" in run else ""
    policy = predicate.get("policy")
    uri = policy.get("uri", "?") if isinstance(policy, dict) else "?"
    return f"{predicate.get('verificationResult', '?')} under {uri}, {run.get('phase', '?')} of the run{ended}"


def _signed(counts: dict[str, int | None]) -> str:
    marks = {"added": "+", "removed": "-", "changed": "~"}
    return " ".join(
        f"{mark}{'?' if counts[name] is None else format(counts[name], ',')}" for name, mark in marks.items()
    )
