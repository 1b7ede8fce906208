"""A workspace whose ledger is in PostgreSQL: the same commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataseal.ledger import audit
from dataseal.ledger import workspace as workspaces
from dataseal.ledger.errors import UsageError
from support.errors import refused
from support.postgres import server, url
from support.workspaces import make_dataset, no_passphrase

__all__ = ["server", "url"]


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
