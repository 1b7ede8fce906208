"""What is told of evidence, to people and to programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataseal.cli.render import safe

if TYPE_CHECKING:
    from dataseal.ledger.errors import DatasealError
    from dataseal.ledger.evidence import Evidence
    from dataseal.verifiers.evidence import VerifiedEvidence


def failure(path: Path, error: DatasealError) -> str:
    """A line about a file that does not hold."""
    hint = f"\n      next  {safe(error.hint)}" if error.hint else ""
    return f"fail  {safe(path)}: {safe(error.what)}{hint}"


def success(path: Path, found: VerifiedEvidence) -> str:
    """Two lines about a file that holds."""
    statement = found.statement
    where = f"entry {found.logged.index} of {safe(found.logged.checked.log)}" if found.logged else "log not checked"
    shape = "published shape" if found.shaped else "shape not known"
    name, who = f"{statement.dataset}@{statement.version}", "/".join(found.endorsed.names)
    return (
        f"pass  {safe(path)}: {safe(found.predicate_type)} ({shape})\n      about {safe(name)}, by {safe(who)}, {where}"
    )


def attached(item: Evidence) -> str:
    """What a line says of a predicate in a file of its own."""
    return f", attached, {item.attached.bytes:,} bytes" if item.attached else ""


def listed(item: Evidence) -> dict[str, Any]:
    """One of the ledger's entries, as JSON."""
    return {
        "index": item.index,
        "kind": item.kind,
        "type": item.predicate_type,
        "signer": item.signer,
        "logged_at": item.logged_at,
        "attached": item.attached.model_dump(mode="json") if item.attached else None,
    }


def verified(found: VerifiedEvidence) -> dict[str, Any]:
    """One that holds, as JSON."""
    return {
        "dataset": found.statement.dataset,
        "version": found.statement.version,
        "type": found.predicate_type,
        "shape_checked": found.shaped,
        "signers": list(found.endorsed.names),
        "log": found.logged.checked.log if found.logged else None,
        "index": found.logged.index if found.logged else None,
    }
