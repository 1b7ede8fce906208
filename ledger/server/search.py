"""Which entries match: by dataset, kind, signer, subject digest and time, newest first, through indexes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from dataseal.ledger.store.store import View


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked for; None matches all.

    Attributes:
        dataset, kind, signer: as the entry's columns. subject: a dataset root, or the SHA-256 of a shard table.
        since, until: bounds of ``logged_at``, both included. before: only indexes below.
    """

    before: int
    dataset: str | None = None
    kind: str | None = None
    signer: str | None = None
    subject: str | None = None
    since: str | None = None
    until: str | None = None


def search(view: View, wanted: Search, limit: int) -> list[int]:
    """The newest ``limit`` indexes that match, newest first."""
    found = view.search(
        dataset=wanted.dataset,
        kind=wanted.kind,
        signer=wanted.signer,
        subject=wanted.subject,
        since=wanted.since,
        until=wanted.until,
        before=wanted.before,
    )
    return [row.index for row in islice(found, limit)]
