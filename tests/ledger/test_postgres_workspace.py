"""A workspace whose ledger is in PostgreSQL: the same commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataseal.ledger import audit
from dataseal.ledger import entry as entries
from dataseal.ledger import workspace as workspaces
from dataseal.ledger.bundle import parse as parse_bundle
from dataseal.ledger.errors import UsageError
from support import children
from support.errors import refused
from support.statements import receipt_payload
from support.witnessed import W1, W2, configure, published, witnesses
from support.witnessing import stop_servers
from support.workspaces import Bench, Clock, make_dataset, no_passphrase


def test_a_workspace_in_postgresql_signs_and_checks(tmp_path: Path, url: str) -> None:
    from dataseal.ledger.sign import sign

    made = workspaces.create(tmp_path / "ws", url=url)
    assert not made.ledger.is_file()
    again = workspaces.load(tmp_path / "ws")
    log = again.log(no_passphrase)
    signer = again.signer("publisher", no_passphrase)
    folder = make_dataset(tmp_path / "data")
    sign(folder, dataset="a/b", version="1.0", log=log, signer=signer, objects=again.objects, jobs=1)
    assert audit.check(again.log(None)).entries == 1


@pytest.mark.parametrize("place", ["", 'path = "l.sqlite"\nurl = "postgresql://h/d"'], ids=["neither", "both"])
def test_a_ledger_is_in_one_place(tmp_path: Path, place: str) -> None:
    made = workspaces.create(tmp_path)
    text = (made.folder / "dataseal.toml").read_text()
    (made.folder / "dataseal.toml").write_text(text.replace('path = "ledger.sqlite"', place))
    with refused(UsageError, "either path"):
        workspaces.load(tmp_path)


def test_three_processes_of_three_threads_never_fork_nor_lose_an_acknowledged_entry(tmp_path: Path, url: str) -> None:
    made = workspaces.create(tmp_path / "ws", url=url)
    jobs = [
        {"job": "write", "folder": str(made.folder), "number": number, "count": 8, "threads": 3} for number in range(3)
    ]
    outcomes = children.run(*jobs, together=True)
    assert [outcome.status for outcome in outcomes] == [0, 0, 0]
    told = [(index, number) for outcome in outcomes for index, number in outcome.said]
    assert sorted(index for index, _ in told) == list(range(72)), "each index once, and none left out"
    for at in range(0, 72, 8):  # one thread's, in the order in which they were acknowledged
        indexes = [index for index, _ in told[at : at + 8]]
        assert indexes == sorted(indexes)
    log = made.log(no_passphrase)
    with log.store.view() as view:
        payloads = [parse_bundle(entries.parse(row.body).bundle).payload for row in view.entries()]
        signed = {head.size: head.note for head in view.heads() if head.note is not None}
        times = [row.logged_at for row in view.entries()]
    assert all(payloads[index] == receipt_payload(number) for index, number in told)
    assert times == sorted(times)
    assert len(signed) <= 72
    assert 72 in signed
    for number in range(0, 72, 9):
        log.prove([number])
    result = audit.check(log)
    assert result.clean, result.problems


def test_two_processes_with_a_witness_share_one_ledger(tmp_path: Path, url: str) -> None:
    made = workspaces.create(tmp_path / "ws", url=url)
    log = made.log(no_passphrase)
    publisher, gate = (made.signer(name, no_passphrase) for name in ("publisher", "gate"))
    bench = Bench(made, log, publisher, gate, Clock())
    with witnesses(tmp_path / "seen", log.vkey, W1, W2) as (one, two):
        bench = configure(bench, (W1, one), (W2, two))
        jobs = [
            {"job": "write", "folder": str(made.folder), "number": number, "count": 4, "threads": 2}
            for number in range(2)
        ]
        outcomes = children.run(*jobs, together=True)
        assert [outcome.status for outcome in outcomes] == [0, 0]
        bench.log.prove(range(16))
    checked = published(bench.log)
    assert checked
    assert (checked.checkpoint.size, checked.witnesses_seen) == (16, 2)
    stop_servers()
