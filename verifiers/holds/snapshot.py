"""Hold ``snapshot``: the command gets a private copy, and what is verified is that copy. Prevention.

Every file is copied and hashed in one pass: the digest is made over the very buffers that are written, or, where the
file system can share blocks (FICLONE), over the clone, which is ours. The seal's files are written as they were
verified. So nothing that happens to the target after that matters. The copy holds the signed files and what
verification read of ``.dataseal/``; never ``.git`` or the hub's cache, nor what an exclusion leaves out. It is
read-only, which keeps honest programs from writing; what a command does to it nevertheless is found when it has ended,
as with ``recheck``.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from dataseal.ledger import hashing
from dataseal.ledger.errors import Unavailable, UsageError
from dataseal.ledger.hashing.opening import Below, opened, unreadable
from dataseal.ledger.manifest import Parameters, Shard
from dataseal.ledger.paths import SEAL
from dataseal.verifiers.holds.base import HoldName, Looked, Target, Unheld, folders
from dataseal.verifiers.holds.recheck import look, stats_of
from dataseal.verifiers.sources.local import LocalFolder

PREFIX: Final = "dataseal-gate-"
FICLONE: Final = 0x40049409
"""linux/fs.h: share the blocks of one file with another."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class SnapshotFolder(LocalFolder):
    """A folder that is copied while it is verified.

    ``folder`` is the copy: the seal and the records are read from there. What there is to copy is walked in ``origin``.

    Args:
        origin: the target. into: where the copy goes; an empty folder of ours.

    Attributes:
        cloned, copied: how many files. whole: everything that was to be copied is there.
    """

    def __init__(self, origin: Path, into: Path) -> None:
        super().__init__(origin)
        self.origin, self.folder = origin, into
        self.cloned = self.copied = 0
        self.whole = False
        self._from = LocalFolder(origin)
        self._taken: set[str] = set()
        self._clones = True
        self._stop = threading.Event()

    @property
    def name(self) -> str:
        """The target as the user named it."""
        return str(self.origin)

    def seal(self) -> list[str] | None:
        """The names below the target's ``.dataseal/``."""
        return self._from.seal()

    def read_seal(self, name: str, limit: int) -> bytes | None:
        """One file of the seal; it is copied as it is read, so that the copy's is what was verified."""
        path = self.folder / SEAL / name
        if path.exists():
            return super().read_seal(name, limit)
        data = self._from.read_seal(name, limit)
        if data is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "xb") as file:
                    file.write(data)
                path.chmod(0o444)
            except OSError as error:
                raise self._unwritable(error) from None
        return data

    def walk(self, exclusions: Sequence[str]) -> hashing.Walk:
        """What lies in the target."""
        return self._from.walk(exclusions)

    def hash(
        self,
        files: Sequence[hashing.File],
        parameters: Parameters,
        *,
        whole: bool,
        jobs: int | None = None,
        progress: hashing.Progress | None = None,
        **options: Any,
    ) -> list[Shard]:
        """Copies files of `walk` and hashes them in the same pass.

        Raises:
            IntegrityError: a file changed meanwhile. Unavailable: it can't be read, or the disk is full.
        """
        if isinstance(progress, hashing.Meter):
            progress.expect(sum(file.size for file in files))
        del options  # whatever is remembered of the target's files says nothing about a copy
        self._check_space(sum(file.size for file in files if file.path not in self._taken))

        def one(file: hashing.File) -> Shard:
            return self._one(file, parameters, whole=whole, progress=progress)

        workers = max(1, min(jobs or len(os.sched_getaffinity(0)), len(files) or 1))
        order = sorted(range(len(files)), key=lambda i: -files[i].size)
        with ThreadPoolExecutor(workers) as pool:
            futures = {i: pool.submit(one, files[i]) for i in order}
            try:
                shards = [futures[i].result() for i in range(len(files))]
            except BaseException:
                self._stop.set()  # an interrupt does not wait for a huge file
                pool.shutdown(cancel_futures=True)
                raise
        self.whole = True
        return shards

    def _one(
        self, file: hashing.File, parameters: Parameters, *, whole: bool, progress: hashing.Progress | None
    ) -> Shard:
        target = self.folder / file.path
        ours = hashing.File(file.path, str(self.folder), file.size)
        if file.path in self._taken:
            return hashing.hash_file(ours, parameters, whole=whole, progress=progress)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb", buffering=0) as out:
                if self._clone(file, out.fileno()):
                    shard = hashing.hash_file(ours, parameters, whole=whole, progress=progress)
                    self.cloned += 1
                else:
                    sink = _Sink(out.fileno(), self._stop, self._unwritable)
                    shard = hashing.hash_file(file, parameters, whole=whole, progress=progress, sink=sink)
                    self.copied += 1
            target.chmod(0o444)
        except OSError as error:
            raise self._unwritable(error) from None
        self._taken.add(file.path)
        return shard

    def _clone(self, file: hashing.File, descriptor: int) -> bool:
        """Shares the file's blocks with the copy. False where that can't be had."""
        if not self._clones:
            return False
        try:
            below = Below(file.folder)
            try:
                source = below.open(file.path)
            finally:
                below.close()
        except OSError as error:
            raise unreadable(file.path, error) from None
        try:
            opened(source, file.path, file.size, file.identity)
            clone(descriptor, source)
            return True
        except OSError:
            self._clones = False
            return False
        finally:
            os.close(source)

    def _check_space(self, wanted: int) -> None:
        """Says beforehand what would fail after an hour. A clone needs no space: then it is not known."""
        free = os.statvfs(self.folder)
        if wanted > free.f_bavail * free.f_frsize and os.stat(self.folder).st_dev != os.stat(self.origin).st_dev:
            raise self._full(f"{wanted:,} bytes are to be copied, and {free.f_bavail * free.f_frsize:,} are free")

    def _unwritable(self, error: OSError) -> Unavailable:
        if error.errno in _FULL:
            return self._full("the disk is full")
        return Unavailable(
            f"can't write the copy: {error.strerror}", where=str(self.folder), hint="name another --snapshot-dir"
        )

    def _full(self, why: str) -> Unavailable:
        return Unavailable(
            f"no room for the snapshot: {why}",
            where=str(self.folder),
            hint="free some space, or name a folder on another disk with --snapshot-dir",
        )


def clone(target: int, source: int) -> None:
    """Makes the open file ``target`` share all blocks of ``source`` (FICLONE, ioctl_ficlonerange(2)).

    Raises:
        OSError: the file system can't, or the two are on different ones.
    """
    fcntl.ioctl(target, FICLONE, source)


class _Sink:
    """Writes what was hashed."""

    def __init__(self, descriptor: int, stop: threading.Event, failed: Any) -> None:
        self._descriptor, self._stop, self._failed = descriptor, stop, failed

    def __call__(self, view: memoryview) -> None:
        if self._stop.is_set():
            raise Unavailable("interrupted")
        try:
            while len(view):
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise self._failed(error) from None


class Snapshot(Unheld):
    """The command gets private copies.

    Args:
        folder: where they are made, the system's folder for temporary files when None. targets: what is copied.

    Raises:
        UsageError: ``folder`` is missing or inside a target. Unavailable: nothing can be made in it.
    """

    name: HoldName = "snapshot"

    def __init__(self, folder: Path | None, targets: Sequence[Path]) -> None:
        base = (folder or Path(tempfile.gettempdir())).resolve()
        inside = next((t for t in targets if base.is_relative_to(t.resolve())), None)
        if inside is not None:
            raise UsageError(f"the snapshot's folder lies inside {inside}", where=str(base), hint="name another one")
        if not base.is_dir():
            raise UsageError("no such folder for the snapshot", where=str(base), hint="make it, or name another one")
        try:
            self._base = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        except OSError as error:
            raise Unavailable(f"can't make the snapshot's folder: {error.strerror}", where=str(base)) from None
        self._held: dict[int, Target] = {}

    def source(self, folder: Path) -> LocalFolder:
        """A folder that is copied while it is verified."""
        LocalFolder(folder)  # before anything is made
        into = self._base / str(len(list(self._base.iterdir())))
        into.mkdir()
        return SnapshotFolder(folder, into)

    def ready(self, targets: Sequence[Target]) -> Mapping[str, str]:
        """Makes the copies read-only, and remembers what they look like.

        Raises:
            Unavailable: a file can't be copied.
        """
        for target in targets:
            source = target.source
            assert isinstance(source, SnapshotFolder)
            if target.examination.checked.manifest is None:  # under audit: nothing was signed, and all of it is copied
                source.hash(source.walk(()).files, Parameters(), whole=False)
            if not source.whole:  # under audit: a file changed while it was copied, and was let pass
                raise Unavailable(
                    "the snapshot is not whole: not every file could be copied",
                    where=source.name,
                    hint="mend what the findings name, and run again",
                )
            _chmod_folders(source.folder, 0o555)
            copy = LocalFolder(source.folder)
            self._held[id(target)] = Target(copy, target.examination, stats_of(copy))
        return folders([os.path.abspath(t.source.folder) for t in targets])

    def facts(self, target: Target) -> Mapping[str, Any]:
        """How the copy was made."""
        source = target.source
        assert isinstance(source, SnapshotFolder)
        return {"snapshot": {"cloned": source.cloned, "copied": source.copied}}

    def after(self, target: Target) -> Looked:
        """Whether the copy is still what it was."""
        found = look(self._held[id(target)])
        return Looked(found.changes, {**self.facts(target), **found.facts}, found.notes)

    def close(self) -> None:
        """Removes the copies."""
        with suppress(OSError):
            _chmod_folders(self._base, 0o700)
        shutil.rmtree(self._base, ignore_errors=True)


def _chmod_folders(top: Path, mode: int) -> None:
    """Of every folder, from the top down, so that a closed one can be opened again."""
    os.chmod(top, 0o700)
    todo = [str(top)]
    every = []
    while todo:
        folder = todo.pop()
        every.append(folder)
        with os.scandir(folder) as items:
            for item in items:
                if item.is_dir(follow_symlinks=False):
                    os.chmod(item.path, 0o700)
                    todo.append(item.path)
    for folder in reversed(every):
        os.chmod(folder, mode)
