"""Proving a part of a dataset: chosen shards, or a random sample of chunks, against the signed root.

Each chosen shard, and each chunk of it, is bound by the root by itself, so what is checked is as certain as in a whole
verification; what is not checked is not known at all. Hence `PASSED partial`, no receipt, and no gate.

A sample without replacement of n of N chunks misses all of k bad ones with the probability C(N-k, n) / C(N, n). The
sample is drawn from the system's randomness: whoever changed the data could not know it.
"""

from __future__ import annotations

import bisect
import fnmatch
import itertools
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from dataseal.ledger.errors import UsageError
from dataseal.ledger.hashing import File
from dataseal.ledger.manifest import Manifest, Shard
from dataseal.verifiers.finding import Finding

BAD: Final = (1, 10, 100, 1000)
"""Numbers of bad chunks for which the chance to find one is told."""

ENOUGH: Final = 0.95

_SHARE: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,9})?%")  # no exponents: 1e-99999999 takes forever


@dataclass(frozen=True, slots=True)
class Part:
    """What a partial verification looks at.

    Attributes:
        only: globs over shard paths (``*`` crosses slashes); all shards when empty.
        sample: the share of their chunks; all of them when None.
    """

    only: tuple[str, ...] = ()
    sample: Fraction | None = None

    def has(self, path: str) -> bool:
        """Whether a path is among the chosen ones."""
        return not self.only or any(fnmatch.fnmatchcase(path, glob) for glob in self.only)

    def choose(self, manifest: Manifest) -> dict[str, Shard]:
        """The chosen shards.

        Raises:
            UsageError: a glob matches no signed shard: nothing would be proven, and it would look like a pass.
        """
        for glob in self.only:
            if not any(fnmatch.fnmatchcase(shard.path, glob) for shard in manifest.shards):
                raise UsageError(
                    f"--only {glob!r} matches no signed shard",
                    hint=f"the first signed shard is {manifest.shards[0].path!r}; `*` also matches slashes"
                    if manifest.shards
                    else None,
                )
        return {shard.path: shard for shard in manifest.shards if self.has(shard.path)}


@dataclass(frozen=True, slots=True)
class PartFacts:
    """What a partial verification covered: shards, and chunks of them, of how many."""

    shards: int
    shards_total: int
    chunks: int
    chunks_total: int
    sampled: bool

    def __str__(self) -> str:
        what = f"{self.shards:,} of {self.shards_total:,} shards"
        return f"{self.chunks:,} of {self.chunks_total:,} chunks of {what}" if self.sampled else what


def share(text: str) -> Fraction:
    """``5%`` as a share.

    Raises:
        UsageError: not a percentage above 0 and up to 100.
    """
    value = Fraction(text[:-1]) / 100 if _SHARE.fullmatch(text) else None
    if value is None or not 0 < value <= 1:
        raise UsageError(f"{text!r} is no share of the chunks", hint="give a percentage, such as 5% or 0.5%")
    return value


def pick(shards: Sequence[Shard], part: Fraction) -> list[tuple[Shard, list[int]]]:
    """A random sample of at least one chunk, by shard."""
    ends = list(itertools.accumulate(shard.chunk_count for shard in shards))
    total = ends[-1] if ends else 0
    if not total:
        return []
    picked: dict[int, list[int]] = {}
    for place in sorted(random.SystemRandom().sample(range(total), math.ceil(part * total))):
        index = bisect.bisect_right(ends, place)
        picked.setdefault(index, []).append(place - (ends[index - 1] if index else 0))
    return [(shards[index], numbers) for index, numbers in picked.items()]


def chance(bad: int, sample: int, total: int) -> float:
    """The probability that a sample has at least one of ``bad`` chunks."""
    if bad > total - sample:
        return 1.0
    # C(N-k, n) / C(N, n) as the product over the smaller of the two numbers.
    less, more = sorted((bad, sample))
    return -math.expm1(math.fsum(math.log1p(-more / (total - i)) for i in range(less)))


def chances(sample: int, total: int) -> str:
    """What a sample would find, for people."""
    told = [f"{k:,}: {chance(k, sample, total):.1%}" for k in BAD if k <= total]
    least = bisect.bisect_left(range(total + 1), ENOUGH, key=lambda k: chance(k, sample, total))
    return (
        f"a sample of {sample:,} of {total:,} chunks finds at least one of k bad chunks with the probability "
        f"{', '.join(told)}; with {ENOUGH:.0%} from k = {least:,}"
    )


def check_sample(
    signed: Mapping[str, Shard],
    files: Mapping[str, File],
    picks: Sequence[tuple[Shard, list[int]]],
    chunk_size: int,
    digests: Callable[[list[tuple[File, list[int]]]], list[bytes]],
) -> list[Finding]:
    """Names and sizes of all chosen shards, and the digests of the picked chunks.

    Args:
        files: what lies in the folder, of the chosen paths. digests: hashes chunks of files.
    """
    from dataseal.verifiers.compare import differing, extra_file, missing, other_size

    findings = [missing(shard) for path, shard in signed.items() if path not in files]
    findings += [extra_file(file.path, file.size) for file in files.values() if file.path not in signed]
    other = {path for path, shard in signed.items() if path in files and files[path].size != shard.size}
    findings += [other_size(signed[path], files[path].size) for path in sorted(other)]
    todo = [(shard, numbers) for shard, numbers in picks if shard.path in files and shard.path not in other]
    found = digests([(files[shard.path], numbers) for shard, numbers in todo])
    for (shard, numbers), chunks in zip(todo, found, strict=True):
        bad = [n for i, n in enumerate(numbers) if chunks[i * 32 : i * 32 + 32] != shard.chunk(n)]
        if bad:
            findings.append(differing(shard, bad, chunk_size))
    return findings
