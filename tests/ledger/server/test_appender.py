"""Group commit: posts share transactions, and answer each for itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from dataseal.ledger.admission import Admission
from dataseal.ledger.audit import check
from dataseal.ledger.errors import IntegrityError, Unavailable
from dataseal.ledger.log import Appended
from dataseal.ledger.server.appender import Appender, Outcome
from dataseal.ledger.server.problem import Problem
from support.served import receipt, release
from support.workspaces import Bench


class Slow:
    """A log that waits for a sign, so that posts gather; it may fail instead."""

    def __init__(self, bench: Bench, error: Exception | None = None) -> None:
        self.admission: Admission = bench.log.admission
        self.go = threading.Event()
        self.calls: list[int] = []
        self._log = bench.log
        self._error = error

    def append(self, bundles: Sequence[bytes]) -> list[Appended]:
        self.go.wait(10)
        self.calls.append(len(bundles))
        if self._error is not None:
            raise self._error
        return self._log.append(bundles)

    def prove(self, indexes: Sequence[int]) -> list[bytes]:
        return self._log.prove(indexes)


def post_all(log: Slow, posts: list[list[bytes]], waiting: int = 100) -> tuple[list[Outcome], list[float]]:
    """All posts at once: the first group holds the first alone, the next the rest."""

    async def run() -> tuple[list[Outcome], list[float]]:
        groups: list[float] = []
        appender = Appender(log, on_group=groups.append, waiting=waiting)
        appender.start()

        async def one(bundles: list[bytes]) -> Outcome:
            try:
                return await appender.append(bundles)
            except Problem as problem:
                return problem

        tasks = []
        for bundles in posts:
            tasks.append(asyncio.create_task(one(bundles)))
            await asyncio.sleep(0.001)
        log.go.set()
        outcomes = [await task for task in tasks]
        await appender.close()
        assert not appender.alive
        return outcomes, groups

    return asyncio.run(run())


def test_posts_that_wait_share_one_transaction(bench: Bench) -> None:
    log = Slow(bench)
    outcomes, groups = post_all(log, [[receipt(bench.gate, n)] for n in range(20)])
    assert groups == [1, 19] == log.calls
    indexes = [item.appended.index for outcome in outcomes if isinstance(outcome, list) for item in outcome]
    assert sorted(indexes) == list(range(20))
    assert check(bench.log).clean


def test_a_refused_post_does_not_take_its_neighbours_with_it(bench: Bench) -> None:
    posts = [[receipt(bench.gate, n)] for n in range(12)]
    posts[5] = [receipt(bench.gate, 100), release(bench, 9)]  # of a batch none is logged
    posts[8] = [release(bench, 4)]
    outcomes, _ = post_all(Slow(bench), posts)
    refused = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Problem)]
    assert refused == [5, 8]
    assert {outcomes[n].status for n in refused} == {409}  # type: ignore[union-attr]
    with bench.log.store.view() as view:
        assert view.head().size == 10
    assert check(bench.log).clean


def test_the_same_statement_twice_in_a_group_is_one_entry(bench: Bench) -> None:
    first, again = receipt(bench.gate, 1), receipt(bench.gate, 1)
    assert first != again
    outcomes, _ = post_all(Slow(bench), [[receipt(bench.gate, 0)], [first], [again], [first, again]])
    found = [[(item.appended.index, item.appended.existed) for item in outcome] for outcome in outcomes]  # type: ignore[union-attr]
    assert [index for outcome in found for index, _ in outcome] == [0, 1, 1, 1, 1]
    assert [existed for outcome in found for _, existed in outcome].count(False) == 2


@pytest.mark.parametrize(
    ("error", "status"),
    [(Unavailable("locked"), 503), (IntegrityError("damaged"), 500), (RuntimeError("/secret/path"), 500)],
)
def test_a_log_that_fails_is_told_without_its_reasons(bench: Bench, error: Exception, status: int) -> None:
    log = Slow(bench, error)
    outcomes, _ = post_all(log, [[receipt(bench.gate, n)] for n in range(8)])
    assert {outcome.status for outcome in outcomes if isinstance(outcome, Problem)} == {status}
    assert len(log.calls) == 2  # what no post is at fault for is not halved
    assert not any(word in str(outcomes[0].body) for word in ("secret", "damaged"))  # type: ignore[union-attr]


def test_more_than_may_wait_hear_503_at_once(bench: Bench) -> None:
    outcomes, _ = post_all(Slow(bench), [[receipt(bench.gate, n)] for n in range(10)], waiting=3)
    full = [outcome for outcome in outcomes if isinstance(outcome, Problem)]
    assert len(full) == 6
    assert {(problem.status, problem.headers["Retry-After"]) for problem in full} == {(503, "1")}


def test_a_client_that_went_away_is_logged_all_the_same(bench: Bench) -> None:
    async def run() -> None:
        log = Slow(bench)
        appender = Appender(log, on_group=lambda _: None)
        appender.start()
        task = asyncio.create_task(appender.append([receipt(bench.gate, 1)]))
        await asyncio.sleep(0.01)
        task.cancel()
        log.go.set()
        await appender.close()

    asyncio.run(run())
    with bench.log.store.view() as view:
        assert view.head().size == 1
