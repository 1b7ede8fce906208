"""One entry judged by somebody who is not its log: what does not hold, and who signed.

 1. The entry parses: header and bundle.
 2. The chain holds: ``prev``, ``dataset_prev``, ``logged_at``.
 3. A known publisher signed the bundle, or nobody whom we know. One that names a known publisher's key and is not
    signed by it is forged. The caller says at what time a certificate is judged: ``logged_at`` is the log's own word,
    good enough for the audit of a log by its own rules (`as_logged`), and for nobody who watches that log.
 4. The payload is a statement of a known kind, and the header says of it what it says.
 5. The admission rules hold that need no list of signers: sequence, previous release, a known root to start from.
 6. It stands behind no entry that closed the log; if it closes it itself, it is about the tree before it.

Each step is judged by itself, as far as the entry can be read, so that one thing wrong does not hide another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dataseal.ledger import bundle as bundles
from dataseal.ledger import entry as entries
from dataseal.ledger import statement as statements
from dataseal.ledger.admission import check_order
from dataseal.ledger.closing import Closing
from dataseal.ledger.credential import Credential, Signer
from dataseal.ledger.errors import FormatError, SignatureInvalid, VerificationError
from dataseal.ledger.follow import Leaf, Tree
from dataseal.ledger.replay import Replay
from dataseal.ledger.statement import Statement
from dataseal.ledger.tlog import merkle
from dataseal.ledger.verify import VerifiedStatement, verify_bundle

Recognise = Callable[[entries.Entry, Sequence[Credential]], VerifiedStatement]
"""Verifies an entry's bundle with credentials, or raises SignatureInvalid, at times that it chooses."""

BAD_ENTRY = "bad-entry"
BROKEN_CHAIN = "broken-chain"


@dataclass(slots=True)
class Judged:
    """An entry, and what was found.

    Attributes:
        signer, verified: the publisher of ours that signed it, if one did. claimed: the key that the bundle names.
        unproven: the publisher of ours who signed it if ``logged_at`` is true, which nothing else shows.
        header, statement: as far as they could be read. closing: what it closes, when it closes the log.
        problems: what does not hold, by kind of event.
    """

    leaf: Leaf
    header: entries.Header | None = None
    statement: Statement | None = None
    signer: Signer | None = None
    verified: VerifiedStatement | None = None
    claimed: str | None = None
    unproven: Signer | None = None
    closing: Closing | None = None
    problems: list[tuple[str, str]] = field(default_factory=list)

    def place(self) -> dict[str, Any]:
        """Which entry it is."""
        where = {"index": self.leaf.index, "leaf": self.leaf.leaf.hex()}
        return where | ({"kind": self.header.kind, "dataset": self.header.dataset} if self.header else {})

    def fields(self) -> dict[str, Any]:
        """All that an event says of an entry that could be read."""
        assert self.header is not None
        assert self.statement is not None
        return self.place() | {
            "version": self.statement.version,
            "root": self.statement.root,
            "logged_at": self.header.logged_at,
            "signer": self.signer.fingerprint if self.signer else None,
            "claimed": self.claimed,
        }


def as_logged(entry: entries.Entry, credentials: Sequence[Credential]) -> VerifiedStatement:
    """A certificate is judged as the log did when it admitted the entry. See `Recognise`."""
    return verify_bundle(entry.bundle, credentials, now=entry.header.at)


def judge(leaf: Leaf, replay: Replay, publishers: Sequence[Credential], tree: Tree, *, recognise: Recognise) -> Judged:
    """Judges the entry that comes next in ``replay``, which takes it; it stands in ``tree``.

    Args:
        recognise: whether one of ``publishers`` signed it.
    """
    found = Judged(leaf)
    try:
        entry = entries.parse(leaf.body)  # 1
    except FormatError as error:
        found.problems.append((BAD_ENTRY, error.what))
        _try(found, BAD_ENTRY, lambda: _succession(found, replay, tree))
        replay.add(leaf.leaf, None, None)
        return found
    found.header = entry.header
    _try(found, BROKEN_CHAIN, lambda: replay.check_chain(entry.header))  # 2
    _try(found, BAD_ENTRY, lambda: _bundle(found, entry, publishers, replay, recognise))  # 3 to 5
    _try(found, BAD_ENTRY, lambda: _succession(found, replay, tree))  # 6
    replay.add(leaf.leaf, entry.header, found.statement, found.closing)
    return found


def _try(found: Judged, event: str, check: Callable[[], None]) -> None:
    try:
        check()
    except VerificationError as error:
        found.problems.append((event, error.what))


def _succession(found: Judged, replay: Replay, tree: Tree) -> None:
    index, walk = found.leaf.index, replay.succession(tree.checked.log_vkeys)
    found.closing = walk.check(index, found.statement, lambda: merkle.root_at(tree, index))


def _bundle(
    found: Judged, entry: entries.Entry, publishers: Sequence[Credential], replay: Replay, recognise: Recognise
) -> None:
    statement = _by_publisher(found, entry, publishers, recognise)  # 3
    if statement is None:
        statement = _by_anybody(found, entry.bundle, publishers)
    entries.check_header(entry.header, statement)  # 4
    found.statement = statement
    check_order(statement, replay, kind=entry.header.kind)  # 5


def _by_publisher(
    found: Judged, entry: entries.Entry, publishers: Sequence[Credential], recognise: Recognise
) -> Statement | None:
    if not publishers:
        return None
    try:
        verified = recognise(entry, publishers)
    except SignatureInvalid:
        if recognise is not as_logged and bundles.parse(entry.bundle).leaf is not None:
            with suppress(SignatureInvalid):
                found.unproven = as_logged(entry, publishers).signer
        return None
    found.verified = verified
    found.signer, found.claimed = verified.signer, verified.signer.fingerprint
    return verified.statement


def _by_anybody(found: Judged, raw: bytes, publishers: Sequence[Credential]) -> Statement:
    bundle = bundles.parse(raw)
    found.claimed = bundle.hint
    if any(key.fingerprint == bundle.hint for key in publishers):
        raise SignatureInvalid(f"it names key {bundle.hint[:16]}, which did not sign it: it was forged or altered")
    if bundle.payload_type != statements.PAYLOAD_TYPE:
        raise FormatError(f"payload type is {bundle.payload_type[:80]!r}; {statements.PAYLOAD_TYPE} is wanted")
    statement = statements.parse(bundle.payload)
    statement.check_predicate()
    return statement
