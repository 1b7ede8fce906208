"""Follows a log and says what happens in it, as events: one JSON object a line.

Each event has ``v`` (1), ``event``, ``severity`` (``info``, ``warning`` or ``alarm``), ``time`` (of this monitor, UTC)
and ``log`` (the origin, null when none is known). An example, and what else each kind has
(``tests/ledger/test_monitor.py`` parses it)::

    {"event":"head","log":"dataseal.invalid/0123456789abcdef","position":3,"root":"<hex>","severity":"info","size":3,
     "time":"2026-01-02T03:04:05Z","v":1,"witnesses":[{"name":"W1","timestamp":1767225600}]}

    info     entry               a new entry of a watched dataset, or by a publisher of ours: the entry's fields
             head                after each poll: size, root, position, witnesses
             progress            on the way, every `PROGRESS` entries: size, position
    warning  unproven-time       the signer's certificate held at logged_at, and not when the entry is known to have
                                 been there, so that it is none of ours: the entry's fields, what
             unavailable         the log can't be read, or not now: what, where
             undelivered         the webhook did not take an alarm: waiting (how many), what
    alarm    unexpected-signer   a watched dataset's entry by none of our publishers: the entry's fields
             closed              the log ends: the entry's fields, reason, successor (a log's key or null), what, hint
             bad-entry           it breaks a rule: index, leaf, what; kind and dataset where they could be read
             broken-chain        prev, dataset_prev or logged_at do not follow: index, leaf, what, kind, dataset
             bad-checkpoint      not by the log's key, or not a checkpoint: what, where
             bad-tile            tiles or entries that do not lead to the checkpoint: what, where
             not-successor       entries stand behind a closed one that names another log: what, size, root
             not-witnessed       the quorum's witnesses did not cosign: what, size, root
             frozen              the quorum's cosignatures, or any where none is demanded, are older than asked for, or
                                 there is none: what, size, root
             rollback, fork      a head that does not continue the believed one: what, detail (both heads, the evidence)

The entry's fields: index, leaf, kind, dataset, version, root (of the data), logged_at, signer (the fingerprint of the
key that signed, if it is one of ours), claimed (the one that the bundle names; anybody can write that), watched
(``dataset`` or ``publisher``; ``log`` of a closed entry, which is always reported). A successor is never followed.

Order: the view moves when the head's checks have passed; the position after the entries up to it were reported, so that
a crash repeats events and loses none.

A publisher's certificate is judged when a quorum of witnesses had cosigned the tree that the entry was read from, or by
this monitor's clock when that is earlier or there is no quorum: ``logged_at`` is the word of the log that is watched.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from dataseal.ledger.alarms import Post, Spool
from dataseal.ledger.credential import Credential
from dataseal.ledger.entry import Entry
from dataseal.ledger.errors import (
    FormatError,
    ProofInvalid,
    Refused,
    Rollback,
    SignatureInvalid,
    Unavailable,
    UsageError,
    VerificationError,
)
from dataseal.ledger.follow import JOBS, Fork, Tree, head, open_tree
from dataseal.ledger.judge import Judged, judge
from dataseal.ledger.replay import Replay
from dataseal.ledger.resources import Resources
from dataseal.ledger.tlog.policy import NONE, LogPolicy
from dataseal.ledger.tlog.tile import WIDTH
from dataseal.ledger.verify import VerifiedStatement, cosigned_time, verify_bundle
from dataseal.ledger.view import ATTEMPTS, Views

PROGRESS: Final = 100 * WIDTH
"""Entries between two progress events."""

INFO: Final = "info"
WARNING: Final = "warning"
ALARM: Final = "alarm"

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Watch:
    """What is asked about: datasets (globs; none means all) and the publishers that may sign for them (none: any).

    Attributes:
        max_age: seconds after which a head is frozen that the quorum did not cosign anew (where none is demanded: that
            no witness did); None: never.
    """

    datasets: Sequence[str] = ()
    publishers: Sequence[Credential] = ()
    max_age: int | None = None

    def covers(self, dataset: str) -> bool:
        """Whether the dataset is watched."""
        return not self.datasets or any(fnmatch.fnmatchcase(dataset, glob) for glob in self.datasets)


@dataclass(slots=True)
class Outcome:
    """What one poll found."""

    entries: int = 0
    alarms: int = 0
    unavailable: bool = False
    counts: dict[str, int] = field(default_factory=dict)


class Monitor:
    """One monitor of one log.

    Args:
        resources: the log. policy: its keys, witnesses, quorum. views: what is believed of it.
        replay: where this monitor stands. watch: what is asked about.
        report: takes each event; when it returns, the event was told. clock: the time, UTC.
    """

    def __init__(
        self,
        resources: Resources,
        policy: LogPolicy,
        *,
        views: Views,
        replay: Replay,
        watch: Watch,
        report: Callable[[Event], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._resources = resources
        self._policy = policy
        self._views = views
        self._replay = replay
        self._watch = watch
        self._report = report
        self._clock = clock
        self._outcome = Outcome()
        self.spool = Spool(replay)

    def poll(self, *, jobs: int = JOBS) -> Outcome:
        """Looks once: the head, and every entry since the last time.

        Raises:
            UsageError, Unavailable: this monitor's own state or views can't be used.
        """
        self._outcome = Outcome()
        tree = self._head()
        if tree is not None:
            self._freshness(tree)
            self._entries(tree, jobs)
            self._succession(tree)
            seen = [{"name": w.name, "timestamp": w.timestamp} for w in tree.checked.cosignatures]
            self._tell(INFO, "head", tree, **_state(tree), position=self._replay.next, witnesses=seen)
        self._replay.commit()
        return self._outcome

    def deliver(self, post: Post, pause: Callable[[float], None]) -> None:
        """Sends the alarms that wait.

        Raises:
            Unavailable: the receiver did not take one; it was told, and they wait for the next time.
        """
        try:
            self.spool.deliver(post, self._replay.commit, pause)
        except Unavailable as error:
            self._tell(WARNING, "undelivered", None, waiting=len(self.spool.waiting()), what=error.what)
            raise

    def _head(self) -> Tree | None:
        try:
            for _ in range(ATTEMPTS):
                tree = open_tree(self._resources, self._policy, require_quorum=False)
                if not tree.checked.quorum_met:
                    known, seen = tree.checked.witnesses_known, tree.checked.witnesses_seen
                    what = f"{seen} of {known} witnesses cosigned; that does not meet quorum {self._policy.quorum!r}"
                    self._tell(ALARM, "not-witnessed", tree, what=what, **_state(tree))
                    return None
                self._views.check(tree, self._policy)
                if not self._continues(tree):
                    return None
                if self._views.advance(tree, self._policy):
                    return tree
            raise Unavailable("other processes keep moving what is believed of this log")
        except (Rollback, Fork) as error:
            event = "fork" if isinstance(error, Fork) else "rollback"
            self._tell(ALARM, event, None, what=error.what, where=error.where, detail=error.detail)
        except (SignatureInvalid, FormatError, ProofInvalid) as error:
            bad_tile = isinstance(error, ProofInvalid) or "/tile/" in (error.where or "")
            event = "bad-tile" if bad_tile else "bad-checkpoint"
            self._tell(ALARM, event, None, what=error.what, where=error.where)
        except Unavailable as error:
            self._unavailable(error)
        return None

    def _continues(self, tree: Tree) -> bool:
        """The tree holds the entries that were reported: a view may have been lost, this monitor's position was not."""
        last = self._replay.next - 1
        if last < 0 or (last < tree.size and tree.leaf(last) == self._replay.leaf):
            return True
        event = "fork" if last < tree.size else "rollback"
        what = f"{head(tree.checkpoint)} does not hold entry {last} as this monitor has seen it"
        self._tell(ALARM, event, tree, what=what, where=self._resources.name, detail=None)
        return False

    def _freshness(self, tree: Tree) -> None:
        if self._watch.max_age is None:
            return
        since = self._policy.fresh_since(tree.checked.cosignatures)
        if since < self._clock().timestamp() - self._watch.max_age:
            when = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if since else "ever"
            who = "cosignature" if self._policy.quorum == NONE else "quorum of cosignatures"
            what = f"no {who} since {when}: the log, or what shows it to us, may be frozen"
            self._tell(ALARM, "frozen", tree, what=what, **_state(tree))

    def _entries(self, tree: Tree, jobs: int) -> None:
        at = self._known_at(tree)

        def recognise(entry: Entry, publishers: Sequence[Credential]) -> VerifiedStatement:
            return verify_bundle(entry.bundle, publishers, now=at)

        try:
            for leaf in tree.entries(self._replay.next, jobs=jobs):
                self._entry(tree, judge(leaf, self._replay, self._watch.publishers, tree, recognise=recognise))
                self._outcome.entries += 1
                if self._replay.next % WIDTH == 0:
                    self._replay.commit()
                if self._replay.next % PROGRESS == 0:
                    self._tell(INFO, "progress", tree, size=tree.size, position=self._replay.next)
        except Unavailable as error:
            self._unavailable(error)
        except UsageError:
            raise
        except VerificationError as error:
            self._tell(ALARM, "bad-tile", tree, what=error.what, where=error.where)

    def _known_at(self, tree: Tree) -> datetime:
        """When the tree's entries are known to have been there, by others' words than the log's."""
        seen, now = cosigned_time(tree.checked, self._policy), self._clock()
        return min(seen.at, now) if seen else now

    def _entry(self, tree: Tree, found: Judged) -> None:
        for event, what in found.problems:
            self._tell(ALARM, event, tree, what=what, **found.place())
        if found.statement is None or found.header is None:
            return
        if found.closing is not None:
            more = {"reason": found.closing.reason, "successor": found.closing.successor}
            told = {"what": found.closing.described(), "hint": found.closing.advice(), "watched": "log"}
            self._tell(ALARM, "closed", tree, **found.fields(), **more, **told)
            return
        theirs = "publisher" if found.signer or found.unproven else None
        watched = "dataset" if self._watch.covers(found.header.dataset) else theirs
        if watched is None:
            return
        fields = {**found.fields(), "watched": watched}
        self._tell(INFO, "entry", tree, **fields)
        if found.unproven is not None:
            what = (
                f"the certificate of {found.unproven.label} does not hold now; only the log's own time says that it did"
            )
            self._tell(WARNING, "unproven-time", tree, what=what, **fields)
        if watched == "dataset" and self._watch.publishers and found.signer is None:
            self._tell(ALARM, "unexpected-signer", tree, **fields)

    def _succession(self, tree: Tree) -> None:
        if self._replay.next != tree.size:
            return  # the walk was cut short, and told why
        try:
            self._replay.succession(tree.checked.log_vkeys).check_end(tree.size)
        except Refused as error:
            self._tell(ALARM, "not-successor", tree, what=error.what, **_state(tree))

    def _unavailable(self, error: Unavailable) -> None:
        self._outcome.unavailable = True
        self._tell(WARNING, "unavailable", None, what=error.what, where=error.where)

    def _tell(self, severity: str, event: str, tree: Tree | None, **fields: Any) -> None:
        origins = {log.key.name for log in self._policy.logs}
        origin = tree.checkpoint.origin if tree else origins.pop() if len(origins) == 1 else None
        time = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        document = {"v": 1, "event": event, "severity": severity, "time": time, "log": origin, **fields}
        if severity == ALARM:
            self._outcome.alarms += 1
            self.spool.add(document)
        self._outcome.counts[event] = self._outcome.counts.get(event, 0) + 1
        self._report(document)


def _state(tree: Tree) -> dict[str, Any]:
    return {"size": tree.size, "root": tree.root.hex()}
