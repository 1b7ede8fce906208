"""The other direction: logs that foreign tools write from our entries are ours, byte by byte, and we read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dataseal.ledger.resources import CHECKPOINT
from dataseal.ledger.tlog.keys import encode_skey
from foreign.logs import SIGNER, StaticLog, all_entries, read_all, text
from foreign.tools import Verifier


@pytest.mark.parametrize("size", [1, 257, 600])
def test_a_foreign_log_is_the_one_that_we_write(
    reader: Verifier, static_log: Callable[[int], StaticLog], size: int, tmp_path: Path
) -> None:
    ours = static_log(size)
    target = tmp_path / "theirs"
    entries = [text(entry) for entry in all_entries()[:size]]
    [result] = reader.run([ours.job("write", folder=str(target), private=encode_skey(SIGNER), entries=entries)])
    assert result.get("error") is None
    theirs = StaticLog(target, ours.origin, ours.keys, size, ours.leaves)
    # Ed25519 is deterministic: even the checkpoint is the same.
    assert {path: theirs.read(path) for path in ours.paths()} == {path: ours.read(path) for path in ours.paths()}
    assert read_all(theirs).root == ours.root
    assert theirs.read(CHECKPOINT) is not None
