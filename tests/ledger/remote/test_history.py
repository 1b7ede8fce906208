"""What a server leaves out, adds or alters of a dataset's history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dataseal.ledger.errors import (
    DatasealError,
    FormatError,
    ProofInvalid,
    Refused,
    SignatureInvalid,
)
from dataseal.ledger.remote.log import RemoteLog
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.view import Views
from support.errors import refused
from support.served import Liar, Served, receipt, rewritten
from support.workspaces import DATASET, Bench, make_dataset, write_shard


def chain_of(bench: Bench, log: RemoteLog) -> list[int]:
    with log.store.view() as view:
        return [row.index for row in view.of_dataset(DATASET, "receipt")]


def drop(at: int) -> Callable[[Any], Any]:
    def change(answer: Any) -> Any:
        del answer["entries"][at]
        return answer

    return change


def alter(field: str, value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def change(answer: Any) -> Any:
        answer["entries"][1][field] = value(answer["entries"][1][field])
        return answer

    return change


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (drop(1), ProofInvalid, "is not the one before"),
        (drop(3), ProofInvalid, "leaves out entry 0"),
        (lambda a: a | {"entries": a["entries"][:2], "before": None}, ProofInvalid, "leaves out entry 1"),
        (lambda a: a | {"entries": a["entries"][::-1]}, ProofInvalid, "is not the one before"),
        (lambda a: a | {"entries": a["entries"] * 2}, ProofInvalid, "is not the one before"),
        (lambda a: a | {"entries": [], "before": 3}, FormatError, "empty page"),
        (lambda a: a | {"size": 3}, FormatError, "not a page"),
        (lambda a: a | {"before": "x"}, FormatError, "not a page"),
        (lambda a: a | {"entries": [1]}, FormatError, "without index"),
        (alter("bundle", lambda text: text.replace("A", "B", 1)), ProofInvalid, ""),
        (alter("header", lambda text: text.replace("receipt", "release")), ProofInvalid, ""),
        (alter("hashes", lambda hashes: hashes[::-1]), ProofInvalid, ""),
        (alter("hashes", lambda hashes: []), ProofInvalid, ""),
        (alter("hashes", lambda hashes: ["?"] * 2), FormatError, "base64"),
        (alter("hashes", lambda hashes: ["AA=="] * 1000), FormatError, "no list of hashes"),
        (alter("index", lambda index: index + 1), ProofInvalid, ""),
        (alter("index", lambda index: 10**9), FormatError, "without index"),
    ],
)
def test_a_history_that_does_not_hold(
    bench: Bench, liar: tuple[RemoteLog, Liar], change: Any, error: type[DatasealError], words: str
) -> None:
    log, transport = liar
    bench.log.append([receipt(bench.gate, n) for n in range(4)])
    transport.tamper = rewritten("/entries", change)
    with pytest.raises(error) as caught:
        chain_of(bench, log)
    assert words in caught.value.what


def test_another_datasets_entries_are_not_taken_for_ours(bench: Bench, liar: tuple[RemoteLog, Liar]) -> None:
    log, transport = liar
    bench.log.append([receipt(bench.gate, 1, dataset="other/data")])
    real = transport._real

    def other(request: httpx2.Request, answer: httpx2.Response) -> httpx2.Response:
        if request.url.path != "/entries":
            return answer
        found = real.handle_request(httpx2.Request("GET", request.url.copy_set_param("dataset", "other/data")))
        return httpx2.Response(200, content=found.read())

    transport.tamper = other
    with refused(FormatError, "is of 'other/data'"):
        chain_of(bench, log)


def test_hiding_the_newest_entry_comes_out_when_the_next_is_logged(
    bench: Bench, liar: tuple[RemoteLog, Liar], dataset: Path
) -> None:
    log, transport = liar
    bench.sign(dataset)
    write_shard(dataset / "data" / "9.parquet", 5, start=100)
    bench.record(dataset)
    write_shard(dataset / "data" / "10.parquet", 5, start=200)

    def hide(request: httpx2.Request, answer: httpx2.Response) -> httpx2.Response:
        if request.method != "GET" or request.url.path != "/entries":
            return answer
        return httpx2.Response(200, json=drop(0)(answer.json()))

    transport.tamper = hide
    with refused(ProofInvalid, "hid entries", "entry 0 as the newest", "follows entry 1"):
        bench.record(dataset, log=log)


def test_hiding_a_whole_dataset_comes_out_too(bench: Bench, liar: tuple[RemoteLog, Liar], tmp_path: Path) -> None:
    log, transport = liar
    first = make_dataset(tmp_path / "first")
    bench.sign(first)
    write_shard(first / "data" / "9.parquet", 5, start=100)
    nothing = {"entries": [], "before": None}
    transport.tamper = lambda request, answer: (
        httpx2.Response(200, json=nothing | {"size": answer.json()["size"]})
        if (request.method, request.url.path) == ("GET", "/entries")
        else answer
    )
    with log.store.view() as view:
        assert view.newest(DATASET) is None
    with refused(ProofInvalid, "hid entries", "told none", "follows entry 0"):
        log.append([receipt(bench.gate, 1)])


def test_an_honest_log_refuses_what_rests_on_a_hidden_state(
    bench: Bench, liar: tuple[RemoteLog, Liar], dataset: Path
) -> None:
    log, transport = liar
    bench.sign(dataset)
    write_shard(dataset / "data" / "9.parquet", 5, start=100)
    transport.tamper = lambda request, answer: (
        httpx2.Response(200, json={"entries": [], "before": None, "size": 1})
        if (request.method, request.url.path) == ("GET", "/entries")
        else answer
    )
    with refused(Refused, "sequence 1; 2 comes next"):
        bench.sign(dataset, "2.0.0", log=log)


def test_others_may_log_between_our_look_and_our_post(bench: Bench, remote: RemoteLog) -> None:
    bench.log.append([receipt(bench.gate, 1)])
    assert chain_of(bench, remote) == [0]
    bench.log.append([receipt(bench.gate, 2), receipt(bench.gate, 3, dataset="other/data")])
    assert remote.append([receipt(bench.gate, 4)])[0].index == 3
    assert chain_of(bench, remote) == [0, 1, 3]


def test_an_entry_by_a_key_that_we_do_not_list_is_not_built_upon(
    bench: Bench, served: Served, tmp_path: Path, dataset: Path
) -> None:
    bench.sign(dataset)
    narrower = bench.workspace.admission()
    narrower = replace(narrower, rules=[rule for rule in narrower.rules if "receipt" in rule.kinds])
    policy = policy_for_log(bench.log.vkey)
    log = RemoteLog(served.url, policy, Views(tmp_path / "views"), narrower)
    with refused(SignatureInvalid, "signed by no key", "[[admission]]"), log.store.view() as view:
        view.newest(DATASET, "release")
    with log.store.view() as view:
        assert [row.signer for row in view.entries()] == ["not a listed key"]
    log.close()
