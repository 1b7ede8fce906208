"""A release in a served log, endorsed by another client, and followed by whoever imports it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dataseal.ledger import entry as entries
from dataseal.ledger.admission import Admission
from dataseal.ledger.announce import announce
from dataseal.ledger.audit import check
from dataseal.ledger.batch import Batch
from dataseal.ledger.cosign import cosign
from dataseal.ledger.errors import Refused
from dataseal.ledger.remote.log import RemoteLog
from dataseal.ledger.signers import keyfile
from dataseal.ledger.view import Views
from dataseal.ledger.workspace import load
from support.errors import refused
from support.served import serving, signed
from support.statements import release_payload, signer
from support.workspaces import DATASET, Bench, write_shard

BEN = signer("ben")


@pytest.fixture
def remote(bench: Bench, tmp_path: Path) -> Iterator[RemoteLog]:
    """A client of a log that lists Ben as one who may endorse."""
    folder = bench.workspace.folder
    keyfile.save(BEN, folder / "keys" / "ben.key", None)
    with (folder / "dataseal.toml").open("a") as stream:
        stream.write('\n[[admission]]\ndatasets = ["*"]\nkinds = ["endorsement"]\nkeys = ["keys/ben.pub"]\n')
    with serving(replace(bench, workspace=load(folder))) as running:
        log = running.remote(Views(tmp_path / "views"))
        yield log
        log.close()


def test_a_release_is_endorsed_and_the_next_one_follows(bench: Bench, remote: RemoteLog, dataset: Path) -> None:
    bench.sign(dataset, log=remote)
    made = cosign(dataset, signer=BEN, log=remote, jobs=1)
    assert made.recorded.logged.header.kind == "endorsement"
    assert cosign(dataset, signer=BEN, log=remote, jobs=1).recorded.existed
    announce(BEN.public, dataset=DATASET, reason="Ben takes over", log=remote, signer=bench.publisher)
    write_shard(dataset / "data" / "9.parquet")
    second = bench.sign(dataset, "1.1.0", log=remote)
    assert (second.release.sequence, second.history) == (2, 2)  # the first release, and the announced key
    bench.log.admission = load(bench.workspace.folder).admission()
    assert check(bench.log).problems == []


def test_who_may_endorse_may_not_release(remote: RemoteLog) -> None:
    with refused(Refused):
        remote.append([signed(release_payload(), BEN)])


@pytest.mark.parametrize("looked", [False, True])
def test_a_release_that_a_server_logs_as_an_endorsement_of_nothing(
    bench: Bench, remote: RemoteLog, monkeypatch: pytest.MonkeyPatch, looked: bool
) -> None:
    """It would be no release, although its publisher meant one and was told that it is logged."""
    if looked:
        with remote.store.view() as view:
            assert view.newest(DATASET) is None
    monkeypatch.setattr(Batch, "_kind", lambda *_: entries.ENDORSEMENT)
    monkeypatch.setattr(Admission, "check_order", lambda *_, **__: None)
    with refused(Refused, "only what is logged can be endorsed"):
        remote.append([signed(release_payload(), bench.publisher)])
