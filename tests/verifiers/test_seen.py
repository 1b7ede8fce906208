"""The memory of verified releases: it only moves forward, and a damaged one is no empty one."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from dataseal.ledger.errors import Unavailable, UsageError
from dataseal.verifiers import seen
from dataseal.verifiers.facts import LogFacts, ReleaseFacts, SignatureFacts
from dataseal.verifiers.seen import Seen, memory

HEX = "ab" * 32


def release(sequence: int, *, root: str = "", version: str = "", by: tuple[str, ...] = ("k1",)) -> ReleaseFacts:
    return ReleaseFacts(
        dataset="acme/reviews", version=version or f"1.{sequence}", sequence=sequence,
        root=root or f"{sequence:064x}", table=HEX, shards=1, bytes=1, chunk_size=65536, chunk_hash="sha256",
        exclusions=(), metadata={},
        signatures=tuple(SignatureFacts((k,), k, k, "ecdsa-p256", k) for k in by),
    )  # fmt: skip


def log(origin: str = "log.example") -> LogFacts:
    return LogFacts("log", origin, 1, 2, "self-operated", 0, 0, True, False)


@pytest.fixture
def kept(tmp_path: Path) -> Seen:
    return Seen(tmp_path / "state" / "seen.json")


def checks(kept: Seen, one: ReleaseFacts, where: LogFacts | None = None, *, pinned: bool = False) -> list[str]:
    return [f.check for f in kept.findings(one, where or log(), pinned=pinned)]


def test_a_first_contact_has_nothing_against_it(kept: Seen) -> None:
    assert checks(kept, release(5)) == []
    assert not kept.path.exists()


def test_the_same_and_a_newer_one_pass_and_an_older_one_does_not(kept: Seen) -> None:
    kept.remember(release(2), log())
    assert checks(kept, release(2)) == []
    assert checks(kept, release(3)) == []
    (finding,) = kept.findings(release(1), log(), pinned=False)
    assert finding.check == "rollback.older"
    assert finding.severity == "error"
    assert "--dataset acme/reviews@1.1" in (finding.hint or "")


def test_remembering_an_older_one_changes_nothing(kept: Seen) -> None:
    kept.remember(release(2), log())
    before = kept.path.read_bytes()
    kept.remember(release(1), log())
    assert kept.path.read_bytes() == before


def test_another_content_under_the_sequence_is_a_fork_even_when_asked_for_by_name(kept: Seen) -> None:
    kept.remember(release(2), log())
    for pinned in (False, True):
        assert checks(kept, release(2, root=HEX), pinned=pinned) == ["rollback.fork"]


def test_another_content_under_the_version_is_a_fork(kept: Seen) -> None:
    kept.remember(release(2, version="1.0"), log())
    assert checks(kept, release(3, version="1.0", root=HEX)) == ["rollback.fork"]


def test_a_version_that_is_named_may_be_older(kept: Seen) -> None:
    kept.remember(release(2), log())
    assert checks(kept, release(1), pinned=True) == []


def test_datasets_and_logs_are_remembered_apart(kept: Seen) -> None:
    kept.remember(release(2), log())
    assert checks(kept, release(1), log("other.example")) == []


def test_without_a_log_each_signer_is_remembered(kept: Seen) -> None:
    kept.remember(release(2, by=("k1", "k2")), None)
    for by in (("k1",), ("k2",), ("k2", "k1"), ("k3", "k2")):
        assert [f.check for f in kept.findings(release(1, by=by), None, pinned=False)] == ["rollback.older"]
    assert kept.findings(release(1, by=("k3",)), None, pinned=False) == []


def test_the_second_memory_is_asked_and_told(tmp_path: Path) -> None:
    one, two = Seen(tmp_path / "one.json"), Seen(tmp_path / "two.json")
    both = Seen(one.path, also=two.path)
    both.remember(release(2), log())
    assert one.path.read_bytes() == two.path.read_bytes()
    one.path.unlink()
    assert checks(both, release(1)) == ["rollback.older"]


def test_one_finding_though_both_memories_know(tmp_path: Path) -> None:
    both = Seen(tmp_path / "one.json", also=tmp_path / "two.json")
    both.remember(release(2), log())
    assert checks(both, release(1)) == ["rollback.older"]


def test_a_second_memory_that_cannot_be_used_hinders_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    both = Seen(tmp_path / "one.json", also=tmp_path / "file" / "two.json")
    both.remember(release(2), log())
    assert checks(both, release(1)) == ["rollback.older"]


def test_a_first_memory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable) as caught:
        Seen(tmp_path / "file" / "seen.json").remember(release(2), log())
    assert caught.value.hint


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"null", b'{"releases":{},"v":2}', b'{"releases":[],"v":1}', b'{"v":1}',
        b'{"releases":{},"v":1} ',
        b'{"releases":{"a b":{"root":"x","sequence":true,"version":"1"}},"v":1}',
        b'{"releases":{"a b":{"root":"x","sequence":"2","version":"1"}},"v":1}',
        b'{"releases":{"a b":{"root":"x","version":"1"}},"v":1}',
        b'{"releases":{"a b":{"root":1,"sequence":2,"version":"1"}},"v":1}',
        b'{"releases":{"a b":{"root":"x","sequence":2,"version":1}},"v":1}',
        b'{"releases":{"a b":7},"v":1}', b"\xff",
    ],
)  # fmt: skip
def test_a_damaged_memory_is_told_and_not_overwritten(kept: Seen, data: bytes) -> None:
    kept.path.parent.mkdir()
    kept.path.write_bytes(data)
    for act in (lambda: kept.findings(release(1), log(), pinned=True), lambda: kept.remember(release(1), log())):
        with pytest.raises(UsageError) as caught:
            act()
        assert caught.value.where == str(kept.path)
        assert caught.value.hint
    assert kept.path.read_bytes() == data


def test_the_example_in_the_docstring_is_a_memory(kept: Seen) -> None:
    text = re.search(r"::\n\n(.*)\n\Z", seen.__doc__ or "", re.DOTALL)
    assert text
    example = re.sub(r"\s*\n\s*", "", text[1]).strip()
    kept.path.parent.mkdir()
    kept.path.write_text(example)
    assert checks(kept, release(1), log("dataseal.invalid/0123456789abcdef")) == ["rollback.older"]
    kept.path.unlink()
    kept.remember(release(2, version="1.1.0", root="<hex>"), log("dataseal.invalid/0123456789abcdef"))
    assert kept.path.read_text() == example


def test_commands_that_end_at_once_lose_nothing(kept: Seen) -> None:
    origins = [f"log{n}.example" for n in range(20)]
    threads = [threading.Thread(target=kept.remember, args=(release(2), log(o))) for o in origins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(checks(kept, release(1), log(o)) == ["rollback.older"] for o in origins)


def test_where_the_memory_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    own = tmp_path / ".local" / "state" / "dataseal" / "seen.json"
    assert memory(None) == Seen(own)
    assert memory(tmp_path / "ws") == Seen(tmp_path / "ws" / "state" / "seen.json", also=own)
    assert memory(tmp_path / "ws", named=True) == Seen(tmp_path / "ws" / "state" / "seen.json")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert memory(None).path == tmp_path / "state" / "dataseal" / "seen.json"
