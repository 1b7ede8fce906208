"""``dataseal log``."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataseal.cli.context import Context, common

if TYPE_CHECKING:
    from dataseal.ledger.store.models import StoredEntry


@click.command("log")
@click.argument("dataset", required=False)
@click.option(
    "--kind", metavar="KIND", help="Entries of a kind: release, modification, endorsement, receipt, key, closed."
)
@click.option("--signer", metavar="FILE|FINGERPRINT", help="Entries signed by this public key.")
@click.option("--subject", metavar="DIGEST", help="Entries about this dataset root, or the shard table's SHA-256.")
@click.option("--since", metavar="TIME", help="Logged at this time (UTC) or later: 2026-01-02, 2026-01-02T03:04:05Z.")
@click.option("--until", metavar="TIME", help="Logged at this time or before; a day is meant with all its hours.")
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="The newest N only.")
@common
def command(context: Context, dataset: str | None, limit: int | None, **options: str | None) -> None:
    """Show the ledger's history, oldest first: what was recorded, by whom, and the hash chain that links it.

    DATASET shows one dataset only. Options narrow it down, through the ledger's indexes. A ledger server is asked what
    matches: each entry is proven to be in the log; that none was left out is proven of a DATASET's chain alone.
    """
    from dataseal.cli.present import witnesses, witnesses_json
    from dataseal.ledger.errors import UsageError
    from dataseal.ledger.remote.log import RemoteLog

    wanted: dict[str, Any] = {"dataset": dataset, **_wanted(options)}
    log = context.open_log(context.workspace())
    with log.store.view() as view:
        narrowed = limit is not None or any(wanted.values())
        rows = list(islice(view.search(**wanted), limit))[::-1] if narrowed else list(view.entries())
        head, signed = view.head(), view.signed_head()
        if dataset and not rows and view.newest(dataset) is None:
            known = ", ".join(view.datasets()) or "none yet"
            raise UsageError(f"nothing is recorded of {dataset!r}", hint=f"datasets: {known}")
    if narrowed and dataset is None and isinstance(log, RemoteLog):
        context.note("the server says what matches; that it left nothing out is not proven")
    note = signed.cosigned or signed.note
    checked = log.trusted().policy.check(note, require_quorum=False) if note else None
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


def _wanted(options: dict[str, str | None]) -> dict[str, str | None]:
    """What the options ask for, as `search` takes it.

    Raises:
        UsageError: an unknown kind, or no digest, fingerprint or time.
    """
    from dataseal.ledger.digest import parse_hex
    from dataseal.ledger.entry import ENTRY_KINDS
    from dataseal.ledger.errors import FormatError, UsageError
    from dataseal.ledger.signers.keyfile import load_public

    kind, signer, subject = options["kind"], options["signer"], options["subject"]
    if kind is not None and kind not in ENTRY_KINDS:
        raise UsageError(f"--kind {kind!r} is no kind of entry", hint=f"one of {', '.join(ENTRY_KINDS)}")
    try:
        if signer is not None and Path(signer).is_file():
            signer = load_public(Path(signer)).fingerprint
        elif signer is not None:
            parse_hex(signer, field="--signer")
        if subject is not None:
            parse_hex(subject, field="--subject")
    except FormatError as error:
        raise UsageError(error.what, hint="give all 64 digits; --format json shows them, and --signer takes a file"
                         ) from None  # fmt: skip
    since, until = (_time(options[name], name, end) for name, end in (("since", "00:00:00"), ("until", "23:59:59")))
    return {"kind": kind, "signer": signer, "subject": subject, "since": since, "until": until}


def _time(text: str | None, name: str, rest_of_day: str) -> str | None:
    from datetime import datetime

    from dataseal.ledger.errors import UsageError

    if text is None:
        return None
    whole = f"{text}T{rest_of_day}Z" if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else text
    try:
        # Held against what it means: the log compares times as text.
        if datetime.strptime(whole, "%Y-%m-%dT%H:%M:%SZ").strftime("%Y-%m-%dT%H:%M:%SZ") == whole:  # noqa: DTZ007  UTC
            return whole
    except ValueError:
        pass
    raise UsageError(f"--{name} {text!r} is no time", hint="such as 2026-01-02 or 2026-01-02T03:04:05Z, in UTC")


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
        "predicate_type": statement.predicate_type,
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
    if item["kind"] == "evidence":
        return f"evidence about {item['dataset']}@{item['version']}: {item['predicate_type']}"
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
