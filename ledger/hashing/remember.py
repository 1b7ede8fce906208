"""When files need not be read again: after a run that was cut off, and under ``--fast``.

Both believe a file's identity (device, inode, size, mtime, ctime) in place of its bytes. What that takes:

- A file that is written gets a new ctime, which no system call can set. So an equal identity means equal bytes, unless
  somebody set the clock back, wrote to the disk beneath the file system, or kept the file mapped for writing while it
  was hashed. Whoever can do the first two owns the machine.
- The clock that stamps is coarse: a file that changed shortly before it was hashed can change again and get the same
  stamp (git calls it racily clean). One that changed within `SETTLED` before the walk is never remembered.
- The file system must be local (`mounts`); the memory lies outside the dataset and is under a MAC with a key of its
  owner's (`statekey`), bound to the machine, the folder's path, device and inode, and the tree's parameters. One that
  does not hold is refused aloud, and everything is read.

The **journal** belongs to one attempt of one command. It holds what that attempt finished, is used by the next one
within `MAX_AGE` and the same boot (a power cut can take bytes back that were hashed, and leave the times), and is
removed when the command succeeds: without ``--fast`` no completed run ever vouches for a file.

The **cache** of ``--fast`` holds the files of the last state that was signed completely; that of a verification those
of the last one that passed. Neither is used for the other.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from dataseal.ledger import canonical
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import DatasealError, FormatError, IntegrityError, Unavailable, UsageError
from dataseal.ledger.hashing import statekey, statfile
from dataseal.ledger.hashing.mounts import why_not
from dataseal.ledger.hashing.statfile import Entry
from dataseal.ledger.hashing.walk import File, Walk
from dataseal.ledger.manifest import Parameters, Shard, shard_root

SETTLED: Final = 2_000_000_000
"""Nanoseconds since its last change after which a file's times tell the next one: the coarsest clock in use ticks in
two seconds."""

MAX_AGE: Final = 24 * 3600 * 1_000_000_000
"""Nanoseconds during which an attempt can be continued."""

FLUSH_SECONDS: Final = 1.0
"""What a killed run loses at most of its journal, beside the files that it was at."""


Purpose = Literal["signed", "verified"]


@dataclass(frozen=True, slots=True)
class Memory:
    """Where the memory is kept.

    Attributes:
        folder: of its files. key: the key's file.
    """

    folder: Path
    key: Path

    def of(self, dataset: Path, parameters: Parameters, purpose: Purpose) -> Place:
        """The memory of one folder, for one purpose: what was verified was not searched for private keys.

        Where no key can be made, such as in a workspace that can't be written, or its file can't be believed, there is
        no memory: all is read, and a note of ``--fast`` says why.
        """
        real = os.path.realpath(dataset)
        found = os.stat(real)
        header = {
            "v": 1,
            "folder": os.fsencode(real).hex() if not real.isprintable() else real,
            "device": str(found.st_dev),  # either may be larger than JSON's integers
            "inode": str(found.st_ino),
            "host": _host(),
            "chunk_size": parameters.chunk_size,
            "chunk_hash": parameters.chunk_hash,
            "purpose": purpose,
        }
        about = [header[name] for name in ("folder", "chunk_size", "chunk_hash", "purpose")]
        name = sha256(canonical.encode(about)).hex()[:32]
        if any(os.path.realpath(p.parent).startswith(real.rstrip("/") + "/") for p in (self.folder / name, self.key)):
            return Place(self.folder / name, b"", header, f"the memory would lie inside the dataset ({self.folder})")
        unfit = why_not(real)
        try:
            key = statekey.load(self.key)
        except (Unavailable, UsageError) as error:
            key, unfit = b"", f"{error.what} ({error.where})"
        return Place(self.folder / name, key, header, unfit)


def of_user() -> Memory:
    """The user's own memory, for those who verify and have no workspace."""
    base = os.environ.get("XDG_STATE_HOME")
    folder = (Path(base) if base else Path.home() / ".local" / "state") / "dataseal"
    return Memory(folder / "stats", folder / "stats.key")


@dataclass(slots=True)
class Place:
    """The memory of one folder: the files' common name, the key, what they are about, why they can't be used.

    ``cached`` is what `load_cache` found.
    """

    path: Path
    key: bytes
    header: dict[str, Any]
    unfit: str | None
    cached: dict[str, Entry] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        """The cache's file."""
        return self.path.with_suffix(".cache")

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.path.with_suffix(".journal")

    def load_cache(self, notes: list[str]) -> dict[str, Entry]:
        """What the last complete state's files were; nothing, and a note, when that can't be believed."""
        return self.entries(self.read_cache(notes), notes)

    def read_cache(self, notes: list[str]) -> list[bytes]:
        """The authentic payloads of the cache, for `entries` and `statfile.says`; none, and a note, without."""
        if self.unfit:
            notes.append(f"--fast is not possible here, every file is read: {self.unfit}")
            return []
        try:
            return statfile.authentic(self.cache.read_bytes(), self.key, {**self.header, "kind": "cache", "boot": ""})
        except FileNotFoundError:
            notes.append("--fast knows nothing of this folder yet: every file is read this time")
        except OSError as error:
            notes.append(f"the cache of --fast can't be read, every file is: {error.strerror}")
        except (IntegrityError, FormatError) as error:
            notes.append(self._refused(error))
        return []

    def entries(self, payloads: Sequence[bytes], notes: list[str]) -> dict[str, Entry]:
        """The entries of what `read_cache` found."""
        try:
            self.cached = statfile.decode(payloads, self.header["chunk_size"])
        except IntegrityError as error:
            notes.append(self._refused(error))
        return self.cached

    def _refused(self, error: DatasealError) -> str:
        return f"the cache of --fast is refused, every file is read: {error.what} ({self.cache})"

    def save_cache(self, walked: Walk, shards: Iterable[Shard], known: dict[str, Entry], notes: list[str]) -> None:
        """Replaces the cache by the files of a complete state.

        Args:
            known: what an earlier run hashed, and this one did not: these files had settled then.
        """
        if self.unfit or (known and self.cached == known and len(known) == len(walked.files)):
            return  # it would be the same
        of = {shard.path: shard for shard in shards}
        entries = {f.path: known.get(f.path) or settled(f, of[f.path], walked.began) for f in walked.files}
        writer = statfile.Writer(self.key, {**self.header, "kind": "cache", "boot": ""})
        frames = [writer.frame(rows) for rows in statfile.rows((p, e) for p, e in entries.items() if e)]
        temporary = self.cache.with_suffix(f".{os.getpid()}")
        try:
            self.cache.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.writelines((writer.start, *frames))
            os.replace(temporary, self.cache)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            notes.append(f"the cache of --fast can't be written, and the next run reads everything: {error.strerror}")

    def open_journal(self, notes: list[str]) -> Journal | None:
        """The journal of this command, with what the last attempt left; None where there can't be one."""
        if self.unfit:
            return None
        try:
            self.journal.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.journal, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                data = _all(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
        except BlockingIOError:
            notes.append("another run hashes this folder: this one keeps no journal")
            return None
        except OSError as error:
            notes.append(f"this run keeps no journal, and could not be resumed: {error.strerror}")
            return None
        entries: dict[str, Entry] = {}
        age = time.time_ns() - os.fstat(descriptor).st_mtime_ns
        try:
            if data and 0 <= age < MAX_AGE:
                entries = self._read(data, "journal", _boot())
        except (IntegrityError, FormatError) as error:
            notes.append(f"the journal of an earlier run is refused, every file is read: {error.what} ({self.journal})")
        writer = statfile.Writer(self.key, {**self.header, "kind": "journal", "boot": _boot()})
        return Journal(self.journal, descriptor, writer, entries)

    def _read(self, data: bytes, kind: str, boot: str) -> dict[str, Entry]:
        return statfile.read(data, self.key, {**self.header, "kind": kind, "boot": boot})


class Journal:
    """What one attempt has finished; `add` is called from several threads."""

    def __init__(self, path: Path, descriptor: int, writer: statfile.Writer, entries: dict[str, Entry]) -> None:
        self._path, self._descriptor, self._writer = path, descriptor, writer
        self.entries = entries
        self._new: list[tuple[File, Shard]] = []
        self._used: dict[str, Entry] = {}
        self._flushed = time.monotonic()
        self._lock = threading.Lock()
        self._began = 0
        self._written = self._dead = False

    def begin(self, walked: Walk, used: dict[str, Entry]) -> None:
        """Starts anew with what of the last attempt still holds: a third attempt may need it."""
        self._began, self._used = walked.began, used

    def add(self, file: File, shard: Shard) -> None:
        """A file is finished."""
        self._new.append((file, shard))
        self.tick()

    def tick(self) -> None:
        """Writes what is finished, when it is time; called often, so that a long file does not delay it."""
        if self._new and time.monotonic() - self._flushed >= FLUSH_SECONDS:
            with self._lock:
                self._flush()

    def _flush(self) -> None:
        new, self._new, self._flushed = self._new, [], time.monotonic()
        if self._dead:
            return
        made = ((file.path, settled(file, shard, self._began)) for file, shard in new)
        entries = [*self._used.items(), *((path, entry) for path, entry in made if entry)]
        frames = [self._writer.frame(rows) for rows in statfile.rows(entries)]
        self._used = {}
        try:
            if not self._written:
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, self._writer.start, 0)
                os.lseek(self._descriptor, 0, os.SEEK_END)
                self._written = True
            for frame in frames:
                rest = memoryview(frame)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self._dead = True  # a full disk costs the resumption and nothing else; behind half a frame none can follow

    def keep(self) -> None:
        """The attempt was cut off: the next one goes on from here."""
        with self._lock:
            self._flush()
        os.close(self._descriptor)

    def remove(self) -> None:
        """The command succeeded."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def settled(file: File, shard: Shard, began: int) -> Entry | None:
    """What may be remembered of a file; None when it changed too shortly before the walk to tell the next change."""
    identity, latest = file.identity, began - SETTLED
    if identity is None or identity[3] > latest or identity[4] > latest:
        return None
    return Entry(identity, shard.sha256, shard.chunks)


def unchanged(files: Sequence[File], entries: dict[str, Entry], *, whole: bool) -> dict[str, Entry]:
    """The entries of files whose identity is the remembered one; with ``whole`` only those with a SHA-256."""
    return {
        f.path: e for f in files if (e := entries.get(f.path)) and e.identity == f.identity and (e.sha256 or not whole)
    }


def shard_of(path: str, entry: Entry) -> Shard:
    """The shard of a remembered file."""
    return Shard(path, entry.identity[2], entry.sha256, shard_root(entry.chunks), entry.chunks)


def _all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 1 << 24):
        parts.append(part)
    return b"".join(parts)


def _host() -> str:
    """This machine, as far as it has a name: copied to another one, a memory says nothing."""
    return sha256(b"dataseal stats\0" + _content("/etc/machine-id")).hex()


def _boot() -> str:
    return _content("/proc/sys/kernel/random/boot_id").decode("ascii", "replace").strip()


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
