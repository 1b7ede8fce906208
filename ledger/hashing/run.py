"""One command's use of the memory of a folder: what it need not read, and what it learns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dataseal.ledger.hashing.job import BUFFER, Meter, Progress
from dataseal.ledger.hashing.remember import Journal, Memory, Place, shard_of, unchanged
from dataseal.ledger.hashing.statfile import Entry
from dataseal.ledger.hashing.walk import File, Walk
from dataseal.ledger.manifest import Parameters, Shard


class Watched(Meter):
    """Progress that is told on, and that keeps the journal in time."""

    def __init__(self, run: Run, progress: Progress | None) -> None:
        self._run, self._progress = run, progress

    def expect(self, amount: int) -> None:
        """Tells it on."""
        if isinstance(self._progress, Meter):
            self._progress.expect(amount)

    def __call__(self, amount: int) -> None:
        """Tells it on, and writes what is due."""
        if self._progress:
            self._progress(amount)
        if amount >= BUFFER and self._run.journal:  # a small file is finished at once, which does the same
            self._run.journal.tick()


@dataclass(slots=True)
class Run:
    """See `begin`.

    Attributes:
        known: files that need not be read, by path. shorter: earlier shards of files that are longer now.
        resumed, unchanged: how many of `known` the last attempt and the cache gave. notes: for people.
    """

    place: Place
    walked: Walk
    journal: Journal | None
    known: dict[str, Entry] = field(default_factory=dict)
    shorter: dict[str, Shard] = field(default_factory=dict)
    resumed: int = 0
    unchanged: int = 0
    notes: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, memory: Memory, folder: Path, parameters: Parameters, walked: Walk, *, fast: bool) -> Run:
        """Looks up what the last attempt finished and, with ``fast``, what was signed last.

        Raises:
            UsageError: the key of the memory can't be believed.
        """
        notes: list[str] = []
        place = memory.of(folder, parameters, "signed")
        journal = place.open_journal(notes)
        run = cls(place, walked, journal, notes=notes)
        if journal:
            left = unchanged(walked.files, journal.entries, whole=True)
            journal.begin(walked, left)
            run.known, run.resumed = left, len(left)
            if left:
                notes.append(f"resumed: {len(left):,} files were hashed by the run before, which was cut off")
        if fast:
            cached = place.load_cache(notes)
            same = unchanged(walked.files, cached, whole=True)
            run.unchanged = len(same.keys() - run.known.keys())
            run.known = {**same, **run.known}
            run.shorter = {
                f.path: shard_of(f.path, old)
                for f in walked.files
                if f.path not in run.known and (old := cached.get(f.path)) and old.identity[2] < f.size
            }
        return run

    def add(self, file: File, shard: Shard) -> None:
        """A file is hashed."""
        if self.journal:
            self.journal.add(file, shard)

    def cut_off(self) -> None:
        """The command ends before its time: the next one goes on from here."""
        if self.journal:
            self.journal.keep()
            self.journal = None

    def done(self, shards: Iterable[Shard]) -> None:
        """The command succeeded: no journal vouches for a file any more, and the cache is of this state."""
        if self.journal:
            self.journal.remove()
            self.journal = None
        self.place.save_cache(self.walked, shards, self.known, self.notes)
