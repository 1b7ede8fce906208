"""The outlier detector: finds what lies far out, in one column or in their combination, as advice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score

from dataseal.ledger.errors import FormatError
from dataseal.verifiers.screen.engine import screen
from dataseal.verifiers.screen.outlier import Far, Outlier, Sample, fit
from dataseal.verifiers.screen.report import ScreenReport


def run(make: Any, columns: dict[str, Any]) -> ScreenReport:
    memory = make.memory([pa.table(columns)], row_group_size=64)
    return screen(memory, deliveries=[], history="none", detectors=[Outlier()])


def test_clean_gaussians_are_silent(make: Any) -> None:
    rng = np.random.default_rng(1)
    report = run(make, {"a": rng.normal(size=2000), "b": rng.normal(5, 3, 2000), "c": rng.normal(size=2000) * 1e6})
    assert report.findings == ()
    detector = report.detectors[0]
    assert (detector.status, detector.calibrated, detector.rows) == ("ran", False, 2000)
    assert detector.reason
    assert "ranks" in detector.minimum


def test_far_rows_are_ranked(make: Any) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=500), rng.normal(size=500)
    a[77], b[300] = 1e9, -40.0
    a[5] = np.inf
    finding = run(make, {"a": a, "b": b}).findings[0]
    assert (finding.evidence, finding.data["beyond"]) == ("advice", 3)
    assert [(p.row_group, p.row) for p in finding.where] == [(0, 5), (1, 77), (4, 300)]
    assert finding.data["scores"] == sorted(finding.data["scores"], reverse=True)


def test_a_combination_that_no_single_column_shows(make: Any) -> None:
    rng = np.random.default_rng(3)
    a = rng.normal(size=1000)
    b = a + rng.normal(size=1000) * 0.05
    a[10], b[10] = 2.0, -2.0
    finding = run(make, {"a": a, "b": b}).findings[0]
    assert [p.row for p in finding.where] == [10]


@pytest.mark.parametrize(
    "columns",
    [
        {"a": [1.0] * 50},
        {"a": [None] * 50 + [1.0]},
        {"a": [float("nan")] * 50},
        {"a": list(range(50)), "b": list(range(50))},
        {"a": [1]},
    ],
)
def test_columns_with_nothing_to_say(make: Any, columns: dict[str, Any]) -> None:
    assert run(make, columns).findings == ()


def test_no_numeric_column(make: Any) -> None:
    report = run(make, {"id": [1, 2], "t": ["a", "b"]})
    assert [d.status for d in report.detectors] == ["not-applicable"]


def test_mostly_one_value_still_has_a_scale(make: Any) -> None:
    rng = np.random.default_rng(4)
    a = np.where(rng.random(1000) < 0.7, 0.0, rng.normal(size=1000))
    a[3] = 500.0
    assert run(make, {"a": a}).findings[0].where[0].row == 3


def test_ranks_real_anomalies() -> None:
    """Malignant among benign: a real set, and a floor below what was measured (0.83)."""
    x, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    bad = rng.choice(np.flatnonzero(y == 0), 20, replace=False)
    rows = np.concatenate((np.flatnonzero(y == 1), bad))
    fitted = fit(x[rows], tuple(f"c{i}" for i in range(x.shape[1])), len(rows))
    assert roc_auc_score(y[rows] == 0, fitted.score(x[rows])) > 0.8


def test_states_travel() -> None:
    sample = Sample(9, 2, np.array([1, 5], np.uint64), np.array([[1.0, np.nan], [2.0, 3.0]]))
    assert Sample.from_bytes(sample.to_bytes()).to_bytes() == sample.to_bytes()
    far = Far(3, ((-2.5, "é", 4, 0),))
    assert Far.from_bytes(far.to_bytes()) == far
    for kind in (Sample, Far):
        with pytest.raises(FormatError):
            kind.from_bytes(b'{"arrays":[],"values":{}}\n')
