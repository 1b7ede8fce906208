"""The admission rules over entries as one walks along them, some of which may be unreadable.

An unreadable entry of a dataset may have been a release, or have brought a root, and is given the benefit of the doubt
for one of each; for nothing else, and for no other dataset. What it can't explain is reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dataseal.ledger.admission import Newest, check_order
from dataseal.ledger.digest import sha256
from dataseal.ledger.entry import ENDORSEMENT
from dataseal.ledger.errors import Refused
from dataseal.ledger.statement import EVIDENCE, Statement
from dataseal.ledger.store.view import STATES


@dataclass(slots=True)
class _Dataset:
    newest: Newest | None = None
    versions: set[str] = field(default_factory=set)
    roots: set[str] = field(default_factory=set)
    payloads: set[bytes] = field(default_factory=set)
    releases: int = 0
    states: int = 0


class Order:
    """`admission.History` over the entries so far, which `check` takes."""

    def __init__(self) -> None:
        self._datasets: dict[str, _Dataset] = {}

    def miss(self, dataset: str, count: int = 1) -> None:
        """Takes entries that may be of ``dataset`` and can't be read."""
        known = self._datasets.setdefault(dataset, _Dataset())
        known.releases += count
        known.states += count

    def check(self, statement: Statement, kind: str | None = None) -> None:
        """Holds an entry of ``kind`` (the statement's, unless it is endorsed) against the rules, and takes it.

        Raises:
            Refused: it breaks one, whatever the unreadable entries were. It is taken nevertheless.
        """
        kind = kind or statement.kind
        try:
            check_order(statement, self, kind=kind)
        except Refused:
            if not self._explained(statement, kind):
                raise
        finally:
            if kind in STATES:
                self._add(statement)

    def _explained(self, statement: Statement, kind: str) -> bool:
        known = self._datasets.setdefault(statement.dataset, _Dataset())
        if kind in (ENDORSEMENT, EVIDENCE):
            return known.states > 0  # of any of them, and whatever it was, there may be several
        if statement.kind == "release":
            between = statement.release().sequence - (known.newest.sequence if known.newest else 0) - 1
            if not 0 < between <= known.releases or statement.version in known.versions:
                return False
            known.releases -= between
            return True
        from_ = statement.modification().from_
        if from_ is None or known.states == 0:
            return False
        known.states -= 1
        known.roots.add(from_.root)
        return True

    def _add(self, statement: Statement) -> None:
        known = self._datasets.setdefault(statement.dataset, _Dataset())
        if statement.kind == "release":
            known.newest = Newest(statement.release().sequence, statement.version, statement.root)
            known.versions.add(statement.version)
        known.roots.add(statement.root)
        known.payloads.add(sha256(statement.payload))

    # admission.History

    def newest_release(self, dataset: str) -> Newest | None:
        """The newest release, or None."""
        return known.newest if (known := self._datasets.get(dataset)) else None

    def has_version(self, dataset: str, version: str) -> bool:
        """Whether the version was released."""
        return version in known.versions if (known := self._datasets.get(dataset)) else False

    def has_root(self, dataset: str, root: str) -> bool:
        """Whether a release or modification of the dataset has or leads to the root."""
        return root in known.roots if (known := self._datasets.get(dataset)) else False

    def has_state(self, dataset: str) -> bool:
        """Whether the dataset has any release or modification."""
        return bool(known.roots) if (known := self._datasets.get(dataset)) else False

    def has_statement(self, statement: Statement) -> bool:
        """Whether the log holds this release or modification, of these very bytes, whoever signed it."""
        known = self._datasets.get(statement.dataset)
        return sha256(statement.payload) in known.payloads if known else False
