"""What the entries say and who signed it: signatures, admission, and the tables that lead to entries.

Each bundle is verified by itself, and in a large ledger by processes of its own, one a core; what depends on order is
judged here, entry after entry. A ledger that lists certified names or identities is verified by this process alone.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from typing import Final, NamedTuple

from dataseal.ledger import entry as entries
from dataseal.ledger.admission import Admission
from dataseal.ledger.checks.chain import Item, Read, Report
from dataseal.ledger.checks.order import Order
from dataseal.ledger.closing import KIND, Succession
from dataseal.ledger.errors import DatasealError, IntegrityError, Refused
from dataseal.ledger.log import Log
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.statement import EVIDENCE, Statement
from dataseal.ledger.states import statement_of
from dataseal.ledger.store.rederive import Rederived
from dataseal.ledger.store.store import View
from dataseal.ledger.store.stored import StoredEntry
from dataseal.ledger.store.view import STATES
from dataseal.ledger.tlog import merkle
from dataseal.ledger.verify import VerifiedStatement, verify_bundle

PARALLEL: Final = 8192
"""Entries from which on processes pay: starting them costs as much as verifying some thousand signatures."""

_BATCH: Final = 256
_AHEAD: Final = 4
"""Batches of `_BATCH` entries that wait for each process, or are done and wait for their turn: some 2 MB each."""

_TABLES: Final = 100
"""Problems of the tables that are named: when they do not agree with the entries, each one takes queries to find."""

_ORDERED: Final = frozenset({*STATES, KIND, entries.ENDORSEMENT, EVIDENCE})

Verify = Callable[[bytes], VerifiedStatement]
"""Verifies the bundle in an entry's bytes."""


class Verified(NamedTuple):
    """What one bundle is. ``problem`` says why it is none; ``statement`` is there for the kinds that rules order.

    ``certified`` is there when no key recognised the signer: such a signer is looked up in the rules for each entry.
    """

    keys: tuple[int, ...]
    problem: str = ""
    signer: str = ""
    statement: Statement | None = None
    certified: VerifiedStatement | None = None


def verify_bodies(bodies: Sequence[tuple[bytes, str, str]], verify: Verify) -> list[Verified]:
    """Verifies entries by themselves: body, dataset and kind of each, as their headers say."""
    return [_verify(body, dataset, kind, verify) for body, dataset, kind in bodies]


def _verify(body: bytes, dataset: str, kind: str, verify: Verify) -> Verified:
    try:
        found = tuple(StoredEntry(0, body, signer="", dataset=dataset, kind=kind).keys)
    except DatasealError:
        found = ()
    try:
        verified = verify(body)
        _check_header(dataset, kind, verified.statement)
    except DatasealError as error:
        return Verified(found, error.what)
    statement = verified.statement if kind in _ORDERED else None
    certified = None if isinstance(verified.credential, PublicKey) else verified
    return Verified(found, "", verified.signer.fingerprint, statement, certified)


def by_keys(keys: Sequence[PublicKey]) -> Verify:
    """Verifies by keys, for which no time counts."""
    return lambda body: verify_bundle(body.partition(b"\n")[2], keys)


def by_admission(admission: Admission) -> Verify:
    """Verifies by whatever the log lists, as the log did when it admitted the entry."""
    return lambda body: admission.verify_entry(entries.parse(body))


def _check_header(dataset: str, kind: str, statement: Statement) -> None:
    entries.check_header(entries.Header(kind, dataset, "", None, None), statement)


class Statements:
    """Takes the entries as they come.

    Attributes:
        kinds: of the entries that it wants.

    Args:
        signatures: without it, only entries that close a log are looked into.
        jobs: processes that verify signatures; 1 for this one alone.
    """

    def __init__(self, view: View, log: Log, report: Report, *, signatures: bool, jobs: int) -> None:
        self._view, self._log, self._report, self._signatures = view, log, report, signatures
        self.kinds = frozenset(entries.ENTRY_KINDS) if signatures else frozenset({KIND})
        listed = log.admission.credentials()
        self._keys = [one for one in listed if isinstance(one, PublicKey)]
        self._portable = len(self._keys) == len(listed)
        self._verify = by_keys(self._keys) if self._portable else by_admission(log.admission)
        self._jobs = jobs
        self._order = Order()
        self._succession = Succession([log.vkey])
        self._rederived = Rederived()
        self._steady = log.admission.steady
        self._listed: dict[tuple[str, str, str], str] = {}
        self._pool: ProcessPoolExecutor | None = None
        self._waiting: deque[tuple[Sequence[Item], Future[list[Verified]] | None]] = deque()
        self._gathered: list[Item] = []

    @contextmanager
    def working(self) -> Iterator[None]:
        """While entries come: with its processes."""
        if not self._signatures or self._jobs <= 1 or not self._portable:
            yield
            return
        pems = [key.pem() for key in self._keys]
        # Not forked: locks that a thread of this process holds would stay held there.
        pool = ProcessPoolExecutor(self._jobs, get_context("spawn"), initializer=_begin, initargs=(pems,))
        try:
            self._pool = pool
            yield
        finally:
            self._pool = None
            pool.shutdown(cancel_futures=True)

    def take(self, read: Read) -> None:
        """Takes the entries that come next."""
        if not self._signatures:
            self._closings(read)
            return
        for name in set(read.names):
            self._rederived.use(name)
        self._gathered += read.items
        if len(self._gathered) >= _BATCH:
            self._submit()

    def finish(self, size: int) -> None:
        """What waits still, what is known of the log's successors, and the tables."""
        self._submit()
        while self._waiting:
            self._judge_next()
        try:
            self._succession.check_end(size)
        except Refused as error:
            self._report("the log", error.what)
        if self._signatures:
            for where, what in islice(self._rederived.problems(self._view), _TABLES):
                self._report(where, what)

    def _submit(self) -> None:
        items, self._gathered = self._gathered, []
        if not items:
            return
        future = None
        if self._pool:
            try:
                future = self._pool.submit(_work, _plain(items))
            except BrokenProcessPool:  # what it does, is done here
                self._pool = None
        self._waiting.append((items, future))
        while self._waiting and (self._pool is None or len(self._waiting) > self._jobs * _AHEAD):
            self._judge_next()

    def _judge_next(self) -> None:
        items, future = self._waiting.popleft()
        try:
            found = future.result() if future else verify_bodies(_plain(items), self._verify)
        except BrokenProcessPool:
            self._pool = None
            found = verify_bodies(_plain(items), self._verify)
        for item, verified in zip(items, found, strict=True):
            self._rederived.add(item.at, verified.keys, item.name) if verified.keys else None
            try:
                self._judge(item, verified)
            except DatasealError as error:
                self._report(f"entry {item.at}", error.what)

    def _judge(self, item: Item, verified: Verified) -> None:
        if item.unread:
            self._order.miss(item.dataset, item.unread)
        if verified.problem:
            self._order.miss(item.dataset, 0 if item.changed else 1)
            self._succeed(item.at, None)
            raise IntegrityError(verified.problem)
        listed = self._view.name(item.name).signer
        if listed != verified.signer:
            self._report(f"entry {item.at}", f"its name says signer {listed!r}; the entry says {verified.signer!r}")
        self._check_listed(item, verified)
        self._succeed(item.at, verified.statement)
        if verified.statement is not None:
            self._order.check(verified.statement, item.kind)

    def _check_listed(self, item: Item, found: Verified) -> None:
        who, admission = (item.dataset, item.kind, found.signer), self._log.admission
        if not self._steady or who not in self._listed:
            try:
                verified = found.certified or self._verify(item.body)
                admission.check_listed(verified, kind=item.kind, index=item.at)
                self._listed[who] = ""
            except Refused as error:
                self._listed[who] = error.what
        if told := self._listed[who]:
            self._report(f"entry {item.at}", told)

    def _closings(self, read: Read) -> None:
        closing = {item.at: item for item in read.items}
        for at in range(read.first, read.first + len(read.leaves)) if closing or self._succession.closings else ():
            try:
                statement = None
                if item := closing.get(at):
                    statement = statement_of(StoredEntry(at, item.body, signer=""))
                    _check_header(item.dataset, item.kind, statement)
                self._succeed(at, statement)
            except DatasealError as error:
                self._report(f"entry {at}", error.what)

    def _succeed(self, at: int, statement: Statement | None) -> None:
        """The rules of closed entries, for an entry of any kind."""
        closing = self._succession.check(at, statement, lambda: merkle.root_at(self._view, at))
        if closing is not None:
            self._succession.add(closing)


def processes(size: int) -> int:
    """How many processes a check of ``size`` entries is worth."""
    return 1 if size < PARALLEL else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _plain(items: Sequence[Item]) -> list[tuple[bytes, str, str]]:
    return [(item.body, item.dataset, item.kind) for item in items]


# In a process of the pool.

_trusted: list[PublicKey] = []


def _begin(pems: Sequence[bytes]) -> None:
    _trusted[:] = map(PublicKey.from_pem, pems)


def _work(bodies: Sequence[tuple[bytes, str, str]]) -> list[Verified]:
    return verify_bodies(bodies, by_keys(_trusted))
