"""``ledger check``: every hash, link, tile, proof and signature, re-derived from the stored entries alone.

For each entry, in order (`dataseal.ledger.checks.chain`):
 1. its segment follows and holds as many entries as it says; its bytes have the leaf hash that the tree holds;
 2. ``prev`` is the entry's before it, ``dataset_prev`` the dataset's, and ``logged_at`` does not decrease;
 3. the name that it is listed under says what the header says.
Over the leaves (`dataseal.ledger.checks.tree`):
 4. every stored tile is that of the leaves, at every level, and there is no other one: all that a proof is made of, so
    that the proof of every entry in every tree leads to its root, and none is made here to try;
 5. every head's root is the root of that many leaves, and its checkpoint is signed by the log's key over it.
Of each entry's statement (`dataseal.ledger.checks.statements`):
 6. its bundle verifies with a key that the log lists, header and statement agree, the name says who signed it;
 7. the admission rules admit it again, unreadable entries before it notwithstanding (`dataseal.ledger.checks.order`);
    nothing stands behind an entry that closed the log;
 8. the tables that lead to entries are those of the entries, no row more or less.

Of the whole ledger:
 9. it still holds the newest checkpoint that was believed of its log (`dataseal.ledger.view`): a restored old copy is
    whole in itself.

Without signatures, 6 to 8 are left out, but for entries that close a log, and of the checkpoints the newest one's
signature alone is verified. What is left still binds every byte of every entry, and their order, to that checkpoint.

Problems are collected, not raised: a damaged ledger is described whole, up to `MAX_PROBLEMS`. Each entry is judged by
itself: one that was changed does not put the blame on those after it. All is read in one pass, a few segments at a
time: memory grows with the number of datasets and states, and not with that of entries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dataseal.ledger.checks.chain import Chain
from dataseal.ledger.checks.statements import Statements, processes
from dataseal.ledger.checks.tree import Tree
from dataseal.ledger.errors import VerificationError
from dataseal.ledger.log import Log
from dataseal.ledger.view import Views

MAX_PROBLEMS: Final = 100
"""A ledger that is wrong in more places is described well enough."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not hold: where in the ledger, and what."""

    where: str
    what: str


@dataclass(slots=True)
class Audit:
    """The result: what was checked, and what does not hold."""

    signatures: bool = True
    entries: int = 0
    heads: int = 0
    tiles: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether everything held."""
        return not self.problems

    def add(self, where: str, what: str) -> None:
        """Adds a problem, up to the limit."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(where, what))


def check(
    log: Log,
    progress: Callable[[int], None] | None = None,
    *,
    signatures: bool = True,
    jobs: int | None = None,
    found: Callable[[Problem], None] | None = None,
    views: Views | None = None,
) -> Audit:
    """Checks a whole ledger.

    Args:
        progress: called with the number of entries just checked.
        signatures: check the statements and their signatures too, which costs most of the time.
        jobs: processes that verify signatures; as many as there are cores for a large ledger, when not given.
        found: called with each problem when it is found; all of them, however many.
        views: what was believed of the log, which the ledger must still hold.

    Raises:
        IntegrityError: the database can't be read at all. Unavailable: it is locked. UsageError: a view is damaged.
    """
    audit = Audit(signatures=signatures)

    def report(where: str, what: str) -> None:
        audit.add(where, what)
        if found:
            found(Problem(where, what))

    with log.store.view() as view:
        tree = Tree(view, log, report, signatures=signatures)
        workers = processes(view.head().size) if jobs is None else jobs
        statements = Statements(view, log, report, signatures=signatures, jobs=workers)
        with statements.working():
            for read in Chain(view, report, statements.kinds).walk():
                tree.extend(read.leaves)
                statements.take(read)
                audit.entries += len(read.leaves)
                if progress:
                    progress(len(read.leaves))
            statements.finish(audit.entries)
        tree.finish()
        if views is not None:
            try:
                views.demand_kept(log.trusted().policy, log.origin, view, view.head().size)
            except VerificationError as error:
                report("what was believed of the log", error.what)
        audit.heads, audit.tiles = tree.heads, tree.tiles
    return audit
