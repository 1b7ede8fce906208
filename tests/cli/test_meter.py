from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from dataseal.cli import meter
from dataseal.cli.meter import Bar
from support.cli import PROGRAM
from support.datasets import NAME, World


def test_the_line_is_told_the_sum_and_the_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "INTERVAL", 0)
    told: list[tuple[int, int | None]] = []
    bar = Bar(lambda done, total: told.append((done, total)))
    bar(3)
    bar.expect(10)
    bar.expect(5)
    bar(4)
    assert told == [(3, None), (3, 10), (3, 15), (7, 15)]


def test_many_small_steps_are_told_seldom_and_the_last_sum_in_the_end() -> None:
    told: list[int] = []
    bar = Bar(lambda done, _total: told.append(done))
    for _ in range(10_000):
        bar(1)
    bar.tell()
    assert told[-1] == 10_000
    assert len(told) < 1000


def terminal(*args: object, cwd: Path) -> str:
    """What a command writes to a terminal that is its stderr."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([PROGRAM, *map(str, args)], stderr=theirs, stdout=subprocess.DEVNULL, cwd=cwd) as child:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65_536):
                shown += part
        except OSError:  # Linux's end of a terminal
            pass
    os.close(ours)
    assert child.returncode == 0, shown
    return shown.decode()


def test_a_terminal_shows_bytes_of_bytes_rate_and_time_left(world: World) -> None:
    shown = terminal("verify", world.copy(), *world.trust, "--dataset", NAME, cwd=world.here)
    assert "verifying" in shown
    assert "/406." in shown  # of 406.7 kB
    assert "0:00:00" in shown


def test_quiet_shows_nothing(world: World) -> None:
    assert terminal("verify", world.copy(), *world.trust, "--dataset", NAME, "-q", cwd=world.here) == ""
