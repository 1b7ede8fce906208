"""From a folder and a policy to a verdict: verify, look at what was seen before, screen, judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

from dataseal.ledger.errors import DatasealError
from dataseal.ledger.hashing import Progress
from dataseal.ledger.hashing.remember import Memory
from dataseal.verifiers import release as releases
from dataseal.verifiers.checked import Checked
from dataseal.verifiers.facts import Facts, LogFacts, ReleaseFacts
from dataseal.verifiers.files import Digests
from dataseal.verifiers.finding import Finding
from dataseal.verifiers.partial import Part
from dataseal.verifiers.policy import Policy, evaluate
from dataseal.verifiers.screen.report import ScreenReport
from dataseal.verifiers.sources.local import LocalFolder, Opens, Records, is_records
from dataseal.verifiers.verdict import Verdict

MAX_UNREAD: Final = 8
"""Files that the note about what was not screened names; a README and a licence are the usual ones."""


class Remembers(Protocol):
    """What is asked about a release, and told of one that passed: `seen.Seen`, `first_use.FirstUse`."""

    def findings(self, release: ReleaseFacts, log: LogFacts | None, *, pinned: bool) -> list[Finding]:
        """What it has against a release."""

    def remember(self, release: ReleaseFacts, log: LogFacts | None) -> None:
        """Notes a release that passed."""


@dataclass(frozen=True, slots=True)
class Examination:
    """Everything that was found about one target, and what the policy makes of it."""

    target: str
    checked: Checked
    facts: Facts
    verdict: Verdict


def examine(
    source: LocalFolder,
    policy: Policy,
    *,
    now: datetime,
    expected: tuple[str, ...] = (),
    use_log: bool = True,
    digests: Digests = "tree",
    part: Part | None = None,
    fast: Memory | None = None,
    seen: Remembers | None = None,
    roles: Any = None,
    jobs: int | None = None,
    progress: Progress | None = None,
    rows: Callable[[int], None] | None = None,
) -> Examination:
    """Verifies ``source`` and judges it by ``policy``.

    Args:
        now: the evaluation's one clock reading.
        expected: ``NAME`` or ``NAME@VERSION`` as the user named them; names that only the policy binds are its rules'.
        part: what to look at; None is everything. fast: the memory that ``--fast`` asks; None reads every file.
        seen: the memory of earlier releases; None has none.
        roles: column roles for the screen (`screen.roles.Roles`), inferred when None.
        progress: told the bytes that were hashed. rows: told the rows that were screened.

    Raises:
        Unavailable: a file can't be read. UsageError: the memory is damaged.
    """
    checked = releases.check(
        source,
        policy.trust,
        now=now,
        expected=expected,
        use_log=use_log,
        digests=digests,
        part=part,
        fast=fast,
        jobs=jobs,
        progress=progress,
    )
    if seen is not None and checked.release is not None:
        pinned = f"{checked.release.dataset}@{checked.release.version}" in expected
        checked.findings += seen.findings(checked.release, checked.log, pinned=pinned)
    facts = Facts(
        now=now,
        target=source.name,
        release=checked.release,
        log=checked.log,
        findings=tuple(checked.findings),
        complete=checked.complete,
        digests=digests,
        history=checked.history.status if checked.history else "none",
        part=checked.part,
        fast=checked.fast,
    )
    if policy.needs_screen:
        facts = screened(source, checked, facts, roles=roles, jobs=jobs, rows=rows)
    verdict = evaluate(policy, facts)
    if seen is not None and verdict.clean and checked.release is not None and checked.part is None:
        seen.remember(checked.release, checked.log)
    return Examination(source.name, checked, facts, verdict)


def screened(
    source: Opens,
    checked: Checked,
    facts: Facts,
    *,
    roles: Any = None,
    jobs: int | None = None,
    rows: Callable[[int], None] | None = None,
) -> Facts:
    """The facts with a screen of the signed shards; only of bytes that are what was signed."""
    if checked.part is not None:
        return replace(facts, screen_error="only a part of the data was verified; a screen needs all of it")
    if checked.manifest is None or any(_alters_bytes(f) for f in checked.findings):
        return replace(facts, screen_error="the bytes are not what was signed, or nothing says what was")
    try:
        return replace(facts, screen=run_screen(source, checked, roles=roles, jobs=jobs, rows=rows))
    except DatasealError as error:
        return replace(facts, screen_error=str(error))


def run_screen(
    source: Opens,
    checked: Checked,
    *,
    roles: Any = None,
    jobs: int | None = None,
    rows: Callable[[int], None] | None = None,
) -> ScreenReport:
    """Screens the signed shards with the verified history.

    Raises:
        FormatError: a shard is no Parquet file. Unavailable: one can't be read. UsageError: a role names no column.
    """
    from dataseal.verifiers.screen.engine import screen  # pyarrow and numpy load here

    assert checked.manifest is not None
    history = checked.history
    checked.notes += unread([s.path for s in checked.manifest.shards])
    return screen(
        Records(source, [s.path for s in checked.manifest.shards]),
        deliveries=history.deliveries if history else (),
        history=history.status if history else "none",
        roles=roles,
        jobs=jobs,
        progress=rows,
    )


def unread(paths: Sequence[str]) -> list[str]:
    """A note about the files that no screen looks into: it must not seem that it did."""
    others = [p for p in paths if not is_records(p)]
    if not others:
        return []
    more = f" and {len(others) - MAX_UNREAD} more" if len(others) > MAX_UNREAD else ""
    return [f"not screened, since not Parquet: {', '.join(others[:MAX_UNREAD])}{more}"]


def _alters_bytes(finding: Finding) -> bool:
    return finding.severity == "error" and finding.check.startswith("integrity.")
