"""Group commit: who waits together is committed together, and answered alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from dataseal.ledger import committer
from dataseal.ledger.committer import Committer, Request
from dataseal.ledger.errors import Refused, Unavailable
from dataseal.ledger.log import Log
from dataseal.ledger.store.store import Store
from support import statements as make
from support.errors import refused
from support.statements import OTHER, receipt_payload, sign_bundle
from support.workspaces import Bench

Group = Sequence[Request[int, int]]


class Gathering:
    """A committer whose first commit waits until others have queued."""

    def __init__(self, waiting: int) -> None:
        self.groups: list[list[int]] = []
        self.waiting = waiting
        self.begun = threading.Event()
        self.committer: Committer[int, int] = Committer(self.commit)

    def commit(self, group: Group) -> None:
        self.groups.append([item for request in group for item in request.items])
        if len(self.groups) == 1:
            self.begun.set()
            while len(self.committer._queue) < self.waiting:
                threading.Event().wait(0.001)
        for request in group:
            request.fail(Refused("odd")) if any(i % 2 for i in request.items) else request.succeed(sum(request.items))

    def run(self, requests: Sequence[Sequence[int]], size: int = 1) -> list[int | str]:
        """Submits the first request, and the others while it is being committed."""

        def submit(items: Sequence[int]) -> int | str:
            try:
                return self.committer.submit(items, size)
            except Refused as error:
                return error.what

        with ThreadPoolExecutor(len(requests)) as pool:
            first = pool.submit(submit, requests[0])
            self.begun.wait(10)
            rest = [pool.submit(submit, items) for items in requests[1:]]
            return [future.result(10) for future in [first, *rest]]


def test_what_gathers_during_a_commit_is_one_group() -> None:
    gathering = Gathering(waiting=5)
    gathering.run([[0], [2], [4], [6], [8], [10]])
    assert [sorted(group) for group in gathering.groups] == [[0], [2, 4, 6, 8, 10]]


def test_each_gets_its_own_result_or_error() -> None:
    assert Gathering(waiting=4).run([[0], [1], [2, 4], [3], [6]]) == [0, "odd", 6, "odd", 6]


def test_a_group_is_bounded_in_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "MAX_ENTRIES", 3)
    gathering = Gathering(waiting=4)
    gathering.run([[0], [2, 2], [2], [2, 2, 2, 2], [2]])
    assert max(map(len, gathering.groups)) <= 4, "a request is never cut: one beyond the bound goes alone"
    assert all(len(group) <= 3 for group in gathering.groups if group != [2, 2, 2, 2])


def test_a_group_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "MAX_BYTES", 20)
    gathering = Gathering(waiting=4)
    gathering.run([[0], [2], [4], [6], [8]], size=10)
    assert [len(group) for group in gathering.groups] == [1, 2, 2]


def test_what_the_commit_raises_fails_all_that_it_did_not_get_to() -> None:
    def commit(group: Group) -> None:
        raise Unavailable("locked")

    with refused(Unavailable, "locked"):
        Committer(commit).submit([1], 1)


def test_an_interrupt_is_the_leaders_own_and_no_verdict_for_the_others() -> None:
    entered, interrupt = threading.Event(), threading.Event()

    def commit(group: Group) -> None:
        entered.set()
        interrupt.wait(10)
        raise KeyboardInterrupt

    one: Committer[int, int] = Committer(commit)
    with ThreadPoolExecutor(2) as pool:
        one._queue.append(other := Request([2], 1))
        leader = pool.submit(one.submit, [1], 1)
        entered.wait(10)
        interrupt.set()
        with pytest.raises(KeyboardInterrupt):
            leader.result(10)
    assert isinstance(other.error, Unavailable)
    assert other.done.is_set()


# --- in the log ---


def held(bench: Bench, requests: Sequence[Sequence[bytes]]) -> list[object]:
    """Appends requests from as many threads, that all wait for one lock: they form one group, or two."""
    log = bench.log
    with ThreadPoolExecutor(len(requests)) as pool:
        with bench.again().store.appending():
            futures = [pool.submit(log.append, request) for request in requests]
            threading.Event().wait(0.3)
        return [future.exception(20) or future.result() for future in futures]


def test_one_bad_entry_fails_alone(bench: Bench) -> None:
    good = [[sign_bundle(receipt_payload(n), bench.gate)] for n in range(6)]
    bad = [sign_bundle(make.modification_payload(OTHER), bench.publisher)]
    results = held(bench, [*good[:3], bad, *good[3:]])
    assert isinstance(results.pop(3), Refused)
    assert sorted(r[0].index for r in results) == list(range(6))  # type: ignore[index]


def test_a_request_that_fails_in_its_middle_leaves_no_trace(bench: Bench) -> None:
    """Its first entry was admitted and linked: what comes after must not count on it."""
    release = sign_bundle(make.release_payload(), bench.publisher)
    broken = [release, sign_bundle(make.modification_payload("dd" * 32), bench.publisher)]
    with refused(Refused):
        bench.log.append(broken)
    results = held(bench, [broken, [sign_bundle(receipt_payload(1), bench.gate)], [release]])
    assert isinstance(results[0], Refused)
    assert not isinstance(results[2], Exception)
    from dataseal.ledger import audit

    assert audit.check(bench.again()).clean


def test_threads_that_append_at_once_share_transactions(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [[sign_bundle(receipt_payload(n), bench.gate)] for n in range(12)]
    held(bench, requests)
    with bench.log.store.view() as view:
        assert view.count() == 12
        assert len(list(view.heads())) <= 3


def test_a_writer_that_another_one_overtook_asks_the_store_again(bench: Bench) -> None:
    """What it remembers of the log's end holds for the head that it made, and for no other."""
    other = bench.again()
    for number in range(6):
        log = (bench.log, other)[number % 2]
        log.append([sign_bundle(receipt_payload(number), bench.gate)])
    from dataseal.ledger import audit

    result = audit.check(bench.again())
    assert result.clean, result.problems
    assert isinstance(log, Log)
    assert isinstance(log.store, Store)
