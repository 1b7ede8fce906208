"""What a server tells of a search: each entry is proven and does match, whatever it says."""

from __future__ import annotations

from typing import Any

import pytest

from dataseal.ledger.errors import FormatError, ProofInvalid
from dataseal.ledger.remote.log import RemoteLog
from support.errors import refused
from support.served import Liar, receipt, release, rewritten
from support.workspaces import Bench


@pytest.fixture
def lies(bench: Bench, liar: tuple[RemoteLog, Liar]) -> tuple[RemoteLog, Liar]:
    """A served log of four receipts and a release."""
    for number in range(4):
        bench.log.append([receipt(bench.gate, number)])
    bench.log.append([release(bench, 1)])
    return liar


def found(log: RemoteLog, **wanted: Any) -> list[int]:
    with log.store.view() as view:
        return [row.index for row in view.search(**wanted)]


def test_it_tells_what_matches(bench: Bench, lies: tuple[RemoteLog, Liar]) -> None:
    log, _ = lies
    assert found(log, kind="receipt") == [3, 2, 1, 0]
    assert found(log, signer=bench.publisher.public.fingerprint) == [4]


def test_what_does_not_match_is_left_out(lies: tuple[RemoteLog, Liar]) -> None:
    """A server that ignores the question puts nothing into the answer."""
    log, transport = lies
    everything = log.exchange.get("entries", {"size": 5, "limit": 100})
    transport.tamper = rewritten("/entries", lambda page: everything)
    assert found(log, kind="release") == [4]
    assert found(log, kind="receipt", before=2) == [1, 0]
    assert found(log, subject="9" * 64) == []


def test_an_entry_that_is_not_in_the_log(lies: tuple[RemoteLog, Liar]) -> None:
    log, transport = lies

    def other(page: dict[str, Any]) -> dict[str, Any]:
        page["entries"][0]["bundle"] = page["entries"][0]["bundle"].replace("a", "b", 1)
        return page

    transport.tamper = rewritten("/entries", other)
    with refused(ProofInvalid):
        found(log, kind="receipt")


@pytest.mark.parametrize("how", ["backwards", "twice", "endless"])
def test_entries_that_are_not_in_order(lies: tuple[RemoteLog, Liar], how: str) -> None:
    log, transport = lies

    def disordered(page: dict[str, Any]) -> dict[str, Any]:
        if how == "backwards":
            page["entries"].reverse()
        elif how == "twice":
            page["entries"] *= 2
        else:
            page["entries"], page["before"] = [], 3
        return page

    transport.tamper = rewritten("/entries", disordered)
    with refused(FormatError, "in order" if how != "endless" else "empty page"):
        found(log, kind="receipt")
