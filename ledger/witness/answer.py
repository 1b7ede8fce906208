"""What the witnesses said of one checkpoint, and what follows from it for publication."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from dataseal.ledger.errors import Rollback, Unavailable
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.checkpoint import Checkpoint
from dataseal.ledger.tlog.merkle import HashReader
from dataseal.ledger.tlog.note import Signature

_journal = logging.getLogger("dataseal.ledger.witness")


class Outcome(StrEnum):
    """One witness's answer, cut by what the log's operator can do about it."""

    COSIGNED = "cosigned"
    """A cosignature that verifies, now or on the checkpoint before."""
    NOT_ASKED = "not asked"
    """The policy has no URL for it."""
    UNKNOWN_LOG = "unknown log"
    """403 or 404: it does not witness this log, or not under this key. Ask its operator."""
    REFUSED = "refused"
    """400, 409 or 422 that no other old size settles: it does not accept checkpoint or proof."""
    AHEAD = "ahead"
    """It knows a larger tree than this one: another writer was faster, or our ledger was rolled back."""
    FORKED = "forked"
    """It holds a checkpoint, signed by our key, that our tree does not contain."""
    UNAVAILABLE = "unavailable"
    """Time-out, no connection, 429, 5xx. Try again."""
    GARBAGE = "garbage"
    """An answer that no witness gives: bad signature, endless body, a redirect, a loop."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one witness of the policy said.

    Attributes:
        witness: the policy's name for it. url: its submission prefix.
        detail: why, for people; holds text from the witness, cut short.
        timestamp: of its cosignature. size: of its latest checkpoint, when it named one.
        evidence: a checkpoint signed by our log's key that it holds, with AHEAD and FORKED.
    """

    witness: str
    url: str | None
    outcome: Outcome
    detail: str = ""
    timestamp: int | None = None
    size: int | None = None
    evidence: bytes | None = None


@dataclass(frozen=True, slots=True)
class Foreign:
    """A checkpoint that a witness holds and our log's key signed: ``tree`` is what it says, ``note`` the proof."""

    witness: str
    tree: Checkpoint
    note: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """The result of asking.

    Attributes:
        note: the checkpoint with all cosignatures that verify: those it had, and the new ones.
        tree: what it says. answers: one for each witness of the policy, in its order.
        quorum: the policy's name of it. quorum_met: whether the cosignatures on ``note`` meet it.
        added: the new cosignature lines, to be stored. foreign: verified checkpoints that contradict ours, or are
            ahead of it.
    """

    note: bytes
    tree: Checkpoint
    answers: tuple[Answer, ...]
    quorum: str
    quorum_met: bool
    added: tuple[Signature, ...] = ()
    foreign: tuple[Foreign, ...] = ()

    @property
    def cosigned(self) -> tuple[str, ...]:
        """The witnesses whose cosignature is on the note."""
        return tuple(answer.witness for answer in self.answers if answer.outcome is Outcome.COSIGNED)

    def summary(self) -> str:
        """``2 of 3 witnesses cosigned; w3: unavailable (timed out)``."""
        missing = [a for a in self.answers if a.outcome is not Outcome.COSIGNED]
        others = "".join(f"; {a.witness}: {a.outcome}{f' ({a.detail})' if a.detail else ''}" for a in missing)
        return f"{len(self.cosigned)} of {len(self.answers)} witnesses cosigned{others}"

    def demand_no_rollback(self, reader: HashReader, size: int) -> None:
        """Checks that every checkpoint of ours that a witness showed is part of our tree.

        Args:
            reader: our tree as it is *now*, read after asking, of ``size`` leaves: another writer may have appended.

        Raises:
            Rollback: one is not: this ledger was restored from an old copy, or our key signs another log as well.
        """
        demand_contained(self.foreign, reader, size)

    def publishable(self, *, fail_open: bool = False) -> bytes:
        """The note, if it may be published.

        Args:
            fail_open: publish without the quorum, and say so in the journal. Never over a fork.

        Raises:
            Rollback: a witness proved a fork. Unavailable: the quorum is not met.
        """
        for answer in self.answers:
            if answer.outcome is Outcome.FORKED:
                raise Rollback(
                    f"witness {answer.witness!r}: {answer.detail}",
                    hint="stop appending, and keep both checkpoints",
                    detail=(answer.evidence or b"").decode("utf-8", "replace"),
                )
        if self.quorum_met:
            return self.note
        what = f"checkpoint of size {self.tree.size} does not meet quorum {self.quorum!r}: {self.summary()}"
        if not fail_open:
            raise Unavailable(
                what,
                hint="nothing is lost: what was appended is kept. Run the same command again when the witnesses answer",
            )
        _journal.warning("published without its quorum, as configured (fail open): %s", plain(what))
        return self.note


def demand_contained(shown: Iterable[Foreign], reader: HashReader, size: int) -> None:
    """Checks that checkpoints that witnesses hold are of our tree; see `Asked.demand_no_rollback`.

    Raises:
        Rollback: one is not.
    """
    for item in shown:
        if item.tree.size <= size and merkle.root_at(reader, item.tree.size) == item.tree.root:
            continue
        what = "is beyond this ledger" if item.tree.size > size else "is not of this ledger's tree"
        raise Rollback(
            f"witness {item.witness!r} holds a checkpoint signed by this log's key that {what}: "
            f"size {item.tree.size}, root {item.tree.root.hex()}; this ledger has size {size}",
            hint="stop appending: the ledger was restored from an old copy, or its key was used elsewhere; "
            "find the newest copy, and keep both",
            detail=item.note.decode("utf-8", "replace"),
        )


def plain(text: str) -> str:
    """Without what could drive a terminal: some of it is a witness's own words."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
