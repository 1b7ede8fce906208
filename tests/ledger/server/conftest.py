from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.served import Served, serving
from support.workspaces import make_bench


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that the tests of one module share; each works on datasets of its own."""
    folder: Path = tmp_path_factory.mktemp("served")
    bench = make_bench(folder / "workspace", "dataseal.invalid/0123456789abcdef")
    with serving(bench) as running:
        yield running
