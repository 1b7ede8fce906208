"""Which checkpoint may leave the ledger: the newest one that the quorum's witnesses cosigned.

What a log hands out as its own (a published checkpoint, a served one, the one in a ``.tlog-proof``) commits it: who
holds it can show it to everybody. A checkpoint that no witness saw commits it to nothing that others could compare, so
that it waits in the store until the policy's quorum is met. With *fail open* the newest signed one leaves anyhow, and
everything that hands it out says how many witnesses cosigned it.

A head is judged by its bytes alone, each time they are new: cosignatures that are in the store are verified like
anybody's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from threading import Lock
from typing import Final

from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import FormatError, VerificationError
from dataseal.ledger.store.view import EMPTY, Head, Reading
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.cosignature import timestamp_of
from dataseal.ledger.tlog.policy import NONE, CheckedCheckpoint, LogPolicy

RECENT: Final = 256
"""Heads that are looked through each time: more than others sign while we ask the witnesses of one."""

REMEMBERED: Final = 1024
"""Heads whose verdict is kept: two signatures or more are not verified again for every reader."""


class Quorum:
    """Chooses among a store's heads by a policy.

    Args:
        policy: the log's key, its witnesses and their quorum. fail_open: the quorum is wished for and not waited for.
    """

    def __init__(self, policy: LogPolicy, *, fail_open: bool = False) -> None:
        self.policy = policy
        self.fail_open = fail_open
        self.doubted = False
        """Set while a witness holds a checkpoint that is not of this ledger: then nothing leaves but by the quorum."""
        self._claims = {(w.key.name, w.key.key_id): w.name for w in policy.witnesses}
        self._verdicts: OrderedDict[bytes, bool] = OrderedDict()
        self._lock = Lock()
        self._found = EMPTY
        self._least = 0
        self._searched = False

    @property
    def demanded(self) -> LogPolicy:
        """What a checkpoint that leaves is held to."""
        return replace(self.policy, quorum=NONE) if self.fail_open else self.policy

    def check(self, head: Head) -> CheckedCheckpoint:
        """Who signed a signed head.

        Raises:
            FormatError, SignatureInvalid: its bytes do not hold.
        """
        return self.policy.check(_best(head), require_quorum=False)

    def met(self, head: Head) -> bool:
        """Whether a head has a checkpoint, and the quorum cosigned it."""
        if head.note is None:
            return False
        data = _best(head)
        key = sha256(data)
        with self._lock:
            if key in self._verdicts:
                self._verdicts.move_to_end(key)
                return self._verdicts[key]
        verdict = self._judge(data)
        with self._lock:
            self._verdicts[key] = verdict
            if len(self._verdicts) > REMEMBERED:
                self._verdicts.popitem(last=False)
        return verdict

    def newest(self, view: Reading) -> Head:
        """The newest head that the quorum cosigned; `EMPTY` when there is none."""
        found = next((head for head in self._candidates(view) if self.met(head)), EMPTY)
        if found.size:
            self._found, self._least, self._searched = found, found.size, True
        return found

    def publishable(self, view: Reading) -> Head:
        """The head that may be published; `EMPTY` when none may."""
        return view.signed_head() if self.fail_open and not self.doubted else self.newest(view)

    def covering(self, view: Reading, size: int) -> Head | None:
        """The head that proofs of the first ``size`` entries are made under; None when the quorum cosigned none."""
        wished = self.policy.quorum == NONE and self.policy.witnesses
        if wished and (cosigned := view.cosigned_head()).size >= size:
            return cosigned  # more than is demanded
        found = self.newest(view)
        return found if found.size >= size else None

    def _candidates(self, view: Reading) -> Iterator[Head]:
        """Heads that may do, newest first. All of them are looked through once; after that, those that are new."""
        yield view.signed_head()
        cosigned = view.cosigned_heads(self._least)
        yield from islice(cosigned, RECENT)
        # It may have been replaced under us: what counts is what stands there now.
        yield view.head_at(self._found.size) or EMPTY
        if not self._searched:
            yield from cosigned
            # An imported log's first head came with its cosignatures.
            yield from islice(view.heads(), 1)
            # What is cosigned late was the newest one when its witnesses were asked.
            self._searched = True
            self._least = view.recent_size(RECENT)

    def _judge(self, data: bytes) -> bool:
        try:
            if not self._claimed(notes.parse(data).signatures):
                return False  # most that fail, fail here, before any signature is verified
            return self.policy.check(data, require_quorum=False).quorum_met
        except VerificationError:
            return False

    def _claimed(self, signatures: Iterable[notes.Signature]) -> bool:
        return self.policy.is_quorum(self._claims.get((line.name, line.key_id), "") for line in signatures)


def merged(note: bytes, stored: bytes, cosigned: bytes) -> bytes:
    """The cosignatures of two copies of one checkpoint behind its own lines: none is lost.

    Args:
        note: the checkpoint as the log signed it. stored, cosigned: it, with lines behind. Where a key has signed both,
            ``stored``'s line stays, so that what was handed out once does not change; unless it has no time.
    """
    own = notes.parse(note)
    behind = len(own.signatures)
    lines = {(line.name, line.key_id): line for line in notes.parse(stored).signatures[behind:]}
    for line in notes.parse(cosigned).signatures[behind:]:
        key = (line.name, line.key_id)
        if key not in lines or _undated(lines[key]):
            lines[key] = line
    return notes.encode(own.text, [*own.signatures, *lines.values()])


def _undated(line: notes.Signature) -> bool:
    with suppress(FormatError):  # of a type that has no time
        return timestamp_of(line) == 0
    return False


def _best(head: Head) -> bytes:
    return head.cosigned or head.note or b""
