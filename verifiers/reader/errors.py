"""What reading can run into: bytes that are not the signed ones, and a place that does not answer."""

from __future__ import annotations

from typing import Any

from dataseal.ledger.errors import IntegrityError, Unavailable, VerificationError
from dataseal.verifiers.verdict import Verdict


class ChunkInvalid(IntegrityError):
    """A byte range of a shard is not what was signed; none of it was handed out.

    Attributes:
        shard: its path. start, stop: the byte range of the chunk, half-open.

    It survives pickling, so that a worker process's is raised in its parent.
    """

    def __init__(self, what: str, *, shard: str, start: int, stop: int) -> None:
        super().__init__(
            what,
            where=f"{shard} bytes {start}-{max(start, stop - 1)}",
            hint="the data changed since it was signed, or the store answers with something else: "
            "do not use it; fetch it again from the publisher",
        )
        self.shard, self.start, self.stop = shard, start, stop

    def __reduce__(self) -> tuple[Any, ...]:
        return _chunk_invalid, (self.what, self.shard, self.start, self.stop)


def _chunk_invalid(what: str, shard: str, start: int, stop: int) -> ChunkInvalid:
    return ChunkInvalid(what, shard=shard, start=start, stop=stop)


class TargetUnavailable(Unavailable):
    """The place that holds the data does not answer as it should; nothing was handed out."""

    def __init__(self, what: str, *, where: str) -> None:
        super().__init__(what, where=where, hint="check the address, your rights and the network, and try again")

    def __reduce__(self) -> tuple[Any, ...]:
        return _unavailable, (self.what, self.where)


def _unavailable(what: str, where: str) -> TargetUnavailable:
    return TargetUnavailable(what, where=where)


class NotOpened(VerificationError):
    """The release did not pass: no byte of it is handed out.

    Attributes:
        verdict: every rule's outcome with its reason.
    """

    def __init__(self, what: str, verdict: Verdict, *, where: str | None = None) -> None:
        super().__init__(what, where=where, hint="run `dataseal verify` on it to see everything that was found")
        self.verdict = verdict
