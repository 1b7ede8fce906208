"""How a log ends, and how it goes on under another key: the rules of ``closed`` entries.

A closed entry is a log's last one. It holds a statement (`dataseal.ledger.statement.Closed`) such as ::

    {"_type":"https://in-toto.io/Statement/v1",
     "predicate":{"log":"dataseal.invalid/0123456789abcdef+d557fb4b+AQCLkwzlYT5nR/vu1kosJUdqR01++VotXheFPlsDDqs+",
                  "reason":"a new log key","size":0,
                  "successor":"log.example.org/data+19c690c4+AYVg0U94KaoghcMS5jUpwcT9DYBdzs6FSbIh8MsCeIKG"},
     "predicateType":"https://dataseal.invalid/closed/v1",
     "subject":[{"digest":{"datasealRoot":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                           "sha256":"4ca02b7da3a37daf8dd9d607f573527b18d45b5e489acb26de648c67ec468287"},
                 "name":"dataseal.invalid/0123456789abcdef@0"}]}

(on one line). It is signed by a key that the log's admission lists for the kind ``closed``, and admitted only by who
holds the log's own key, at the ledger itself: one of the two keys alone ends nothing.

A log is its key. Under that key nothing follows the closed entry, anywhere and ever. Another log, the *successor*, may
hold the same entries, the closed one included: its tree has the same roots up to there, and goes on under its own key.
A closed log that names no successor is the end. A log that only moves house keeps its key and is not closed.

Of all closed entries in one log (`Succession`):

 a. behind one that closes this very log, or that names no successor, nothing stands;
 b. a closed statement's size and root are those of the tree before it; the log that it closes is the one that the
    closed entry before it named as successor; its successor was none of the logs before;
 c. when entries stand behind the newest one, this log is the successor that it names.

That a consumer believes the successor is the consumer's own decision: whoever steals both keys could name a thief.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from dataseal.ledger import statement as statements
from dataseal.ledger.errors import FormatError, Refused, UsageError
from dataseal.ledger.predicates import Closed
from dataseal.ledger.statement import CLOSED, KINDS, Statement
from dataseal.ledger.tlog.keys import parse_vkey

KIND = KINDS[CLOSED]


class Moved(Refused):
    """The closing was made for another tree than the one that the log has now: it can be made anew."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A closed entry: where it stands, the verifier keys of the log that it ends and of the next one, and why."""

    index: int
    log: str
    successor: str | None
    reason: str

    @classmethod
    def of(cls, statement: Statement) -> Closing:
        """What a closed statement says. Raises `FormatError` when it is no valid one."""
        closed = statement.closed()
        return cls(closed.size, closed.log, closed.successor, closed.reason)

    def described(self) -> str:
        """For people: how the log ended, and what comes after it."""
        after = f"it goes on as {self.successor}" if self.successor else "nothing follows it"
        return f"entry {self.index} closed the log {self.log} ({self.reason}): {after}"

    def advice(self) -> str:
        """What a consumer of the log may do about it: never done by itself."""
        if self.successor is None:
            return "what the log holds stays provable; ask its operator where new entries are logged"
        return (
            "ask the log's operator, on another way than this one, whether that key is theirs; "
            f"then trust it beside the old one: --log '{self.successor}'"
        )


def closed(log: str, *, size: int, root: bytes, reason: str, successor: str | None) -> bytes:
    """The statement that closes the log with verifier key ``log``, whose last tree has ``size`` entries and ``root``.

    Raises:
        UsageError: a reason that is empty or too long, a key that is no log's, or a successor with the log's own key.
        FormatError: an origin or a tree that no statement can be about.
    """
    body = Closed.make(log=log, size=size, reason=reason, successor=successor)
    origin = parse_vkey(log).name
    payload = statements.encode(
        CLOSED,
        body,
        dataset=origin,
        version=str(size),
        table=statements.checkpoint_digest(origin, size, root),
        root=root.hex(),
    )
    try:
        statements.parse(payload).closed()
    except FormatError as error:
        raise UsageError(error.what, hint="a successor is another log, known by its Ed25519 verifier key") from None
    return payload


def check_position(statement: Statement, size: int, root: Callable[[], bytes]) -> Closing:
    """Rule b, first half: the closing of a log is about the tree before it; returns it.

    Args:
        size: entries before it. root: gives the root hash over them.

    Raises:
        Moved: it is about another tree.
    """
    closing = Closing.of(statement)
    if closing.index != size or statement.root != root().hex():
        raise Moved(
            f"the closing is about a tree of {closing.index} entries, root {statement.root[:16]}…; "
            f"the log is not that tree at entry {size}"
        )
    return closing


def refuse_after(closing: Closing) -> Refused:
    """The error for an entry that stands behind the end of its log."""
    return Refused(f"the log is closed: {closing.described()}", hint=closing.advice())


class Succession:
    """The closed entries of a log, from the first to the newest, as one walks over its entries in order.

    Args:
        keys: the verifier keys of the log that is looked at. closings: the closed entries before the walk begins.
    """

    def __init__(self, keys: Collection[str], closings: Iterable[Closing] = ()) -> None:
        self.keys = frozenset(keys)
        self.closings = list(closings)

    @property
    def newest(self) -> Closing | None:
        """The newest closed entry so far."""
        return self.closings[-1] if self.closings else None

    def check(self, index: int, statement: Statement | None, root: Callable[[], bytes]) -> Closing | None:
        """Rules a and b for the entry that comes next; returns its closing, if it is one.

        Args:
            statement: the entry's, as far as it could be read. root: gives the root hash over the entries before it.

        Raises:
            Refused, FormatError: a rule does not hold.
        """
        for before in self.closings:
            if before.log in self.keys or before.successor is None:
                raise refuse_after(before)
        if statement is None or statement.kind != KIND:
            return None
        closing = check_position(statement, index, root)
        if self.newest is not None and closing.log != self.newest.successor:
            raise Refused(f"it closes {closing.log}; the log went on as {self.newest.successor}")
        if closing.successor in {before.log for before in self.closings}:
            raise Refused(f"it names {closing.successor} as successor, which was closed before")
        return closing

    def add(self, closing: Closing) -> None:
        """Takes a closed entry that `check` let pass: one that does not hold ends nothing."""
        self.closings.append(closing)

    def check_end(self, size: int) -> None:
        """Rule c, for a log of ``size`` entries.

        Raises:
            Refused: it does not hold.
        """
        newest = self.newest
        if newest is None or newest.successor in self.keys or (newest.index == size - 1 and newest.log in self.keys):
            return
        raise Refused(
            f"{newest.described()}; that is not this log, which holds {size} entries",
            hint="two logs may hold the same entries, and only the named one may go on with them",
        )
