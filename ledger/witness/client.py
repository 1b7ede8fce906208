"""Asking the witnesses of a policy to cosign a checkpoint (C2SP tlog-witness).

Witnesses are asked at the same time, each within one deadline for everything that it does. What they answer is
believed only as far as it verifies: a cosignature under the policy's key, a larger checkpoint under the log's own. A
size that a witness names only picks the consistency proof that it is sent next; the checkpoint stays ours.

Only the log's Ed25519 line is sent: witnesses bound their bodies at 10 to 16 KiB, and an ML-DSA-44 line has 3.3 kB.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from dataseal.ledger.errors import UsageError
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import Checkpoint
from dataseal.ledger.tlog.limits import MAX_SIGNATURES
from dataseal.ledger.tlog.merkle import HashReader
from dataseal.ledger.tlog.note import Ed25519Verifier, Signature
from dataseal.ledger.tlog.policy import CheckedCheckpoint, LogPolicy, PolicyWitness
from dataseal.ledger.witness import limits
from dataseal.ledger.witness.answer import Answer, Asked, Foreign, Outcome
from dataseal.ledger.witness.exchange import Contact, Exchange, Submission, Target, check_url
from dataseal.ledger.witness.sizes import MemorySizes, Sizes

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait: ``timeout`` seconds a witness, and ``grace`` for the rest once the quorum is met."""

    timeout: float = limits.ASK_TIMEOUT
    grace: float = limits.ASK_GRACE
    parallel: int = limits.MAX_PARALLEL


class Witnesses:
    """The witnesses of a policy.

    Args:
        policy: the log's keys, the witnesses with their submission prefixes, and the quorum.
        sizes: remembers what each witness saw last. clock: POSIX seconds.

    Raises:
        UsageError: a URL that can't be one, or more witnesses than a note can carry.
    """

    def __init__(
        self,
        policy: LogPolicy,
        *,
        sizes: Sizes | None = None,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if len(policy.witnesses) > MAX_SIGNATURES // 2:
            raise UsageError(f"{len(policy.witnesses)} witnesses; a checkpoint carries at most {MAX_SIGNATURES // 2}")
        for witness in policy.witnesses:
            if witness.url is not None:
                check_url(witness.url, witness.name)
        self.policy = policy
        self._sizes = sizes or MemorySizes()
        self._patience = patience or Patience()
        self._clock = clock

    def ask(self, note: bytes, reader: HashReader) -> Asked:
        """Asks every witness whose cosignature the checkpoint does not carry yet.

        Args:
            note: the checkpoint, signed by the log. reader: the tree that it is of, for proofs; used in one thread.

        Raises:
            FormatError, SignatureInvalid: the checkpoint does not verify, or an existing cosignature fails.
            IntegrityError: the reader does not have the tree.
        """
        checked = self.policy.check(note, require_quorum=False)
        done = {seen.name for seen in checked.cosignatures}
        targets = self._targets(checked.log, done)
        submission = Submission(checked.checkpoint, self._one_line(checked), reader)
        found: dict[str, Answer] = {}
        lines: list[Signature] = []
        if targets:
            results = _run(self._ask_all(targets, submission, done))
            for answers, signatures in results:
                found |= {answer.witness: answer for answer in answers}
                lines += signatures
            self._remember(targets, found, submission)
        return self._result(checked, lines, found)

    def shown(self, origin: str) -> tuple[Foreign, ...]:
        """The newest checkpoint of the log that each witness shows: what may tell that a ledger went back.

        A witness that shows none, or can't be reached, tells nothing.
        """
        targets = self._targets(origin, set())
        held = _run(self._look(targets, origin)) if targets else []
        return tuple(
            Foreign(target.witnesses[0].name, *found)
            for target, found in zip(targets, held, strict=True)
            if found is not None
        )

    async def _look(self, targets: Sequence[Target], origin: str) -> list[tuple[Checkpoint, bytes] | None]:
        import httpx2

        async with self._client() as client:
            contact = Contact(client, self.policy, origin)

            async def one(target: Target) -> tuple[Checkpoint, bytes] | None:
                try:
                    async with asyncio.timeout(min(self._patience.timeout, limits.LOOK_TIMEOUT)):
                        return await contact.shown(target)
                except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL, OSError):
                    return None

            return await asyncio.gather(*map(one, targets))

    def _client(self) -> httpx2.AsyncClient:
        import httpx2

        return httpx2.AsyncClient(
            timeout=self._patience.timeout,
            verify=_tls(),
            follow_redirects=False,  # another host is another witness, and the policy names none
            limits=httpx2.Limits(max_connections=self._patience.parallel),
            headers={"accept-encoding": "identity", "user-agent": "dataseal"},
        )

    def _targets(self, origin: str, done: set[str]) -> list[Target]:
        """One a URL: an operator may run an Ed25519 and an ML-DSA-44 key behind one."""
        groups: dict[str, list[PolicyWitness]] = {}
        for witness in self.policy.witnesses:
            if witness.url is not None and witness.name not in done:
                groups.setdefault(witness.url.rstrip("/"), []).append(witness)
        known = self._sizes.load() if groups else {}
        return [Target(url, tuple(members), known.get(_key(members[0], origin), 0)) for url, members in groups.items()]

    def _one_line(self, checked: CheckedCheckpoint) -> bytes:
        """The checkpoint with one signature of the log: the Ed25519 one, if it has it."""
        ed25519 = {(log.key.name, log.key.key_id) for log in self.policy.logs if isinstance(log.key, Ed25519Verifier)}
        signatures = checked.signed.log_signatures
        best = next((s for s in signatures if (s.name, s.key_id) in ed25519), signatures[0])
        return notes.encode(notes.parse(checked.signed.data).text, [best])

    async def _ask_all(
        self, targets: Sequence[Target], submission: Submission, done: set[str]
    ) -> list[tuple[list[Answer], list[Signature]]]:
        patience, client = self._patience, self._client()
        gate = asyncio.Semaphore(patience.parallel)
        exchange = Exchange(client, self.policy, submission, clock=self._clock)

        async def one(target: Target) -> tuple[list[Answer], list[Signature]]:
            async with gate:
                try:
                    async with asyncio.timeout(patience.timeout):
                        return await exchange.ask(target)
                except TimeoutError:
                    return target.all(Outcome.UNAVAILABLE, f"no answer within {patience.timeout:g} s"), []

        async with client:
            tasks = {asyncio.ensure_future(one(target)): target for target in targets}
            try:
                await self._wait(set(tasks), set(done))
                return [
                    task.result()
                    if task.done()
                    else (target.all(Outcome.UNAVAILABLE, "cut off: the quorum was met without it"), [])
                    for task, target in tasks.items()
                ]
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self, pending: set[asyncio.Future[tuple[list[Answer], list[Signature]]]], done: set[str]) -> None:
        """Until all have answered; once the quorum is met, a little longer and no more."""
        loop, end = asyncio.get_running_loop(), None
        while pending:
            if end is None and self.policy.is_quorum(done):
                end = loop.time() + self._patience.grace
            left = None if end is None else max(0.0, end - loop.time())
            ready, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not ready:
                return
            for task in ready:
                done |= {answer.witness for answer in task.result()[0] if answer.outcome is Outcome.COSIGNED}

    def _remember(self, targets: Sequence[Target], found: dict[str, Answer], submission: Submission) -> None:
        news = {}
        for target in targets:
            for witness in target.witnesses:
                answer = found[witness.name]
                size = submission.tree.size if answer.outcome is Outcome.COSIGNED else answer.size
                # A size above ours is a claim that would only make us wrong the next time.
                if size is not None and size <= submission.tree.size:
                    news[_key(witness, submission.tree.origin)] = size
        if news:
            self._sizes.save(news)

    def _result(self, checked: CheckedCheckpoint, lines: Sequence[Signature], found: dict[str, Answer]) -> Asked:
        read = notes.parse(checked.signed.data)
        # What was there stays. A line by a key that was asked is replaced: it had no time, or nobody would have asked.
        fresh = {(line.name, line.key_id) for line in lines}
        kept = [line for line in read.signatures if (line.name, line.key_id) not in fresh]
        note = notes.encode(read.text, [*kept, *lines]) if lines else checked.signed.data
        merged = self.policy.check(note, require_quorum=False)
        times = {seen.name: seen.timestamp for seen in merged.cosignatures}
        answers = []
        for witness in self.policy.witnesses:
            if witness.name in times:
                old = found.get(witness.name) or Answer(witness.name, witness.url, Outcome.COSIGNED, "already")
                answers.append(
                    Answer(witness.name, witness.url, Outcome.COSIGNED, old.detail, times[witness.name], old.size)
                )
            else:
                nobody = Answer(witness.name, witness.url, Outcome.NOT_ASKED, "the policy has no URL for it")
                answers.append(found.get(witness.name, nobody))
        foreign = tuple(
            Foreign(a.witness, self.policy.check(a.evidence, require_quorum=False).checkpoint, a.evidence)
            for a in answers
            if a.evidence is not None
        )
        quorum = self.policy.quorum
        return Asked(note, merged.checkpoint, tuple(answers), quorum, merged.quorum_met, tuple(lines), foreign)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Runs it to its end: in a thread of its own when this one has an event loop already (a server, a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1, "dataseal-witnesses") as pool:
        return pool.submit(asyncio.run, work).result()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The system's trust in certificates, read once: it costs 30 ms, and each checkpoint has its own client."""
    import httpx2

    return httpx2.create_ssl_context()


def _key(witness: PolicyWitness, origin: str) -> str:
    return f"{witness.key.name}+{witness.key.key_id.hex()} {origin}"
