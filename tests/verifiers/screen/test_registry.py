"""Detectors: built-in ones, those of other packages, and broken packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import ClassVar

import pytest

from dataseal.ledger.errors import UsageError
from dataseal.verifiers.screen import registry
from dataseal.verifiers.screen.outlier import Outlier


class Foreign(Outlier):
    name: ClassVar[str] = "foreign"


class Usurper(Outlier):
    """Takes the id of a built-in detector."""


def install(monkeypatch: pytest.MonkeyPatch, name: str, target: object) -> None:
    class Point(EntryPoint):
        def load(self) -> object:
            if isinstance(target, Exception):
                raise target
            return target

    point = Point(name=name, value=f"somewhere:{name}", group=registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == registry.GROUP else [])


def test_built_in() -> None:
    assert [d.name for d in registry.discover()][:2] == ["private-phrase", "outlier"]
    assert set(registry.BUILT_IN) <= {d.name for d in registry.discover()}


def test_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "foreign", Foreign)
    assert [d.name for d in registry.discover()] == ["private-phrase", "outlier", "foreign"]


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (Usurper, "two detectors are called 'outlier'"),
        (dict, "not a dataseal detector"),
        (ImportError("no numba"), "can't be loaded: ImportError: no numba"),
    ],
)
def test_broken_packages(monkeypatch: pytest.MonkeyPatch, target: object, says: str) -> None:
    install(monkeypatch, "foreign", target)
    with pytest.raises(UsageError, match=says) as caught:
        registry.discover()
    assert "foreign" in (caught.value.where or "")
    assert caught.value.hint
