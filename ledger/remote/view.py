"""One believed tree of a remote log, asked as a store's view is asked (`anylog.Reading`).

What speaks of one dataset comes from its `Chain`, and must be signed by a key that our own configuration lists for it:
a release is never built upon an entry that we would not have admitted. A certificate is judged as the log did: at a
time of the authorities that we pin, else at ``logged_at``, which is the server's word. What speaks of the whole log is
read from the tiles. Nothing is kept between two runs but the view of the log's head (`dataseal.ledger.view`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from dataseal.ledger import entry as entries
from dataseal.ledger.admission import Admission, Newest
from dataseal.ledger.bundle import parse as parse_bundle
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import SignatureInvalid, VerificationError
from dataseal.ledger.follow import Leaf, Tree
from dataseal.ledger.remote.chain import Chain, Pages
from dataseal.ledger.remote.exchange import Exchange
from dataseal.ledger.statement import Statement
from dataseal.ledger.statement import parse as parse_statement
from dataseal.ledger.store.models import StoredEntry
from dataseal.ledger.store.store import EMPTY, Head, Tally
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.tile import Tile, tiles_for, width_at
from dataseal.ledger.verify import VerifiedStatement

UNLISTED: Final = "not a listed key"
"""Stands for the signer of an entry whose signature no key of our configuration made."""

STATES: Final = ("release", "modification")


class RemoteView:
    """The log as it was at one believed tree; an empty log has none.

    Args:
        exchange: the server. tree: the tree. admission: whose signatures count here.
    """

    def __init__(self, exchange: Exchange, tree: Tree | None, admission: Admission) -> None:
        self.tree = tree
        self.chains: dict[str, Chain] = {}
        """By dataset: what was asked for so far."""
        self._exchange = exchange
        self._admission = admission

    # One dataset.

    def newest(self, dataset: str, *kinds: str) -> StoredEntry | None:
        """A dataset's newest entry of the given kinds, or of any kind."""
        return next(self.newest_first(dataset, kinds), None)

    def release(self, dataset: str, version: str) -> StoredEntry | None:
        """The release of a dataset under a version."""
        return next((row for row in self.newest_first(dataset, ("release",)) if row.version == version), None)

    def state(self, dataset: str, root: str) -> StoredEntry | None:
        """The newest release or modification of a dataset that has or leads to ``root``."""
        return next((row for row in self.newest_first(dataset, STATES) if row.root == root), None)

    def of_dataset(self, dataset: str, *kinds: str) -> list[StoredEntry]:
        """A dataset's entries of the given kinds, in order."""
        return list(self.newest_first(dataset, kinds))[::-1] if kinds else []

    def newest_first(self, dataset: str, kinds: Sequence[str]) -> Iterator[StoredEntry]:
        """A dataset's entries of the given kinds, or of any kind; each by a key that our configuration lists for it."""
        for leaf, header in self.chain(dataset):
            if not kinds or header.kind in kinds:
                yield self._listed(leaf, header)

    def chain(self, dataset: str) -> Iterator[tuple[Leaf, entries.Header]]:
        """A dataset's entries, newest first, verified as far as their place in the log goes."""
        if self.tree is None:
            return iter(())
        return iter(self.chains.setdefault(dataset, Chain(self._exchange, self.tree, dataset)))

    def _listed(self, leaf: Leaf, header: entries.Header) -> StoredEntry:
        where = f"entry {leaf.index} of {self._exchange.name}"
        try:
            verified = self._admission.verify_entry(entries.parse(leaf.body))
        except SignatureInvalid as error:
            raise SignatureInvalid(
                f"an entry of {header.dataset!r} is signed by no key that dataseal.toml lists",
                where=where,
                hint="if its signer may log this dataset, add the public key under [[admission]]",
            ) from error
        entries.check_header(header, verified.statement)
        if not self._admission.lists(verified, kind=header.kind, index=leaf.index):
            raise SignatureInvalid(
                f"a {header.kind} of {header.dataset!r} is signed by a key that dataseal.toml lists for others only",
                where=where,
                hint="if its signer may log it, say so under [[admission]]",
            )
        return _row(leaf, header, verified)

    def search(
        self,
        *,
        dataset: str | None = None,
        kind: str | None = None,
        signer: str | None = None,
        subject: str | None = None,
        since: str | None = None,
        until: str | None = None,
        before: int | None = None,
    ) -> Iterator[StoredEntry]:
        """The entries that match all that is asked for, newest first, as the server's indexes find them.

        Each is proven to be in the log and does match; that none was left out is proven of a dataset's chain alone.
        ``signer`` is by our configuration's keys: it finds nothing by others.

        Args:
            As `dataseal.ledger.store.view.Reading.search`.

        Raises:
            ProofInvalid, FormatError: what the server tells does not hold. Unavailable: it does not answer.
        """
        if self.tree is None:
            return
        if dataset is not None:
            found: Iterator[tuple[Leaf, entries.Header]] = self.chain(dataset)
        else:
            asked = {"kind": kind, "signer": signer, "subject": subject, "since": since, "until": until}
            given = {name: value for name, value in asked.items() if value is not None}
            found = Pages(self._exchange, self.tree).found(given)
        for leaf, header in found:
            row = self._anybodys(leaf)
            if (
                (before is None or row.index < before)
                and kind in (None, header.kind)
                and signer in (None, row.signer)
                and subject in (None, row.root, row.table_digest)
                and (since is None or header.logged_at >= since)
                and (until is None or header.logged_at <= until)
            ):
                yield row

    def headers(self) -> dict[int, bytes]:
        """The headers of entries that were told so far, by index."""
        return {leaf.index: header.encode() for chain in self.chains.values() for leaf, header in chain.told}

    # The whole log.

    def head(self) -> Head:
        """The newest head."""
        tree = self.tree
        return Head(tree.size, tree.root, tree.note) if tree else EMPTY

    def signed_head(self) -> Head:
        """The newest head that has a checkpoint: the same."""
        return self.head()

    def heads(self) -> Iterator[Head]:
        """The newest head; older ones are not served."""
        if self.tree is not None:
            yield self.head()

    def count(self) -> int:
        """How many entries there are."""
        return self.tree.size if self.tree else 0

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[StoredEntry]:
        """Entries in order of their indexes, from ``start`` up to ``stop`` (not included), whoever signed them."""
        if self.tree is None:
            return
        stop = self.tree.size if stop is None else min(stop, self.tree.size)
        for leaf in self.tree.entries(start, max(start, stop)):
            yield self._anybodys(leaf)

    def _anybodys(self, leaf: Leaf) -> StoredEntry:
        entry = entries.parse(leaf.body)
        try:
            verified: VerifiedStatement | None = self._admission.verify_entry(entry)
        except VerificationError:
            verified = None
        return _row(leaf, entry.header, verified)

    def entry(self, index: int) -> StoredEntry | None:
        """The entry at ``index``, whoever signed it."""
        return next(self.entries(index, index + 1), None) if 0 <= index < self.count() else None

    def tally(self) -> list[Tally]:
        """How many entries there are, and their bytes, by dataset and kind: reads the whole log."""
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for leaf in self.tree.entries() if self.tree else ():
            header = entries.parse(leaf.body).header
            count, size = found.get((header.dataset, header.kind), (0, 0))
            found[header.dataset, header.kind] = (count + 1, size + len(leaf.body))
        return [Tally(*key, *value) for key, value in sorted(found.items())]

    def datasets(self) -> list[str]:
        """The names of all datasets with entries: reads the whole log."""
        if self.tree is None:
            return []
        return sorted({entries.parse(leaf.body).header.dataset for leaf in self.tree.entries()})

    def tile(self, level: int, number: int) -> bytes:
        """A hash tile's data; empty when it does not exist."""
        width = width_at(level, number, self.count())
        return self.tree.tile(Tile(level, number, width)) if self.tree and width else b""

    def tiles(self) -> Iterator[tuple[int, int, bytes]]:
        """Every tile: level, number, data."""
        for tile in tiles_for(self.tree.size) if self.tree else ():
            assert self.tree is not None
            assert tile.level is not None
            yield tile.level, tile.index, self.tree.tile(tile)

    def read(self, nodes: Sequence[merkle.Node]) -> list[bytes]:
        """The hashes of complete subtrees, by (level, index)."""
        return self.tree.read(nodes) if self.tree else []


def _row(leaf: Leaf, header: entries.Header, verified: VerifiedStatement | None) -> StoredEntry:
    statement = verified.statement if verified else _claimed(leaf)
    return StoredEntry(
        index=leaf.index,
        leaf=leaf.leaf,
        body=leaf.body,
        kind=header.kind,
        dataset=header.dataset,
        version=statement.version,
        sequence=statement.release().sequence if statement.kind == "release" else None,
        root=statement.root,
        table_digest=statement.table,
        signer=verified.signer.fingerprint if verified else UNLISTED,
        payload=sha256(statement.payload).hex(),
        logged_at=header.logged_at,
    )


def _claimed(leaf: Leaf) -> Statement:
    return parse_statement(parse_bundle(entries.parse(leaf.body).bundle).payload)


class History:
    """`admission.History`: what a view tells of the entries before an index."""

    def __init__(self, view: RemoteView, before: int) -> None:
        self._view = view
        self._before = before

    def newest_release(self, dataset: str) -> Newest | None:
        """The newest release, or None."""
        row = next(self._rows(dataset, "release"), None)
        return Newest(row.sequence or 0, row.version, row.root) if row else None

    def has_version(self, dataset: str, version: str) -> bool:
        """Whether the version was released."""
        return any(row.version == version for row in self._rows(dataset, "release"))

    def has_root(self, dataset: str, root: str) -> bool:
        """Whether a release or modification of the dataset has or leads to the root."""
        return any(row.root == root for row in self._rows(dataset, *STATES))

    def has_state(self, dataset: str) -> bool:
        """Whether the dataset has any release or modification."""
        return next(self._rows(dataset, *STATES), None) is not None

    def has_statement(self, statement: Statement) -> bool:
        """Whether the log holds this release or modification, of these very bytes, whoever signed it."""
        payload = sha256(statement.payload).hex()
        return any(row.payload == payload for row in self._rows(statement.dataset, *STATES))

    def _rows(self, dataset: str, *kinds: str) -> Iterator[StoredEntry]:
        return (row for row in self._view.newest_first(dataset, kinds) if row.index < self._before)
