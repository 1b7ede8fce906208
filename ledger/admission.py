"""Admission: what a log accepts, as pure rules over what it holds already.

Enforced by the log, and checked again by whoever audits it (DESIGN section 3):

 1. the log's configuration lists the signer's credential for the dataset and the kind of entry;
 2. a release follows the dataset's newest sequence and names the release before it; its version is new;
 3. a modification starts from a root that the dataset is known to have had, or from nothing when the dataset is new;
 4. nothing follows the entry that closes the log (`dataseal.ledger.closing`).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dataseal.ledger.credential import Credential
from dataseal.ledger.errors import Refused
from dataseal.ledger.statement import MODIFICATION, RELEASE, Statement
from dataseal.ledger.verify import VerifiedStatement, recognised


@dataclass(frozen=True, slots=True)
class Rule:
    """Credentials that may log entries of some kinds for some datasets (globs; ``*`` crosses slashes)."""

    datasets: tuple[str, ...]
    kinds: tuple[str, ...]
    credentials: tuple[Credential, ...]

    def covers(self, dataset: str, kind: str) -> bool:
        """Whether the rule speaks of this dataset and kind."""
        return kind in self.kinds and any(fnmatch.fnmatchcase(dataset, glob) for glob in self.datasets)


@dataclass(frozen=True, slots=True)
class Newest:
    """A dataset's newest release."""

    sequence: int
    version: str
    root: str


class History(Protocol):
    """What the rules ask about the log so far."""

    def newest_release(self, dataset: str) -> Newest | None:
        """The newest release, or None."""

    def has_version(self, dataset: str, version: str) -> bool:
        """Whether the version was released."""

    def has_root(self, dataset: str, root: str) -> bool:
        """Whether a release or modification of the dataset has or leads to the root."""

    def has_state(self, dataset: str) -> bool:
        """Whether the dataset has any release or modification."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The log's rules."""

    rules: Sequence[Rule]

    def credentials(self) -> tuple[Credential, ...]:
        """Every credential that the log lists, once."""
        return tuple({one.fingerprint: one for rule in self.rules for one in rule.credentials}.values())

    def check(self, verified: VerifiedStatement, history: History) -> None:
        """Checks rules 1 to 3 for a verified statement.

        Raises:
            Refused: naming the rule that refuses it.
        """
        self.check_listed(verified)
        self.check_order(verified.statement, history)

    def check_order(self, statement: Statement, history: History) -> None:
        """Checks rules 2 and 3, which need no list of signers.

        Raises:
            Refused: naming the rule that refuses it.
        """
        check_order(statement, history)

    def lists(self, verified: VerifiedStatement) -> bool:
        """Whether a rule lists the signer for the statement's dataset and kind."""
        statement = verified.statement
        return any(
            rule.covers(statement.dataset, statement.kind)
            and any(recognised(verified, credential) for credential in rule.credentials)
            for rule in self.rules
        )

    def check_listed(self, verified: VerifiedStatement) -> None:
        """Checks rule 1, which needs no history.

        Raises:
            Refused: the signer is not listed for the dataset and kind.
        """
        if not self.lists(verified):
            statement = verified.statement
            raise Refused(
                f"the log does not list key {verified.signer.fingerprint[:16]} for a {statement.kind} "
                f"of {statement.dataset!r}",
                hint="add it under [[admission]] in dataseal.toml, or sign with a key that is listed",
            )


def check_order(statement: Statement, history: History) -> None:
    """Checks rules 2 and 3, which need no list of signers: what monitors can hold any log to.

    Raises:
        Refused: naming the rule that refuses it.
    """
    if statement.predicate_type == RELEASE:
        _release(statement, history)
    elif statement.predicate_type == MODIFICATION:
        _modification(statement, history)


def _release(statement: Statement, history: History) -> None:
    release = statement.release()
    newest = history.newest_release(statement.dataset)
    wanted = newest.sequence + 1 if newest else 1
    if release.sequence != wanted:
        raise Refused(f"{statement.dataset}@{statement.version} has sequence {release.sequence}; {wanted} comes next")
    previous = (release.previous.version, release.previous.root) if release.previous else None
    if previous != ((newest.version, newest.root) if newest else None):
        raise Refused(f"{statement.dataset}@{statement.version} does not name the newest release as its previous")
    if history.has_version(statement.dataset, statement.version):
        raise Refused(f"{statement.dataset}@{statement.version} is released already")


def _modification(statement: Statement, history: History) -> None:
    modification = statement.modification()
    if modification.from_ is None:
        if history.has_state(statement.dataset):
            raise Refused(
                f"{statement.dataset!r} has states already: a modification of it starts from one of them",
                hint=f"name it, such as {statement.dataset}@head",
            )
    elif not history.has_root(statement.dataset, modification.from_.root):
        raise Refused(
            f"root {modification.from_.root[:16]}… is no recorded state of {statement.dataset!r}",
            hint="record how the dataset got there first, or start from a recorded state",
        )
