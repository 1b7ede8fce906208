"""The command line as tests call it: in this process, or as a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataseal.cli.main import _run

PROGRAM = str(Path(sys.executable).with_name("dataseal"))
ESCAPE = "\x1b"


@dataclass(frozen=True)
class Said:
    """What one run gave: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line of stdout."""
        return self.out.rstrip("\n").rsplit("\n", 1)[-1]

    @property
    def json(self) -> Any:
        """stdout as strict JSON."""
        return json.loads(self.out, parse_constant=_refuse)


def _refuse(name: str) -> Any:
    raise AssertionError(f"not JSON: {name}")


def dataseal(*args: object) -> Said:
    """Runs a command in this process; whatever it says, no traceback and no defect are in it."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = _run([str(a) for a in args])
    said = Said(code, out.getvalue(), err.getvalue())
    clean(said)
    return said


def process(
    *args: object, cwd: Path | None = None, env: Mapping[str, str] | None = None, keys: str = "", **more: Any
) -> Said:
    """Runs the installed command as a process; ``env`` comes on top of this process's environment."""
    done = subprocess.run(
        [PROGRAM, *map(str, args)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        input=keys,
        check=False,
        **more,
    )
    said = Said(done.returncode, done.stdout, done.stderr)
    clean(said)
    return said


def python(code: str, *args: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Runs a snippet in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, **more)


def clean(said: Said) -> None:
    """No traceback, no defect, and nothing raw that could drive a terminal."""
    for text in (said.out, said.err):
        assert "Traceback" not in text
        assert "internal error" not in text
        raw = [c for c in text if not c.isprintable() and c != "\n"]
        assert not raw, f"raw characters reach the terminal: {raw!r}"


def refused(said: Said, code: int, *parts: str) -> None:
    """A command line that was not carried out: one clear error on stderr with what comes next, nothing on stdout."""
    assert said.code == code, said
    assert said.out == ""
    assert said.err.startswith(("dataseal: ", "note: ", "Usage: "))
    assert "  next: " in said.err or "Try 'dataseal" in said.err, said.err
    for part in parts:
        assert part in said.err, said.err


def sh(script: str) -> Sequence[str]:
    """A shell command for a gate."""
    return ("--", "sh", "-c", script)


def blocked(said: Said, check: str, *parts: str) -> None:
    """A verification that blocks: exit 1, the finding, what it names, what comes next, and the stable last line."""
    assert said.code == 1, said
    assert said.err == ""
    assert said.last.startswith("BLOCKED ")
    assert f"fail  {check}: " in said.out, said.out
    finding = said.out.split(f"fail  {check}: ", 1)[1]
    assert "next  " in finding.split("\nfail  ", 1)[0].split("\nrule ", 1)[0], finding
    for part in parts:
        assert part in said.out, said.out


def passed(said: Said, name: str) -> None:
    """A verification that passes, and says of what."""
    assert said.code == 0, said
    assert said.err == ""
    assert said.last == f"PASSED {name}"
