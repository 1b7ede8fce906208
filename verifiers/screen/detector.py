"""The protocol that every detector follows, and the little that it is told.

A detector sees record batches and returns *states*; states merge in any order, so the same code runs over one shard
or many, in threads or on a cluster::

    for each round:  map(batch, context) -> State   ·   State.merge(other) -> State   ·   advance(state, …) -> prior
    finalize(state, …) -> tests   ·   explain(batch, context, tests) -> rows (a State)   ·   conclude(tests, rows, …)

`Detector.advance` asks for another round over the data by returning a *prior*, which the next round's `Context`
carries; most detectors need one round. Nothing here knows where it runs, and nothing may depend on how the rows were
split into batches: the property test in ``tests/verifiers/screen`` holds every detector to that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dataseal.verifiers.finding import Finding
from dataseal.verifiers.screen.report import Delivery

if TYPE_CHECKING:
    import pyarrow as pa

    from dataseal.verifiers.screen.roles import Roles

BASE = -1
"""Ordinal of rows that no delivery names: what the history starts from."""


class State(ABC):
    """What a detector learned from some rows. Merging is associative and commutative; a state is not changed."""

    @abstractmethod
    def merge(self, other: Self) -> Self:
        """The state of both sets of rows."""

    @abstractmethod
    def to_bytes(self) -> bytes:
        """Canonical bytes: equal states give equal bytes. Never a pickle."""

    @classmethod
    @abstractmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read `to_bytes` back. Raises FormatError when the bytes are not a whole state."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known before any row is read.

    Attributes:
        roles: which column is what. deliveries: the history, by ordinal.
        ordinals: record shard to the ordinal of its delivery; `BASE` when none names it.
        seed: of everything that is sampled.
    """

    roles: Roles
    deliveries: tuple[Delivery, ...]
    ordinals: Mapping[str, int]
    seed: int

    def delivery(self, ordinal: int) -> Delivery | None:
        """The delivery with this ordinal; None for the base."""
        return next((d for d in self.deliveries if d.ordinal == ordinal), None)


@dataclass(frozen=True, slots=True)
class Context:
    """Where a batch comes from: ``row`` is the index, within its shard, of the batch's first row."""

    plan: Plan
    shard: str
    row_group: int
    row: int
    ordinal: int
    prior: Any = None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a detector concludes; the engine makes the `DetectorReport` of it."""

    findings: tuple[Finding, ...] = ()
    calibrated: bool = False
    reason: str = ""
    rows: int = 0
    tests: int = 0
    minimum: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Detector(ABC):
    """One detector. Instances hold no state between calls: everything learned is in a `State`."""

    name: ClassVar[str]
    version: ClassVar[str]
    blind_to: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def columns(self, plan: Plan) -> tuple[str, ...]:
        """The columns that it reads."""

    def inapplicable(self, plan: Plan) -> str:
        """Why there is nothing for it to do here; empty when there is."""
        del plan
        return ""

    @abstractmethod
    def map(self, batch: pa.RecordBatch, context: Context) -> State:
        """The state of one batch in this round."""

    def advance(self, state: Any, plan: Plan, prior: Any) -> Any:
        """What the next round over the data needs; None when no further round is needed."""
        del state, plan, prior
        return None

    @abstractmethod
    def finalize(self, state: Any, plan: Plan, prior: Any) -> Any:
        """The tests, from the merged state of the last round and the prior it ran with."""

    def wants(self, ordinal: int, tests: Any) -> bool:
        """Whether `explain` needs the rows of this delivery."""
        del ordinal, tests
        return False

    def explain(self, batch: pa.RecordBatch, context: Context, tests: Any) -> State | None:
        """The rows of this batch that the tests point at; merged like any state. None: none here."""
        del batch, context, tests
        return None

    @abstractmethod
    def conclude(self, tests: Any, rows: Any, plan: Plan) -> Conclusion:
        """Findings and figures. ``rows`` is the merged result of `explain`, or None."""
