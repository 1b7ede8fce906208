"""``ledger check`` of a log that is served or published: everything that can be re-derived from what it serves.

 1. The checkpoint is the log's, and continues what was believed (`dataseal.ledger.view`).
 2. Every tile leads to it, and every entry to its tile (`dataseal.ledger.follow`): all bytes that are served.
 3. Every entry's links, statement and order of admission hold, and nothing stands behind the log's end
    (`dataseal.ledger.judge`).
 4. Each is signed by a key at hand; where the log's list of signers is at hand, by one that it lists for it.

What can't be checked from outside is told: signatures by keys that are not at hand, older checkpoints, and the tables
that a ledger's queries use, none of which are served. Problems are collected up to `MAX_PROBLEMS`. Behind a tile or
bundle that does not hold nothing can be judged: what was not read is told too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dataseal.ledger.admission import Admission
from dataseal.ledger.audit import MAX_PROBLEMS, Problem
from dataseal.ledger.credential import Credential
from dataseal.ledger.errors import DatasealError, Refused, Unavailable, UsageError
from dataseal.ledger.follow import JOBS, Tree
from dataseal.ledger.judge import Judged, as_logged, judge
from dataseal.ledger.replay import open_replay


@dataclass(slots=True)
class ServedAudit:
    """The result.

    Attributes:
        size: entries that the checkpoint covers. entries: of them, those that were read.
        signed: entries whose signature verified with a key at hand.
        unknown: entries by keys that are not at hand, whose signatures were not checked.
        problems: what does not hold.
    """

    size: int
    entries: int = 0
    signed: int = 0
    unknown: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether all that was checked held, and all entries were read."""
        return not self.problems and self.entries == self.size

    def add(self, where: str, what: str) -> None:
        """Adds a problem, up to the limit."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(where, what))


def check(
    tree: Tree,
    *,
    admission: Admission | None = None,
    publishers: Sequence[Credential] = (),
    jobs: int = JOBS,
    progress: Callable[[int], None] | None = None,
) -> ServedAudit:
    """Checks a served log, whose tree is believed (`view.follow`).

    Args:
        admission: who may log what, when it is known: every entry has to be by one of them. publishers: known keys.
        progress: called with the number of entries just checked.

    Raises:
        Unavailable: the log can't be read, and nothing that was read is wrong.
    """
    audit = ServedAudit(tree.size)
    keys = [*publishers, *(admission.credentials() if admission else ())]
    recognise = admission.verify_entry if admission else as_logged
    with open_replay() as replay:
        try:
            for leaf in tree.entries(jobs=jobs):
                _entry(audit, judge(leaf, replay, keys, tree, recognise=recognise), admission)
                audit.entries += 1
                if progress:
                    progress(1)
            replay.succession(tree.checked.log_vkeys).check_end(tree.size)
        except Refused as error:
            audit.add("the log", error.what)
        except UsageError:
            raise
        except DatasealError as error:
            if isinstance(error, Unavailable) and not audit.problems:
                raise
            audit.add(error.where or tree.resources.name, error.what)
    return audit


def _entry(audit: ServedAudit, found: Judged, admission: Admission | None) -> None:
    where = f"entry {found.leaf.index}"
    for _, what in found.problems:
        audit.add(where, what)
    if found.statement is None or found.header is None:
        return
    if found.verified is not None:
        audit.signed += 1
    else:
        audit.unknown += 1
    if admission is None:
        return
    if found.verified is None:
        claimed = f"; it names key {found.claimed[:16]}" if found.claimed else ""
        audit.add(where, f"it is signed by no key that the log lists{claimed}")
        return
    try:
        admission.check_listed(found.verified, kind=found.header.kind, index=found.leaf.index)
    except Refused as error:
        audit.add(where, error.what)
