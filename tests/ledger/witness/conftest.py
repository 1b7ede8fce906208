"""What the witness tests share."""

from __future__ import annotations

import pytest

from support.witnessing import stop_servers


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    """Loopback is reached directly, whatever the machine's proxy settings are."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="package", autouse=True)
def _servers_end():
    yield
    stop_servers()
