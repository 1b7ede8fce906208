"""The report is plain data, and importing it costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys

from dataseal.verifiers.finding import Finding, Pointer
from dataseal.verifiers.screen.report import DetectorReport, ScreenReport


def test_to_json() -> None:
    finding = Finding(
        check="screen.x", message="m", evidence="advice", where=(Pointer("a", row_group=0, row=3),), data={"k": 1}
    )
    detector = DetectorReport("x", "1", "ran", False, "why", 3, 1, "m", {"alpha": 0.1}, ("y",))
    report = ScreenReport(3, 1, 2, {"text": "t"}, (detector,), (finding,), 0, "none")
    data = report.to_json()
    assert json.loads(json.dumps(data)) == data
    assert data["coverage"] == 0.5
    assert data["findings"][0]["where"] == [{"shard": "a", "row_group": 0, "row": 3}]
    assert "hint" not in data["findings"][0]
    assert data["detectors"][0]["blind_to"] == ["y"]


def test_light_import() -> None:
    code = (
        "import sys; import dataseal.verifiers.screen.report, dataseal.verifiers.screen.registry, "
        "dataseal.verifiers.screen.roles; "
        "print([m for m in ('numpy', 'pyarrow', 'scipy', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
