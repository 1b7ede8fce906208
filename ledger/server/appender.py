"""Group commit: posts that wait together share one transaction, one checkpoint and one set of proofs.

One thread appends; while it does, further posts gather (at most `WAITING_POSTS`) and form the next group. A group is
all or none in the log; so when the log refuses one, it is halved until the post at fault stands alone: every post is
answered for itself, and none fails for its neighbour's sake. What signatures alone decide is checked before a post may
wait, so that only keys that the log lists can make it halve a group.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from dataseal.ledger.admission import Admission
from dataseal.ledger.errors import DatasealError, FormatError, Refused, SignatureInvalid, Unavailable
from dataseal.ledger.log import Appended
from dataseal.ledger.server import limits
from dataseal.ledger.server.problem import Problem, of_error
from dataseal.ledger.witness.answer import plain

logger = logging.getLogger("dataseal.server")


class Appends(Protocol):
    """What the server needs of a log to write to it."""

    admission: Admission

    def append(self, bundles: Sequence[bytes]) -> list[Appended]:
        """Appends all or none; see `dataseal.ledger.log.Log`."""

    def prove(self, indexes: Sequence[int]) -> list[bytes]:
        """Proof files, all under one checkpoint."""


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry, and the file that proves it."""

    appended: Appended
    proof: bytes


Outcome = list[Logged] | Problem


@dataclass(slots=True)
class Post:
    """Bundles of one client that are to be logged together."""

    bundles: list[bytes]
    done: asyncio.Future[Outcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


def admit(bundles: Sequence[bytes], admission: Admission) -> None:
    """Checks what does not depend on what the log holds: form, signature, and that the key is listed.

    Raises:
        Problem: 400 or 403, naming which one of several.
    """
    for number, bundle in enumerate(bundles, 1):
        where = f"bundle {number}" if len(bundles) > 1 else None
        try:
            verified = admission.verify(bundle, now=datetime.now(UTC))
        except DatasealError as error:
            raise of_error(error, where=where) from None
        statement = verified.statement
        if not admission.lists(verified):
            raise Problem(
                403,
                f"the log does not list this key for a {statement.kind} of {statement.dataset!r}",
                where=where,
                hint="sign with a key that the log lists, or ask its operator to list yours",
            )


class Appender:
    """Appends posts in groups.

    Args:
        log: where to. on_group: told the entries of each group. waiting: posts that may wait.
    """

    def __init__(self, log: Appends, *, on_group: Callable[[float], None], waiting: int = limits.WAITING_POSTS) -> None:
        self._log = log
        self._on_group = on_group
        self._queue: asyncio.Queue[Post | None] = asyncio.Queue(waiting + 1)  # one place is the end's
        self._waiting = waiting
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dataseal-append")
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Posts that wait for their transaction."""
        return self._queue.qsize()

    @property
    def alive(self) -> bool:
        """Whether posts are being taken."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Begins to take posts, in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Appends what waits, and ends."""
        if self._task is not None:
            await self._queue.put(None)
            await self._task
        self._thread.shutdown()

    async def append(self, bundles: list[bytes]) -> list[Logged]:
        """Logs the bundles of one post, all or none.

        Raises:
            Problem: they were not logged.
        """
        if self._queue.qsize() >= self._waiting:
            raise Problem(503, "too many posts are waiting", hint="try again in a moment", retry_after=1)
        post = Post(bundles)
        self._queue.put_nowait(post)
        # A client that goes away takes nothing with it: the entry is logged, and its next try finds it.
        outcome = await asyncio.shield(post.done)
        if isinstance(outcome, Problem):
            raise outcome
        return outcome

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        last = False
        while not last:
            group, last = await self._gather()
            if not group:
                continue
            try:
                outcomes = await loop.run_in_executor(self._thread, self._commit, group)
            except Exception:
                logger.exception("appending %d posts failed", len(group))
                outcomes = [Problem(500, "the log can't answer: its operator has to look at it")] * len(group)
            self._on_group(sum(len(post.bundles) for post in group))
            for post, outcome in zip(group, outcomes, strict=True):
                if not post.done.done():
                    post.done.set_result(outcome)

    async def _gather(self) -> tuple[list[Post], bool]:
        """The posts that wait, as many as one group takes; and whether the end was among them."""
        group: list[Post] = []
        entries = 0
        while not group or (entries < limits.MAX_GROUP and not self._queue.empty()):
            post = await self._queue.get()
            if post is None:
                return group, True
            group.append(post)
            entries += len(post.bundles)
        return group, False

    def _commit(self, group: list[Post]) -> list[Outcome]:
        bundles = [bundle for post in group for bundle in post.bundles]
        try:
            appended = self._log.append(bundles)
        except (FormatError, SignatureInvalid, Refused) as error:
            if len(group) == 1:
                return [of_error(error)]
            middle = len(group) // 2
            return self._commit(group[:middle]) + self._commit(group[middle:])
        except DatasealError as error:
            logger.error("appending %d posts: %s: %s", len(group), type(error).__name__, error)
            return [of_error(error)] * len(group)
        return self._prove(group, appended)

    def _prove(self, group: Sequence[Post], appended: list[Appended]) -> list[Outcome]:
        try:
            proofs = self._log.prove([item.index for item in appended])
        except DatasealError as error:
            if len(group) > 1 and isinstance(error, Unavailable):
                # Some may be old entries, which older checkpoints prove.
                outcomes: list[Outcome] = []
                for post in group:
                    outcomes += self._prove([post], appended[: len(post.bundles)])
                    appended = appended[len(post.bundles) :]
                return outcomes
            logger.error("proving %d posts: %s: %s", len(group), type(error).__name__, plain(str(error)))
            return [_unproven(error)] * len(group)
        logged = iter([Logged(item, proof) for item, proof in zip(appended, proofs, strict=True)])
        return [[next(logged) for _ in post.bundles] for post in group]


def _unproven(error: DatasealError) -> Problem:
    if not isinstance(error, Unavailable):
        return of_error(error)
    return Problem(
        503,
        "it is logged, and waits for the log's witnesses: no checkpoint that they cosigned holds it yet",
        hint="post it again in a while: it is logged once, and then proven",
        retry_after=limits.UNWITNESSED_SECONDS,
    )
