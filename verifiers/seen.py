"""What this consumer has verified before: the newest release of each dataset in each log.

An older release than one already seen is a rollback; another content under a sequence or a version already seen is a
fork: both are findings, and neither is forgotten by meeting it again. The memory lives in the user's state folder
(``$XDG_STATE_HOME/dataseal``, else ``~/.local/state/dataseal``), and in the workspace when there is one. A workspace
that the command line names has a memory of its own; one that lies around here, which may have come with a download,
or that the environment names does not make anybody forget: both are asked then. One who asks for a version by name
(``--dataset NAME@VERSION``) has decided, and may have an older one.

The file, canonical JSON (``tests/verifiers/test_seen.py`` parses it)::

    {"releases":{"dataseal.invalid/0123456789abcdef acme/reviews":
                 {"root":"<hex>","sequence":2,"version":"1.1.0"}},"v":1}
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dataseal.ledger import canonical
from dataseal.ledger.durable import locked, make_folder, sync_folder, write_whole
from dataseal.ledger.errors import FormatError, Unavailable, UsageError
from dataseal.ledger.state import state_folder
from dataseal.verifiers.facts import LogFacts, ReleaseFacts
from dataseal.verifiers.finding import Finding

MAX_SEEN: Final = 16 * 1024 * 1024
"""Bytes: some 100,000 datasets."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The memory in one file, and perhaps in a second one.

    Attributes:
        path: where it is kept. also: another memory that is asked too, and told as far as it can be written.
    """

    path: Path
    also: Path | None = None

    def findings(self, release: ReleaseFacts, log: LogFacts | None, *, pinned: bool) -> list[Finding]:
        """What the memory has against a release.

        Args:
            pinned: the user asked for this very version by name.

        Raises:
            UsageError: a file is damaged. Unavailable: it can't be read.
        """
        found: dict[str, Finding] = {}
        for path in self._paths():
            try:
                releases = _read(path)
            except Unavailable:
                if path == self.path:
                    raise
                continue
            for key in _keys(release, log):
                if key in releases and (finding := _against(releases[key], release, pinned=pinned)):
                    found.setdefault(finding.check, finding)
        return list(found.values())

    def remember(self, release: ReleaseFacts, log: LogFacts | None) -> None:
        """Notes a release that passed; the memory only moves forward.

        Raises:
            Unavailable: the file can't be written. UsageError: it is damaged.
        """
        for path in self._paths():
            try:
                _remember(path, release, log)
            except Unavailable:
                if path == self.path:
                    raise

    def _paths(self) -> list[Path]:
        return [self.path] + ([self.also] if self.also is not None else [])


def _against(known: dict[str, Any], release: ReleaseFacts, *, pinned: bool) -> Finding | None:
    same = [w for w, v in (("sequence", release.sequence), ("version", release.version)) if known[w] == v]
    if same and known["root"] != release.root:
        return Finding(
            "rollback.fork",
            f"{release.dataset}@{release.version} (sequence {release.sequence}) has another content than the release "
            f"of that {same[0]} that was verified here before",
            observed=release.root,
            expected=known["root"],
            hint="the publisher or the log shows different histories to different people: stop, and ask both",
        )
    if known["sequence"] > release.sequence and not pinned:
        return Finding(
            "rollback.older",
            f"{release.dataset}@{release.version} (sequence {release.sequence}) is older than "
            f"{known['version']} (sequence {known['sequence']}), which was verified here before",
            observed=f"sequence {release.sequence}",
            expected=f"sequence {known['sequence']} or later",
            hint="fetch the newest release; to use this one on purpose, name it: "
            f"--dataset {release.dataset}@{release.version}",
        )
    return None


def _remember(path: Path, release: ReleaseFacts, log: LogFacts | None) -> None:
    entry = {"sequence": release.sequence, "version": release.version, "root": release.root}
    try:
        fresh = make_folder(path.parent)
        # Two commands that end at once must not make the memory forget what either saw.
        with locked(path.parent):
            releases = _read(path)
            news = [k for k in _keys(release, log) if k not in releases or releases[k]["sequence"] < release.sequence]
            if news:
                write_whole(path, canonical.encode({"v": 1, "releases": {**releases, **dict.fromkeys(news, entry)}}))
                for folder in {path.parent, *fresh}:
                    sync_folder(folder)
    except OSError as error:
        raise Unavailable(
            f"can't remember the release: {error.strerror}",
            where=str(path),
            hint="let XDG_STATE_HOME name a folder that can be written: without it an older release can't be told",
        ) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Unavailable(
            f"can't read the memory of verified releases: {error.strerror}",
            where=str(path),
            hint="check its permissions: without it an older release can't be told",
        ) from None
    try:
        value = canonical.decode_canonical(data, what="memory of releases", max_bytes=MAX_SEEN)
        if not isinstance(value, dict) or value.get("v") != 1 or not isinstance(value["releases"], dict):
            raise FormatError("not version 1")
        for known in value["releases"].values():
            if not (
                type(known["sequence"]) is int and isinstance(known["root"], str) and isinstance(known["version"], str)
            ):
                raise FormatError("an entry without sequence, root or version")
    except (FormatError, KeyError, TypeError) as error:
        raise UsageError(
            f"the memory of verified releases is damaged: {error}",
            where=str(path),
            hint="restore it; deleting it makes this a first contact, without protection against older releases",
        ) from None
    return dict(value["releases"])


def _keys(release: ReleaseFacts, log: LogFacts | None) -> list[str]:
    """Sequences count within a log; without one within each signer's word, so that leaving one out hides nothing."""
    whose = [log.origin] if log else [f"key:{fingerprint}" for fingerprint in release.signed_by]
    return [f"{name} {release.dataset}" for name in whose]


def memory(workspace: Path | None, *, named: bool = False) -> Seen:
    """Where to remember.

    Args:
        workspace: its folder, when there is one. named: the command line names it, so that it stands for itself.
    """
    own = state_folder() / "seen.json"
    if workspace is None:
        return Seen(own)
    return Seen(workspace / "state" / "seen.json", also=None if named else own)
