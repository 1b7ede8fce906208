"""A certificate ends, and what it signed in its time stays: every way back to an entry judges it as the log did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dataseal.ledger import audit, served
from dataseal.ledger import record as recording
from dataseal.ledger.follow import Tree, open_tree
from dataseal.ledger.log import Log
from dataseal.ledger.resources import StoreResources
from dataseal.ledger.signers.base import Signer
from dataseal.ledger.signers.certificate import certified
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.signers.timestamping import Timestamped
from dataseal.ledger.view import Views
from support import served as serving
from support.certificates import Authority
from support.statements import receipt_payload
from support.tsa import LONG_AGO, Tsa
from support.workspaces import DATASET, Bench, make_dataset, make_workspace, open_bench, write_shard

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
ROOT = Authority.root(start=LONG_AGO)
CONFIG = """
[[admission]]
datasets = ["*"]
kinds = ["release", "modification", "receipt", "closed"]
x509 = [{roots = "ca.pem", identity = "email:alice@example.org"}]

[timestamp_authorities]
tsa = "tsa.pem"
"""


@cache
def tsa() -> Tsa:
    return Tsa.new()


@pytest.fixture
def made(tmp_path: Path) -> Bench:
    """A workspace whose configuration lists a certified name, and an authority for times."""
    folder = tmp_path / "ws"
    make_workspace(folder)
    (folder / "ca.pem").write_bytes(ROOT.pem)
    (folder / "tsa.pem").write_bytes(tsa().root.pem)
    config = folder / "dataseal.toml"
    config.write_text(config.read_text() + CONFIG, encoding="utf-8")
    return open_bench(folder)


def at(made: Bench, now: datetime) -> Log:
    """The log, under a clock that stands."""
    log = made.log
    return Log(
        log.store, origin=log.origin, signers=log._signers, admission=made.workspace.admission(), clock=lambda: now
    )


class Case:
    """A signer, when its entries are logged, and a time when its certificate is over.

    ``logged``: it is logged while the certificate holds. ``stamped``: after that, with a timestamp from before.
    """

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        then = LONG_AGO + 30 * DAY if name == "logged" else NOW
        leaf = ROOT.leaf(start=then - DAY, end=then + DAY)
        alice = certified(KeyFileSigner(leaf.key), leaf.pem + ROOT.pem, now=then)
        self.signer: Signer = alice if name == "logged" else Timestamped(alice, tsa().stamp)
        self.logs_at = then if name == "logged" else then + 3 * DAY
        self.later = self.logs_at + 3 * DAY
        # The signer's own clock is right: it signs while its certificate holds.
        monkeypatch.setattr(recording, "datetime", SimpleNamespace(now=lambda _zone: then))

    def bundle(self, number: int = 0) -> bytes:
        """A signed receipt."""
        return recording.sign(receipt_payload(number), self.signer, now=recording.datetime.now(UTC))


@pytest.fixture(params=["logged", "stamped"])
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Case:
    return Case(request.param, monkeypatch)


@pytest.fixture
def stamped(monkeypatch: pytest.MonkeyPatch) -> Case:
    return Case("stamped", monkeypatch)


def test_an_entry_is_found_when_it_comes_again(made: Bench, stamped: Case) -> None:
    bundle = stamped.bundle()
    at(made, stamped.logs_at).append([bundle])
    assert at(made, stamped.later).append([bundle])[0].existed


def test_a_record_that_was_cut_off_is_finished(made: Bench, stamped: Case) -> None:
    first = recording.record(receipt_payload(), signer=stamped.signer, log=at(made, stamped.logs_at))
    again = recording.record(receipt_payload(), signer=stamped.signer, log=at(made, stamped.later))
    assert again.existed
    assert again.bundle == first.bundle


def test_a_log_is_closed_a_second_time(made: Bench, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    first = recording.close(at(made, case.logs_at), signer=case.signer, reason="it ends")
    monkeypatch.setattr(recording, "datetime", SimpleNamespace(now=lambda _zone: case.later))
    again = recording.close(at(made, case.later), signer=case.signer, reason="it ends")
    assert again.existed
    assert again.bundle == first.bundle


def test_a_modification_that_was_cut_off_is_finished(
    made: Bench, stamped: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_dataset(tmp_path / "data", shards=1)
    log = at(made, stamped.logs_at)
    options: dict[str, Any] = {"signer": stamped.signer, "log": log}
    made.record(data, "none", **options)
    write_shard(data / "data" / "1.parquet")
    first = made.record(data, **options)
    monkeypatch.setattr(log, "proven", lambda _index: False)  # as its witnesses were away
    again = made.record(data, **options)
    assert again.recorded.existed
    assert again.recorded.logged.index == first.recorded.logged.index


def test_a_served_log_is_asked(made: Bench, case: Case, tmp_path: Path) -> None:
    at(made, case.logs_at).append([case.bundle()])
    with serving.serving(made) as running:
        remote = running.remote(Views(tmp_path / "views"))
        with remote.store.view() as view:
            row, found = view.newest(DATASET), list(view.search(kind="receipt"))
        remote.close()
    with made.log.store.view() as own:
        held = own.entry(0)
    assert held is not None
    assert row is not None
    assert [one.signer for one in (row, *found)] == [held.signer] * 2


def test_the_audits_agree(made: Bench, case: Case) -> None:
    log = at(made, case.logs_at)
    log.append([case.bundle()])
    assert audit.check(at(made, case.later)).problems == []
    assert check_served(log).problems == []


def tree_of(log: Log) -> Tree:
    return open_tree(StoreResources(log.store, "the log", None), log.trusted().policy)


def check_served(log: Log) -> served.ServedAudit:
    return served.check(tree_of(log), admission=log.admission)
