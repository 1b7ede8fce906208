"""A delta: which shards a modification added, removed and changed. An object, bound by its SHA-256.

Canonical JSON; each shard as the dataset tree's leaf names it, each list in the order of its paths' bytes::

    {"added":[{"path":"d/2.parquet","root":"<hex>","sha256":"<hex>","size":10}],
     "changed":[{"new":{…},"old":{…}}],"removed":[],"v":1}

Applying a delta to one state's shards gives the next state's, and their dataset root is re-derivable from them, so
that a delta that leaves something out leads to another root (`apply`, `root_of`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dataseal.ledger import canonical
from dataseal.ledger.digest import parse_hex
from dataseal.ledger.errors import FormatError, IntegrityError
from dataseal.ledger.manifest import MAX_SHARD, Manifest, Parameters, Shard, shard_leaf
from dataseal.ledger.paths import check_path, sort_key
from dataseal.ledger.tlog import merkle

MAX_DELTA: Final = 64 * 1024 * 1024
"""Bytes: some 200,000 shards in one modification."""


@dataclass(frozen=True, slots=True)
class Delta:
    """Shards by path; they carry no chunk digests."""

    added: tuple[Shard, ...]
    removed: tuple[Shard, ...]
    changed: tuple[tuple[Shard, Shard], ...]

    @property
    def empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.added or self.removed or self.changed)

    def touched(self) -> tuple[str, ...]:
        """The paths that hold new content."""
        return tuple(s.path for s in self.added) + tuple(new.path for _, new in self.changed)

    def encode(self) -> bytes:
        """The object's canonical bytes.

        Raises:
            FormatError: more than `MAX_DELTA` bytes, which no verifier would read.
        """
        data = canonical.encode(
            {
                "v": 1,
                "added": [_shard(s) for s in self.added],
                "removed": [_shard(s) for s in self.removed],
                "changed": [{"old": _shard(old), "new": _shard(new)} for old, new in self.changed],
            }
        )
        if len(data) > MAX_DELTA:
            raise FormatError(
                f"the delta has {len(data):,} bytes; at most {MAX_DELTA:,} are read",
                hint="record the change in several steps",
            )
        return data


def between(old: Manifest | None, new: Manifest) -> Delta:
    """What leads from ``old`` (None: nothing) to ``new``.

    Raises:
        FormatError: the two have other tree parameters, so that their roots can't be compared.
    """
    if old and old.parameters != new.parameters:
        raise FormatError(
            "the two versions have different chunk sizes or chunk hashes",
            hint="hash the new one with the old one's parameters",
        )
    before = old.by_path() if old else {}
    after = new.by_path()
    return Delta(
        added=tuple(_bare(s) for s in new.shards if s.path not in before),
        removed=tuple(_bare(s) for s in (old.shards if old else ()) if s.path not in after),
        changed=tuple(
            (_bare(before[s.path]), _bare(s))
            for s in new.shards
            if s.path in before and shard_leaf(before[s.path]) != shard_leaf(s)
        ),
    )


def apply(shards: Mapping[str, Shard], delta: Delta) -> dict[str, Shard]:
    """The shards after ``delta``.

    Raises:
        IntegrityError: it adds what is there, or removes or changes what is not.
    """
    result = dict(shards)
    for old in delta.removed + tuple(o for o, _ in delta.changed):
        if result.get(old.path) != old:
            raise IntegrityError("the delta takes away a shard that is not there", where=old.path)
        del result[old.path]
    for new in delta.added + tuple(n for _, n in delta.changed):
        if new.path in result:
            raise IntegrityError("the delta adds a shard that is there already", where=new.path)
        result[new.path] = new
    return result


def root_of(shards: Iterable[Shard], parameters: Parameters) -> bytes:
    """The dataset root over bare shards (see `dataseal.ledger.manifest`)."""
    leaves = [merkle.leaf_hash(parameters.leaf())]
    leaves += [merkle.leaf_hash(shard_leaf(s)) for s in sorted(shards, key=lambda s: sort_key(s.path))]
    return merkle.root_from_leaves(leaves)


def parse(data: bytes) -> Delta:
    """Reads a delta, strictly.

    Raises:
        FormatError: not canonical JSON of the form above, out of order, or a path that stands in it twice.
    """
    value = canonical.decode_canonical(data, what="delta", max_bytes=MAX_DELTA)
    match value:
        case {"v": int(version), "added": list(added), "removed": list(removed), "changed": list(changed), **rest} if (
            version == 1 and not isinstance(version, bool) and not rest
        ):
            pairs = []
            for item in changed:
                if not isinstance(item, dict) or set(item) != {"old", "new"}:
                    raise FormatError("delta: a changed shard is an old and a new one")
                pairs.append((_parse_shard(item["old"]), _parse_shard(item["new"])))
            delta = Delta(tuple(_parse_shard(s) for s in added), tuple(_parse_shard(s) for s in removed), tuple(pairs))
            _check_order(delta)
            return delta
    raise FormatError("delta: not an object with v, added, removed, changed")


def _check_order(delta: Delta) -> None:
    """One reading: each path once, each list sorted, and a changed shard is one path with two contents."""
    lists = [[s.path for s in delta.added], [s.path for s in delta.removed], [old.path for old, _ in delta.changed]]
    if any(paths != sorted(paths, key=sort_key) for paths in lists):
        raise FormatError("delta: a list is not sorted by path")
    if len(set().union(*lists)) != sum(map(len, lists)):
        raise FormatError("delta: a path stands in it twice")
    if any(old.path != new.path or old == new for old, new in delta.changed):
        raise FormatError("delta: a changed shard keeps its path and changes its content")


def bare(shards: Iterable[Shard]) -> dict[str, Shard]:
    """Shards without their chunk digests, keyed by path: what `apply` works on."""
    return {s.path: _bare(s) for s in shards}


def _bare(shard: Shard) -> Shard:
    return Shard(shard.path, shard.size, shard.sha256, shard.root, b"")


def _shard(shard: Shard) -> dict[str, Any]:
    return {
        "path": shard.path,
        "root": shard.root.hex(),
        "sha256": shard.sha256.hex(),
        "size": shard.size,
    }


def _parse_shard(value: Any) -> Shard:
    match value:
        case {"path": str(path), "root": root, "sha256": sha256, "size": int(size), **rest} if not rest:
            check_path(path)
            if not 0 <= size <= MAX_SHARD or isinstance(size, bool):
                raise FormatError(f"delta: size {size} of {path!r}")
            digests = parse_hex(sha256, field="delta sha256"), parse_hex(root, field="delta root")
            return Shard(path, size, *digests, b"")
    raise FormatError("delta: a shard is path, root, sha256 and size")
