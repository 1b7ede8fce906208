"""What the walks need of a log, wherever it is: a store on this machine, or a server that is asked.

`record` needs `Recorder`; `sign` and `modify` need `AnyLog`, which also answers about recorded states; listing needs
`ReadableLog`, which reads all of it. `log.Log` and `remote.log.RemoteLog` are all three.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from dataseal.ledger.admission import Admission
from dataseal.ledger.log import Appended
from dataseal.ledger.store.models import StoredEntry
from dataseal.ledger.store.store import Head, Tally
from dataseal.ledger.tlog.merkle import Node
from dataseal.ledger.trust import TrustedLog


class Recorder(Protocol):
    """Logs bundles and proves it."""

    @property
    def admission(self) -> Admission:
        """Who may log what, as far as we are told; and the authorities whose times count."""

    def append(self, bundles: Sequence[bytes]) -> list[Appended]:
        """Admits and appends bundles, all or none, in order; one that is there already is found."""

    def prove(self, indexes: Sequence[int]) -> list[bytes]:
        """Proof files for entries, each carrying its entry's header."""

    def proven(self, index: int) -> bool:
        """Whether an entry can be proven now, by a checkpoint that is there."""

    def trusted(self) -> TrustedLog:
        """The log as its proofs are to be verified."""


class Queries(Protocol):
    """Answers about recorded states, all at one size of the log."""

    def newest(self, dataset: str, *kinds: str) -> StoredEntry | None:
        """A dataset's newest entry of the given kinds, or of any kind."""

    def release(self, dataset: str, version: str) -> StoredEntry | None:
        """The release of a dataset under a version."""

    def state(self, dataset: str, root: str) -> StoredEntry | None:
        """The newest release or modification of a dataset that has or leads to ``root``."""

    def of_dataset(self, dataset: str, *kinds: str) -> list[StoredEntry]:
        """A dataset's entries of the given kinds, in order."""

    def datasets(self) -> list[str]:
        """The names of all datasets with entries."""


class Reading(Queries, Protocol):
    """Reads a whole log."""

    def head(self) -> Head:
        """The newest head."""

    def signed_head(self) -> Head:
        """The newest head that has a checkpoint."""

    def heads(self) -> Iterator[Head]:
        """Every head that is known, by size."""

    def count(self) -> int:
        """How many entries there are."""

    def entry(self, index: int) -> StoredEntry | None:
        """The entry at ``index``."""

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[StoredEntry]:
        """Entries in order of their indexes."""

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
        """The entries that match all that is asked for, newest first."""

    def tally(self) -> list[Tally]:
        """How many entries there are, and their bytes, by dataset and kind."""

    def tile(self, level: int, number: int) -> bytes:
        """A hash tile's data; empty when it does not exist."""

    def tiles(self) -> Iterator[tuple[int, int, bytes]]:
        """Every tile: level, number, data."""

    def read(self, nodes: Sequence[Node]) -> list[bytes]:
        """The hashes of complete subtrees: a `merkle.HashReader`."""


class QueryStore(Protocol):
    """Gives views of a log's states."""

    def view(self) -> AbstractContextManager[Queries]:
        """One consistent view."""


class ReadingStore(Protocol):
    """Gives views of a whole log."""

    def view(self) -> AbstractContextManager[Reading]:
        """One consistent view."""


class AnyLog(Recorder, Protocol):
    """What `sign` and `modify` work on."""

    @property
    def store(self) -> QueryStore:
        """Its recorded states."""


class ReadableLog(Protocol):
    """What is listed and checked."""

    @property
    def origin(self) -> str:
        """The checkpoint's origin line."""

    @property
    def vkey(self) -> str:
        """The log's verifier key."""

    @property
    def admission(self) -> Admission:
        """Who may log what, as far as we are told."""

    @property
    def store(self) -> ReadingStore:
        """All of it."""
