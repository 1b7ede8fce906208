"""The witness: what it answers to a request, decided step by step as C2SP tlog-witness says.

It promises, for each log: it never cosigns two roots for one size, never a tree smaller than one that it cosigned,
never one without proof that it continues the last, and never with a time before the last. `Witness.add_checkpoint` is
the one place where it signs; `State.deciding` makes check and set one step; nothing is answered before it is on the
disk.

What a log signed and should not have is kept: a *fork* proves by itself that the log showed two histories. A rolled
back log can be told from one that merely comes late by its operator alone, hence *older* only shows both checkpoints.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dataseal.ledger.errors import FormatError, ProofInvalid, SignatureInvalid, UsageError
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import Checkpoint, parse_body
from dataseal.ledger.tlog.cosignature import Ed25519Cosigner, MLDSA44Cosigner, MLDSA44Verifier
from dataseal.ledger.tlog.keys import parse_vkey
from dataseal.ledger.tlog.note import Ed25519Verifier, Note, PublicKey, Signature
from dataseal.ledger.witness import wire
from dataseal.ledger.witness.state import FORK, OLDER, UNPROVEN, Decision, Latest, State
from dataseal.ledger.witness.wire import SIZE_TYPE, TEXT_TYPE, AddCheckpoint

Cosigner = Ed25519Cosigner | MLDSA44Cosigner
_journal = logging.getLogger("dataseal.witness")


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer: ``body`` says why, when ``status`` is no 200."""

    status: int
    body: bytes
    content_type: str = TEXT_TYPE


class Witness:
    """A witness over its state.

    Args:
        state: what it remembers. cosigners: its keys, one or more, of one name.
        clock: POSIX seconds; it may jump, the cosignatures' times never go back.

    Raises:
        UsageError: no key, or keys other than the state was made with.
    """

    def __init__(self, state: State, cosigners: Sequence[Cosigner], *, clock: Callable[[], float] = time.time) -> None:
        if not cosigners or len({cosigner.name for cosigner in cosigners}) != 1:
            raise UsageError("a witness has one name and at least one key")
        self.name = cosigners[0].name
        self.vkeys = tuple(cosigner.vkey for cosigner in cosigners)
        if state.meta().get("vkeys") != "\n".join(self.vkeys):
            # Another key would promise what only this state can keep.
            raise UsageError("these are not the keys that the witness's state was made with")
        self.state = state
        self._cosigners = tuple(cosigners)
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> Reply:
        """Answers ``POST /add-checkpoint``.

        Raises:
            Unavailable: the state is locked or can't be written; nothing was cosigned.
        """
        # 1. "The request body MUST be a sequence of …"
        try:
            request = wire.parse_add_checkpoint(body)
            text = notes.parse(request.checkpoint).text
            tree = parse_body(text)
        except FormatError as error:
            return _refuse(400, error.what)
        # 2. "If the checkpoint origin is unknown … 404"
        keys = [log_key(vkey) for vkey in self.state.keys(tree.origin)]
        if not keys:
            return _refuse(404, "this log is not witnessed here")
        # 3. "403 … if either no signature from a trusted key … or [one] fails to verify"
        try:
            opened = notes.open_note(request.checkpoint, keys)
        except SignatureInvalid as error:
            return _refuse(403, error.what)
        # 4. "The old size MUST be equal to or lower than the checkpoint size."
        if request.old > tree.size:
            return _refuse(400, f"old size {request.old} is above the checkpoint's size {tree.size}")
        # 5. to 8., and the record, under the lock; the answer leaves only after the commit.
        with self.state.deciding(tree.origin) as decision:
            reply = self._decide(decision, request, tree, opened)
        _journal.info("%r size %d from %d: %d", tree.origin, tree.size, request.old, reply.status)
        return reply

    def checkpoint(self, origin_hash: str) -> Reply:
        """Answers ``GET /<origin hash>/checkpoint``: the latest cosigned checkpoint with the log's and our lines."""
        latest = self.state.latest_by_hash(origin_hash)
        return Reply(200, latest.note) if latest else _refuse(404, "no checkpoint of this log was cosigned here")

    def _decide(self, decision: Decision, request: AddCheckpoint, tree: Checkpoint, opened: Note) -> Reply:
        latest = decision.latest
        size, root = (latest.size, latest.root) if latest else (0, merkle.EMPTY_ROOT)
        # 5. "the old size matches the size of the latest checkpoint it cosigned" or 409
        if request.old != size:
            if tree.size <= size:  # a larger one from another size is a log that forgot where we stand
                self._keep(decision, tree, opened)
            return Reply(409, wire.encode_size(size), SIZE_TYPE)
        # 6. "A checkpoint of size zero MUST have the root hash of the empty tree" or 422
        if tree.size == 0 and tree.root != merkle.EMPTY_ROOT:
            return _refuse(422, "the checkpoint has size 0 and another root than the empty tree")
        # 7. "If the old size is zero, the consistency proof MUST be empty. Otherwise [it must verify]", and 8. "If the
        # old size matches the checkpoint size … the root hashes are also identical", or 422
        try:
            if size == 0:
                merkle.verify_from_empty(old_root=root, proof=request.proof)
            else:
                merkle.verify_consistency(
                    old=size, new=tree.size, old_root=root, new_root=tree.root, proof=request.proof
                )
        except ProofInvalid as error:
            self._keep(decision, tree, opened)
            return _refuse(422, error.what)
        return self._cosign(decision, tree, opened)

    def _cosign(self, decision: Decision, tree: Checkpoint, opened: Note) -> Reply:
        # Under the lock, after the latest was read: a later checkpoint gets no earlier time, whatever the clock does.
        timestamp = max(int(self._clock()), decision.latest.timestamp if decision.latest else 1)
        lines = []
        for cosigner in self._cosigners:
            signer = cosigner.at(timestamp)
            lines.append(Signature(signer.name, signer.key_id, signer.sign(opened.text)))
        # "it MUST include the cosignature(s) … returned from add-checkpoint and [those] from the log key(s)"
        decision.advance(Latest(tree.size, tree.root, timestamp, notes.encode(opened.text, [*opened.verified, *lines])))
        return Reply(200, b"".join(line.encode() for line in lines))

    def _keep(self, decision: Decision, tree: Checkpoint, opened: Note) -> None:
        """ "the witness MAY log the request …, as it might be proof of log misbehavior" """
        latest = decision.latest
        if latest is None or latest.size == 0 or (tree.size, tree.root) == (latest.size, latest.root):
            return  # every tree begins with the empty one; and the same tree, asked for wrongly, proves nothing
        kind = FORK if tree.size == latest.size else OLDER if tree.size < latest.size else UNPROVEN
        note = notes.encode(opened.text, opened.verified)
        decision.keep(kind, at=int(self._clock()), size=tree.size, root=tree.root, note=note)
        if kind == FORK:
            _journal.error("%r signed two roots for size %d: both checkpoints are kept", tree.origin, tree.size)


@lru_cache(maxsize=1024)
def log_key(vkey: str) -> PublicKey:
    """A key that signs a log's checkpoints; its name is the log's origin (tlog-policy, "Defining a log").

    Raises:
        UsageError: no verifier key, or a witness's.
    """
    key = parse_vkey(vkey)
    if not isinstance(key, Ed25519Verifier | MLDSA44Verifier):
        raise UsageError(f"key {key.name!r} is of type {key.TYPE}, a witness's; a log's key has type 1 or 6")
    return key


def _refuse(status: int, why: str) -> Reply:
    return Reply(status, f"{why}\n".encode())
