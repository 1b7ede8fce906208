from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger import canonical
from dataseal.ledger.errors import FormatError, IntegrityError
from dataseal.ledger.hashing import statfile
from dataseal.ledger.hashing.statfile import MAGIC, Entry, Writer, read, rows, says
from support.errors import refused

KEY = b"k" * 32
HEADER: dict[str, Any] = {"v": 1, "kind": "cache", "folder": "/data", "chunk_size": 65_536}


def entry(size: int = 3, sha256: bytes = b"s" * 32) -> Entry:
    return Entry((1, 2**64 - 1, size, -5, 2**62), sha256, os.urandom(32 * -(-size // 65_536)))


def stored(*entries: tuple[str, Entry], key: bytes = KEY, header: dict[str, Any] = HEADER) -> bytes:
    writer = Writer(key, header)
    return writer.start + b"".join(writer.frame(payload) for payload in rows(entries))


A, B = ("a/b", entry()), ("\udcff é", entry(1_000_000, b""))


def test_the_documented_header_is_canonical() -> None:
    assert statfile.__doc__
    example = " ".join(statfile.__doc__.split("this one)::\n\n")[1].split("\n\n")[0].split()).replace(", ", ",")
    value = canonical.decode_canonical(example.replace(' "', '"').encode(), what="header", max_bytes=1000)
    assert set(value) == {
        "boot",
        "chunk_hash",
        "chunk_size",
        "device",
        "folder",
        "host",
        "inode",
        "kind",
        "purpose",
        "v",
    }


def test_what_is_written_is_read() -> None:
    assert read(stored(A, B), KEY, HEADER) == dict((A, B))
    assert read(stored(), KEY, HEADER) == {}


@given(st.lists(st.tuples(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
                          st.integers(0, 300_000)), unique_by=lambda item: item[0]))  # fmt: skip
def test_any_files_go_there_and_back(files: list[tuple[str, int]]) -> None:
    entries = [(path, entry(size)) for path, size in files]
    assert read(stored(*entries), KEY, HEADER) == dict(entries)


def test_many_rows_are_cut_into_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statfile, "FRAME", 200)
    entries = [(str(number), entry()) for number in range(50)]
    assert len(rows(entries)) > 10
    assert read(stored(*entries), KEY, HEADER) == dict(entries)


def test_every_flipped_bit_is_refused_or_loses_the_end() -> None:
    """A flipped length may look like a file that was cut off; nothing false is ever read."""
    data = stored(A, B)
    for place in range(len(data)):
        bad = bytearray(data)
        bad[place] ^= 1
        try:
            found = read(bytes(bad), KEY, HEADER)
        except (IntegrityError, FormatError):
            continue
        assert found == {}


def test_a_file_that_was_cut_off_keeps_its_whole_frames() -> None:
    writer = Writer(KEY, HEADER)
    frames = [writer.frame(rows([one])[0]) for one in (A, B)]
    data = writer.start + frames[0] + frames[1]
    for end in range(len(writer.start), len(data)):
        assert read(data[:end], KEY, HEADER) == (dict([A]) if end >= len(writer.start + frames[0]) else {})


def test_a_frame_of_another_file_or_place_is_refused() -> None:
    writer = Writer(KEY, HEADER)
    frames = [writer.frame(rows([one])[0]) for one in (A, B)]
    with refused(IntegrityError, "MAC does not hold"):
        read(writer.start + frames[1], KEY, HEADER)
    with refused(IntegrityError, "MAC does not hold"):
        read(writer.start + frames[0] + frames[0], KEY, HEADER)


def test_another_key_is_refused() -> None:
    with refused(IntegrityError, "another key"):
        read(stored(A), b"l" * 32, HEADER)


@pytest.mark.parametrize("change", [{"folder": "/other"}, {"kind": "journal"}, {"v": 2}, {"more": 1}])
def test_a_file_about_something_else_is_refused(change: dict[str, Any]) -> None:
    with refused(IntegrityError, "something else", next(iter(change))):
        read(stored(A, header=HEADER | change), KEY, HEADER)


def test_digests_that_do_not_fit_the_sizes_are_refused() -> None:
    wrong = ("a", Entry((1, 2, 3, 4, 5), b"s" * 32, b"c" * 64))
    with refused(IntegrityError, "do not fit"):
        read(stored(wrong), KEY, HEADER)


@pytest.mark.parametrize("data", [b"", b"x", MAGIC[:-1]])
def test_other_bytes_are_no_stat_file(data: bytes) -> None:
    with refused(IntegrityError, "no stat file"):
        read(data, KEY, HEADER)


def said(*files: tuple[str, Entry], of: tuple[tuple[str, Entry], ...], digests: bool = True) -> bool:
    """Whether a cache of ``of``, cut into several frames, says ``files``."""
    payloads = [payload for one in of for payload in rows([one])]
    paths, entries = [path for path, _ in files], [e for _, e in files]
    identities, chunks = [e.identity for e in entries], [e.chunks for e in entries]
    return says(payloads, paths, identities, chunks, [e.sha256 for e in entries] if digests else None)


def test_the_same_files_are_said_to_be_the_same() -> None:
    other = ("c", entry(200_000))
    assert said(A, other, of=(A, other))
    assert said(A, B, of=(A, B), digests=False)
    assert not said(A, B, of=(A, B)), "B's whole-file digest was never computed"


@pytest.mark.parametrize("field", range(5))
def test_one_field_of_an_identity_tells_two_states_apart(field: int) -> None:
    path, known = A
    moved = list(known.identity)
    moved[field] += -1 if field == 1 else 1
    identity = (moved[0], moved[1], moved[2], moved[3], moved[4])
    assert not said((path, known._replace(identity=identity)), B, of=(A, B), digests=False)


def test_another_path_digest_number_or_order_is_told_apart() -> None:
    twin = ("a/c", A[1])
    assert not said(twin, B, of=(A, B), digests=False)
    assert not said(("a/b", A[1]._replace(chunks=b"x" * 32)), B, of=(A, B), digests=False)
    assert not said(("a/b", A[1]._replace(sha256=b"t" * 32)), of=(A,))
    assert not said(A, of=(A, B), digests=False)
    assert not said(A, B, of=(A,), digests=False)
    assert not said(A, of=(), digests=False)
    assert not said(twin, A, of=(A, twin), digests=False)
