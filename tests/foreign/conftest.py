"""The logs and tools of these tests, and the account of which tools ran."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from foreign.logs import StaticLog, append_releases, publish, write_log
from foreign.published import GrowingLog
from foreign.tools import HERE, PROPERTY, READERS, TIMEOUT, TOOLS, VERIFIERS, Verifier, stock
from foreign.tools import verifier as find_verifier
from support.workspaces import Bench, make_bench

_ran: set[str] = set()


@pytest.fixture(params=VERIFIERS)
def verifier(request: pytest.FixtureRequest) -> Verifier:
    """Each foreign verifier."""
    return find_verifier(request.param, request)


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> Verifier:
    """Each foreign verifier that reads tiles."""
    return find_verifier(request.param, request)


@pytest.fixture(scope="session")
def static_log(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], StaticLog]:
    """The static log of a size, written once by a second writer, from the pure formats alone."""
    return cache(lambda size: write_log(tmp_path_factory.mktemp(f"log-{size}-"), size))


@pytest.fixture(scope="session")
def published_log(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], StaticLog]:
    """The log of a size as ``dataseal ledger publish`` wrote it."""
    growing: list[GrowingLog] = []

    def at(size: int) -> StaticLog:
        if not growing:
            growing.append(GrowingLog(tmp_path_factory.mktemp("growing")))
        return growing[0].at(size)

    return at


@pytest.fixture(scope="session")
def signed_bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A ledger of 300 signed releases."""
    bench = make_bench(tmp_path_factory.mktemp("bench") / "workspace", "log.example/signed")
    append_releases(bench, 1, 300)
    return bench


@pytest.fixture(scope="session")
def signed_log(signed_bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> StaticLog:
    """That ledger, published."""
    return publish(signed_bench, tmp_path_factory.mktemp("published"))


@pytest.fixture
def sigstore_js(request: pytest.FixtureRequest) -> Any:
    """Asks @sigstore/verify about jobs (``node/verify.mjs``)."""
    installed = TOOLS / "node"
    if not (installed / "installed.json").is_file():
        pytest.skip(f"no @sigstore/verify in {installed}: run .ci/foreign")

    def ask(*jobs: dict[str, Any]) -> list[dict[str, Any]]:
        done = subprocess.run(
            ["node", str(HERE / "node" / "verify.mjs"), str(installed)],
            input=json.dumps({"jobs": jobs}), capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        answer = json.loads(done.stdout)
        assert len(answer["results"]) == len(jobs)
        stock(request, answer["version"])
        results: list[dict[str, Any]] = answer["results"]
        return results

    return ask


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A tool ran when a test that asked it passed."""
    if report.when == "call" and report.passed:
        _ran.update(str(value) for name, value in report.user_properties if name == PROPERTY)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says which tools ran, and writes it down for ``.ci/foreign``."""
    if _ran:
        terminalreporter.section("foreign tools that ran")
        for line in sorted(_ran):
            terminalreporter.line(line)
    if target := os.environ.get("DATASEAL_FOREIGN_REPORT"):
        Path(target).write_text("".join(f"{line}\n" for line in sorted(_ran)), encoding="utf-8")
