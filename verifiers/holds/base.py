"""What every hold can do, and what a gate knows of one target."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol, get_args

from dataseal.ledger.errors import UsageError
from dataseal.verifiers.examine import Examination
from dataseal.verifiers.finding import Finding
from dataseal.verifiers.sources.local import LocalFolder

HoldName = Literal["none", "recheck", "snapshot", "handle"]
HOLDS: Final[tuple[HoldName, ...]] = get_args(HoldName)

DATA: Final = "DATASEAL_DATA"
TARGETS: Final = "DATASEAL_TARGETS"


@dataclass(frozen=True, slots=True)
class Target:
    """One gated dataset: where it lies, what was found, and what its files looked like before that."""

    source: LocalFolder
    examination: Examination
    stats: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a hold found when the command had ended.

    Attributes:
        changes: what taints the run. facts: what the receipt says of the hold. notes: what a person should know.
    """

    changes: tuple[Finding, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Finding, ...] = ()


class Hold(Protocol):
    """How a gate holds the data from its verification on. One for all targets of a run."""

    name: HoldName

    def source(self, folder: Path) -> LocalFolder:
        """What is verified for a target.

        Raises:
            UsageError: there is no such folder.
        """

    def stats(self, source: LocalFolder) -> Mapping[str, tuple[int, ...]]:
        """What is remembered before a target is verified."""

    def ready(self, targets: Sequence[Target]) -> Mapping[str, str]:
        """Called when every target passed. Returns what the command's environment gets.

        Raises:
            DatasealError: the data can't be held that way; the command must not start.
        """

    def facts(self, target: Target) -> Mapping[str, Any]:
        """What the first receipt says of the hold."""

    def after(self, target: Target) -> Looked:
        """Called when the command has ended."""

    def close(self) -> None:
        """Removes what the hold made; whatever happened before, and twice does no harm."""


class Unheld:
    """Hold ``none``: the command gets the folder, and nobody looks again."""

    name: HoldName = "none"

    def source(self, folder: Path) -> LocalFolder:
        """The folder itself."""
        return LocalFolder(folder)

    def stats(self, source: LocalFolder) -> Mapping[str, tuple[int, ...]]:
        """Nothing."""
        del source
        return {}

    def ready(self, targets: Sequence[Target]) -> Mapping[str, str]:
        """The folders."""
        return folders([os.path.abspath(t.source.folder) for t in targets])

    def facts(self, target: Target) -> Mapping[str, Any]:
        """Nothing."""
        del target
        return {}

    def after(self, target: Target) -> Looked:
        """Nothing is looked at."""
        del target
        return Looked()

    def close(self) -> None:
        """Nothing was made."""


def folders(paths: Sequence[str]) -> dict[str, str]:
    """The environment that names where the data is: the first target's folder, and all of them as a JSON list."""
    return {DATA: paths[0], TARGETS: json.dumps(list(paths))}


@contextmanager
def held(name: HoldName, *, snapshot_dir: Path | None = None, targets: Sequence[Path] = ()) -> Iterator[Hold]:
    """A hold for one run; what it makes is removed at the end, also when a signal ends the gate.

    Args:
        snapshot_dir: where copies are made; the system's folder for temporary files when None.
        targets: the targets' folders.

    Raises:
        UsageError: ``snapshot_dir`` without a snapshot, missing, or inside a target.
    """
    from dataseal.verifiers.holds.handle import HandleHold
    from dataseal.verifiers.holds.recheck import Recheck
    from dataseal.verifiers.holds.signals import unwinding
    from dataseal.verifiers.holds.snapshot import Snapshot

    if snapshot_dir is not None and name != "snapshot":
        raise UsageError("--snapshot-dir goes with --hold snapshot", hint="leave one out, or give both")
    if name in ("none", "recheck"):
        yield Unheld() if name == "none" else Recheck()
        return
    with unwinding():
        hold: Hold = HandleHold() if name == "handle" else Snapshot(snapshot_dir, targets)
        try:
            yield hold
        finally:
            hold.close()
