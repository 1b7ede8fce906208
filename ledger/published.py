"""A published log that is written to: for publishers, such as CI jobs, that have no ledger of their own.

``--ledger DEST`` names a folder or bucket that holds the log as static files; the workspace has the log's key. What is
published is imported and verified into a copy below the workspace, which may be thrown away; entries are appended to
the copy, and published back. Others may do the same at the same time. Each append:

 1. The published log is followed (`dataseal.ledger.view`): it moved only forward. What is new is imported, each entry
    admitted anew; what the copy holds beyond it was claimed before, and is unpublished yet.
 2. Claims behind the head, which the log's key signed, are finished first (`dataseal.ledger.claims`): somebody
    crashed, or is at it.
 3. The entries are appended in a transaction of the copy. Before it counts, what follows the head is claimed; when
    another publisher was faster, the transaction is undone, and everything begins anew behind the other's entries.
 4. The head is signed, and witnesses are asked.
 5. It is published, the checkpoint last, unless somebody else has done it meanwhile.

An append that returns is published. One that does not, a crash at any point, leaves either nothing or a claim, which
the next publisher finishes. The place is the log's only home then: a ledger elsewhere under the same key would fork it,
and publishes there no more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

from dataseal.ledger import entry as entries
from dataseal.ledger import states
from dataseal.ledger.claims import AHEAD, Claim, claimed, decide, demand_exclusive, entries_of, lost
from dataseal.ledger.closing import KIND, Closing, Moved
from dataseal.ledger.digest import sha256
from dataseal.ledger.durable import locked, make_folder
from dataseal.ledger.errors import IntegrityError, Refused, Rollback, Unavailable, UsageError
from dataseal.ledger.follow import Fork, Leaf, Tree, check_extends, head, open_tree
from dataseal.ledger.importing import demand_root, take, take_tree
from dataseal.ledger.log import ATTEMPTS, TIME_FORMAT, Appended, Log
from dataseal.ledger.mirror import replicate
from dataseal.ledger.places import Destination, is_network, open_destination, without_secrets
from dataseal.ledger.replay import Replay, open_replay
from dataseal.ledger.resources import CHECKPOINT, StoreResources
from dataseal.ledger.signers.keyfile import Passphrase
from dataseal.ledger.store.store import Head, Store, View
from dataseal.ledger.store.stored import StoredEntry
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from dataseal.ledger.tlog.keys import parse_vkey
from dataseal.ledger.tlog.note import Ed25519Verifier
from dataseal.ledger.tlog.policy import LogPolicy
from dataseal.ledger.tlog.reader import TileReader
from dataseal.ledger.view import Views, follow, holds, log_name, views_of
from dataseal.ledger.workspace import CONFIG, Workspace

COPY: Final = "ledger.sqlite"
TRIES: Final = 8
PAUSE: Final = 0.05
"""Seconds before the second try to publish, doubled each time: another publisher holds a folder for moments."""

T = TypeVar("T")

_making = Lock()
"""Alembic makes one schema at a time in a process."""


class Overtaken(Exception):
    """Another publisher has claimed what follows the head."""


class PublishedLog(Log):
    """A log whose home is the place where it is published; its store is a copy. Made by `open_published`."""

    _place: Destination
    _views: Views
    _folder: Path

    def kept_at(self, place: Destination, views: Views, folder: Path) -> None:
        """Says where it is published, what is believed of it, and the folder of the copy."""
        self._place = place
        self._views = views
        self._folder = folder
        self._finished: list[Claim] = []

    @property
    def place(self) -> str:
        """Where it is published."""
        return self._place.name

    @property
    def copy(self) -> Path:
        """The file of the copy."""
        return self._folder / COPY

    def append(self, bundles: Sequence[bytes]) -> list[Appended]:
        """As `Log.append`, and published.

        Raises:
            As `Log.append`, `view.follow` and `mirror.replicate`.
        """
        return self._written(lambda: Log.append(self, bundles))

    def close(self, sign: Callable[[bytes], bytes], *, reason: str, successor: str | None = None) -> Appended:
        """As `Log.close`, and published."""
        return self._written(lambda: Log.close(self, sign, reason=reason, successor=successor))

    def before_commit(self, head: Head, rows: Sequence[StoredEntry]) -> None:
        """Step 3: claims what the transaction adds."""
        claim = Claim(rows[0].index, head.size, head.root)
        if not decide(self._place, claim, [row.body for row in rows], self._note_signers()[0]):
            raise Overtaken
        self._finished.append(claim)

    def refresh(self) -> None:
        """Step 1; and, when the log was opened with its key, 2, 4 and 5 for what others left.

        Raises:
            Rollback, Fork: it is not what it was, or what was claimed from here.
            FormatError, SignatureInvalid, ProofInvalid, IntegrityError, Refused: it does not hold.
            Unavailable: it can't be read or written.
        """
        with self._alone():
            self._refresh()

    def _written(self, work: Callable[[], T]) -> T:
        self._note_signers()
        for attempt in range(ATTEMPTS):
            with self._alone():
                try:
                    self._refresh()
                    done = work()
                    self._publish()
                except Overtaken:
                    continue
                except Rollback:
                    if attempt:
                        raise
                    continue  # a witness may know what others published since: what it shows is held against that
                return done
        raise lost()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time works on the copy: of this machine's processes and threads."""
        with locked(self._folder):
            yield

    def _refresh(self) -> None:
        tree, behind = self._follow()
        with open_replay(self._folder / "replay.sqlite") as replay:
            self._catch_up(replay)
            self._bring(tree, replay)
            if self._signers is not None:
                demand_exclusive(self._place)
                self._finish_claims(replay)
            replay.commit()
        if behind is not None:
            self._demand_remembered(behind)
        with self.store.view() as view:
            ahead = view.head().size > tree.size
        if ahead and self._signers is not None:
            self._publish()

    def _follow(self) -> tuple[Tree, Rollback | None]:
        """What is published now; with the error when it is older than what was believed.

        Where no lock is known a slow publisher may put an older checkpoint over a newer one. Whoever writes can mend
        that, when copy or claims lead to what is believed.
        """
        policy = self.trusted().policy
        try:
            return follow(self._place, policy, self._views, require_quorum=False), None
        except Rollback as error:
            if self._signers is None:
                raise
            return open_tree(self._place, policy, require_quorum=False), error

    def _demand_remembered(self, behind: Rollback) -> None:
        believed = self._views.newest(self.trusted().policy, self.origin)
        with self.store.view() as view:
            if believed is None or not holds(view, view.head().size, believed.checkpoint):
                raise behind

    def _catch_up(self, replay: Replay) -> None:
        """Tells the replay of entries that the copy got since: its own."""
        with self.store.view() as view:
            if replay.next > view.head().size:
                raise UsageError(
                    "this copy of a published log is damaged", where=str(self._folder), hint="remove it: it is a copy"
                )
            for row in view.entries(replay.next):
                statement = states.statement_of(row)
                closing = Closing.of(statement) if statement.kind == KIND else None
                replay.add(row.leaf, entries.parse(row.body).header, statement, closing)

    def _bring(self, tree: Tree, replay: Replay) -> None:
        """Step 1: the copy holds what is published, and begins with it."""
        with self.store.view() as view:
            mine = view.head()
            if mine.size >= tree.size and merkle.root_at(view, tree.size) != tree.root:
                raise self._forked(tree, mine)
        if mine.size < tree.size:
            check_extends(tree, Checkpoint(self.origin, mine.size, mine.root))
            with self.store.appending() as view:
                take_tree(self, view, replay, tree)
                view.sign_head(tree.size, tree.note)
        elif mine.size == tree.size and mine.note is None:
            with self.store.appending() as view:
                view.sign_head(tree.size, tree.note)

    def _forked(self, tree: Tree, mine: Head) -> Fork:
        return Fork(
            f"what is published, {head(tree.checkpoint)}, is not the start of what was logged from here, "
            f"{head(Checkpoint(self.origin, mine.size, mine.root))}",
            where=self.place,
            hint="somebody removed claims there, or logs elsewhere with the same key: stop all, and keep both",
        )

    def _finish_claims(self, replay: Replay) -> None:
        """Step 2: takes what is decided, and perhaps not published."""
        key = parse_vkey(self.vkey)
        while True:
            with self.store.view() as view:
                mine = view.head()
            claim = claimed(self._place, mine.size, key)
            if claim is None:
                return
            bodies = entries_of(self._place, claim)
            with self.store.appending() as view:
                if bodies is None:
                    take_tree(self, view, replay, self._decided(claim, mine))
                else:
                    self._take(view, replay, claim, bodies, mine)
            self._finished.append(claim)

    def _take(self, view: View, replay: Replay, claim: Claim, bodies: list[bytes], mine: Head) -> None:
        def root(index: int) -> bytes:
            if index != mine.size:  # a log is closed alone
                raise Moved("the log grew while it was being closed")
            return mine.root

        where = f"{self.place}/{claim.entries_path}"
        leaves = [Leaf(index, body, merkle.leaf_hash(body)) for index, body in enumerate(bodies, claim.start)]
        take(self, view, replay, leaves, where, root)
        self._demand_past(leaves, where)
        demand_root(self, view, replay, claim.size, claim.root)

    def _demand_past(self, leaves: Sequence[Leaf], where: str) -> None:
        """Checks that no claimed entry is dated ahead: all that follow it would be."""
        latest = (self._clock() + AHEAD).astimezone(UTC)
        for leaf in leaves:
            if (header := entries.parse(leaf.body).header).at > latest:
                raise Refused(
                    f"it is dated {header.logged_at}, and here it is {self._clock():{TIME_FORMAT}}",
                    where=f"entry {leaf.index} of {where}",
                    hint="one of two publishers' clocks is wrong; if not this one's, the log goes on at that time",
                )

    def _decided(self, claim: Claim, mine: Head) -> Tree:
        """The tree of a claim that was published before: a slow publisher has put an older checkpoint over it."""
        try:
            # The tiles decide first: a checkpoint of what is not there, or forks from what is, is not even made.
            reader = TileReader(self._place.read, size=claim.size, root=claim.root)
            if merkle.root_at(reader, claim.size) != claim.root or merkle.root_at(reader, mine.size) != mine.root:
                raise IntegrityError(
                    f"what was claimed to follow entry {mine.size - 1} does not continue it",
                    where=f"{self.place}/{claim.path}",
                    hint="somebody logs elsewhere with the same key: stop all, and keep both",
                )
            note = sign_checkpoint(Checkpoint(self.origin, claim.size, claim.root), self._note_signers())
            return Tree(self._place, self.trusted().policy.check(note, require_quorum=False))
        except Unavailable as error:
            raise IntegrityError(
                f"entries {claim.start} to {claim.size - 1} were claimed, and are gone",
                where=f"{self.place}/{claim.path}",
                hint=f"ask who logged them to run any command again; they are not at {error.where}",
            ) from None

    def _publish(self) -> None:
        """Steps 4 and 5.

        Raises:
            Unavailable: it is claimed, and not published: the next run goes on.
        """
        newest = self.witness()
        policy = self.quorum.policy
        mine = open_tree(StoreResources(self.store, str(self._folder), lambda _: newest), policy, require_quorum=False)
        why: Unavailable = lost()
        for attempt in range(TRIES):
            there = open_tree(self._place, policy, require_quorum=False)
            if there.size >= mine.size:
                check_extends(there, mine.checkpoint)
                break
            try:
                replicate(mine, self._place, policy)
            except Rollback:
                continue  # others went on meanwhile
            except Unavailable as error:
                why = error
                time.sleep(PAUSE * 2**attempt)
        else:
            hint = "what was to be logged may be claimed, and is published by the next command: run this one again"
            raise Unavailable(why.what, where=why.where, hint=hint)
        self._views.advance(mine, policy)
        for claim in self._finished:
            if claim.size <= mine.size:
                self._place.remove(claim.entries_path)
        self._finished.clear()


def open_published(
    workspace: Workspace, url: str, policy: LogPolicy, passphrase: Passphrase | None, *, offline: bool = False
) -> PublishedLog:
    """The log that is published at ``url``; for reading only when ``passphrase`` is None.

    Args:
        policy: the log's key. offline: the network may not be used.

    Raises:
        UsageError: no such place, no log there, or not this workspace's. And as `PublishedLog.refresh`.
    """
    config = workspace.config.ledger
    if offline and is_network(url):
        raise UsageError(f"--offline, and {without_secrets(url)} needs the network", hint="give a folder")
    place = open_destination(url, single_writer=config.single_writer)
    if (Path(place.name) / CONFIG).is_file():
        raise UsageError(
            "this is a workspace, and not a published log", where=place.name, hint="name it with --workspace"
        )
    vkey, views = _vkey(workspace, policy), views_of(workspace.folder)
    if place.read(CHECKPOINT) is None and views.newest(policy, config.origin) is None:
        raise UsageError(
            "no log is published there: it has no checkpoint",
            where=place.name,
            hint="name a ledger's file, or start the log in a workspace and publish it there: dataseal ledger publish",
        )
    folder = workspace.folder / "state" / "published"
    folder /= f"{log_name(*(log.key for log in policy.logs))}-{sha256(place.name.encode()).hex()[:16]}"
    try:
        make_folder(folder)
    except OSError as error:
        raise Unavailable(f"can't make a copy of the log: {error.strerror}", where=str(folder)) from None
    with locked(folder):
        store = _copy(folder, config.origin, vkey)
    log = workspace.log_over(PublishedLog, store, passphrase, offline=offline)
    log.kept_at(place, views, folder)
    log.refresh()
    return log


def _vkey(workspace: Workspace, policy: LogPolicy) -> str:
    origin = workspace.config.ledger.origin
    keys = [log.key.vkey for log in policy.logs if log.key.name == origin and isinstance(log.key, Ed25519Verifier)]
    if len(keys) != 1:
        raise UsageError(
            f"the workspace's log is {origin!r}, of which {len(keys)} keys are named",
            where=str(workspace.folder / CONFIG),
            hint="keep its verifier key beside [ledger] log_key, as .vkey, or under [ledger] vkey",
        )
    return keys[0]


def _copy(folder: Path, origin: str, vkey: str) -> Store:
    path = folder / COPY
    if not path.exists():
        making = folder / "making.sqlite"  # seen under its name when it is whole
        for left in folder.glob("making.sqlite*"):
            left.unlink()
        with _making:
            Store.create(making, origin=origin, log_key=vkey).close()
        os.replace(making, path)
    return Store.open(path)
