"""What processes report: counted once, bounded, and believed as a whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataseal.ledger.errors import FormatError, Unavailable
from dataseal.verifiers.reader import report
from dataseal.verifiers.reader.opened import Opened
from dataseal.verifiers.reader.report import Reads, Reported, collect
from support.datasets import CHUNK
from support.reading import SHARDS, SIZE_X, Shelf


@pytest.fixture
def opened(shelf: Shelf, tmp_path: Path) -> Opened:
    """The shelf, whose reads are reported to ``tmp_path / "reads"``."""
    (tmp_path / "reads").mkdir()
    found: Opened = shelf.open().fs.opened
    return Opened(found.place, found.target, found.manifest, found.pin, reads=str(tmp_path / "reads"))


def collected(opened: Opened) -> dict[str, Reported]:
    assert opened.reads
    return collect(Path(opened.reads), {opened.pin.root: opened.manifest})


def test_every_chunk_is_counted_once_whoever_reads_it(opened: Opened) -> None:
    with opened.open("deep/er/x.bin") as file:
        for start in (0, CHUNK, 10, 4 * CHUNK + 5):
            file.seek(start)
            file.read(20)
    other = Reads(str(opened.reads), opened.pin)
    other.note(SHARDS.index("deep/er/x.bin"), 1, 2)
    assert collected(opened) == {opened.pin.root: Reported(1, 4, SIZE_X - CHUNK)}


def test_what_was_fetched_ahead_and_not_handed_out_was_not_read(opened: Opened) -> None:
    with opened.open("deep/er/x.bin") as file:
        file.read(10)  # the next chunk is fetched ahead
    assert collected(opened)[opened.pin.root].chunks == 1


def test_a_range_that_is_known_is_not_written_again(opened: Opened) -> None:
    with opened.open("deep/er/x.bin") as file:
        for _ in range(50):
            file.seek(0)
            file.read(100)
    (path,) = Path(str(opened.reads)).iterdir()
    assert path.read_text().splitlines()[1:] == ["2 0 0"]


def test_no_reads_are_no_report(opened: Opened) -> None:
    assert collected(opened) == {}


@pytest.mark.parametrize(
    "line", ["9 0 0", "2 0 99", "2 3 1", "3 0 0", "x", "0 0 0 0", "-1 0 0", "00 0 0", "0 0", "0 0 0 \n", "2 0 0\n1"]
)
def test_one_bad_line_spoils_the_report(opened: Opened, line: str) -> None:
    with opened.open("rows.csv") as file:
        file.read()
    (path,) = Path(str(opened.reads)).iterdir()
    with path.open("a") as out:
        out.write(line + ("" if line.endswith("1") and "\n" in line else "\n"))
    with pytest.raises(FormatError, match="report"):
        collected(opened)


@pytest.mark.parametrize("text", ["", "{}", "x\n", '{"root":"00","v":1}\n', '{"v":1,"root":"00"}\n'])
def test_what_is_no_report(opened: Opened, text: str) -> None:
    (Path(str(opened.reads)) / "other").write_text(text)
    with pytest.raises(FormatError):
        collected(opened)


def test_reports_are_bounded(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened.open("rows.csv") as file:
        file.read()
    monkeypatch.setattr(report, "MAX_BYTES", 50)
    with pytest.raises(FormatError, match="more than 50 bytes"):
        collected(opened)
    monkeypatch.setattr(report, "MAX_FILES", 0)
    with pytest.raises(FormatError, match="more than 0 reports"):
        collected(opened)


def test_a_link_among_the_reports_is_not_followed(opened: Opened) -> None:
    (Path(str(opened.reads)) / "link").symlink_to("/etc/passwd")
    with pytest.raises(Unavailable):
        collected(opened)


def test_what_can_not_be_reported_is_not_handed_out(opened: Opened) -> None:
    Path(str(opened.reads)).rmdir()
    with opened.open("rows.csv") as file, pytest.raises(Unavailable, match="can't report"):
        file.read(1)
