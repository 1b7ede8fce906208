"""What every error of ours owes its reader."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dataseal.ledger.errors import DatasealError


@contextmanager
def refused(kind: type[DatasealError], *words: str) -> Iterator[None]:
    """The block raises exactly ``kind`` (no other branch of the tree), and says each of ``words``, on one line."""
    with pytest.raises(DatasealError) as caught:
        yield
    error = caught.value
    assert type(error) is kind, f"{type(error).__name__}, not {kind.__name__}: {error}"
    told = " ".join(filter(None, (error.what, error.where, error.hint)))
    assert all(word in told for word in words), f"{words} not all in: {told}"
    assert "\n" not in error.what
