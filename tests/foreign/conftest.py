"""The logs and tools of these tests, and the account of which tools ran."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from foreign.logs import StaticLog, append_releases, publish, write_log
from foreign.published import GrowingLog
from foreign.tools import PROPERTY, READERS, VERIFIERS, Verifier
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
