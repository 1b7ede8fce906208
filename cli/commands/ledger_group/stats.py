"""``dataseal ledger stats``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dataseal.cli.commands.ledger_group.sources import own_log
from dataseal.cli.context import Context, common


@click.command("stats")
@common
def command(context: Context) -> None:
    """Show what the ledger holds: entries by kind and dataset, bytes, its head and who signed that."""
    from dataseal.cli.present import witnesses, witnesses_json
    from dataseal.cli.render import Report, count, size
    from dataseal.ledger.published import PublishedLog

    log = own_log(context)
    path = log.copy if isinstance(log, PublishedLog) else context.workspace().ledger
    with log.store.view() as view:
        tally = view.tally()
        head, signed, published = view.head(), view.signed_head(), log.publishable(view)
    on_disk = sum(p.stat().st_size for p in _files(path))
    entries, data = sum(t.entries for t in tally), sum(t.bytes for t in tally)
    checked = log.quorum.check(signed) if signed.size else None
    signatures = [*checked.signed.log_signatures, *checked.signed.cosignatures] if checked else []
    kinds: dict[str, int] = {}
    datasets: dict[str, dict[str, int]] = {}
    for item in tally:
        kinds[item.kind] = kinds.get(item.kind, 0) + item.entries
        datasets.setdefault(item.dataset, {})[item.kind] = item.entries
    document: dict[str, Any] = {
        "command": "ledger stats",
        "origin": log.origin,
        "size": head.size,
        "root": head.root.hex(),
        "signed_size": signed.size,
        "signatures": [signature.name for signature in signatures],
        "checkpoint": witnesses_json(checked) if checked else None,
        "publishable_size": published.size,
        "entries": entries,
        "kinds": kinds,
        "datasets": datasets,
        "entry_bytes": data,
        "file_bytes": on_disk,
        "overhead_per_entry": round((on_disk - data) / entries, 1) if entries else None,
    }
    report = Report()
    report.pair("log", log.origin)
    report.pair("head", f"size {head.size}, root {head.root.hex()}")
    unsigned = f"; {count(head.size - signed.size, 'entry', 'entries')} after it" if head.size != signed.size else ""
    report.pair("checkpoint", f"size {signed.size}{unsigned}" if signed.note else "none yet")
    if checked:
        by = "".join(f", {seen.name}" for seen in checked.cosignatures)
        report.pair("cosigned", f"{witnesses(checked)}{by}")
    if published.size < signed.size:
        waiting = count(signed.size - published.size, "entry waits", "entries wait")
        report.pair("published", f"up to size {published.size}: {waiting} for the log's witnesses")
    report.pair("entries", f"{entries:,}" + "".join(f"; {n:,} {kind}" for kind, n in sorted(kinds.items())))
    for name, held in sorted(datasets.items())[: None if context.verbose else 40]:
        report.pair("", f"{name}: {', '.join(f'{n:,} {kind}' for kind, n in sorted(held.items()))}")
    if len(datasets) > 40 and not context.verbose:
        report.pair("", f"and {len(datasets) - 40} more datasets; -v shows them")
    report.pair("bytes", f"{size(data)} in entries, {size(on_disk)} on disk")
    if entries:
        report.pair("", f"{data / entries:,.0f} an entry, and {(on_disk - data) / entries:,.0f} around it")
    context.emit(str(report), lambda: document)


def _files(path: Path) -> list[Path]:
    """The database with what belongs to it."""
    beside = (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm"))
    return [p for p in beside if p.is_file()]
