from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dataseal.ledger.remote.log import RemoteLog
from dataseal.ledger.view import Views
from support.served import Liar, Served, serving
from support.workspaces import Bench


@pytest.fixture
def served(bench: Bench) -> Iterator[Served]:
    with serving(bench) as running:
        yield running


@pytest.fixture
def liar(served: Served, tmp_path: Path) -> Iterator[tuple[RemoteLog, Liar]]:
    """A client, and what stands between it and the server: honest until told otherwise."""
    transport = Liar()
    log = served.remote(Views(tmp_path / "views"), transport)
    yield log, transport
    log.close()
    transport.close()


@pytest.fixture
def remote(liar: tuple[RemoteLog, Liar]) -> RemoteLog:
    return liar[0]
