"""Run detectors over the record shards of a dataset: rounds of map and merge, then finalize, explain, conclude.

Memory is bounded by the detectors' states (one a worker, merged at the end of a round) and one batch a worker. The
result does not depend on the number of workers.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dataseal.ledger.errors import UsageError
from dataseal.verifiers.finding import Finding, Pointer
from dataseal.verifiers.screen.detector import BASE, Conclusion, Context, Detector, Plan, State
from dataseal.verifiers.screen.limits import MAX_TEXT
from dataseal.verifiers.screen.reading import Footer, Piece, RecordSource, batches, footer, pieces
from dataseal.verifiers.screen.registry import discover
from dataseal.verifiers.screen.report import Delivery, DetectorReport, ScreenReport, Status
from dataseal.verifiers.screen.roles import Roles, resolve

if TYPE_CHECKING:
    Step = Callable[["Run", pa.RecordBatch, Context], State | None]

__all__ = ["RecordSource", "screen"]


def screen(
    source: RecordSource,
    *,
    deliveries: Sequence[Delivery],
    history: str,
    roles: Roles | None = None,
    detectors: Sequence[Detector] | None = None,
    seed: int = 0,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> ScreenReport:
    """Screen every record shard of a dataset.

    Args:
        source: the record shards. deliveries: the history, any order; shards that none names are its base.
        history: what the deliveries rest on, for the report.
        roles: columns by role; what is None in it is inferred. detectors: default: `registry.discover`.
        seed: of everything that is sampled. jobs: worker threads; default: one a core, at most 8.
        progress: called with the rows of every batch that was read; a detector may need several passes.

    Raises:
        FormatError: a shard is not Parquet or corrupt. Unavailable: a shard could not be read.
        UsageError: a role names no column, or the deliveries contradict each other.
    """
    found = detectors if detectors is not None else discover()
    footers = [footer(source, shard) for shard in source.shards()]
    plan = Plan(
        roles=_roles(source, footers, roles),
        deliveries=tuple(sorted(deliveries, key=lambda d: d.ordinal)),
        ordinals=_ordinals(footers, deliveries),
        seed=seed,
    )
    readable = [f for f in footers if all(c in f.schema.names for c in plan.roles.text or ())]
    runs = [Run(d, plan) for d in found]
    if sum(f.rows for f in readable):
        rounds = _Rounds(source, readable, plan, jobs or min(8, os.cpu_count() or 1), progress or (lambda _: None))
        rounds.all(runs)
    else:
        for run in runs:
            run.stop("not-applicable", "the dataset has no rows that can be read")
    return ScreenReport(
        rows=sum(f.rows for f in readable),
        shards=len(readable),
        shards_total=len(footers),
        roles=plan.roles.as_mapping(),
        detectors=tuple(run.report() for run in runs),
        findings=(*(f for run in runs for f in run.conclusion.findings), *_unread(footers, readable, plan)),
        seed=seed,
        history=history,
    )


class Run:
    """One detector's way through the rounds. After a failure it stands still and keeps the reason."""

    def __init__(self, detector: Detector, plan: Plan) -> None:
        self.detector = detector
        self.plan = plan
        self.status: Status = "ran"
        self.reason = ""
        self.prior: Any = None
        self.tests: Any = None
        self.conclusion = Conclusion()
        self.columns: tuple[str, ...] = ()
        if why := self.guard(lambda: detector.inapplicable(plan)):
            self.stop("not-applicable", why)
        else:
            self.columns = self.guard(lambda: detector.columns(plan)) or ()

    def stop(self, status: Status, reason: str) -> None:
        self.status, self.reason = status, reason

    def guard(self, call: Callable[[], Any]) -> Any:
        """Call into the detector; whatever it raises makes it a failed detector, never a skipped one."""
        try:
            return call()
        except Exception as problem:  # noqa: BLE001  a detector may be anybody's code
            self.fail(problem)

    def fail(self, problem: Exception) -> None:
        self.stop("failed", f"{type(problem).__name__}: {problem}"[:MAX_TEXT])

    def conclude(self, rows: State | None) -> None:
        done = self.guard(lambda: self.detector.conclude(self.tests, rows, self.plan))
        self.conclusion = done if self.status == "ran" else Conclusion()

    def report(self) -> DetectorReport:
        done = self.conclusion if self.status == "ran" else Conclusion(reason=self.reason)
        return DetectorReport(
            detector=self.detector.name,
            version=self.detector.version,
            status=self.status,
            calibrated=done.calibrated,
            reason=done.reason,
            rows=done.rows,
            tests=done.tests,
            minimum=done.minimum or "nothing was tested, so nothing could have been found",
            parameters=done.parameters,
            blind_to=self.detector.blind_to,
        )


@dataclass(frozen=True, slots=True)
class _Rounds:
    """The passes over the data that a set of runs needs; runs that need one at the same time share it."""

    source: RecordSource
    footers: Sequence[Footer]
    plan: Plan
    jobs: int
    progress: Callable[[int], None]

    def all(self, runs: Sequence[Run]) -> None:
        mapping = [r for r in runs if r.status == "ran"]
        while mapping:
            states = self._pass(mapping, self.footers, lambda r, b, c: r.detector.map(b, c))
            mapping = [r for r in mapping if self._advance(r, states.get(r))]
        alive = [r for r in runs if r.status == "ran"]
        wanted = [f for f in self.footers if any(self._wants(r, f) for r in alive)]
        rows = self._pass(
            alive, wanted, lambda r, b, c: r.detector.explain(b, c, r.tests) if self._wants(r, c) else None
        )
        for run in alive:
            if run.status == "ran":
                run.conclude(rows.get(run))

    def _wants(self, run: Run, at: Footer | Context) -> bool:
        return run.status == "ran" and run.detector.wants(self.plan.ordinals[at.shard], run.tests)

    def _advance(self, run: Run, state: State | None) -> bool:
        """Whether the run needs another round; if not, its tests are made."""
        if run.status != "ran":
            return False
        prior = run.guard(lambda: run.detector.advance(state, self.plan, run.prior))
        if prior is not None:
            run.prior = prior
            return True
        if run.status == "ran":
            run.tests = run.guard(lambda: run.detector.finalize(state, self.plan, run.prior))
        return False

    def _pass(self, runs: Sequence[Run], footers: Sequence[Footer], step: Step) -> dict[Run, State]:
        """One pass over these shards: every worker reads a stretch of row groups and merges as it goes."""
        columns = sorted({c for r in runs for c in r.columns})
        todo = pieces(footers, columns)
        share = max(1, -(-len(todo) // self.jobs))
        stretches = [todo[i : i + share] for i in range(0, len(todo), share)]
        stop = threading.Event()
        merged: dict[Run, State] = {}
        with ThreadPoolExecutor(max_workers=self.jobs, thread_name_prefix="screen") as workers:
            futures = [workers.submit(self._stretch, runs, s, step, stop) for s in stretches]
            try:
                results = [f.result() for f in futures]
            except BaseException:
                stop.set()
                raise
        for states, failures in results:
            for run, problem in failures.items():
                if run.status == "ran":
                    run.fail(problem)
            for run, state in states.items():
                merged[run] = merged[run].merge(state) if run in merged else state
        return merged

    def _stretch(
        self, runs: Sequence[Run], todo: Sequence[Piece], step: Step, stop: threading.Event
    ) -> tuple[dict[Run, State], dict[Run, Exception]]:
        states: dict[Run, State] = {}
        failures: dict[Run, Exception] = {}
        for piece, row, batch in batches(self.source, todo):
            if stop.is_set():
                break
            for run in runs:
                if run in failures:
                    continue
                ordinal = self.plan.ordinals[piece.shard]
                context = Context(self.plan, piece.shard, piece.row_group, row, ordinal, run.prior)
                try:
                    state = step(run, batch, context)
                    if state is not None:
                        states[run] = states[run].merge(state) if run in states else state
                except Exception as problem:  # noqa: BLE001  a detector may be anybody's code
                    failures[run] = problem
            self.progress(batch.num_rows)
        return states, failures


def _roles(source: RecordSource, footers: Sequence[Footer], given: Roles | None) -> Roles:
    """Roles for the union of all shards' columns; the first shard with rows serves as the sample."""
    fields: dict[str, pa.Field] = {}
    for foot in footers:
        for column in foot.schema:
            fields.setdefault(column.name, column)
    sample = None
    for foot in footers:
        if foot.rows:
            first = pieces([foot], foot.schema.names)[:1]
            sample = next((batch for _, _, batch in batches(source, first)), None)
            break
    return resolve(pa.schema(list(fields.values())), given, sample)


def _ordinals(footers: Sequence[Footer], deliveries: Sequence[Delivery]) -> dict[str, int]:
    """Each shard's delivery."""
    if len({d.ordinal for d in deliveries}) != len(deliveries) or any(d.ordinal < 0 for d in deliveries):
        raise UsageError("two deliveries have the same place in the history", hint="number them 0, 1, 2 …")
    out = {foot.shard: BASE for foot in footers}
    for delivery in deliveries:
        for shard in delivery.shards:
            if out.get(shard, BASE) != BASE:
                raise UsageError(
                    f"two deliveries claim the shard: {out[shard]} and {delivery.ordinal}",
                    where=shard,
                    hint="a shard belongs to the modification that added or changed it last",
                )
            if shard in out:
                out[shard] = delivery.ordinal
    return out


def _unread(footers: Sequence[Footer], readable: Sequence[Footer], plan: Plan) -> list[Finding]:
    """One note for every shard that was left out: a screen never skips in silence."""
    read = {f.shard for f in readable}
    return [
        Finding(
            check="screen.coverage",
            message=f"{foot.shard} was not screened: it has no column {missing!r}, which holds the text elsewhere",
            severity="warning",
            evidence="advice",
            where=(Pointer(foot.shard),),
            observed=", ".join(foot.schema.names)[:MAX_TEXT],
            expected=", ".join(plan.roles.text or ()),
            hint="screen this shard on its own, or name the text column",
            data={"rows": foot.rows},
        )
        for foot in footers
        if foot.shard not in read
        for missing in [next(c for c in plan.roles.text or () if c not in foot.schema.names)]
    ]
