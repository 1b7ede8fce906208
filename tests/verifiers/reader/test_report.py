"""What processes report: counted once, bounded, and believed as a whole or not at all."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import FormatError, Unavailable
from dataseal.ledger.manifest import Manifest, Parameters, Shard, build, shard_root
from dataseal.verifiers.reader import report
from dataseal.verifiers.reader.opened import Opened
from dataseal.verifiers.reader.pin import Pin
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


def big(chunks: int) -> Manifest:
    """One shard of many chunks, the last of them short."""
    digests = b"".join(sha256(b"%d" % n) for n in range(chunks))
    return build([Shard("a", CHUNK * chunks - 7, bytes(32), shard_root(digests), digests)], Parameters(CHUNK))


def written(folder: Path, manifest: Manifest, lines: str) -> Reported:
    (folder / "1-a.reads").write_text(f'{{"root":"{manifest.root.hex()}","v":1}}\n{lines}')
    return collect(folder, {manifest.root.hex(): manifest})[manifest.root.hex()]


@pytest.mark.parametrize("line", ["0 0 16383\n", "0 0 16382\n0 1 16383\n"])
def test_a_wide_range_that_is_told_very_often_costs_nothing(tmp_path: Path, line: str) -> None:
    assert written(tmp_path, big(16384), line * 400_000) == Reported(1, 16384, 16384 * CHUNK - 7)  # within the time-out


@given(st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)).map(sorted), min_size=1), st.integers(1, 5))
def test_ranges_count_once_in_any_order_and_overlap(ranges: list[list[int]], most: int) -> None:
    spans = report._Spans()
    spans._most = most
    for first, last in ranges:
        spans.add(first, last)
    assert {at for a, b in spans.merged() for at in range(a, b + 1)} == {
        at for a, b in ranges for at in range(a, b + 1)
    }
    assert all(b + 1 < c for (_, b), (c, _) in itertools.pairwise(spans.merged()))


def test_threads_that_read_first_write_one_whole_report(tmp_path: Path) -> None:
    manifest, pin = big(8), Pin(big(8).root.hex(), "00" * 32, CHUNK)
    for attempt in range(100):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        reads, together = Reads(str(folder), pin), threading.Barrier(8)

        def read(at: int, reads: Reads = reads, together: threading.Barrier = together) -> None:
            together.wait()
            reads.note(0, at, at)

        threads = [threading.Thread(target=read, args=(at,)) for at in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(list(folder.iterdir())) == 1
        assert collect(folder, {pin.root: manifest})[pin.root].chunks == 8


def test_what_could_not_be_reported_is_not_taken_for_told(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "reads").rename(tmp_path / "away")
    with opened.open("rows.csv") as file:
        for _ in range(2):
            with pytest.raises(Unavailable, match="can't report"):
                file.read_at(0, 1)
        (tmp_path / "away").rename(tmp_path / "reads")
        file.read_at(0, 1)
    assert collected(opened)[opened.pin.root].chunks == 1


def test_half_a_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = big(4)
    reads = Reads(str(tmp_path), Pin(manifest.root.hex(), "00" * 32, CHUNK))
    reads.note(0, 0, 0)
    room, whole = [3], os.write

    def full(descriptor: int, data: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(descriptor, data[: room.pop()])

    with monkeypatch.context() as patch:
        patch.setattr(report.os, "write", full)
        with pytest.raises(Unavailable, match="No space"):
            reads.note(0, 1, 1)
    reads.note(0, 2, 2)
    assert collect(tmp_path, {manifest.root.hex(): manifest})[manifest.root.hex()].chunks == 2


def test_a_forked_child_writes_its_own_report(tmp_path: Path) -> None:
    manifest = big(4)
    reads = Reads(str(tmp_path), Pin(manifest.root.hex(), "00" * 32, CHUNK))
    reads.note(0, 0, 0)
    with reads._lock:  # as another thread that is at it
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.alarm(20)
                reads.note(0, 0, 1)
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(list(tmp_path.iterdir())) == 2
    assert collect(tmp_path, {manifest.root.hex(): manifest})[manifest.root.hex()].chunks == 2


def test_reports_about_another_dataset_are_left_alone_where_that_is_asked_for(opened: Opened) -> None:
    with opened.open("rows.csv") as file:
        file.read(1)
    Reads(str(opened.reads), Pin("11" * 32, "00" * 32)).note(7, 0, 3)
    with pytest.raises(FormatError, match="not about a dataset"):
        collected(opened)
    found = collect(Path(str(opened.reads)), {opened.pin.root: opened.manifest}, others=True)
    assert (set(found), found[opened.pin.root].chunks) == ({opened.pin.root}, 1)
