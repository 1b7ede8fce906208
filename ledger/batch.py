"""What one transaction adds to the log: requests admitted one after the other, each whole or not at all.

A `Batch` stands on the store as its transaction found it and knows what the requests before added, so that an entry is
admitted against, and linked to, earlier entries of the same batch. A request that fails is taken back, and its
neighbours stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from dataseal.ledger import closing as closings
from dataseal.ledger import entry as entries
from dataseal.ledger.admission import Admission, Newest
from dataseal.ledger.closing import Closing, Moved
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import IntegrityError, Refused, SignatureInvalid, VerificationError
from dataseal.ledger.held import StoredHistory, closing_of
from dataseal.ledger.statement import Statement
from dataseal.ledger.store import lookups
from dataseal.ledger.store.store import Head, View
from dataseal.ledger.store.stored import StoredEntry
from dataseal.ledger.store.view import STATES
from dataseal.ledger.tlog import merkle
from dataseal.ledger.verify import VerifiedStatement

TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
MEMORY: Final = 65_536
"""Datasets whose newest entry a writer remembers: some 20 MB; more than that are asked for again."""

_ABSENT: Final[Any] = object()


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an entry stands. ``bundle`` is what the log holds: on ``existed`` it may differ from what was offered."""

    index: int
    header: entries.Header
    bundle: bytes
    existed: bool


class Offer:
    """A verified statement, with what is made of it before the log's lock is taken.

    Attributes:
        row: the entry that is inserted, in which nothing is missing but index, bytes, leaf hash and time.
    """

    __slots__ = ("identity", "key", "row", "statement", "verified", "who")

    def __init__(self, verified: VerifiedStatement) -> None:
        statement = verified.statement
        signer, payload = verified.signer.fingerprint, sha256(statement.payload).hex()
        self.verified = verified
        self.statement = statement
        self.identity = payload, signer
        self.who = statement.dataset, statement.kind, signer
        self.key = lookups.of_payload(statement.root, payload)
        self.row = StoredEntry(
            -1,
            b"",
            signer=signer,
            kind=statement.kind,
            dataset=statement.dataset,
            version=statement.version,
            root=statement.root,
            table_digest=statement.table,
            payload=payload,
        )
        _ = self.row.keys  # is derived once, and kept

    def endorsing(self) -> StoredEntry:
        """The entry as an endorsement: what leads to a release does not lead to its endorsement."""
        known = {name: value for name, value in self.row.__dict__.items() if name != "keys"}
        return StoredEntry(**known | {"kind": entries.ENDORSEMENT})


class Memory:
    """What a writer needs to know of the log's end and keeps from one transaction to the next.

    It holds for one head. When another process wrote meanwhile, the head is another one, and the store is asked.
    """

    def __init__(self) -> None:
        self.root: bytes | None = None
        self.leaf: bytes | None = None
        self.time = ""
        self.closing: Closing | None = None
        self.links: dict[str, entries.Link | None] = {}
        self._admission: Admission | None = None
        self._listed: set[tuple[str, str, str, str]] = set()

    def listed(self, admission: Admission) -> set[tuple[str, str, str, str]]:
        """Datasets, kinds, signers and kinds of entry that these rules were found to list: it holds for any head."""
        if self._admission is not admission or len(self._listed) > MEMORY:
            self._admission, self._listed = admission, set()
        return self._listed

    def of(self, head: Head) -> bool:
        """Whether this is what is known of ``head``."""
        return self.root == head.root and head.size > 0

    def learn(self, head: Head, batch: Batch) -> None:
        """Takes what a committed batch made of the log."""
        # A batch that did not stand on what is remembered found another writer's entries: links from before are stale.
        if batch.memory is not self or len(self.links) + len(batch.links) > MEMORY:
            self.links.clear()
        self.links.update(batch.links)
        self.root, self.leaf, self.time = head.root, batch.leaf, batch.time
        self.closing = batch.closing

    def forget(self) -> None:
        """Forgets all: whether a transaction was committed, is not known."""
        self.root = None
        self.links.clear()


class Batch:
    """Entries that are to be inserted together; also `admission.History` over the store and them.

    Args:
        view: of `Store.appending`. admission: the log's rules. clock: gives the time for ``logged_at``.
        memory: what may be known of the store's head. log: the log's own verifier key, which a closed entry may name.

    Attributes:
        memory: the given one if it holds for the head that the batch stands on, else None.

    Raises:
        IntegrityError: the store's newest entry is not the one that its tree holds.
    """

    def __init__(
        self,
        view: View,
        admission: Admission,
        clock: Callable[[], datetime],
        memory: Memory | None = None,
        *,
        log: str | None = None,
    ) -> None:
        self.rows: list[StoredEntry] = []
        self.leaf: bytes | None = None
        self.time = ""
        self.links: dict[str, entries.Link | None] = {}
        self._view = view
        self._stored = StoredHistory(view)
        self._admission = admission
        self._clock = clock
        self._now: str | None = None
        self._known: dict[Any, Any] = {}
        self._payloads: dict[tuple[str, str], StoredEntry] = {}
        self._listed = memory.listed(admission) if memory else set()
        self._candidates: set[int] = set()
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []
        head = view.head()
        self._size = head.size
        self._log = log
        self._closed: Closing | None = None
        self.memory = memory if memory and memory.of(head) else None
        if self.memory:
            self.leaf, self.time = self.memory.leaf, self.memory.time
            self._closed = self.memory.closing
        elif self._size:
            last = self._demand(self._size - 1)
            self.leaf, self.time = last.leaf, last.logged_at
            self._closed = closing_of(view, log) if log else None

    def expect(self, requests: Iterable[Sequence[Offer]]) -> None:
        """Asks the store at once what it holds of these statements and of their datasets, and not one by one."""
        offers = [offer for request in requests for offer in request]
        self._candidates = self._view.may_hold([offer.key for offer in offers]) if self._size else set()
        known = self.memory.links if self.memory else {}
        datasets = dict.fromkeys([offer.statement.dataset for offer in offers])
        self.links = {name: known[name] for name in datasets if name in known}
        fresh = [name for name in datasets if name not in known]
        indexes = self._view.newest_indexes(fresh) if self._size else {}
        self.links |= {name: self._newest(name, indexes.get(name)) for name in fresh}

    def _newest(self, dataset: str, index: int | None) -> entries.Link | None:
        if index is None:
            return None
        row = self._demand(index)
        if row.dataset != dataset:  # the tables are wrong: the entries decide
            found = self._view.newest(dataset)
            row = self._demand(found.index) if found else row
            return entries.Link(row.index, row.leaf) if found else None
        return entries.Link(row.index, row.leaf)

    def add(self, request: Sequence[Offer]) -> list[Appended]:
        """Admits a request's statements, all or none, in order. `expect` knows of it.

        Raises:
            Refused: the admission rules refuse one. FormatError: one does not fit into an entry.
            IntegrityError: the ledger answers with an entry that is not the one asked for.
        """
        count, leaf, time = len(self.rows), self.leaf, self.time
        self._undo.clear()
        self._now = None
        try:
            return [self._add(offer) for offer in request]
        except BaseException:
            self.leaf, self.time = leaf, time
            for row in self.rows[count:]:
                del self._payloads[row.payload, row.signer]
            del self.rows[count:]
            for of, key, value in reversed(self._undo):
                if value is _ABSENT:
                    del of[key]
                else:
                    of[key] = value
            raise

    def _add(self, offer: Offer) -> Appended:
        verified, statement = offer.verified, offer.statement
        present = self._payloads.get(offer.identity)
        if present is None and offer.key in self._candidates:
            present = self._view.find(*offer.identity, statement.root)
        if present is not None:
            return self._existing(present, verified)
        kind = self._kind(offer)
        self._admit(offer, kind)
        dataset, links = statement.dataset, self.links
        before = links[dataset]
        header = entries.Header(kind, dataset, self._now or self._tell_time(), self.leaf, before)
        row = offer.row if kind == statement.kind else offer.endorsing()
        row.body = body = entries.join(header.encode(), verified.bundle)
        row.index = index = self._size + len(self.rows)
        row.leaf = self.leaf = leaf = merkle.leaf_hash(body)
        row.logged_at = self.time
        self.rows.append(row)
        self._payloads[offer.identity] = row
        self._undo.append((links, dataset, before))
        links[dataset] = entries.Link(index, leaf)
        if kind in STATES:
            self._note_state(statement, offer.identity[0])
        return Appended(index, header, verified.bundle, existed=False)

    def _tell_time(self) -> str:
        """The time of a request: the clock is read once for it."""
        # TIME_FORMAT, in a tenth of the time that strftime takes
        now = self._clock().astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"
        # A clock that jumped back must not make time decrease in the log.
        self._now = self.time = max(self.time, now)
        return self._now

    @property
    def closing(self) -> Closing | None:
        """The entry that closes the log, as the store or this batch has it."""
        return self._known.get(closings.KIND) or self._closed

    def _close(self, statement: Statement) -> None:
        if self.rows:
            raise Moved("the log grew while it was being closed")
        closing = closings.check_position(statement, self._size, lambda: self._view.head().root)
        if closing.log != self._log:
            raise Refused(f"it closes the log {closing.log}, which is not this one")
        self._set(closings.KIND, closing)

    def _kind(self, offer: Offer) -> str:
        """What a statement is logged as: one that somebody else has signed and logged before is endorsed."""
        kind = offer.statement.kind
        if kind not in entries.ENDORSABLE:
            return kind
        return entries.ENDORSEMENT if self.has_statement(offer.statement) else kind

    def _admit(self, offer: Offer, kind: str) -> None:
        if (closed := self.closing) is not None:
            raise closings.refuse_after(closed)
        who = (*offer.who, kind)
        if who not in self._listed:
            self._admission.check_listed(offer.verified, kind=kind, index=self._size + len(self.rows))
            if self._admission.steady:
                self._listed.add(who)
        self._admission.check_order(offer.statement, self, kind=kind)
        if kind == closings.KIND:
            self._close(offer.statement)

    def _existing(self, present: StoredEntry, verified: VerifiedStatement) -> Appended:
        entry = entries.parse(present.body)
        try:  # which key signed it, is the one thing that its bytes only hint at
            held = self._admission.verify_entry(entry, [verified.credential])
            if held.signer.fingerprint != verified.signer.fingerprint:
                raise SignatureInvalid("another signer of the same credential signed it")
        except SignatureInvalid:
            self._demand_stranger(entry, verified)
            raise IntegrityError(
                f"the ledger says that this key signed entry {present.index}, and it did not",
                hint="run `dataseal ledger check`",
            ) from None
        return Appended(present.index, entry.header, entry.bundle, existed=True)

    def _demand_stranger(self, entry: entries.Entry, verified: VerifiedStatement) -> None:
        """Refuses a statement that is logged by one of the same name, whom other rules list; else the name is wrong."""
        try:
            held = self._admission.verify_entry(entry)
        except VerificationError:
            return
        if held.signer.fingerprint == verified.signer.fingerprint:
            raise Refused(
                f"the log holds this statement by {verified.signer.label} of another authority already",
                hint="use the entry that is there: a statement is logged once for each name",
            )

    def _demand(self, index: int) -> StoredEntry:
        row = self._view.entry(index)
        if row is None or self._view.read([(0, index)]) != [row.leaf]:
            raise IntegrityError(
                f"the bytes of entry {index} are not those that the ledger's tree holds",
                hint="run `dataseal ledger check`; nothing was recorded. Restore the ledger from a backup",
            )
        return row

    def _note_state(self, statement: Statement, payload: str) -> None:
        dataset, root = statement.dataset, statement.root
        self._set(("statement", payload), True)
        if statement.kind == "release":
            sequence = statement.predicate["sequence"]  # of a model that was checked before
            self._set(("release", dataset), Newest(sequence, statement.version, root))
            self._set(("version", dataset, statement.version), True)
        self._set(("root", dataset, root), True)
        self._set(("state", dataset), True)

    def _set(self, key: Any, value: Any) -> None:
        self._undo.append((self._known, key, self._known.get(key, _ABSENT)))
        self._known[key] = value

    # admission.History

    def newest_release(self, dataset: str) -> Newest | None:
        """The newest release, or None."""
        known: Newest | None = self._known.get(("release", dataset))
        return known or self._stored.newest_release(dataset)

    def has_version(self, dataset: str, version: str) -> bool:
        """Whether the version was released."""
        return ("version", dataset, version) in self._known or self._stored.has_version(dataset, version)

    def has_root(self, dataset: str, root: str) -> bool:
        """Whether a release or modification of the dataset has or leads to the root."""
        return ("root", dataset, root) in self._known or self._stored.has_root(dataset, root)

    def has_state(self, dataset: str) -> bool:
        """Whether the dataset has any release or modification."""
        return ("state", dataset) in self._known or self._stored.has_state(dataset)

    def has_statement(self, statement: Statement) -> bool:
        """Whether the log holds this release or modification, of these very bytes, whoever signed it."""
        payload = sha256(statement.payload).hex()
        if ("statement", payload) in self._known:
            return True
        held = lookups.of_payload(statement.root, payload) in self._candidates
        return held and self._stored.has_statement(statement)
