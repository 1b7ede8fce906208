"""Expected against actual: the signed manifest beside what lies in the folder, as findings.

Each finding names the file, and the byte range as far as chunks tell. Two kinds of innocent-looking tampering are
named as what they are: a renamed shard, and two shards that changed places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dataseal.ledger.hashing import Problem
from dataseal.ledger.manifest import Manifest, Parameters, Shard
from dataseal.verifiers.finding import Finding, Pointer

MAX_RANGES: Final = 16
"""Byte ranges that are listed for one shard; more are counted."""

_RESTORE = "fetch this file again from the publisher, or ask what changed; do not train on it"


def compare(
    signed: Manifest, actual: Sequence[Shard], *, digests: bool, among: Callable[[str], bool] | None = None
) -> list[Finding]:
    """The differences, in path order within each kind.

    Args:
        signed: the verified manifest. actual: what was hashed. digests: compare whole-file SHA-256 digests too.
        among: which signed shards were hashed; all when None.
    """
    wanted = {p: s for p, s in signed.by_path().items() if among is None or among(p)}
    found = {s.path: s for s in actual}
    absent = {p: s for p, s in wanted.items() if p not in found}
    extra = {p: s for p, s in found.items() if p not in wanted}
    changed = {
        p: (wanted[p], s)
        for p, s in found.items()
        if p in wanted and wanted[p] is not s and (wanted[p].root != s.root or wanted[p].size != s.size)
    }
    findings = _renamed(absent, extra)
    findings += _swapped(changed)
    findings += [_changed(old, new, signed.parameters) for old, new in changed.values()]
    findings += [missing(s) for s in absent.values()]
    findings += [_extra(s) for s in extra.values()]
    if digests:
        findings += [
            _digest(wanted[p], s)
            for p, s in found.items()
            if p in wanted and p not in changed and wanted[p].sha256 != s.sha256
        ]
    return findings


def forbidden(problems: Sequence[Problem]) -> list[Finding]:
    """What lies in the folder and can't be a shard: links, special files, names that break the rules."""
    return [
        Finding(
            "integrity.forbidden",
            f"{p.path!r} {p.reason}",
            where=(Pointer(p.path),),
            expected="nothing of that name",
            hint="remove it: it was not signed",
        )
        for p in problems
    ]


def _renamed(missing: dict[str, Shard], extra: dict[str, Shard]) -> list[Finding]:
    by_content = {(s.root, s.size): p for p, s in extra.items()}
    findings = []
    for path, shard in list(missing.items()):
        new = by_content.pop((shard.root, shard.size), None)
        if new is None or not shard.size:
            continue
        del missing[path], extra[new]
        findings.append(
            Finding(
                "integrity.renamed",
                f"{path!r} was renamed to {new!r}",
                where=(Pointer(new), Pointer(path)),
                observed=new,
                expected=path,
                hint=f"rename it back to {path!r}",
            )
        )
    return findings


def _swapped(changed: dict[str, tuple[Shard, Shard]]) -> list[Finding]:
    by_signed = {(old.root, old.size): path for path, (old, _) in changed.items()}
    findings = []
    for path in list(changed):
        if path not in changed:
            continue
        other = by_signed.get((changed[path][1].root, changed[path][1].size))
        if other is None or other == path or other not in changed:
            continue
        back = changed[other][1]
        if (back.root, back.size) == (changed[path][0].root, changed[path][0].size):
            del changed[path], changed[other]
            findings.append(
                Finding(
                    "integrity.swapped",
                    f"{path!r} and {other!r} changed places",
                    where=(Pointer(path), Pointer(other)),
                    hint="exchange the two files' names, or fetch both again",
                )
            )
    return findings


def _changed(old: Shard, new: Shard, parameters: Parameters) -> Finding:
    ranges = _ranges(old, new, parameters.chunk_size)
    shown = ", ".join(f"{a}-{b - 1}" for a, b in ranges[:MAX_RANGES])
    more = f" and {len(ranges) - MAX_RANGES} more ranges" if len(ranges) > MAX_RANGES else ""
    size = f"; it has {new.size:,} bytes, {old.size:,} were signed" if old.size != new.size else ""
    return Finding(
        "integrity.changed",
        f"{old.path!r} is not what was signed: bytes {shown}{more} differ{size}",
        where=tuple(Pointer(old.path, start=a, end=b) for a, b in ranges[:MAX_RANGES]),
        observed=f"shard root {new.root.hex()}",
        expected=f"shard root {old.root.hex()}",
        hint=_RESTORE,
        data={"ranges": [list(r) for r in ranges[:MAX_RANGES]], "ranges_total": len(ranges)},
    )


def differing(old: Shard, chunks: Sequence[int], chunk_size: int) -> Finding:
    """Some chunks of a shard, of which only these and a few others were looked at, are not the signed ones."""
    ranges = _joined(chunks, chunk_size, old.size)
    shown = ", ".join(f"{a}-{b - 1}" for a, b in ranges[:MAX_RANGES])
    return Finding(
        "integrity.changed",
        f"{old.path!r} is not what was signed: of the chunks that were looked at, bytes {shown} differ",
        where=tuple(Pointer(old.path, start=a, end=b) for a, b in ranges[:MAX_RANGES]),
        hint=_RESTORE,
        data={"ranges": [list(r) for r in ranges[:MAX_RANGES]], "ranges_total": len(ranges)},
    )


def other_size(old: Shard, size: int) -> Finding:
    """A shard that was not read, because its size says enough."""
    return Finding(
        "integrity.changed",
        f"{old.path!r} is not what was signed: it has {size:,} bytes, {old.size:,} were signed",
        where=(Pointer(old.path),),
        observed=f"{size:,} bytes",
        expected=f"{old.size:,} bytes",
        hint=_RESTORE,
    )


def _ranges(old: Shard, new: Shard, chunk: int) -> list[tuple[int, int]]:
    count = max(old.chunk_count, new.chunk_count)
    return _joined([i for i in range(count) if old.chunk(i) != new.chunk(i)], chunk, max(old.size, new.size))


def _joined(chunks: Sequence[int], chunk: int, end: int) -> list[tuple[int, int]]:
    """Byte ranges, half-open, of chunks; neighbours joined."""
    ranges: list[tuple[int, int]] = []
    for index in chunks:
        start, stop = index * chunk, min((index + 1) * chunk, end)
        if ranges and ranges[-1][1] == start:
            ranges[-1] = (ranges[-1][0], stop)
        else:
            ranges.append((start, stop))
    return ranges


def missing(shard: Shard) -> Finding:
    """A signed shard that is not there."""
    return Finding(
        "integrity.missing",
        f"{shard.path!r} is missing: {shard.size:,} bytes were signed under this name",
        where=(Pointer(shard.path),),
        hint="fetch it again from the publisher",
    )


def _extra(shard: Shard) -> Finding:
    return extra_file(shard.path, shard.size, f"shard root {shard.root.hex()}")


def extra_file(path: str, size: int, observed: str | None = None) -> Finding:
    """A file that nobody signed."""
    return Finding(
        "integrity.extra",
        f"{path!r} was not signed: {size:,} bytes that the publisher does not vouch for",
        where=(Pointer(path),),
        observed=observed,
        expected="nothing of that name",
        hint="remove it, and find out who put it there",
    )


def _digest(old: Shard, new: Shard) -> Finding:
    return Finding(
        "integrity.digest",
        f"{old.path!r}: its chunks match, and its whole-file SHA-256 is not the signed one",
        where=(Pointer(old.path),),
        observed=new.sha256.hex(),
        expected=old.sha256.hex(),
        hint="the publisher signed a wrong digest: tell them",
    )


def covers(signed: Mapping[str, Shard], actual: Sequence[Shard]) -> bool:
    """Whether every signed shard was hashed."""
    return set(signed) <= {s.path for s in actual}
