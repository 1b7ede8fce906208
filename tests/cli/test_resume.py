"""A signing that is cut off: nothing half-written, and the next run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.cli import PROGRAM, dataseal, passed
from support.datasets import World, write

SIGN = ("--dataset", "acme/big", "--release", "1.0.0")


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_run_that_is_cut_off_leaves_nothing_and_is_resumed(world: World, stop: signal.Signals, code: int) -> None:
    folder = world.here / "big"
    for number in range(20):
        write(folder / f"{number:02}.bin", bytes([number]) * 1000)
    huge = write(folder / "huge.bin", b"")
    os.truncate(huge, 2**40)  # hashing it would take a quarter of an hour
    time.sleep(2.1)  # files that changed just now are not remembered
    state = world.ws / "state" / "stats"
    with subprocess.Popen(
        [PROGRAM, "sign", str(folder), *SIGN, "--workspace", str(world.ws)], stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr
        deadline = time.monotonic() + 60
        while not any(p.stat().st_size > 2000 for p in _journals(state)):
            assert child.poll() is None, child.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        child.send_signal(stop)
        said = child.stderr.read()
    assert child.returncode == code
    assert "Traceback" not in said
    if stop is signal.SIGINT:
        assert said.strip() == "interrupted: nothing was left half-written"
    assert sorted(p.name for p in folder.iterdir()) == [*(f"{n:02}.bin" for n in range(20)), "huge.bin"]
    os.truncate(huge, 5)
    again = dataseal("sign", folder, *SIGN, "--workspace", world.ws)
    assert again.code == 0, again
    assert "resumed: 20 files were hashed by the run before" in again.err
    assert _journals(state) == []
    passed(dataseal("verify", folder, *world.trust, "--dataset", "acme/big", "--digests", "all"), "acme/big@1.0.0")


def _journals(state: Path) -> list[Path]:
    return list(state.glob("*.journal"))
