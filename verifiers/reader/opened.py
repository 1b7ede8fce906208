"""A dataset that may be read: verified, or pinned by somebody who did.

`open_verified` takes steps 10 to 14 and 16 of `dataseal.verifiers.release` and judges by the policy. Step 15, the
bytes, is taken chunk by chunk when they are read: the integrity rule is judged as if all had been compared, because no
other byte is ever handed out. Its ``digests: all`` can't be had that way, and fails. A screen reads through the reader
itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from dataseal.ledger.errors import DatasealError, Unavailable, UsageError
from dataseal.ledger.manifest import Manifest
from dataseal.verifiers.reader.chunks import CACHE_BYTES, Chunks
from dataseal.verifiers.reader.errors import NotOpened
from dataseal.verifiers.reader.pin import Pin, pinned
from dataseal.verifiers.reader.report import Reads
from dataseal.verifiers.reader.targets import Target, find_top
from dataseal.verifiers.reader.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataseal.verifiers.policy import Policy
    from dataseal.verifiers.seen import Seen
    from dataseal.verifiers.verdict import Verdict


class Allowed(UserWarning):
    """A policy under ``warn`` or ``audit`` opened what it would otherwise have blocked."""


class Place:
    """Where a dataset's top is, in words that another process can use: protocol, path, and the protocol's options."""

    def __init__(self, protocol: str, path: str, options: Mapping[str, Any] | None = None) -> None:
        self.protocol, self.path, self.options = protocol, path, dict(options or {})

    def find(self) -> tuple[Place, Target]:
        """The dataset at this path or above it."""
        top, target = find_top(self.protocol, self.path, self.options)
        return Place(self.protocol, top, self.options), target


class Opened:
    """The signed tree of a dataset and its checked bytes. Pickling it takes the pin along, and no trust.

    Args:
        place: where it is. target: the same, opened. manifest: verified, or pinned. pin: what it is.
        reads: where reads are reported to, or None.
    """

    def __init__(
        self,
        place: Place,
        target: Target,
        manifest: Manifest,
        pin: Pin,
        *,
        cache_bytes: int = CACHE_BYTES,
        reads: str | None = None,
    ) -> None:
        self.place, self.target, self.manifest, self.pin = place, target, manifest, pin
        self.cache_bytes, self.reads = cache_bytes, reads
        self.tree = Tree(manifest)
        report = Reads(reads, pin).note if reads else None
        self.chunks = Chunks(manifest, target, cache_bytes=cache_bytes, report=report)

    def __reduce__(self) -> tuple[Any, ...]:
        place = (self.place.protocol, self.place.path, self.place.options)
        return _again, (place, self.pin, self.cache_bytes, self.reads)

    def open(self, path: str) -> BinaryIO:
        """A shard as a file.

        Raises:
            FileNotFoundError: no such shard was signed.
        """
        from dataseal.verifiers.reader.stream import VerifiedFile

        return cast(BinaryIO, VerifiedFile(self, path))


def _again(place: tuple[str, str, dict[str, Any]], pin: Pin, cache_bytes: int, reads: str | None) -> Opened:
    return open_pinned(Place(*place), pin, cache_bytes=cache_bytes, reads=reads)


def open_pinned(place: Place, pin: Pin, *, cache_bytes: int = CACHE_BYTES, reads: str | None = None) -> Opened:
    """Opens the one content that ``pin`` names.

    Raises:
        IntegrityError: the table there is another one. Unavailable: it can't be read.
    """
    top, target = place.find()
    return Opened(top, target, pinned(target, pin), pin, cache_bytes=cache_bytes, reads=reads)


def open_verified(
    place: Place,
    policy: Policy,
    *,
    expected: Sequence[str] = (),
    now: datetime | None = None,
    seen: Seen | None = None,
    cache_bytes: int = CACHE_BYTES,
    reads: str | None = None,
) -> Opened:
    """Verifies a release and opens it.

    Args:
        expected: ``NAME`` or ``NAME@VERSION``; what only the policy names are its rules'. now: one clock reading, UTC.
        seen: the memory of earlier releases; the user's own when None.

    Raises:
        NotOpened: it did not pass. Unavailable: that is not known.
    """
    from dataseal.verifiers.examine import run_screen
    from dataseal.verifiers.facts import Facts
    from dataseal.verifiers.policy import evaluate
    from dataseal.verifiers.release import establish
    from dataseal.verifiers.seen import memory

    top, target = place.find()
    memorised = seen or memory(None)
    now = now or datetime.now(UTC)
    checked = establish(target, policy.trust, now=now, expected=expected)
    opened = None
    if checked.manifest is not None and checked.release is not None:
        facts = checked.release
        checked.findings += memorised.findings(
            facts, checked.log, pinned=f"{facts.dataset}@{facts.version}" in expected
        )
        pin = Pin(facts.root, facts.table, facts.chunk_size, facts.chunk_hash, facts.dataset, facts.version)
        opened = Opened(top, target, checked.manifest, pin, cache_bytes=cache_bytes, reads=reads)
    found = Facts(
        now=now,
        target=target.name,
        release=checked.release,
        log=checked.log,
        findings=tuple(checked.findings),
        complete=opened is not None,
        history=checked.history.status if checked.history else "none",
    )
    if policy.needs_screen:
        if opened is None:
            found = replace(found, screen_error="nothing says what was signed")
        else:
            try:
                found = replace(found, screen=run_screen(opened, checked))
            except DatasealError as error:
                found = replace(found, screen_error=str(error))
    verdict = evaluate(policy, found)
    _judge(verdict, target)
    if opened is None or checked.release is None:
        raise UsageError(
            "nothing says what was signed, so nothing can be read",
            where=target.name,
            hint="a policy under warn or audit opens a gate for such data; a verified reader needs a signed release",
        )
    if verdict.clean:
        memorised.remember(checked.release, checked.log)
    return opened


def _judge(verdict: Verdict, target: Target) -> None:
    from dataseal.verifiers.verdict import Outcome, Result

    if verdict.result is Result.PASSED:
        return
    bad = [o for o in verdict.outcomes if o.outcome in (Outcome.FAIL, Outcome.INDETERMINATE)]
    why = "; ".join(f"rule {o.rule}: {o.outcome}: {o.reason}" for o in bad) or "no rule said anything"
    if verdict.result is Result.ALLOWED:
        warnings.warn(f"the policy allows what it does not pass: {why}", Allowed, stacklevel=2)
    elif verdict.result is Result.BLOCKED:
        raise NotOpened(f"the dataset did not pass: {why}", verdict, where=target.name)
    else:
        raise Unavailable(
            f"whether the dataset passes is not known: {why}",
            where=target.name,
            hint="mend what the rule names, and open it again",
        )
