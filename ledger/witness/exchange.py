"""One witness: the requests, and what its answers are worth.

Statuses (tlog-witness, "add-checkpoint")::

    200            signature lines: parsed strictly, verified under the policy's keys of this URL, dated about now
    409, 422       with ``text/x.tlog.size``: once more from the size that it names, if that is not above ours
    403, 404       the log is unknown, or not authorised: witnesses mix the two
    400, 422       refused
    429, 5xx       unavailable
    all else       garbage, redirects too

When it says that it knows more than we do, or that our tree does not continue what it saw, its monitoring endpoint is
asked for the checkpoint that it means; signed by our log's own key, that is evidence, and no longer a claim.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dataseal.ledger.errors import FormatError, UsageError, VerificationError
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import Checkpoint
from dataseal.ledger.tlog.cosignature import timestamp_of
from dataseal.ledger.tlog.merkle import HashReader
from dataseal.ledger.tlog.note import Signature
from dataseal.ledger.tlog.policy import LogPolicy, PolicyWitness
from dataseal.ledger.witness import limits, wire
from dataseal.ledger.witness.answer import Answer, Outcome

if TYPE_CHECKING:
    import httpx2

Result = tuple[list[Answer], list[Signature]]


@dataclass(frozen=True, slots=True)
class Target:
    """A submission prefix, the witnesses of the policy behind it, and the size that they saw last, as far as known."""

    url: str
    witnesses: tuple[PolicyWitness, ...]
    known: int

    def all(
        self, outcome: Outcome, detail: str, size: int | None = None, evidence: bytes | None = None
    ) -> list[Answer]:
        """One answer for all of them."""
        return [Answer(w.name, w.url, outcome, detail, None, size, evidence) for w in self.witnesses]


@dataclass(frozen=True)
class Submission:
    """What is submitted: the tree, its checkpoint with one line, and the reader that proofs come from."""

    tree: Checkpoint
    note: bytes
    reader: HashReader
    _proofs: dict[int, tuple[bytes, ...]] = field(default_factory=dict)

    def body(self, old: int) -> bytes:
        """The request's body from a size."""
        if old not in self._proofs:
            proof = merkle.prove_consistency(self.reader, old=old, new=self.tree.size) if old else []
            self._proofs[old] = tuple(proof)
        return wire.AddCheckpoint(old, self._proofs[old], self.note).encode()


class Garbage(Exception):
    """An answer that no witness gives."""


class Contact:
    """Requests to witnesses, bounded in bytes, and the checkpoint of one log that a witness shows.

    Args:
        origin: the log's.
    """

    def __init__(self, client: httpx2.AsyncClient, policy: LogPolicy, origin: str) -> None:
        self._client = client
        self._policy = policy
        self._origin = origin

    async def shown(self, target: Target) -> tuple[Checkpoint, bytes] | None:
        """The checkpoint that the witness holds, if it shows one, and our log signed it."""
        url = target.url + wire.monitor_path(self._origin)
        try:
            status, _, body = await self._exchange("GET", url, None)
            if status != 200:
                return None
            checked = self._policy.check(body, require_quorum=False)
        except (Garbage, VerificationError):
            return None
        return (checked.checkpoint, body) if checked.checkpoint.origin == self._origin else None

    async def _exchange(self, method: str, url: str, content: bytes | None) -> tuple[int, str, bytes]:
        headers = {"content-type": "text/plain; charset=utf-8"} if content is not None else {}
        async with self._client.stream(method, url, content=content, headers=headers) as response:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise Garbage("it compressed its answer, unasked")
            body = b""
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > limits.MAX_ANSWER_BYTES:
                    raise Garbage(f"its answer exceeds {limits.MAX_ANSWER_BYTES:,} bytes")
            return response.status_code, response.headers.get("content-type", ""), body


class Exchange(Contact):
    """Asks single witnesses about one submission."""

    def __init__(
        self, client: httpx2.AsyncClient, policy: LogPolicy, submission: Submission, *, clock: Callable[[], float]
    ) -> None:
        super().__init__(client, policy, submission.tree.origin)
        self._submission = submission
        self._clock = clock

    async def ask(self, target: Target) -> Result:
        """The witness's answers, and its cosignatures that verify."""
        import httpx2

        try:
            return await self._ask(target)
        except Garbage as error:
            return target.all(Outcome.GARBAGE, str(error)), []
        except httpx2.TimeoutException:
            return target.all(Outcome.UNAVAILABLE, "timed out"), []
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return target.all(Outcome.UNAVAILABLE, f"{type(error).__name__}: {str(error)[:200]}"), []

    async def _ask(self, target: Target) -> Result:
        ours = self._submission.tree.size
        old = min(target.known, ours)
        tried: list[int] = []
        while True:
            tried.append(old)
            url = target.url + wire.ADD_CHECKPOINT
            status, kind, body = await self._exchange("POST", url, self._submission.body(old))
            if status == 200:
                return self._cosigned(target, body, tried)
            if status in (409, 422) and wire.is_size_type(kind):
                named = _size(body)
                if named > ours:
                    return await self._ahead(target, named), []
                if named in tried:
                    # It refuses the very size that it names.
                    return await self._refused(target, f"{status}: it wants {named}, and refuses it", named), []
                if len(tried) >= limits.MAX_ATTEMPTS:
                    raise Garbage(f"it named another size each time: {', '.join(map(str, [*tried, named]))}")
                old = named
                continue
            why = _say(status, body)
            if status in (409, 422):
                return await self._refused(target, why, None), []
            if status == 400:
                return target.all(Outcome.REFUSED, why), []
            if status in (403, 404):
                return target.all(Outcome.UNKNOWN_LOG, why), []
            if status == 429 or 500 <= status < 600:
                return target.all(Outcome.UNAVAILABLE, why), []
            raise Garbage(f"status {status}, which no witness gives")

    def _cosigned(self, target: Target, body: bytes, tried: list[int]) -> Result:
        text = notes.parse(self._submission.note).text
        keys = {(w.key.name, w.key.key_id): w for w in target.witnesses}
        try:
            # "The client MUST ignore any cosignatures from unknown keys": those of other witnesses are unknown here.
            lines = notes.parse_signatures(body)
            opened = notes.open_note(notes.encode(text, lines), [w.key for w in target.witnesses])
            times = {(s.name, s.key_id): timestamp_of(s) for s in opened.verified}
        except VerificationError as error:
            raise Garbage(f"its answer does not verify: {error.what[:300]}") from None
        now = int(self._clock())
        for name, timestamp in times.items():
            if timestamp == 0:  # "the timestamp MUST NOT be zero"
                raise Garbage(f"the cosignature of {name[0]!r} has no time")
            if abs(timestamp - now) > limits.MAX_CLOCK_SKEW:
                raise Garbage(
                    f"the cosignature of {name[0]!r} is dated {timestamp}, {timestamp - now:+} s from our clock"
                )
        detail = ""
        if target.known and tried[-1] < min(target.known, self._submission.tree.size):
            # A cosigner says that it saw no larger tree: this one forgot that it had.
            detail = f"it forgot: it had seen size {target.known}, and asked for {tried[-1]}"
        answers = [
            Answer(w.name, w.url, Outcome.COSIGNED, detail, times[key], self._submission.tree.size)
            if key in times
            else Answer(w.name, w.url, Outcome.REFUSED, "it answered without a line by this key")
            for key, w in keys.items()
        ]
        return answers, list(opened.verified)

    async def _ahead(self, target: Target, named: int) -> list[Answer]:
        ours = self._submission.tree.size
        foreign = await self.shown(target)
        if foreign is None:
            why = f"it says that it saw size {named}, above ours of {ours}, and shows no checkpoint of it"
            return target.all(Outcome.AHEAD, why, named)
        return self._judge(target, *foreign) or target.all(
            Outcome.AHEAD, f"it says that it saw size {named}, above ours of {ours}, and shows another one", named
        )

    async def _refused(self, target: Target, why: str, named: int | None) -> list[Answer]:
        foreign = await self.shown(target)
        judged = self._judge(target, *foreign) if foreign else None
        return judged or target.all(Outcome.REFUSED, why, named)

    def _judge(self, target: Target, tree: Checkpoint, note: bytes) -> list[Answer] | None:
        ours = self._submission.tree
        if tree.size > ours.size:
            why = f"it holds a checkpoint of size {tree.size} by this log's key; this one has {ours.size}"
            return target.all(Outcome.AHEAD, why, tree.size, note)
        if merkle.root_at(self._submission.reader, tree.size) != tree.root:
            why = (
                f"it holds a checkpoint of size {tree.size} with root {tree.root.hex()} by this log's key, "
                "which our tree does not contain"
            )
            return target.all(Outcome.FORKED, why, tree.size, note)
        return None


def check_url(url: str, witness: str) -> None:
    """A submission prefix: http or https, a host, nothing behind the path.

    Raises:
        UsageError: something else.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment or "@" in parts.netloc:
        raise UsageError(
            f"the URL of witness {witness!r} can't be a submission prefix: {url[:200]!r}",
            hint="give http(s)://HOST[:PORT][/PATH], without user, query or fragment",
        )


def _size(body: bytes) -> int:
    try:
        return wire.parse_size(body)
    except FormatError as error:
        raise Garbage(error.what) from None


def _say(status: int, body: bytes) -> str:
    text = body[:200].decode("utf-8", "replace").strip()
    return f"{status}: {text}" if text else str(status)
