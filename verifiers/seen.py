"""What this consumer has verified before: the newest release of each dataset in each log.

An older release than one already seen is a rollback, and another content under a sequence already seen is a fork:
both are findings, and neither is forgotten by meeting it again. The memory lives in the workspace, or in the user's
state folder (``$XDG_STATE_HOME/dataseal``, else ``~/.local/state/dataseal``). One who asks for a version by name
(``--dataset NAME@VERSION``) has decided, and may have an older one.

The file, canonical JSON (``tests/verifiers/test_seen.py`` parses it)::

    {"releases":{"dataseal.invalid/0123456789abcdef acme/reviews":
                 {"root":"<hex>","sequence":2,"version":"1.1.0"}},"v":1}
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dataseal.ledger import canonical
from dataseal.ledger.errors import FormatError, Unavailable, UsageError
from dataseal.verifiers.facts import LogFacts, ReleaseFacts
from dataseal.verifiers.finding import Finding

MAX_SEEN: Final = 16 * 1024 * 1024
"""Bytes: some 100,000 datasets."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The memory in one file."""

    path: Path

    def findings(self, release: ReleaseFacts, log: LogFacts | None, *, pinned: bool) -> list[Finding]:
        """What the memory has against a release.

        Args:
            pinned: the user asked for this very version by name.

        Raises:
            UsageError: the file is damaged.
        """
        known = self._read().get(_key(release, log))
        if known is None:
            return []
        if known["sequence"] == release.sequence and known["root"] != release.root:
            return [
                Finding(
                    "rollback.fork",
                    f"{release.dataset}@{release.version} (sequence {release.sequence}) has another content than "
                    f"the release of that sequence that was verified here before",
                    observed=release.root,
                    expected=known["root"],
                    hint="the publisher or the log shows different histories to different people: stop, and ask both",
                )
            ]
        if known["sequence"] > release.sequence and not pinned:
            return [
                Finding(
                    "rollback.older",
                    f"{release.dataset}@{release.version} (sequence {release.sequence}) is older than "
                    f"{known['version']} (sequence {known['sequence']}), which was verified here before",
                    observed=f"sequence {release.sequence}",
                    expected=f"sequence {known['sequence']} or later",
                    hint="fetch the newest release; to use this one on purpose, name it: "
                    f"--dataset {release.dataset}@{release.version}",
                )
            ]
        return []

    def remember(self, release: ReleaseFacts, log: LogFacts | None) -> None:
        """Notes a release that passed; the memory only moves forward.

        Raises:
            Unavailable: the file can't be written. UsageError: it is damaged.
        """
        releases = self._read()
        key = _key(release, log)
        if key in releases and releases[key]["sequence"] >= release.sequence:
            return
        releases[key] = {"sequence": release.sequence, "version": release.version, "root": release.root}
        data = canonical.encode({"v": 1, "releases": releases})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.path.parent, delete=False) as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(stream.name).rename(self.path)
        except OSError as error:
            raise Unavailable(f"can't remember the release in {self.path}: {error.strerror}") from None

    def _read(self) -> dict[str, Any]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise Unavailable(f"can't read {self.path}: {error.strerror}") from None
        try:
            value = canonical.decode_canonical(data, what="memory of releases", max_bytes=MAX_SEEN)
            if not isinstance(value, dict) or value.get("v") != 1 or not isinstance(value["releases"], dict):
                raise FormatError("not version 1")
            for known in value["releases"].values():
                if not (isinstance(known["sequence"], int) and isinstance(known["root"], str) and known["version"]):
                    raise FormatError("an entry without sequence, root or version")
        except (FormatError, KeyError, TypeError) as error:
            raise UsageError(
                f"the memory of verified releases is damaged: {error}",
                where=str(self.path),
                hint="restore it; deleting it makes this a first contact, without protection against older releases",
            ) from None
        return dict(value["releases"])


def _key(release: ReleaseFacts, log: LogFacts | None) -> str:
    """Sequences count within a log; without one, within the signer's word."""
    return f"{log.origin if log else f'key:{release.signed_by[0]}'} {release.dataset}"


def default_path(workspace: Path | None) -> Path:
    """Where the memory is kept."""
    if workspace is not None:
        return workspace / "state" / "seen.json"
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "dataseal" / "seen.json"
