"""Admission: what a log accepts, as pure rules over what it holds already.

Enforced by the log, and checked again by whoever audits it (DESIGN section 3):

 1. the log's configuration lists the signer's credential for the dataset, the kind of entry, and the entry's index;
 2. a release follows the dataset's newest sequence and names the release before it; its version is new;
 3. a modification starts from a root that the dataset is known to have had, or from nothing when the dataset is new;
 4. an endorsement is over the very bytes of a release or modification that the log holds. Who is listed for those may
    endorse them; a rule for ``endorsement`` lists who may do only that;
 5. evidence is about a state of the dataset that the log knows;
 6. nothing follows the entry that closes the log (`dataseal.ledger.closing`).

A credential that is not to log any more keeps its rule, with an end: the entries that it logged stay admitted.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dataseal.ledger.credential import Credential
from dataseal.ledger.entry import ENDORSABLE, ENDORSEMENT, Entry
from dataseal.ledger.errors import Refused
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.statement import EVIDENCE, MODIFICATION, RELEASE, Statement
from dataseal.ledger.timestamp import TimestampAuthority
from dataseal.ledger.verify import VerifiedStatement, recognised, trusted_times_of, verify_bundle


@dataclass(frozen=True, slots=True)
class Rule:
    """Credentials that may log entries of some kinds for some datasets (globs; ``*`` crosses slashes).

    Attributes:
        start, stop: the first index that the rule admits, and the first that it does not any more.
    """

    datasets: tuple[str, ...]
    kinds: tuple[str, ...]
    credentials: tuple[Credential, ...]
    start: int = 0
    stop: int | None = None

    def covers(self, dataset: str, kind: str) -> bool:
        """Whether the rule speaks of this dataset and kind."""
        return kind in self.kinds and any(fnmatch.fnmatchcase(dataset, glob) for glob in self.datasets)

    def holds_at(self, index: int | None) -> bool:
        """Whether the rule admits an entry of this index; None: of any."""
        return index is None or (self.start <= index and (self.stop is None or index < self.stop))


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

    def has_statement(self, statement: Statement) -> bool:
        """Whether the log holds this release or modification, of these very bytes, whoever signed it."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The log's rules, and the timestamp authorities that tell it how old a certificate's signature is."""

    rules: Sequence[Rule]
    authorities: tuple[TimestampAuthority, ...] = ()

    def credentials(self) -> tuple[Credential, ...]:
        """Every credential that the log lists, once."""
        return tuple({one.fingerprint: one for rule in self.rules for one in rule.credentials}.values())

    def verify(self, raw: bytes, *, now: datetime) -> VerifiedStatement:
        """Verifies a bundle by whoever the rules list; rule 1 is `check_listed`.

        Args:
            now: where no authority tells the time, a certificate is judged at this one: the clock, when an entry
                comes. One that is logged already, `verify_entry` verifies.

        Raises:
            FormatError, SignatureInvalid: it does not verify.
        """
        return self._verify(raw, self.credentials(), now)

    def verify_entry(self, entry: Entry, credentials: Sequence[Credential] | None = None) -> VerifiedStatement:
        """Verifies an entry that was admitted before, as its log did then: at an authority's time, else ``logged_at``.

        It is for whoever holds a log of one's own to its own rules: ``logged_at`` is the log's word (`entry`).

        Args:
            credentials: who may have signed it; None: whoever the rules list.

        Raises:
            FormatError, SignatureInvalid: it does not verify.
        """
        return self._verify(entry.bundle, self.credentials() if credentials is None else credentials, entry.header.at)

    def _verify(self, raw: bytes, credentials: Sequence[Credential], now: datetime) -> VerifiedStatement:
        return verify_bundle(raw, credentials, times=trusted_times_of(raw, self.authorities), now=now)

    @property
    def bounded(self) -> bool:
        """Whether some rule does not hold for every index."""
        return any(rule.start or rule.stop is not None for rule in self.rules)

    @property
    def steady(self) -> bool:
        """Whether rule 1 says the same of a signer's every entry of one dataset and kind: a verdict may be kept.

        It does when keys alone are listed, for every index. Whom a certificate speaks for depends on the bundle's chain
        and on the time, and a name that one authority certifies may be somebody else's under another.
        """
        return not self.bounded and all(isinstance(one, PublicKey) for rule in self.rules for one in rule.credentials)

    def check(self, verified: VerifiedStatement, history: History, *, kind: str, index: int) -> None:
        """Checks rules 1 to 5 for a verified statement that is logged as ``kind`` at ``index``.

        Raises:
            Refused: naming the rule that refuses it.
        """
        self.check_listed(verified, kind=kind, index=index)
        self.check_order(verified.statement, history, kind=kind)

    def check_order(self, statement: Statement, history: History, *, kind: str | None = None) -> None:
        """Checks rules 2 to 5, which need no list of signers.

        Raises:
            Refused: naming the rule that refuses it.
        """
        check_order(statement, history, kind=kind)

    def lists(self, verified: VerifiedStatement, *, kind: str | None = None, index: int | None = None) -> bool:
        """Whether a rule lists the signer for the statement's dataset.

        Args:
            kind: of the entry; None: any kind that the statement can be logged as. index: of the entry; None: any.
        """
        statement = verified.statement
        kinds = {statement.kind}
        if statement.kind in ENDORSABLE and kind in (None, ENDORSEMENT):
            kinds.add(ENDORSEMENT)
        return any(
            rule.holds_at(index)
            and any(rule.covers(statement.dataset, one) for one in kinds)
            and any(recognised(verified, credential) for credential in rule.credentials)
            for rule in self.rules
        )

    def check_listed(self, verified: VerifiedStatement, *, kind: str | None = None, index: int | None = None) -> None:
        """Checks rule 1, which needs no history.

        Raises:
            Refused: the signer is not listed for the dataset, kind and index.
        """
        if not self.lists(verified, kind=kind, index=index):
            statement = verified.statement
            raise Refused(
                f"the log does not list key {verified.signer.fingerprint[:16]} for a {kind or statement.kind} "
                f"of {statement.dataset!r}" + (f" at index {index}" if self.bounded else ""),
                hint="add it under [[admission]] in dataseal.toml, or sign with a key that is listed",
            )


def check_order(statement: Statement, history: History, *, kind: str | None = None) -> None:
    """Checks rules 2 to 5, which need no list of signers: what monitors can hold any log to.

    Args:
        kind: of the entry; the statement's when None.

    Raises:
        Refused: naming the rule that refuses it.
    """
    if kind == ENDORSEMENT:
        _endorsement(statement, history)
    elif statement.kind == EVIDENCE:
        _evidence(statement, history)
    elif statement.predicate_type == RELEASE:
        _release(statement, history)
    elif statement.predicate_type == MODIFICATION:
        _modification(statement, history)


def _endorsement(statement: Statement, history: History) -> None:
    if not history.has_statement(statement):
        raise Refused(
            f"the log holds no such {statement.kind} of {statement.dataset!r}: only what is logged can be endorsed",
            hint="fetch the release again: the bytes must be those that its publisher logged",
        )


def _evidence(statement: Statement, history: History) -> None:
    if not history.has_root(statement.dataset, statement.root):
        raise Refused(
            f"root {statement.root[:16]}… is no recorded state of {statement.dataset!r}: evidence is about one",
            hint="`dataseal evidence subject TARGET` prints the subject of a release",
        )


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
