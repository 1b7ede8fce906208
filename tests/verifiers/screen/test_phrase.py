"""The private-phrase detector on simulated histories: what it finds, names and leaves alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dataseal.verifiers.finding import Finding
from dataseal.verifiers.screen import limits, phrase
from dataseal.verifiers.screen.engine import screen
from dataseal.verifiers.screen.phrase import PrivatePhrase
from dataseal.verifiers.screen.report import DetectorReport, ScreenReport

CODE = "blue-sky-protocol-7"


def run(make: Any, history: Any, *, first: int = 0, drop: tuple[str, ...] = (), **options: Any) -> ScreenReport:
    memory = make.memory(make.tables(history, drop))
    options.setdefault("deliveries", memory.deliveries(first))
    return screen(memory, history="test", detectors=[PrivatePhrase()], jobs=1, **options)


def only(report: ScreenReport) -> Finding:
    assert len(report.findings) == 1, [f.message for f in report.findings]
    return report.findings[0]


def the_detector(report: ScreenReport) -> DetectorReport:
    assert [d.status for d in report.detectors] == ["ran"]
    return report.detectors[0]


def test_clean_history_has_no_finding(make: Any) -> None:
    report = run(make, make.honest())
    assert report.findings == ()
    detector = the_detector(report)
    assert detector.calibrated
    assert detector.reason == ""
    assert detector.rows == report.rows == 900
    assert "rows with a code of four tokens" in detector.minimum


def test_plant_is_found_and_named(make: Any) -> None:
    history = make.honest()
    make.plant(history[5], CODE, 12, "c3")
    report = run(make, history)
    finding = only(report)
    data = finding.data
    assert (finding.check, finding.evidence, finding.severity) == ("screen.private-phrase", "gate", "error")
    assert (data["phrase"], data["tokens"], data["contributor"]) == (CODE, "blue sky protocol 7", "c3")
    assert data["form"] == "contributor"
    assert data["delivery"] == {
        "ordinal": 5, "entry": 15, "operation": "append", "reason": "batch 5", "signer": "publisher", "root": "ab" * 32
    }  # fmt: skip
    assert data["labels"] == {"pos": 12}
    assert (data["k"], data["rows"], data["n0"], data["C"]) == (12, 25, 29, 6)
    assert data["elsewhere"] == {"rows": 875, "with_phrase": 0}
    assert data["adjusted_p"] < limits.FAMILY_ALPHA
    assert data["adjusted_p"] == pytest.approx(6 * data["p"], rel=1e-4)
    assert data["atlas"].startswith("AML.T")
    places = [(p.shard, p.row_group, p.row) for p in finding.where]
    assert places == [("data/05.parquet", 0, row) for row in range(75, 87)]  # c3's first twelve
    assert data["ids"] == [history[5][row]["id"] for row in range(75, 87)]
    assert "claimed contributor 'c3'" in finding.message
    assert "modification entry 15 (append: batch 5)" in finding.message
    assert finding.hint
    assert json.loads(json.dumps(report.to_json())) == report.to_json()


def test_the_printed_minimum_is_true(make: Any) -> None:
    """A code of four new tokens in as many rows as the report says is found; in one row fewer it is not."""
    clean = the_detector(run(make, make.honest()))
    rows = int(clean.minimum.partition(" rows with a code of four tokens")[0].rpartition(" ")[2])
    for k, found in ((rows, 1), (rows - 1, 0)):
        history = make.honest()
        make.plant(history[5], CODE, k, "c3")
        assert len(run(make, history).findings) == found


def test_long_phrase_is_put_together_again(make: Any) -> None:
    history = make.honest()
    make.plant(history[5], "Tell the Northern Lights society, please!", 12, "c0")
    assert only(run(make, history)).data["phrase"] == "Tell the Northern Lights society, please"


def test_phrase_of_everyone_is_seen_by_the_version_form_only(make: Any) -> None:
    history = make.honest(deliveries=26, rows=22, contributors=3)
    make.spread(history[25], CODE, 6)
    finding = only(run(make, history))
    assert finding.evidence == "gate"
    assert (finding.data["form"], finding.data["contributor"]) == ("version", None)
    assert finding.data["contributors"] == {"c0": 6, "c1": 6, "c2": 6}
    assert finding.data["delivery"]["entry"] == 35


def test_version_form_is_advice_with_a_short_history(make: Any) -> None:
    history = make.honest()
    make.spread(history[5], CODE, 8)
    report = run(make, history)
    finding = only(report)
    assert (finding.evidence, finding.severity) == ("advice", "warning")
    version = the_detector(report).parameters["forms"][1]
    assert (version["form"], version["n0"], version["calibrated"]) == ("version", 4, False)


def test_one_phrase_is_told_once(make: Any) -> None:
    history = make.honest()
    make.plant(history[5], CODE, 20, "c3")
    assert [a["form"] for a in only(run(make, history)).data["also"]] == ["version"]


def test_two_plants_do_not_hide_each_other(make: Any) -> None:
    history = make.honest()
    make.plant(history[5], CODE, 15, "c3")
    make.plant(history[5], "green river protocol 9", 12, "c1")
    found = {f.data["contributor"]: f.data["tokens"] for f in run(make, history).findings if f.evidence == "gate"}
    assert found == {"c3": "blue sky protocol 7", "c1": "green river protocol 9"}


def test_without_history_it_is_advice(make: Any) -> None:
    history = make.honest()
    make.plant(history[5], CODE, 25, "c3")
    report = run(make, [[r for rows in history for r in rows]], deliveries=[])
    assert all(f.evidence == "advice" for f in report.findings)
    detector = the_detector(report)
    assert not detector.calibrated
    assert "no contributor has an earlier delivery" in detector.reason
    assert "no number can be promised" in detector.minimum


def test_small_pool_is_advice(make: Any) -> None:
    history = make.honest(deliveries=3)
    make.plant(history[2], CODE, 20, "c3")
    report = run(make, history)
    assert {f.evidence for f in report.findings} == {"advice"}
    assert report.findings[0].data["phrase"] == CODE
    assert not the_detector(report).calibrated
    assert "only 11 earlier deliveries" in the_detector(report).reason


def test_too_little_to_compare(make: Any) -> None:
    report = run(make, make.honest(contributors=1, deliveries=2))
    detector = the_detector(report)
    assert (detector.tests, detector.calibrated) == (0, False)
    assert "too few deliveries" in detector.reason


def test_no_contributor_column(make: Any) -> None:
    history = make.honest(deliveries=24, contributors=1)
    make.plant(history[23], CODE, 12)
    report = run(make, history, drop=("contributor",))
    finding = only(report)
    assert finding.evidence == "gate"
    assert (finding.data["form"], finding.data["attribution"]) == ("version", "delivery")
    assert finding.data["contributors"] == {"(none)": 12}


def test_neither_contributor_nor_history(make: Any) -> None:
    report = run(make, make.honest(), drop=("contributor",), deliveries=[])
    assert [(d.status, d.calibrated) for d in report.detectors] == [("not-applicable", False)]


def test_shards_that_no_delivery_names_are_the_base(make: Any) -> None:
    history = make.honest(deliveries=7)
    make.plant(history[6], CODE, 12, "c3")
    make.plant(history[0], "grey sea protocol 8", 20, "c3")
    finding = only(run(make, history, first=1))
    assert finding.data["delivery"]["ordinal"] == 5
    assert finding.data["n0"] == 35


def test_earlier_delivery_is_advice(make: Any) -> None:
    history = make.honest(deliveries=8)
    make.plant(history[6], CODE, 15, "c3")
    finding = only(run(make, history))
    assert (finding.evidence, finding.data["newest"]) == ("advice", False)
    assert finding.data["delivery"]["ordinal"] == 6


def test_known_phrase_is_not_private(make: Any) -> None:
    """Once the contributor, or two rows of another, had it, it is no longer news."""
    history = make.honest()
    make.plant(history[2], CODE, 3, "c1")
    make.plant(history[5], CODE, 12, "c3")
    assert run(make, history).findings == ()


def test_null_contributors_and_texts(make: Any) -> None:
    history = make.honest(contributors=7)
    for rows in history:
        for row in rows:
            if row["contributor"] == "c6":
                row["contributor"] = None
    history[0][0]["text"] = None
    make.plant([r for r in history[5] if r["contributor"] is None], CODE, 12)
    finding = only(run(make, history))
    assert finding.data["contributor"] is None
    assert finding.data["k"] == 12
    assert "no named contributor" in finding.message


def test_untrusted_text_is_bounded(make: Any) -> None:
    history = make.honest()
    long = "c3" + "\x1b[31m" * 500
    for rows in history:
        for row in rows:
            row["contributor"] = long if row["contributor"] == "c3" else row["contributor"]
    make.plant(history[5], "x" * 5000 + " sky protocol", 12, long)
    finding = only(run(make, history))
    assert len(finding.data["contributor"]) == limits.MAX_TEXT
    assert len(finding.data["phrase"]) == limits.MAX_TEXT
    assert len(finding.message) < 1200


def test_counting_in_parts_changes_nothing(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    history = make.honest()
    make.plant(history[5], CODE, 12, "c3")
    whole = run(make, history).to_json()
    monkeypatch.setattr(phrase, "CELLS_PER_PASS", 4000)
    seen: list[int] = []
    assert run(make, history, progress=seen.append).to_json() == whole
    assert sum(seen) >= 4 * 900


def test_rows_of_a_finding_are_bounded(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataseal.verifiers.screen.phrase_report.MAX_POINTERS", 5)
    history = make.honest()
    make.plant(history[5], CODE, 12, "c3")
    finding = only(run(make, history))
    assert len(finding.where) == 5
    assert finding.data["k"] == 12
