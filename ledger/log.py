"""The log: admit, append, sign the head, prove.

The order of a durable append (DESIGN section 4): entries, tiles and head in one transaction, *then* the checkpoint is
signed. A crash in between leaves a head without a checkpoint, which the next use signs. The head's root is re-derived
from the tiles before anything is added to it, and a size has one head row: no two roots are ever signed for one size.

Appends are idempotent by (SHA-256 of the payload, signer), since ECDSA signatures are randomised: appending a statement
again gives the entry that is there, with the bundle that is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dataseal.ledger import entry as entries
from dataseal.ledger.admission import Admission, Newest
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import IntegrityError, UsageError
from dataseal.ledger.store.models import StoredEntry
from dataseal.ledger.store.store import Head, Store, View
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.checkpoint import Checkpoint, parse_body, sign_checkpoint
from dataseal.ledger.tlog.note import Signer as NoteSigner
from dataseal.ledger.tlog.note import parse as parse_note
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.tlog.proof import LogProof
from dataseal.ledger.trust import TrustedLog
from dataseal.ledger.verify import VerifiedStatement, verify_bundle

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an entry stands. ``bundle`` is what the log holds: on ``existed`` it may differ from what was offered."""

    index: int
    header: entries.Header
    bundle: bytes
    existed: bool


class StoredHistory:
    """`admission.History` over a store's view."""

    def __init__(self, view: View) -> None:
        self._view = view

    def newest_release(self, dataset: str) -> Newest | None:
        """The newest release, or None."""
        row = self._view.newest(dataset, "release")
        return Newest(row.sequence or 0, row.version, row.root) if row else None

    def has_version(self, dataset: str, version: str) -> bool:
        """Whether the version was released."""
        return self._view.release(dataset, version) is not None

    def has_root(self, dataset: str, root: str) -> bool:
        """Whether a release or modification of the dataset has or leads to the root."""
        return self._view.state(dataset, root) is not None

    def has_state(self, dataset: str) -> bool:
        """Whether the dataset has any release or modification."""
        return self._view.newest(dataset, "release", "modification") is not None


class Log:
    """One transparency log over a store.

    Args:
        store: where it lives. origin: the checkpoint's origin line.
        signers: the log's note signers, the Ed25519 one first; None opens the log for reading.
        admission: who may log what.
        clock: gives the time for ``logged_at``, in UTC.
    """

    def __init__(
        self,
        store: Store,
        *,
        origin: str,
        signers: Sequence[NoteSigner] | None,
        admission: Admission,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
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
        keys = self.admission.keys()
        verified = [verify_bundle(bundle, keys) for bundle in bundles]
        with self.store.appending() as view:
            results = [self._append_one(view, item) for item in verified]
        if any(not result.existed for result in results):
            self.checkpoint()
        return results

    def _append_one(self, view: View, verified: VerifiedStatement) -> Appended:
        statement, signer = verified.statement, verified.key.fingerprint
        payload = sha256(statement.payload).hex()
        present = view.find(payload, signer)
        if present is not None:
            entry = entries.parse(present.body)
            return Appended(present.index, entry.header, entry.bundle, existed=True)
        self.admission.check(statement, verified.key, StoredHistory(view))
        header = self._header(view, verified)
        body = entries.Entry(header, verified.bundle).encode()
        head = view.head()
        row = StoredEntry(
            index=head.size,
            leaf=merkle.leaf_hash(body),
            body=body,
            kind=statement.kind,
            dataset=statement.dataset,
            version=statement.version,
            sequence=statement.release().sequence if statement.kind == "release" else None,
            root=statement.root,
            table_digest=statement.table,
            signer=signer,
            payload=payload,
            logged_at=header.logged_at,
        )
        view.insert([row])
        return Appended(head.size, header, verified.bundle, existed=False)

    def _header(self, view: View, verified: VerifiedStatement) -> entries.Header:
        dataset = verified.statement.dataset
        size = view.head().size
        last = view.entry(size - 1) if size else None
        previous = view.newest(dataset)
        now = self._clock().astimezone(UTC).strftime(TIME_FORMAT)
        return entries.Header(
            kind=verified.statement.kind,
            dataset=dataset,
            # A clock that jumped back must not make time decrease in the log.
            logged_at=max(now, last.logged_at) if last else now,
            prev=last.leaf if last else None,
            dataset_prev=entries.Link(previous.index, previous.leaf) if previous else None,
        )

    def checkpoint(self) -> bytes:
        """The newest head's signed checkpoint; signs it when a crash left it unsigned.

        Raises:
            UsageError: the log is empty, or opened for reading and its head unsigned.
            SignatureInvalid: the signer is not the log's; nothing is stored.
            IntegrityError: the tiles do not lead to the head's root.
        """
        with self.store.view() as view:
            head = view.head()
            if head.note is not None:
                return head.note
            self._check_head(view, head)
        note = sign_checkpoint(Checkpoint(self.origin, head.size, head.root), self._note_signers())
        policy_for_log(self.vkey).check(note)
        with self.store.appending() as view:
            view.sign_head(head.size, note)
            signed = view.head_at(head.size)
        if signed is None or signed.note is None:
            raise IntegrityError(f"the head of size {head.size} vanished from the ledger")
        return signed.note

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
        if merkle.root_at(view, head.size) != head.root:
            raise IntegrityError(
                f"the ledger's tiles do not lead to the root of its head (size {head.size})",
                hint="run `dataseal ledger check`; restore the ledger from a backup",
            )

    def prove(self, indexes: Sequence[int]) -> list[bytes]:
        """Proof files for entries, all under the newest checkpoint; each carries its entry's header.

        Raises:
            UsageError: no such entry.
        """
        note = self.checkpoint()
        size = parse_body(parse_note(note).text).size
        proofs = []
        with self.store.view() as view:
            for index in indexes:
                row = view.entry(index)
                if row is None or index >= size:
                    raise UsageError(f"no entry {index} in the log; it holds {size}")
                header = entries.parse(row.body).header.encode()
                hashes = tuple(merkle.prove_inclusion(view, size=size, index=index))
                proofs.append(LogProof(index=index, hashes=hashes, checkpoint=note, extra=header).encode())
        return proofs
