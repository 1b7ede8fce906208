"""The log: admit, append, sign the head, prove.

The order of a durable append (DESIGN section 4): entries, tiles and head in one transaction, *then* the checkpoint is
signed, *then* witnesses are asked, *then* it is published (`Log.after_checkpoint`). A crash in between leaves a head
without a checkpoint, which the next use signs. The head's root is re-derived from the tiles before anything is added to
it, and a size has one head row: no two roots are ever signed for one size.

The checkpoint's own transaction need not reach the disk before it is used: after a power cut that undid it, the same
root is signed for the same size again.

Appends are idempotent by (SHA-256 of the payload, signer), since ECDSA signatures are randomised: appending a statement
again gives the entry that is there, with the bundle that is in it. Threads that append at once share a transaction
(`dataseal.ledger.committer`); processes take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from dataseal.ledger.admission import Admission
from dataseal.ledger.batch import TIME_FORMAT, Appended, Batch, Memory, Offer, StoredHistory
from dataseal.ledger.committer import Committer, Request
from dataseal.ledger.errors import DatasealError, IntegrityError, Unavailable, UsageError
from dataseal.ledger.store.database import Contended
from dataseal.ledger.store.store import Head, Store, View
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.checkpoint import Checkpoint, parse_body, sign_checkpoint
from dataseal.ledger.tlog.note import Signer as NoteSigner
from dataseal.ledger.tlog.note import parse as parse_note
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.tlog.proof import LogProof
from dataseal.ledger.trust import TrustedLog

__all__ = ["TIME_FORMAT", "Appended", "Log", "StoredHistory"]

ATTEMPTS: Final = 5
"""Times that a transaction is tried which the database gives up for another writer's."""

Hook = Callable[[bytes, Store], bytes | None]
"""Told a checkpoint that was just signed, and the store: gives it back with cosignatures, or None for none."""


class Log:
    """One transparency log over a store.

    Args:
        store: where it lives. origin: the checkpoint's origin line.
        signers: the log's note signers, the Ed25519 one first; None opens the log for reading.
        admission: who may log what.
        clock: gives the time for ``logged_at``, in UTC.
        after_checkpoint: what is done with every new checkpoint, in order: witnesses first, then publication. What
            one raises, the append raises, whose entries are logged nevertheless.
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
        self.after_checkpoint = list(after_checkpoint)
        self._memory = Memory()
        self._committer: Committer[Offer, list[Appended]] = Committer(self._commit)

    def trusted(self) -> TrustedLog:
        """This log as its own operator trusts it: by its verifier key, with no witnesses."""
        return TrustedLog("this log", policy_for_log(self.vkey))

    def append(self, bundles: Sequence[bytes]) -> list[Appended]:
        """Admits and appends bundles, all or none, in order.

        Raises:
            FormatError, SignatureInvalid: a bundle does not verify with a key that the log lists.
            Refused: the admission rules refuse one.
            UsageError: the log was opened for reading.
            Unavailable: the ledger is locked, or can't be written.
        """
        self._note_signers()
        offers = [Offer(self.admission.verify(bundle, now=self._clock())) for bundle in bundles]
        return self._committer.submit(offers, sum(map(len, bundles))) if offers else []

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
            batch = Batch(view, self.admission, self._clock, memory)
            batch.expect(request.items for request in group)
            for request in group:
                try:
                    results.append(batch.add(request.items))
                except DatasealError as error:  # its own, and not its neighbours'
                    results.append(error)
            head = view.insert(batch.rows) if batch.rows else None
        if head:
            memory.learn(head, batch)
        return results

    def checkpoint(self) -> bytes:
        """The newest head's signed checkpoint; signs it when a crash left it unsigned, and has it witnessed.

        Raises:
            UsageError: the log is empty, or opened for reading and its head unsigned.
            SignatureInvalid: the signer is not the log's; nothing is stored.
            IntegrityError: the store is not whole.
        """
        with self.store.view() as view:
            head = view.head()
            if head.note is not None:
                return head.note
            self._check_head(view, head)
        note = sign_checkpoint(Checkpoint(self.origin, head.size, head.root), self._note_signers())
        policy_for_log(self.vkey).check(note)
        with self.store.appending(durable=False) as view:
            view.sign_head(head.size, note)
            signed = view.head_at(head.size)
        if signed is None or signed.note is None:
            raise IntegrityError(f"the head of size {head.size} vanished from the ledger")
        self._after(head.size, signed.note)
        return signed.note

    def _after(self, size: int, note: bytes) -> None:
        for hook in self.after_checkpoint:
            cosigned = hook(note, self.store)
            if cosigned is not None:
                self.cosign(size, cosigned)
                note = cosigned

    def cosign(self, size: int, cosigned: bytes) -> None:
        """Stores the checkpoint of ``size`` with witnesses' cosignatures: what proofs carry from now on.

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
            if cosigned not in (head.note, head.cosigned):
                view.cosign_head(size, cosigned)

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

        The checkpoint is the newest one with cosignatures when it covers all of them, else the newest.

        Raises:
            UsageError: no such entry.
        """
        note = self.checkpoint()
        proofs = []
        with self.store.view() as view:
            cosigned = view.cosigned_head()
            if cosigned.cosigned is not None and all(index < cosigned.size for index in indexes):
                note = cosigned.cosigned
            size = parse_body(parse_note(note).text).size
            for index in indexes:
                row = view.entry(index) if 0 <= index < size else None
                if row is None:
                    raise UsageError(f"no entry {index} in the log; it holds {size}")
                hashes = tuple(merkle.prove_inclusion(view, size=size, index=index))
                proofs.append(LogProof(index=index, hashes=hashes, checkpoint=note, extra=row.header.encode()).encode())
        return proofs
