"""Rows whose numbers lie far out: robust z, made multivariate. Advice: its p is not calibrated.

Each numeric column is centred on its median, scaled by its MAD and drawn in with asinh, so that one wild column does
not drown the others; mean and covariance are then fitted on a sample, trimmed of its outermost tenth, and a row's
score is its squared Mahalanobis distance, rescaled so that the median row scores like a chi-squared of that many
columns. With one column this is a robust z. Higher means more abnormal.

The sample is the rows with the smallest hash of (seed, shard, row): the same rows however the data is split. Its size
(`limits.SAMPLE_ROWS`, fewer with very many columns) bounds the state.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import stats

from dataseal.ledger.errors import FormatError
from dataseal.verifiers.finding import Finding, Pointer
from dataseal.verifiers.screen.detector import Conclusion, Context, Detector, Plan, State
from dataseal.verifiers.screen.limits import SAMPLE_ROWS
from dataseal.verifiers.screen.text import U64, mix
from dataseal.verifiers.screen.wire import pack, unpack

F64 = NDArray[np.float64]

TRIMMED = 0.1
"""Share of the sample left out of mean and covariance: the poison rate that the fit withstands."""

FITS = 5
"""Trimming rounds: the trimmed set no longer changes much after them."""

EXPECTED_BEYOND = 0.01
"""Rows beyond the threshold that a Gaussian dataset has on average."""

SHOWN = 100
"""Rows kept, the furthest first."""

SAMPLE_VALUES = 4_000_000
"""Values of the sample, so that it stays below 32 MB with very many columns."""

FAR = 1e12
"""Scaled values are cut here, infinities too."""


@dataclass(frozen=True, slots=True)
class Sample(State):
    """The ``size`` rows with the smallest hashes; ``values`` is rows by columns, NaN where there is none."""

    rows: int
    size: int
    key: U64
    values: F64

    def merge(self, other: Self) -> Self:
        key = np.concatenate((self.key, other.key))
        kept = np.argsort(key, kind="stable")[: self.size]
        values = np.concatenate((self.values, other.values))[kept]
        return type(self)(self.rows + other.rows, self.size, key[kept], values)

    def to_bytes(self) -> bytes:
        values = {"rows": self.rows, "size": self.size, "columns": self.values.shape[1]}
        return pack(values, {"key": self.key, "values": self.values.reshape(-1)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        head, arrays = unpack(data)
        try:
            values = arrays["values"].reshape(arrays["key"].size, head["columns"])
            return cls(int(head["rows"]), int(head["size"]), arrays["key"], values)
        except (KeyError, TypeError, ValueError) as problem:
            raise FormatError(
                f"these bytes are not a sample: {problem}", hint="take the state from the same version of dataseal"
            ) from problem


@dataclass(frozen=True, slots=True)
class Far(State):
    """How many rows lie beyond the threshold, and the furthest: (-score, shard, row, row group)."""

    beyond: int = 0
    rows: tuple[tuple[float, str, int, int], ...] = ()

    def merge(self, other: Self) -> Self:
        return type(self)(self.beyond + other.beyond, tuple(sorted((*self.rows, *other.rows))[:SHOWN]))

    def to_bytes(self) -> bytes:
        return pack({"beyond": self.beyond, "rows": [list(r) for r in self.rows]}, {})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        head, _ = unpack(data)
        try:
            return cls(int(head["beyond"]), tuple((s, shard, row, group) for s, shard, row, group in head["rows"]))
        except (KeyError, TypeError, ValueError) as problem:
            raise FormatError(
                f"these bytes are not outlying rows: {problem}",
                hint="take the state from the same version of dataseal",
            ) from problem


@dataclass(frozen=True, slots=True)
class Fit:
    """Location and scatter. ``scale`` is 0 for a column that does not vary, which is left out."""

    rows: int
    columns: tuple[str, ...]
    centre: F64
    scale: F64
    mean: F64
    whiten: F64
    rescale: float
    threshold: float

    def drawn_in(self, values: F64) -> F64:
        """asinh of the scaled values; a missing value counts as the median."""
        scale = np.where(self.scale > 0, self.scale, np.inf)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (values - self.centre) / scale
        out: F64 = np.arcsinh(np.nan_to_num(np.clip(scaled, -FAR, FAR), nan=0.0))
        return out

    def score(self, values: F64) -> F64:
        """Squared distances, rescaled; summed column by column, so that a row's score depends on that row alone."""
        x = self.drawn_in(values) - self.mean
        out = np.zeros(len(x))
        for direction in self.whiten:
            t = np.zeros(len(x))
            for j, weight in enumerate(direction):
                t += x[:, j] * weight
            out += t * t
        return out * self.rescale


class Outlier(Detector):
    """Ranks the rows that lie furthest out in the numeric columns."""

    name: ClassVar[str] = "outlier"
    version: ClassVar[str] = "1"
    blind_to: ClassVar[tuple[str, ...]] = (
        "poison inside the range of honest rows",
        "text, images, categories",
        "more than a tenth of the rows lying in the same far place",
    )

    def inapplicable(self, plan: Plan) -> str:
        return "" if plan.roles.numeric else "there is no numeric column"

    def columns(self, plan: Plan) -> tuple[str, ...]:
        return plan.roles.numeric or ()

    def map(self, batch: pa.RecordBatch, context: Context) -> Sample:
        columns = self.columns(context.plan)
        size = max(1, min(SAMPLE_ROWS, SAMPLE_VALUES // len(columns)))
        key = _row_keys(context, batch.num_rows)
        kept = np.argsort(key, kind="stable")[:size]
        return Sample(batch.num_rows, size, key[kept], _matrix(batch, columns)[kept])

    def finalize(self, state: Sample, plan: Plan, prior: None) -> Fit:
        del prior
        return fit(state.values, self.columns(plan), state.rows)

    def wants(self, ordinal: int, tests: Fit) -> bool:
        del ordinal
        return bool((tests.scale > 0).any())

    def explain(self, batch: pa.RecordBatch, context: Context, tests: Fit) -> Far:
        scores = tests.score(_matrix(batch, tests.columns))
        near = np.flatnonzero(scores > tests.threshold * 0.999)
        # Six digits, so that the last bits of vectorised arithmetic (which may differ with a row's place) don't count.
        rounded = [(float(f"{scores[i]:.6g}"), int(i)) for i in near]
        rows = [
            (-score, context.shard, context.row + i, context.row_group)
            for score, i in rounded
            if score > tests.threshold
        ]
        return Far(len(rows), tuple(sorted(rows)[:SHOWN]))

    def conclude(self, tests: Fit, rows: Far | None, plan: Plan) -> Conclusion:
        del plan
        used = [c for c, s in zip(tests.columns, tests.scale, strict=True) if s > 0]
        return Conclusion(
            findings=(_finding(tests, rows, used),) if rows is not None and rows.beyond else (),
            calibrated=False,
            reason="distances rank rows; no p-value of theirs is calibrated",
            rows=tests.rows,
            tests=tests.rows if used else 0,
            minimum="no number can be promised: it ranks rows and does not test",
            parameters={
                "columns": used,
                "trimmed": TRIMMED,
                "threshold": float(f"{tests.threshold:.6g}"),
                "sample": min(tests.rows, SAMPLE_ROWS),
            },
        )


def fit(values: F64, columns: tuple[str, ...], rows: int) -> Fit:
    """Fit location and scatter on a sample. Columns whose values are (nearly) all equal get scale 0."""
    with np.errstate(invalid="ignore"):
        finite = np.where(np.isfinite(values), values, np.nan)
    some = np.isfinite(finite).any(axis=0)
    centre, scale = np.zeros(len(columns)), np.zeros(len(columns))
    centre[some] = np.nanmedian(finite[:, some], axis=0)
    away = np.abs(finite - centre)
    # Where more than half the values are equal the MAD is 0: then the mean deviation, on the same Gaussian scale.
    scale[some] = 1.4826 * np.nanmedian(away[:, some], axis=0)
    flat = some & (scale == 0)
    scale[flat] = 1.2533 * np.nanmean(away[:, flat], axis=0)
    d = int((scale > 0).sum())
    start = Fit(rows, columns, centre, scale, np.zeros(len(columns)), np.eye(len(columns)), 1.0, np.inf)
    if not d:
        return start
    x = start.drawn_in(values)
    inner = np.arange(len(x))
    mean, whiten = start.mean, start.whiten
    for _ in range(FITS):
        mean = x[inner].mean(axis=0)
        whiten = _whitening(x[inner] - mean)
        distance = (((x - mean) @ whiten.T) ** 2).sum(axis=1)
        inner = np.sort(np.argsort(distance, kind="stable")[: max(1, round(len(x) * (1 - TRIMMED)))])
    rescale = stats.chi2.median(len(whiten)) / max(float(np.median(distance)), 1e-12)
    threshold = float(stats.chi2.isf(EXPECTED_BEYOND / max(rows, 1), len(whiten)))
    return Fit(rows, columns, centre, scale, mean, whiten, float(rescale), threshold)


def _whitening(centred: F64) -> F64:
    """Directions scaled to unit variance; those without any (a column that repeats another) are left out."""
    covariance = centred.T @ centred / max(len(centred), 1)
    values, vectors = np.linalg.eigh(covariance)
    used = values > 1e-9 * max(float(values.max(initial=0.0)), 1e-300)
    out: F64 = (vectors[:, used] / np.sqrt(values[used])).T
    return out


def _matrix(batch: pa.RecordBatch, columns: tuple[str, ...]) -> F64:
    """Rows by columns as floats; null is NaN."""
    filled = [pc.fill_null(batch.column(c).cast(pa.float64(), safe=False), float("nan")) for c in columns]
    return np.column_stack([f.to_numpy(zero_copy_only=False) for f in filled])


def _row_keys(context: Context, rows: int) -> U64:
    """A hash of (seed, shard, row) for each row."""
    name = b"%d\n%s" % (context.plan.seed, context.shard.encode())
    start = int.from_bytes(hashlib.blake2b(name, digest_size=8, person=b"dataseal sample").digest(), "little")
    return mix(np.uint64(start) + mix(np.arange(context.row, context.row + rows, dtype=np.uint64)))


def _finding(tests: Fit, rows: Far, used: list[str]) -> Finding:
    share = f"{rows.beyond} of {tests.rows:,} rows"
    return Finding(
        check="screen.outlier",
        message=f"{share} lie further out in {', '.join(used[:5])} than any row of a Gaussian dataset this large would",
        severity="note",
        evidence="advice",
        where=tuple(Pointer(shard=shard, row_group=group, row=row) for _, shard, row, group in rows.rows),
        observed=f"squared distance up to {-rows.rows[0][0]:.6g}",
        expected=f"at most {tests.threshold:.6g}",
        hint="look at these rows; honest data often has heavy tails, so this is advice",
        data={
            "detector": "outlier",
            "beyond": rows.beyond,
            "rows": tests.rows,
            "columns": used,
            "scores": [-score for score, *_ in rows.rows],
            "threshold": float(f"{tests.threshold:.6g}"),
            "atlas": "AML.T0020",
        },
    )
