"""The log: admit, append, sign the head, prove.

The order of a durable append (DESIGN section 4): entries, tiles and head in one transaction, *then* the checkpoint is
signed, *then* witnesses are asked (`dataseal.ledger.witness.cosigning`), *then* it is published
(`Log.after_checkpoint`). A crash in between leaves a head without a checkpoint, which the next use signs, or a
checkpoint without cosignatures, for which the next use asks. The head's root is re-derived from the tiles before
anything is added to it, and a size has one head row: no two roots are ever signed for one size.

What is appended is acknowledged once it is logged, whatever the witnesses say. What proves it, and what is published,
waits for their quorum (`Log.prove`, `Log.publishable`).

The checkpoint's own transaction need not reach the disk before it is used: after a power cut that undid it, the same
root is signed for the same size again.

Appends are idempotent by (SHA-256 of the payload, signer), since ECDSA signatures are randomised: appending a statement
again gives the entry that is there, with the bundle that is in it. Threads that append at once share a transaction
(`dataseal.ledger.committer`); processes take turns. While witnesses are asked, further appends gather.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from dataseal.ledger import closing as closings
from dataseal.ledger import entry as entries
from dataseal.ledger.admission import Admission
from dataseal.ledger.batch import TIME_FORMAT, Appended, Batch, Memory, Offer
from dataseal.ledger.closing import Closing
from dataseal.ledger.committer import Committer, Request
from dataseal.ledger.errors import DatasealError, IntegrityError, Refused, Unavailable, UsageError
from dataseal.ledger.held import StoredHistory, closing_of
from dataseal.ledger.store.database import Contended
from dataseal.ledger.store.store import Head, Store, View
from dataseal.ledger.store.stored import StoredEntry
from dataseal.ledger.store.view import Reading
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from dataseal.ledger.tlog.note import Signer as NoteSigner
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.tlog.proof import LogProof
from dataseal.ledger.trust import TrustedLog
from dataseal.ledger.witness.quorum import Quorum, merged

if TYPE_CHECKING:
    from dataseal.ledger.witness.cosigning import Cosigning

__all__ = ["TIME_FORMAT", "Appended", "Log", "StoredHistory"]

ATTEMPTS: Final = 5
"""Times that a transaction is tried which the database gives up for another writer's."""

Hook = Callable[[bytes, Store], None]
"""Told a checkpoint that may be published, with its cosignatures, and the store."""

_journal = logging.getLogger("dataseal.ledger")


class Log:
    """One transparency log over a store.

    Args:
        store: where it lives. origin: the checkpoint's origin line.
        signers: the log's note signers, the Ed25519 one first; None opens the log for reading.
        admission: who may log what.
        clock: gives the time for ``logged_at``, in UTC.
        after_checkpoint: what is done, in order, with each new checkpoint once it may be published. What one raises,
            the append raises, whose entries are logged nevertheless.
    """

    def __init__(
        self,
        store: Store,
        *,
        origin: str,
        signers: Sequence[NoteSigner] | None,
        admission: Admission,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        after_checkpoint: Sequence[Hook] = (),
    ) -> None:
        with store.view() as view:
            meta = view.meta()
        if missing := {"origin", "log_key"} - set(meta):
            raise IntegrityError(f"the ledger does not say its {' and '.join(sorted(missing))}: it is damaged")
        if meta["origin"] != origin:
            raise UsageError(f"the ledger's origin is {meta['origin']!r}; the configuration says {origin!r}")
        self.vkey = meta["log_key"]
        # A head is signed once: by another key it would stay unprovable for good.
        if signers is not None and not any(self.vkey.startswith(f"{s.name}+{s.key_id.hex()}+") for s in signers):
            raise UsageError(
                "the log key is not the one that this ledger was made with",
                hint=f"use the private key of {self.vkey}",
            )
        self.store = store
        self.origin = origin
        self.admission = admission
        self._signers = signers
        self._clock = clock
        self.cosigning: Cosigning | None = None
        self.quorum = Quorum(policy_for_log(self.vkey))
        self.after_checkpoint = list(after_checkpoint)
        self._memory = Memory()
        self._committer: Committer[Offer, list[Appended]] = Committer(self._commit)

    def witnessed_by(self, cosigning: Cosigning) -> None:
        """Has witnesses cosign what is signed from now on; without any, a checkpoint leaves as it was signed."""
        self.cosigning = cosigning
        self.quorum = cosigning.quorum

    def trusted(self) -> TrustedLog:
        """This log as its own operator trusts it: by its verifier key, with its own witnesses."""
        return TrustedLog("this log", self.quorum.policy)

    def publishable(self, view: Reading) -> Head:
        """The newest head that may be published: cosigned by the quorum, or any when it fails open; else `EMPTY`."""
        return self.quorum.publishable(view)

    def append(self, bundles: Sequence[bytes]) -> list[Appended]:
        """Admits and appends bundles, all or none, in order.

        Raises:
            FormatError, SignatureInvalid: a bundle does not verify with a key that the log lists.
            Refused: the admission rules refuse one.
            UsageError: the log was opened for reading.
            Unavailable: the ledger is locked, or can't be written.
            Rollback: a witness knows entries by this log's key that this ledger does not hold. If it could be told
                beforehand, nothing was logged.
        """
        self._note_signers()
        offers = [Offer(self.admission.verify(bundle, now=self._clock())) for bundle in bundles]
        if any(offer.statement.kind == closings.KIND for offer in offers):
            raise Refused(
                "a log is closed by its operator alone, and not by whoever signs the statement",
                hint="run `dataseal ledger close` where the ledger is",
            )
        return self._submit(offers) if offers else []

    def _submit(self, offers: Sequence[Offer]) -> list[Appended]:
        if self.cosigning is not None:
            self.cosigning.look(self.store, self.origin)
        return self._committer.submit(offers, sum(len(offer.verified.bundle) for offer in offers))

    def close(self, sign: Callable[[bytes], bytes], *, reason: str, successor: str | None = None) -> Appended:
        """Ends the log for good: its final entry, which names the log that goes on with the tree, if one does.

        Args:
            sign: makes the bundle of a statement's bytes. successor: that log's verifier key.

        Returns:
            the final entry; the one that is there when the log was closed before.

        Raises:
            UsageError: it was closed before with another successor; or one of the arguments can't stand in a statement.
            Refused: the log does not list the signer for the kind ``closed``. And as `append`.
        """
        self._note_signers()
        for _ in range(ATTEMPTS):
            with self.store.view() as view:
                head, closing = view.head(), closing_of(view, self.vkey)
                if closing is not None:
                    return self._closed_before(view, closing, successor)
            payload = closings.closed(self.vkey, size=head.size, root=head.root, reason=reason, successor=successor)
            bundle = sign(payload)
            offer = Offer(self.admission.verify(bundle, now=self._clock()))
            try:
                return self._submit([offer])[0]
            except closings.Moved:
                continue  # others are logging: the statement is about the tree as it is
        raise Unavailable("the log keeps growing while it is being closed", hint="stop what logs to it, and try again")

    def closing(self) -> Closing | None:
        """The entry that closed this log, if it is closed."""
        with self.store.view() as view:
            return closing_of(view, self.vkey)

    def _closed_before(self, view: View, closing: Closing, successor: str | None) -> Appended:
        if successor != closing.successor:
            raise UsageError(
                f"the log is closed: {closing.described()}",
                hint="a log ends once: say the same successor, or none if that names none",
            )
        row = view.entry(closing.index)
        if row is None:
            raise IntegrityError(f"entry {closing.index} vanished from the ledger", hint="run `dataseal ledger check`")
        entry = entries.parse(row.body)
        return Appended(closing.index, entry.header, entry.bundle, existed=True)

    def _commit(self, group: Sequence[Request[Offer, list[Appended]]]) -> None:
        """Appends requests in one transaction, and signs the head that it makes."""
        for attempt in range(ATTEMPTS):
            try:
                results = self._transact(group)
                break
            except Contended as error:
                if attempt == ATTEMPTS - 1:
                    raise Unavailable(error.what, hint=error.hint) from error
        if any(not one.existed for result in results if isinstance(result, list) for one in result):
            self.checkpoint()
        for request, result in zip(group, results, strict=True):
            if isinstance(result, list):
                request.succeed(result)
            else:
                request.fail(result)

    def _transact(self, group: Sequence[Request[Offer, list[Appended]]]) -> list[list[Appended] | DatasealError]:
        results: list[list[Appended] | DatasealError] = []
        memory = self._memory
        with self.store.appending() as view:
            batch = Batch(view, self.admission, self._clock, memory, log=self.vkey)
            batch.expect(request.items for request in group)
            for request in group:
                try:
                    results.append(batch.add(request.items))
                except DatasealError as error:  # its own, and not its neighbours'
                    results.append(error)
            head = view.insert(batch.rows) if batch.rows else None
            if head:
                self.before_commit(head, batch.rows)
        if head:
            memory.learn(head, batch)
        return results

    def before_commit(self, head: Head, rows: Sequence[StoredEntry]) -> None:
        """What a log that is written elsewhere too does before a transaction counts; raising undoes it."""

    def checkpoint(self) -> bytes:
        """The newest head's signed checkpoint. One that was not signed yet is, and witnesses and hooks are told.

        Raises:
            UsageError: the log is empty, or opened for reading and its head unsigned.
            SignatureInvalid: the signer is not the log's; nothing is stored.
            IntegrityError: the store is not whole. Rollback: a witness holds a checkpoint that is not of it.
        """
        note, fresh = self._sign()
        if fresh:
            try:
                self._leave(fresh=True)
            except Unavailable as error:
                # What was appended is logged. Whoever wants to hand the checkpoint out, is told.
                _journal.info("not published: %s", error.what)
        return note

    def sign(self) -> bytes:
        """As `checkpoint`, and nobody is asked or told."""
        return self._sign()[0]

    def witness(self) -> Head:
        """The newest signed head, once it may be published: the witnesses are asked if it is not cosigned enough.

        Raises:
            Unavailable: the quorum is not met; run it again. And as `checkpoint`.
        """
        with self.store.view() as view:
            head = view.head()
        if head.size and self._signers is not None:
            self._sign()
        with self.store.view() as view:
            head = view.signed_head()
        if head.note is not None and not self.quorum.met(head):
            self._leave()
        with self.store.view() as view:
            return self.publishable(view)

    def _sign(self) -> tuple[bytes, bool]:
        """The newest head's checkpoint, and whether it was signed now."""
        with self.store.view() as view:
            head = view.head()
            if head.note is not None:
                return head.note, False
            self._check_head(view, head)
        note = sign_checkpoint(Checkpoint(self.origin, head.size, head.root), self._note_signers())
        policy_for_log(self.vkey).check(note)
        with self.store.appending(durable=False) as view:
            view.sign_head(head.size, note)
            signed = view.head_at(head.size)
        if signed is None or signed.note is None:
            raise IntegrityError(f"the head of size {head.size} vanished from the ledger")
        return signed.note, True

    def _leave(self, *, fresh: bool = False) -> None:
        """Has the newest checkpoint cosigned, and published."""
        if self.cosigning is not None:
            self.cosigning.cosign(self.store, self.cosign, fresh=fresh)
        if self.after_checkpoint:
            with self.store.view() as view:
                head = self.publishable(view)
            if note := head.cosigned or head.note:
                for hook in self.after_checkpoint:
                    hook(note, self.store)

    def cosign(self, size: int, cosigned: bytes) -> None:
        """Adds witnesses' cosignatures to the checkpoint of ``size``; those that are there stay.

        Raises:
            SignatureInvalid, FormatError: it is no checkpoint by this log.
            IntegrityError: it is not the one that the log signed for that size, with lines behind it.
        """
        policy_for_log(self.vkey).check(cosigned)
        with self.store.appending() as view:
            head = view.head_at(size)
            if head is None or head.note is None or not cosigned.startswith(head.note):
                raise IntegrityError(
                    f"these cosignatures are not on the checkpoint of size {size} that this log signed"
                )
            both = merged(head.note, head.cosigned or head.note, cosigned)
            if both not in (head.note, head.cosigned):
                view.cosign_head(size, both)

    def _note_signers(self) -> Sequence[NoteSigner]:
        if self._signers is None:
            raise UsageError(
                "the log is open for reading only: nothing can be added to it, and no head be signed",
                hint="run a command that signs, such as `dataseal sign` or `dataseal record`, with the log's key",
            )
        return self._signers

    def _check_head(self, view: View, head: Head) -> None:
        if not head.size:
            raise UsageError("the log is empty: there is nothing to sign yet")
        view.demand_whole()

    def prove(self, indexes: Sequence[int]) -> list[bytes]:
        """Proof files for entries, all under one checkpoint; each carries its entry's header.

        The checkpoint is the newest one that the quorum cosigned, when it covers all of them; else the witnesses are
        asked about the newest.

        Raises:
            UsageError: no such entry. Unavailable: the quorum is not met; run it again. And as `checkpoint`.
        """
        self.checkpoint()
        size = self._demand_entries(indexes)
        with self.store.view() as view:
            head = self.quorum.covering(view, size)
        if head is None:
            self._leave()
        with self.store.view() as view:
            head = head or self.quorum.covering(view, size) or self.publishable(view)
            note = head.cosigned or head.note
            if note is None or head.size < size:  # another process is between its append and its witnesses
                raise Unavailable(
                    f"no checkpoint of {size} entries is cosigned yet", hint="nothing is lost: run the command again"
                )
            return [self._prove(view, note, head.size, index) for index in indexes]

    def proven(self, index: int) -> bool:
        """Whether a checkpoint that may leave holds entry ``index``: `prove` asks no witness for it."""
        with self.store.view() as view:
            return self.publishable(view).size > index

    def _demand_entries(self, indexes: Sequence[int]) -> int:
        """How many entries a tree needs to hold all of these."""
        with self.store.view() as view:
            held = view.signed_head().size
        for index in indexes:
            if not 0 <= index < held:
                raise UsageError(f"no entry {index} in the log; it holds {held}")
        return max(indexes, default=0) + 1

    @staticmethod
    def _prove(view: View, note: bytes, size: int, index: int) -> bytes:
        row = view.entry(index)
        if row is None:
            raise IntegrityError(f"entry {index} is missing in a ledger of {size}", hint="run `dataseal ledger check`")
        hashes = tuple(merkle.prove_inclusion(view, size=size, index=index))
        return LogProof(index=index, hashes=hashes, checkpoint=note, extra=row.header.encode()).encode()
