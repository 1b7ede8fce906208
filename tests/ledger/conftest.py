from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support.postgres import server, url
from support.workspaces import Bench, make_bench, make_dataset

__all__ = ["server", "url"]

# Nothing is judged by the clock: two shared cores are slow at times.
settings.register_profile("ledger", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ledger")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A fresh workspace with an open log."""
    return make_bench(tmp_path / "workspace", "dataseal.invalid/0123456789abcdef")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A small Parquet dataset of three shards and a README."""
    return make_dataset(tmp_path / "dataset")
