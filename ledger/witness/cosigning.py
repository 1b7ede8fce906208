"""A log's own witnesses: asked before it first appends, and about every checkpoint that it signs.

 1. Before a process first appends, each witness is asked for the checkpoint that it holds (`Cosigning.look`). One by
    this log's key that is not of this ledger's tree proves that the ledger was restored from an old copy, or that its
    key signs another log too: nothing is logged then, and no second root is signed for any size. Until one has shown a
    checkpoint, or cosigned ours, they are asked again before what is appended later: an empty answer tells nothing.
    It stops nothing either, or the first entry of a log, and any while witnesses are away, could not be logged.
 2. The newest checkpoint is cosigned (`Cosigning.cosign`). Where another writer was faster, the witnesses know a larger
    tree, of which the store has the checkpoint by then: that one is asked about, since it holds our entries too.
 3. Cosignatures are kept as they come, also too few of them: two processes may bring the quorum together.
 4. What a witness shows instead is held against the tree as it is *after* asking. What is not of it stops the log.

Below the quorum the checkpoint stays in the store, and nothing hands it out (`dataseal.ledger.witness.quorum`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

from dataseal.ledger.errors import Rollback, Unavailable
from dataseal.ledger.store.store import EMPTY, Head, Store
from dataseal.ledger.tlog.merkle import Node
from dataseal.ledger.witness.answer import Asked, Foreign, Outcome, demand_contained
from dataseal.ledger.witness.client import Witnesses
from dataseal.ledger.witness.quorum import Quorum

ATTEMPTS: Final = 3
"""Checkpoints that are asked about, each newer than the one before, while other writers are faster."""

PAUSE: Final = 5.0
"""Seconds for which witnesses that did not meet the quorum are not asked about the same checkpoint again, nor those
that showed nothing for what they hold: one command asks once, and a server's many clients don't make it ask more."""

Keep = Callable[[int, bytes], None]
"""Stores the checkpoint of a size with cosignatures; see `dataseal.ledger.log.Log.cosign`."""


class Cosigning:
    """The witnesses of one log, and what was heard of them.

    Args:
        quorum: decides what is enough. witnesses: of the same policy; None when they must not be asked.
        clock: seconds that only grow.
    """

    def __init__(
        self, quorum: Quorum, witnesses: Witnesses | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.quorum = quorum
        self._witnesses = witnesses
        self._clock = clock
        self._lock = Lock()
        self._looked = False
        """A witness showed a checkpoint that is of our tree, or cosigned one of ours."""
        self._tried: float | None = None
        self._failed: _Failed | None = None
        self._doubt: Rollback | None = None

    def look(self, store: Store, origin: str) -> None:
        """Step 1; until a witness has answered with what it holds, and again after a rollback was found.

        Witnesses that showed nothing are left alone for `PAUSE` seconds.

        Raises:
            Rollback: a witness holds a checkpoint that is not of this ledger. Nothing was logged.
        """
        if self._looked or self._witnesses is None:
            return
        with self._lock:
            if self._due():
                shown = self._witnesses.shown(origin)
                self._tried = self._clock()
                self._demand_ours(store, shown, heard=bool(shown))
            self._demand_no_doubt()

    def cosign(self, store: Store, keep: Keep, *, fresh: bool = False) -> None:
        """Steps 2 to 4: returns when the newest checkpoint may leave.

        Args:
            fresh: it was signed just now: witnesses that the quorum can do without are asked as well.

        Raises:
            Unavailable: the quorum is not met. What was appended is kept.
            Rollback: a witness holds a checkpoint that is not of this ledger.
        """
        with self._lock:
            for attempt in range(1, ATTEMPTS + 1):
                head = self._signed(store)
                if self.quorum.met(head) and not fresh:
                    return
                if self._witnesses is None or self._failed_just_now(head):
                    break
                fresh = False
                asked = self._ask(self._witnesses, store, head, keep)
                if asked.quorum_met or self.quorum.met(self._signed(store, head.size)):
                    return
                faster = self._signed(store).size > head.size
                if attempt == ATTEMPTS or not (faster and any(a.outcome is Outcome.AHEAD for a in asked.answers)):
                    self._fail(asked, head)
                    break
            self._demand(head)

    def _ask(self, witnesses: Witnesses, store: Store, head: Head, keep: Keep) -> Asked:
        asked = witnesses.ask(head.cosigned or head.note or b"", _Reader(store))
        if asked.added:
            keep(head.size, asked.note)
        self._demand_ours(store, asked.foreign, heard=bool(asked.added or asked.foreign))
        return asked

    def _demand_ours(self, store: Store, shown: Sequence[Foreign], *, heard: bool) -> None:
        """Step 4. A witness that is away takes no doubt away: only what one shows does.

        Args:
            heard: one of them told of its tree, by showing it or by cosigning ours, which it holds against its own.
        """
        try:
            with store.view() as view:  # opened after they answered: it has what other writers had cosigned
                demand_contained(shown, view, view.head().size)
        except Rollback as error:
            self._doubt, self.quorum.doubted, self._looked = error, True, False
            raise
        if shown:
            self._doubt, self.quorum.doubted = None, False
        self._looked = (self._looked or heard) and self._doubt is None

    def _due(self) -> bool:
        """Whether nothing was heard yet, and nobody was asked just now; a doubt is looked into each time."""
        just_now = self._doubt is None and self._tried is not None and self._clock() - self._tried < PAUSE
        return not self._looked and not just_now

    def _demand_no_doubt(self) -> None:
        if (doubt := self._doubt) is not None:
            raise Rollback(doubt.what, hint=doubt.hint, detail=doubt.detail)

    def _fail(self, asked: Asked, head: Head) -> None:
        try:
            asked.publishable(fail_open=self.quorum.fail_open)  # which says so in the journal
            what, hint = "", None
        except Unavailable as error:
            what, hint = error.what, error.hint
        self._failed = _Failed(head.size, self._clock(), what, hint)

    def _failed_just_now(self, head: Head) -> bool:
        failed = self._failed
        return failed is not None and failed.size == head.size and self._clock() - failed.at < PAUSE

    def _demand(self, head: Head) -> None:
        if self.quorum.met(head):
            return
        self._demand_no_doubt()
        if self.quorum.fail_open:
            return
        if self._failed is not None and self._failed.size == head.size:
            raise Unavailable(self._failed.what, hint=self._failed.hint)
        raise Unavailable(
            f"the checkpoint of size {head.size} does not meet quorum {self.quorum.policy.quorum!r} of its witnesses",
            hint="nothing is lost: run the same command again, without --offline",
        )

    @staticmethod
    def _signed(store: Store, size: int | None = None) -> Head:
        with store.view() as view:
            return view.signed_head() if size is None else view.head_at(size) or EMPTY


@dataclass(frozen=True, slots=True)
class _Failed:
    """A checkpoint that did not meet the quorum: its size, when, and what was said of it."""

    size: int
    at: float
    what: str
    hint: str | None


class _Reader:
    """A store's tree: a `merkle.HashReader` that opens a view for each read.

    No transaction stays open while witnesses think, and what they may ask for, complete subtrees, never changes.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, nodes: Sequence[Node]) -> list[bytes]:
        with self._store.view() as view:
            return view.read(nodes)
