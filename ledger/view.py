"""What this client believes of each log: the newest checkpoint, which only moves forward.

One file a log key, ``<folder>/<origin>-<16 hex digits of the key's SHA-256>.checkpoint``, holding the signed checkpoint
as it was served. It is replaced by compare-and-set (a lock on the folder, a rename), after all checks, by a checkpoint
whose tree begins with the old one's (DESIGN invariants 1 and 2). A log that a policy knows by several keys is held
against what was believed under each of them.

A smaller tree is a rollback, another root for a size or a tree that does not begin with the believed one a fork. Both
raise, name both checkpoints, and keep both in ``<folder>/evidence/``: two signed checkpoints that contradict each other
are all that anybody needs to convict a log.

A ledger is held against the views of its own log as well, before anything is logged and by ``ledger check``: a restored
old copy would fork the log.

Views live in the workspace, when there is one, and always in the user's state folder too: a workspace that came with a
download does not make anybody forget.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from dataseal.ledger.digest import sha256
from dataseal.ledger.durable import locked, make_folder, sync_folder, write_whole
from dataseal.ledger.errors import Rollback, Unavailable, UsageError, VerificationError
from dataseal.ledger.follow import Fork, Tree, check_extends, head, open_tree
from dataseal.ledger.resources import Resources
from dataseal.ledger.state import state_folder
from dataseal.ledger.tlog.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from dataseal.ledger.tlog.limits import MAX_NOTE_BYTES
from dataseal.ledger.tlog.merkle import HashReader, root_at
from dataseal.ledger.tlog.note import PublicKey
from dataseal.ledger.tlog.policy import LogPolicy

ATTEMPTS: Final = 5
"""Times that a checkpoint is fetched anew because another process moved the view meanwhile."""

EVIDENCE: Final = "evidence"


class Views:
    """The believed checkpoints in one folder, and perhaps in a second one.

    Args:
        folder: where they are kept. also: another folder that is asked too, and told as far as it can be written.
    """

    def __init__(self, folder: Path, also: Path | None = None) -> None:
        self.folder = folder
        self._folders = [folder] if also is None or also == folder else [folder, also]

    def newest(self, policy: LogPolicy, origin: str) -> SignedCheckpoint | None:
        """The newest checkpoint that is believed of a log of the policy.

        Raises:
            UsageError: a file is damaged. Unavailable: it can't be read.
        """
        believed = [found for found in self._believed(policy, origin).values() if found is not None]
        return max(believed, key=lambda found: found.checkpoint.size, default=None)

    def advance(self, tree: Tree, policy: LogPolicy) -> bool:
        """Believes a verified tree, if it continues what was believed; False when another process was faster.

        Raises:
            Rollback, Fork: it does not; both checkpoints are kept as evidence.
            UsageError: a file is damaged. Unavailable: it can't be read or written.
        """
        believed = self.check(tree, policy)
        signed_by = {f"{key.name} {key.key_id.hex()}" for key in tree.checked.signed.log_signatures}
        for (path, key), old in believed.items():
            if f"{key.name} {key.key_id.hex()}" in signed_by:
                try:
                    if not _store(path, old.data if old else None, tree.note):
                        return False
                except Unavailable:
                    if path.parent == self.folder:
                        raise
        return True

    def check(self, tree: Tree, policy: LogPolicy) -> dict[tuple[Path, PublicKey], SignedCheckpoint | None]:
        """Holds a verified tree against what is believed, which it returns by file and key; changes nothing.

        Raises:
            As `advance`.
        """
        believed = self._believed(policy, tree.checkpoint.origin)
        for old in believed.values():
            if old is not None:
                self._check(tree, old)
        return believed

    def demand_kept(self, policy: LogPolicy, origin: str, reader: HashReader, size: int) -> None:
        """Checks that a ledger's own tree still begins with the newest checkpoint that is believed of its log.

        Args:
            reader: the ledger's tree. size: its entries.

        Raises:
            Rollback: it does not: to go on with it would fork the log.
            UsageError: a file is damaged. Unavailable: it can't be read.
        """
        believed = self.newest(policy, origin)
        if believed is None or holds(reader, size, believed.checkpoint):
            return
        old = believed.checkpoint
        instead = f"{size} entries" if size < old.size else f"root {root_at(reader, old.size).hex()} of that size"
        raise Rollback(
            f"{head(old)} was believed of {origin}; this ledger has {instead}",
            where=str(self.folder),
            hint="it was restored from an old copy, or the log's key was used elsewhere: log nothing, restore the "
            "newest copy, or bring what is published into an empty ledger (dataseal ledger import)",
        )

    def keep(self, *notes: bytes) -> list[Path]:
        """Keeps signed checkpoints as evidence, by size and digest; returns their files.

        Raises:
            Unavailable: they can't be written.
        """
        folder = self.folder / EVIDENCE
        paths = []
        try:
            fresh = make_folder(folder)
            with locked(folder):
                for note in notes:
                    path = folder / f"{_slug(_lines(note)[0])}-{_lines(note)[1]}-{sha256(note).hex()[:16]}.checkpoint"
                    write_whole(path, note)
                    paths.append(path)
                for changed in {folder, *fresh}:
                    sync_folder(changed)
        except OSError as error:
            raise Unavailable(f"can't keep the evidence: {error.strerror}", where=str(folder)) from None
        return paths

    def _check(self, tree: Tree, old: SignedCheckpoint) -> None:
        try:
            check_extends(tree, old.checkpoint)
        except (Rollback, Fork) as error:
            detail = [f"believed  {head(old.checkpoint)}", f"served    {head(tree.checkpoint)}"]
            try:
                detail += [f"kept      {path}" for path in self.keep(old.data, tree.note)]
            except Unavailable as failure:  # the finding must not be lost over its evidence
                detail.append(failure.what)
            raise type(error)(error.what, where=error.where, hint=error.hint, detail="\n".join(detail)) from None

    def _believed(self, policy: LogPolicy, origin: str) -> dict[tuple[Path, PublicKey], SignedCheckpoint | None]:
        keys = [log.key for log in policy.logs if log.key.name == origin]
        found: dict[tuple[Path, PublicKey], SignedCheckpoint | None] = {}
        for folder in self._folders:
            for key in keys:
                path = folder / f"{log_name(key)}.checkpoint"
                try:
                    found[path, key] = _load(path, key)
                except Unavailable:
                    if folder == self.folder:
                        raise
        return found


def follow(resources: Resources, policy: LogPolicy, views: Views, *, require_quorum: bool = True) -> Tree:
    """The tree that a log serves now, which continues what was believed, and is believed from here on.

    Raises:
        As `open_tree` and `Views.advance`.
    """
    for _ in range(ATTEMPTS):
        tree = open_tree(resources, policy, require_quorum=require_quorum)
        if views.advance(tree, policy):
            return tree
    raise Unavailable(
        "other processes keep moving what is believed of this log", where=str(views.folder), hint="try again"
    )


def holds(reader: HashReader, size: int, old: Checkpoint) -> bool:
    """Whether a tree of ``size`` entries begins with an older one."""
    return old.size <= size and root_at(reader, old.size) == old.root


def views_of(workspace: Path | None) -> Views:
    """The views of a workspace and of the user, or of the user alone."""
    own = state_folder() / "logs"
    return Views(workspace / "state" / "logs", also=own) if workspace is not None else Views(own)


def log_name(*keys: PublicKey) -> str:
    """A file name for a log: its origin, as far as a file name can hold it, and the digest of its keys."""
    digest = sha256("\n".join(sorted(key.vkey for key in keys)).encode()).hex()
    return f"{_slug(keys[0].name)}-{digest[:16]}"


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text)[:80].lstrip(".")


def _lines(note: bytes) -> list[str]:
    return note.decode("utf-8", "replace").split("\n", 2)[:2]


def _load(path: Path, key: PublicKey) -> SignedCheckpoint | None:
    data = _read(path)
    if data is None:
        return None
    try:
        return open_checkpoint(data, [key], origin=key.name)
    except VerificationError as error:
        raise UsageError(
            f"what was believed of log {key.name!r} is damaged: {error.what}",
            where=str(path),
            hint="restore it; deleting it makes this a first contact, without protection against a rollback or fork",
        ) from None


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_NOTE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(
            f"can't read what was believed of a log: {error.strerror}",
            where=str(path),
            hint="check its permissions: without it a rollback can't be told",
        ) from None


def _store(path: Path, expected: bytes | None, data: bytes) -> bool:
    """Compare-and-set: two commands that end at once must not make the view forget what either saw."""
    try:
        fresh = make_folder(path.parent)
        with locked(path.parent):
            if _read(path) != expected:
                return False
            if data != expected:
                write_whole(path, data)
                for folder in {path.parent, *fresh}:
                    sync_folder(folder)
        return True
    except OSError as error:
        raise Unavailable(
            f"can't remember the log's checkpoint: {error.strerror}",
            where=str(path),
            hint="let XDG_STATE_HOME name a folder that can be written: without it a rollback can't be told",
        ) from None
