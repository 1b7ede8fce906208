"""Foreign tools: where they are, and how they are asked. They run as processes of their own, in their own environments.

``.ci/foreign`` puts them into ``.foreign`` in the project, or where ``DATASEAL_FOREIGN`` says.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOOLS = Path(os.environ.get("DATASEAL_FOREIGN", ROOT / ".foreign"))
TIMEOUT = 120

PROPERTY = "foreign"
"""The user property of a test by which `conftest` learns which tools ran in it."""


@dataclass(frozen=True)
class Verifier:
    """One foreign verifier, ready to run."""

    name: str
    command: tuple[str, ...]
    properties: list[tuple[str, object]] = field(repr=False)

    def run(self, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The result of each job (``adapters/jobs.py``)."""
        done = subprocess.run(
            self.command, input=json.dumps({"jobs": jobs}), capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
        assert done.returncode == 0, f"{self.name} ended with {done.returncode}: {done.stderr[-2000:]}"
        answer = json.loads(done.stdout)
        assert len(answer["results"]) == len(jobs)
        self.properties.append((PROPERTY, f"verifier {self.name}: {answer['version']}"))
        results: list[dict[str, Any]] = answer["results"]
        return results


_PROGRAMS: dict[str, tuple[str, ...]] = {
    "sumdb": ("bin/sumdb",),
    "aics": ("aics/bin/python", str(HERE / "adapters/aics.py")),
    "scales": ("scales/bin/python", str(HERE / "adapters/scales.py")),
    "metamorphic": ("metamorphic/bin/python", str(HERE / "adapters/metamorphic.py")),
}
VERIFIERS = tuple(_PROGRAMS)
READERS = ("sumdb", "aics", "scales")
"""Those that read tiles and entries by themselves."""


def verifier(name: str, request: pytest.FixtureRequest) -> Verifier:
    """The tool; skips the test when it is not there."""
    program, *arguments = _PROGRAMS[name]
    return Verifier(name, (executable(program), *arguments), request.node.user_properties)


def stock(request: pytest.FixtureRequest, name: str) -> None:
    """Notes that a stock tool ran in a test."""
    request.node.user_properties.append((PROPERTY, f"stock {name}"))


def executable(path: str) -> str:
    """A program in the tools folder; skips the test when it is not there."""
    if not os.access(TOOLS / path, os.X_OK):
        pytest.skip(f"no {path} in {TOOLS}: run .ci/foreign")
    return str(TOOLS / path)
