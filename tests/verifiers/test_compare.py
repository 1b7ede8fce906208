"""Expected against actual: every difference is found, none is invented, and it is called what it is."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dataseal.ledger.hashing import Problem
from dataseal.ledger.manifest import MIN_CHUNK, Manifest, build
from dataseal.verifiers.compare import MAX_RANGES, compare, covers, forbidden
from dataseal.verifiers.finding import Finding
from support.shards import SMALL, shard

Files = dict[str, bytes]
CHUNKS = st.lists(st.sampled_from([b"\0", b"\1", b"\2"]), max_size=4).map(lambda p: b"".join(x * MIN_CHUNK for x in p))
CONTENT = st.builds(lambda a, b: a + b, CHUNKS, st.binary(max_size=3))
FILES = st.dictionaries(st.sampled_from(["a", "b", "d/c", "d/e", "f"]), CONTENT, max_size=5)


def signed(files: Files) -> Manifest:
    return build([shard(p, d) for p, d in files.items()], SMALL)


def found(before: Files, after: Files, *, digests: bool = False) -> list[Finding]:
    return compare(signed(before), [shard(p, d) for p, d in after.items()], digests=digests)


def touched(findings: list[Finding]) -> set[str]:
    return {pointer.shard for f in findings for pointer in f.where}


def different(before: Files, after: Files) -> set[str]:
    return {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)}


@given(FILES)
def test_nothing_is_invented(files: Files) -> None:
    assert found(files, files) == []
    assert found(files, files, digests=True) == []


@settings(deadline=None)
@given(FILES, FILES)
def test_every_difference_is_named_and_nothing_else(before: Files, after: Files) -> None:
    findings = found(before, after)
    assert touched(findings) == different(before, after)
    assert all(f.severity == "error" and f.hint and f.check.startswith("integrity.") for f in findings)


@settings(deadline=None)
@given(FILES, FILES)
def test_the_findings_lead_back_to_what_was_signed(before: Files, after: Files) -> None:
    """Undoing what the findings say gives the signed files again: what they call the change is the change."""
    files = dict(after)
    for finding in found(before, after):
        paths = [p.shard for p in finding.where]
        match finding.check:
            case "integrity.renamed":
                files[paths[1]] = files.pop(paths[0])
            case "integrity.swapped":
                files[paths[0]], files[paths[1]] = files[paths[1]], files[paths[0]]
            case "integrity.extra":
                del files[paths[0]]
            case "integrity.missing":
                files[paths[0]] = before[paths[0]]
            case "integrity.changed":
                for start, end in finding.data["ranges"]:
                    old, new = before[paths[0]], files[paths[0]]
                    files[paths[0]] = (new[:start] + old[start:end] + new[end:])[: max(len(old), start)]
                files[paths[0]] = files[paths[0]][: len(before[paths[0]])]
            case other:
                raise AssertionError(other)
    assert files == before


@settings(deadline=None)
@given(CONTENT, CONTENT)
def test_the_ranges_hold_every_differing_byte_and_only_differing_chunks(old: bytes, new: bytes) -> None:
    findings = found({"a": old}, {"a": new})
    covered = {n // MIN_CHUNK for f in findings for s, e in f.data["ranges"] for n in range(s, e, MIN_CHUNK)}
    chunks = range(0, max(len(old), len(new)), MIN_CHUNK)
    assert covered == {n // MIN_CHUNK for n in chunks if old[n : n + MIN_CHUNK] != new[n : n + MIN_CHUNK]}


def test_ranges_are_counted_beyond_what_is_listed() -> None:
    old = b"\0" * (MIN_CHUNK * 2 * (MAX_RANGES + 5))
    new = bytearray(old)
    for chunk in range(0, 2 * (MAX_RANGES + 5), 2):
        new[chunk * MIN_CHUNK] = 1
    (finding,) = found({"a": old}, {"a": bytes(new)})
    assert len(finding.where) == len(finding.data["ranges"]) == MAX_RANGES
    assert finding.data["ranges_total"] == MAX_RANGES + 5
    assert "and 5 more ranges" in finding.message


def test_a_rotation_of_three_is_three_changes() -> None:
    before = {"a": b"1", "b": b"2", "c": b"3"}
    findings = found(before, {"a": b"2", "b": b"3", "c": b"1"})
    assert [f.check for f in findings] == ["integrity.changed"] * 3


def test_equal_files_that_changed_places_are_no_change() -> None:
    assert found({"a": b"1", "b": b"1"}, {"b": b"1", "a": b"1"}) == []


def test_one_of_two_equal_files_renamed() -> None:
    (finding,) = found({"a": b"1", "b": b"1"}, {"a": b"1", "c": b"1"})
    assert finding.check == "integrity.renamed"
    assert (finding.expected, finding.observed) == ("b", "c")


def test_two_empty_files_are_no_rename() -> None:
    assert {f.check for f in found({"a": b""}, {"b": b""})} == {"integrity.missing", "integrity.extra"}


def test_a_wrong_whole_file_digest_is_found_only_when_it_is_asked_for() -> None:
    manifest = signed({"a": b"1"})
    wrong = [s._replace(sha256=b"\0" * 32) for s in manifest.shards]
    assert compare(manifest, wrong, digests=False) == []
    (finding,) = compare(manifest, wrong, digests=True)
    assert finding.check == "integrity.digest"
    assert finding.expected == manifest.shards[0].sha256.hex()


def test_what_is_forbidden_is_named_with_its_reason() -> None:
    (finding,) = forbidden([Problem("x\ny", "is a symbolic link to '/etc'")])
    assert finding.message == "'x\\ny' is a symbolic link to '/etc'"
    assert finding.severity == "error"


def test_coverage_is_of_every_signed_shard() -> None:
    manifest = signed({"a": b"1", "b": b"2"})
    assert covers(manifest.by_path(), manifest.shards)
    assert not covers(manifest.by_path(), manifest.shards[:1])
    assert covers({}, [])
