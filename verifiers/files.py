"""Step 15 of verification: the files beside the seal against the signed table.

All of them are read, every byte. Two ways of looking at less exist, each asked for by name, and each says so: a part
of the dataset (`dataseal.verifiers.partial`), and ``--fast``, which does not read a file whose device, inode, size and
times are those that were read before (`dataseal.ledger.hashing.remember` says what that takes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from dataseal.ledger.errors import IntegrityError
from dataseal.ledger.hashing import Progress, Walk
from dataseal.ledger.hashing.remember import Memory, unchanged
from dataseal.ledger.hashing.statfile import says
from dataseal.ledger.manifest import Manifest, Shard
from dataseal.verifiers.compare import compare, covers, forbidden
from dataseal.verifiers.finding import Finding, Pointer
from dataseal.verifiers.partial import Part, PartFacts, chances, check_sample, pick
from dataseal.verifiers.sources.local import LocalFolder

Digests = Literal["tree", "all"]


@dataclass(frozen=True, slots=True)
class Looking:
    """How to look at the files.

    Attributes:
        digests: ``all`` compares whole-file SHA-256 digests too. part: what to look at; None is everything.
        fast: the memory that ``--fast`` asks; None reads every file.
        jobs: threads. progress: told the bytes that were hashed.
    """

    digests: Digests = "tree"
    part: Part | None = None
    fast: Memory | None = None
    jobs: int | None = None
    progress: Progress | None = None


@dataclass(slots=True)
class Files:
    """What step 15 found.

    Attributes:
        complete: every byte of every signed shard was read and compared. part: what a partial look covered.
        fast: shards that were not read, because nothing touched them since they were; all others were.
    """

    complete: bool = False
    part: PartFacts | None = None
    fast: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_files(source: LocalFolder, signed: Manifest, exclusions: Sequence[str], how: Looking) -> Files:
    """Compares a folder's files with the signed manifest.

    Raises:
        UsageError: nothing signed is in the part that was asked for. Unavailable: a file can't be read.
    """
    result = Files()
    chosen = how.part.choose(signed) if how.part else signed.by_path()
    walked = source.walk(exclusions)
    _left_out(walked, how.part, result)
    try:
        if how.part and how.part.sample is not None:
            _sample(source, signed, chosen, walked, how.part, how.part.sample, how, result)
        elif how.part:
            _only(source, signed, chosen, walked, how.part, how, result)
        else:
            _all(source, signed, walked, how, result)
    except IntegrityError as error:
        hint = error.hint or "stop what writes to the folder, and run again"
        where = (Pointer(error.where),) if error.where else ()
        result.findings.append(Finding("integrity.unstable", error.what, where=where, hint=hint))
        return result
    if how.digests != "all":
        result.notes.append("whole-file SHA-256 not checked (--digests all does)")
    return result


def _left_out(walked: Walk, part: Part | None, result: Files) -> None:
    result.findings += forbidden([p for p in walked.problems if part is None or part.has(p.path)])
    for path in walked.left_out:
        if path != ".dataseal":
            result.notes.append(f"left out: {path}/ (never part of a dataset)")
    for path in walked.excluded:
        result.notes.append(f"left out: {path} (a recorded exclusion)")


def _all(source: LocalFolder, signed: Manifest, walked: Walk, how: Looking, result: Files) -> None:
    whole = how.digests == "all"
    wanted = signed.by_path()
    place = how.fast.of(source.folder, signed.parameters, "verified") if how.fast else None
    payloads = place.read_cache(result.notes) if place else []
    if payloads and _untouched(payloads, signed, walked, whole):
        result.fast = len(walked.files)
        return
    remembered = place.entries(payloads, result.notes) if place else {}
    # What is remembered vouches only for the digests that are signed here; anything else is read.
    known = {
        path: entry
        for path, entry in unchanged(walked.files, remembered, whole=whole).items()
        if (s := wanted.get(path))
        and entry.chunks == s.chunks
        and entry.identity[2] == s.size
        and (not whole or entry.sha256 == s.sha256)
    }
    files = [f for f in walked.files if f.path not in known] if known else walked.files
    read = source.hash(files, signed.parameters, whole=whole, jobs=how.jobs, progress=how.progress)
    actual: Sequence[Shard] = read
    if known:
        of = {shard.path: shard for shard in read}
        actual = [of.get(f.path) or wanted[f.path] for f in walked.files]
    result.findings += compare(signed, actual, digests=whole)
    covered = covers(wanted, actual)
    result.complete = covered and not known
    result.fast = len(known) if covered else 0
    if place and covered and not any(f.severity == "error" for f in result.findings):
        place.save_cache(walked, actual, known, result.notes)


def _untouched(payloads: Sequence[bytes], signed: Manifest, walked: Walk, whole: bool) -> bool:
    """Whether the cache says that every file is as signed, and none of another name is there: the usual case."""
    paths, _, sizes, identities = zip(*walked.files, strict=True) if walked.files else ((), (), (), ())
    wanted, lengths, sha256, _, chunks = zip(*signed.shards, strict=True) if signed.shards else ((), (), (), (), ())
    if paths != wanted or sizes != lengths or None in identities:
        return False
    return says(payloads, paths, identities, chunks, sha256 if whole else None)


def _only(
    source: LocalFolder,
    signed: Manifest,
    chosen: dict[str, Shard],
    walked: Walk,
    part: Part,
    how: Looking,
    result: Files,
) -> None:
    whole = how.digests == "all"
    files = [f for f in walked.files if part.has(f.path)]
    actual = source.hash(files, signed.parameters, whole=whole, jobs=how.jobs, progress=how.progress)
    result.findings += compare(signed, actual, digests=whole, among=part.has)
    chunks = sum(shard.chunk_count for shard in chosen.values())
    result.part = PartFacts(len(chosen), len(signed.shards), chunks, chunks, sampled=False)


def _sample(
    source: LocalFolder,
    signed: Manifest,
    chosen: dict[str, Shard],
    walked: Walk,
    part: Part,
    share: Fraction,
    how: Looking,
    result: Files,
) -> None:
    picks = pick(list(chosen.values()), share)
    result.findings += check_sample(
        chosen,
        {f.path: f for f in walked.files if part.has(f.path)},
        picks,
        signed.parameters.chunk_size,
        lambda todo: source.hash_chunks(todo, signed.parameters, jobs=how.jobs, progress=how.progress),
    )
    chunks, total = sum(len(numbers) for _, numbers in picks), sum(shard.chunk_count for shard in chosen.values())
    result.part = PartFacts(len(chosen), len(signed.shards), chunks, total, sampled=True)
    if total:
        result.notes.append(chances(chunks, total))
