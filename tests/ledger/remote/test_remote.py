"""A served log as commands use it: the same walks, refusals, and tries again; and whose key is believed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dataseal.ledger import workspace as workspaces
from dataseal.ledger.audit import check
from dataseal.ledger.errors import (
    Refused,
    Unavailable,
    UsageError,
)
from dataseal.ledger.log import Log
from dataseal.ledger.remote import exchange
from dataseal.ledger.remote.exchange import Exchange
from dataseal.ledger.remote.log import RemoteLog
from dataseal.ledger.remote.open import is_remote, open_log, open_remote, policy_of, with_ledger
from dataseal.ledger.resources import StoreResources
from dataseal.ledger.verify import verify_bundle, verify_logged
from support.errors import refused
from support.served import Liar, Served, receipt, release
from support.workspaces import DATASET, Bench, write_shard

# The walks.


def test_sign_record_and_check_work_as_on_a_file(bench: Bench, remote: RemoteLog, dataset: Path) -> None:
    assert bench.sign(dataset, log=remote).recorded.logged.index == 0
    write_shard(dataset / "data" / "9.parquet", 5, start=100)
    assert bench.record(dataset, log=remote).recorded.logged.index == 1
    second = bench.sign(dataset, "2.0.0", log=remote)
    assert (second.release.sequence, second.history) == (2, 2)
    finished = bench.sign(dataset, "2.0.0", log=remote)
    assert finished.recorded.existed
    audit = check(bench.log)  # an audit is of the ledger's own tables; a served log is followed by its tiles
    assert audit.clean
    assert audit.entries == 3
    with remote.store.view() as there, bench.log.store.view() as here:
        assert list(there.entries()) == list(here.entries())
        assert there.datasets() == here.datasets() == [DATASET]
        assert there.newest(DATASET) == here.newest(DATASET)
        assert there.release(DATASET, "1.0.0") == here.release(DATASET, "1.0.0")
        assert there.of_dataset(DATASET, "release") == here.of_dataset(DATASET, "release")
        assert there.head() == there.signed_head() == here.head() == here.signed_head()
        assert (there.count(), there.tally(), list(there.tiles())) == (3, here.tally(), list(here.tiles()))
        assert [there.entry(n) for n in range(4)] == [here.entry(n) for n in range(4)]
    resources = [StoreResources(log.store, "log") for log in (remote, bench.log)]  # type: ignore[arg-type]
    for path in ("checkpoint", "tile/0/000.p/3", "tile/0/000.p/2", "tile/entries/000.p/3", "tile/0/001", "tile/1/000"):
        assert resources[0].read(path) == resources[1].read(path), path


def test_what_it_returns_verifies_for_a_consumer(bench: Bench, remote: RemoteLog, dataset: Path) -> None:
    made = bench.sign(dataset, log=remote).recorded
    verified = verify_bundle(made.bundle, [bench.publisher.public])
    assert verify_logged(verified, made.proof, [bench.log.trusted()]).index == 0


def test_a_refused_state_is_refused_as_on_a_file(bench: Bench, remote: RemoteLog, dataset: Path) -> None:
    with refused(UsageError, "nothing is recorded"):
        bench.record(dataset, start=f"{DATASET}@9.9.9", log=remote)
    bench.sign(dataset, log=remote)
    write_shard(dataset / "data" / "9.parquet", 5, start=100)
    with refused(UsageError, "released already"):
        bench.sign(dataset, "1.0.0", log=remote)


def test_a_root_without_a_dataset_is_found_by_reading_the_log(bench: Bench, remote: RemoteLog, dataset: Path) -> None:
    root = bench.sign(dataset, log=remote).release.tree.root
    write_shard(dataset / "data" / "9.parquet", 5, start=100)
    assert bench.record(dataset, start=root, dataset=None, log=remote).recorded.logged.index == 1


def test_an_empty_log_has_nothing_and_takes_a_first_entry(bench: Bench, remote: RemoteLog) -> None:
    with remote.store.view() as view:
        assert (view.count(), view.datasets(), view.newest(DATASET), list(view.entries())) == (0, [], None, [])
        assert (list(view.heads()), list(view.tiles()), view.of_dataset(DATASET, "release")) == ([], [], [])
    with refused(UsageError, "empty"):
        remote.checkpoint()
    with refused(UsageError, "empty"):
        remote.prove([0])
    assert remote.append([]) == []
    assert [item.index for item in remote.append([receipt(bench.gate, n) for n in range(3)])] == [0, 1, 2]
    assert remote.checkpoint() == bench.log.checkpoint()


def test_a_long_chain_comes_in_pages(bench: Bench, liar: tuple[RemoteLog, Liar], monkeypatch: Any) -> None:
    monkeypatch.setattr("dataseal.ledger.remote.chain.PAGE", 3)
    log, transport = liar
    bench.log.append([receipt(bench.gate, n) for n in range(10)])
    with log.store.view() as view:
        assert [row.index for row in view.of_dataset(DATASET, "receipt")] == list(range(10))
    assert transport.asked.count("GET /entries") == 4


def test_proofs_of_older_entries_are_made_from_tiles(bench: Bench, remote: RemoteLog) -> None:
    bundles = [receipt(bench.gate, n) for n in range(5)]
    bench.log.append(bundles)
    for bundle, proof in zip(bundles, remote.prove(range(5)), strict=True):
        verify_logged(verify_bundle(bundle, [bench.gate.public]), proof, [remote.trusted()])
    with refused(UsageError, "no entry 5"):
        remote.prove([5])


# What the log refuses.


def test_refusals_carry_the_logs_reason(bench: Bench, remote: RemoteLog) -> None:
    with refused(Refused, "the log refuses it", "sequence 5"):
        remote.append([release(bench, 5)])
    with refused(Refused, "does not list this key"):
        remote.append([release(bench, 1, signer=bench.gate)])
    with refused(Refused, "JSON"):
        remote.append([b"nonsense"])
    with refused(UsageError, "several lines"):
        remote.append([b"{\n}", b"{}"])


def test_the_servers_words_stay_on_one_line(remote: RemoteLog, liar: tuple[RemoteLog, Liar], bench: Bench) -> None:
    words = {"what": "a\nb\x1b[31m" + "x" * 5000, "where": None, "next": ["no", "text"]}
    liar[1].tamper = lambda request, answer: httpx2.Response(403, json=words)
    with pytest.raises(Refused) as caught:
        remote.append([receipt(bench.gate)])
    assert "\n" not in caught.value.what
    assert len(caught.value.what) < 600


# Again, after what passes.


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_what_passes_is_tried_again_and_logs_once(bench: Bench, liar: tuple[RemoteLog, Liar], status: int) -> None:
    log, transport = liar
    left = [2]

    def lose(request: httpx2.Request, answer: httpx2.Response) -> httpx2.Response:
        if request.method == "POST" and left[0]:  # the entry is logged, and its answer is lost
            left[0] -= 1
            return httpx2.Response(status, headers={"retry-after": "1"})
        return answer

    transport.tamper = lose
    (item,) = log.append([receipt(bench.gate)])
    assert (item.index, item.existed) == (0, True)
    assert transport.asked.count("POST /entries") == 3
    assert check(bench.log).entries == 1


def test_a_broken_connection_is_tried_again(bench: Bench, liar: tuple[RemoteLog, Liar]) -> None:
    log, transport = liar
    left = [1]

    def breaks(request: httpx2.Request, answer: httpx2.Response) -> httpx2.Response:
        if request.method == "POST" and left[0]:
            left[0] -= 1
            raise httpx2.ReadError("reset")
        return answer

    transport.tamper = breaks
    assert log.append([receipt(bench.gate)])[0].existed


def test_a_server_that_stays_away_is_given_up(bench: Bench, liar: tuple[RemoteLog, Liar]) -> None:
    log, transport = liar
    transport.tamper = lambda request, answer: httpx2.Response(503, json={"what": "busy"})
    with refused(Unavailable, "503", "busy", "run the command again"):
        log.append([receipt(bench.gate)])
    assert len(transport.asked) == exchange.TRIES


def test_a_server_that_asks_for_too_much_patience_is_not_waited_for() -> None:
    waits: list[float] = []
    transport = httpx2.MockTransport(lambda _: httpx2.Response(429, headers={"retry-after": "86400"}))
    with refused(Unavailable, "429"):
        Exchange("http://log.example", transport=transport, pause=waits.append).get("entries", {})
    assert waits == []


def test_it_waits_as_asked_and_longer_each_time() -> None:
    waits: list[float] = []
    transport = httpx2.MockTransport(lambda _: httpx2.Response(429, headers={"retry-after": "3"}))
    with refused(Unavailable, "429"):
        Exchange("http://log.example", transport=transport, pause=waits.append).get("entries", {})
    assert len(waits) == exchange.TRIES - 1
    assert all(3 <= wait <= exchange.LONGEST_PAUSE for wait in waits)


# Which server, and whose key.


def test_the_key_comes_from_the_configuration(bench: Bench, served: Served, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    workspace = with_ledger(bench.workspace, served.url)
    assert is_remote(workspace.config.ledger.path)
    bench.log.append([receipt(bench.gate, 1)])
    log = open_log(workspace, None)
    assert type(log) is RemoteLog
    assert type(open_log(bench.workspace, None)) is Log
    assert log.checkpoint() == bench.log.checkpoint()
    log.close()
    with refused(UsageError, "--offline"):
        open_remote(workspace, offline=True)


def test_a_key_is_demanded_and_one_alone(bench: Bench, tmp_path: Path) -> None:
    def configured(**fields: str | None) -> workspaces.Workspace:
        ledger = bench.workspace.config.ledger.model_copy(update=fields)
        config = bench.workspace.config.model_copy(update={"ledger": ledger})
        return replace(bench.workspace, config=config)

    vkey = bench.log.vkey
    (bench.workspace.folder / "acme.policy").write_text(f"log {vkey}\nquorum none\n")
    assert policy_of(configured(vkey=vkey)).logs[0].key.vkey == vkey
    assert policy_of(configured(log="acme.policy")).logs[0].key.vkey == vkey
    with refused(UsageError, "both"):
        policy_of(configured(vkey=vkey, log="acme.policy"))
    with refused(UsageError, "vkey"):
        policy_of(configured(vkey="nonsense"))
    with refused(UsageError, "no-such"):
        policy_of(configured(log="no-such-file"))
    (bench.workspace.folder / "keys" / "log.vkey").unlink()
    with refused(UsageError, "not named", "vkey ="):
        policy_of(configured())


@pytest.mark.parametrize("url", ["ftp://x", "https://x/?a=1", "https://x/#a", "/srv/log"])
def test_what_is_no_address_of_a_server(url: str) -> None:
    with refused(UsageError, "not the address"):
        Exchange(url)


def test_a_password_in_the_url_is_not_repeated() -> None:
    assert Exchange("https://user:secret@log.example/x/").name == "https://log.example/x"
