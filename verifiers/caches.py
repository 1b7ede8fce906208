"""Caches that were built from verified bytes: sealed by a receipt, and checked before each later use.

A library that keeps its own files of a dataset (Arrow files of ``datasets``, token files) reads them past every reader.
A cache's receipt says: this folder was made from that release, which was read through `dataseal.verifiers.reader`. It
is the word of the key that signed it. In the cache's folder::

    .dataseal/shards.parquet       the table of the cache's own files (`dataseal.ledger.manifest`)
    .dataseal/cache.sigstore.json  the receipt

The receipt is a SLSA VSA whose subject is the *source* release; what it says of the cache is one extension field::

    "https://dataseal.invalid/cache/v1#cache":{"bytes":5120,"chunk_hash":"sha256","chunk_size":4194304,"files":2,
       "reads":{"bytes":81920,"chunks":2,"shards":1},
       "root":"4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2",
       "table":"0d4fc4a78d3706edccafb665a8b2fdd9309e82c78625bb0f2b8e7bb9e1c4d21c"}

``reads`` counts what the building processes reported that they read of the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from dataseal.ledger import seal
from dataseal.ledger import statement as statements
from dataseal.ledger.credential import Credential
from dataseal.ledger.credential import Signer as Recognised
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import FormatError, IntegrityError, UsageError
from dataseal.ledger.hashing import Walk
from dataseal.ledger.manifest import Manifest, Parameters, build, encode_table, parse_table
from dataseal.ledger.paths import SEAL
from dataseal.ledger.record import sign
from dataseal.ledger.signers.base import Signer
from dataseal.ledger.statement import Statement
from dataseal.ledger.verify import verify_bundle
from dataseal.verifiers.compare import compare, forbidden
from dataseal.verifiers.reader.dataset import OpenDataset
from dataseal.verifiers.reader.report import collect
from dataseal.verifiers.receipt import SLSA_VERSION, TIME_FORMAT
from dataseal.verifiers.sources.local import LocalFolder

VERIFIER: Final = "https://dataseal.invalid/cache/v1"
FIELD: Final = f"{VERIFIER}#cache"
RECEIPT: Final = "cache.sigstore.json"
OURS: Final = (seal.TABLE, RECEIPT)
"""All that a cache's seal holds."""


@dataclass(frozen=True, slots=True)
class CheckedCache:
    """A cache whose every byte is as sealed.

    Attributes:
        source: ``NAME@VERSION`` of the release that it was built from. root: that release's root, hexadecimal.
        files, bytes: of the cache. signer: who vouches for it.
    """

    source: str
    root: str
    files: int
    bytes: int
    signer: Recognised


def seal_cache(folder: str | Path, data: OpenDataset, signer: Signer, *, now: datetime) -> bytes:
    """Seals a cache that was just built by reading ``data``; writes ``.dataseal/`` into it.

    Args:
        data: opened with ``reads=``, so that whichever process read it reported. now: in UTC.

    Returns: the receipt's bundle.

    Raises:
        UsageError: nothing tells what was read, or nothing was; or the folder has another seal.
        IntegrityError: the cache holds what can't be sealed.
        Unavailable: it can't be read or written.
    """
    opened, source = data.fs.opened, LocalFolder(Path(folder))
    if opened.reads is None:
        raise UsageError("nothing tells what was read", hint="open the dataset with reads=FOLDER, build, then seal")
    reads = collect(Path(opened.reads), {opened.pin.root: opened.manifest}, others=True).get(opened.pin.root)
    if reads is None:
        raise UsageError(
            f"nothing of {data.name} was read: this folder was not built from it",
            where=source.name,
            hint="build the cache through data.fs or data.url, and seal it then",
        )
    walked = source.walk(())
    if unseen := _unseen(walked):
        raise IntegrityError(
            f"{unseen[0]}/ can't be sealed: nobody would look at it", where=source.name, hint="remove it"
        )
    foreign = [name for name in source.seal() or () if name not in OURS]
    if foreign or (source.folder / SEAL).is_symlink():
        raise UsageError(
            f"{SEAL}/ here is no cache's" + (f": it holds {foreign[0]}" if foreign else ": it is a link"),
            where=source.name,
            hint="name the cache's own folder, not a dataset's",
        )
    if walked.problems:
        first = walked.problems[0]
        raise IntegrityError(f"{first.path!r} {first.reason}", where=source.name, hint="a cache holds plain files only")
    if not walked.files:
        raise UsageError("the cache is empty", where=source.name, hint="build it first")
    manifest = build(source.hash(walked.files, Parameters(), whole=True), Parameters())
    table = encode_table(manifest)
    facts = {
        "root": manifest.root.hex(),
        "table": sha256(table).hex(),
        "chunk_size": manifest.parameters.chunk_size,
        "chunk_hash": manifest.parameters.chunk_hash,
        "files": len(manifest.shards),
        "bytes": manifest.bytes,
        "reads": reads.json(),
    }
    payload = _statement(data, facts, now)
    bundle = sign(payload, signer, now=now)
    seal.replace(source.folder, {seal.TABLE: table, RECEIPT: bundle})
    return bundle


def _statement(data: OpenDataset, facts: dict[str, Any], now: datetime) -> bytes:
    pin = data.fs.opened.pin
    if pin.dataset is None or pin.version is None:
        raise UsageError("the source is pinned by digest and has no name", hint="open it with a policy or a publisher")
    predicate = {
        "verifier": {"id": VERIFIER, "version": {"dataseal": version("dataseal")}},
        "timeVerified": now.astimezone(UTC).strftime(TIME_FORMAT),
        "resourceUri": f"dataseal:{pin.dataset}@{pin.version}",
        "policy": {"uri": f"{VERIFIER}#read-through-the-verified-reader"},
        "verificationResult": "PASSED",
        "verifiedLevels": ["DATASEAL_READ"],
        "slsaVersion": SLSA_VERSION,
        FIELD: facts,
    }
    return statements.encode(
        statements.VSA, predicate, dataset=pin.dataset, version=pin.version, table=pin.table, root=pin.root
    )


def check_cache(
    folder: str | Path,
    keys: Sequence[Credential],
    *,
    root: str | None = None,
    dataset: str | None = None,
    now: datetime | None = None,
) -> CheckedCache:
    """Checks every byte of a sealed cache.

    Args:
        keys: who may vouch for caches. root: the release that it must come from, hexadecimal; or
        dataset: ``NAME@VERSION`` of it. One of them is needed: a cache of another dataset is no replacement.

    Raises:
        UsageError: no key, or no source named. IntegrityError: files were changed, added or removed, or it comes from
        another source. FormatError, SignatureInvalid: the receipt does not hold. Unavailable: it can't be read.
    """
    if root is None and dataset is None:
        raise UsageError(
            "which release the cache must come from is not said", hint="give root= or dataset=NAME@VERSION"
        )
    source = LocalFolder(Path(folder))
    raw, table = source.read_seal(RECEIPT, seal.MAX_SMALL), source.read_seal(seal.TABLE, seal.MAX_TABLE)
    if raw is None or table is None:
        raise IntegrityError("the cache is not sealed", where=source.name, hint="build it again and seal it")
    verified = verify_bundle(raw, keys, now=now or datetime.now(UTC))
    statement = verified.statement
    facts = _facts(statement)
    name = f"{statement.dataset}@{statement.version}"
    for expected, found in ((root, statement.root), (dataset, name)):
        if expected is not None and expected != found:
            raise IntegrityError(
                f"the cache was built from {found}; {expected} was asked for",
                where=source.name,
                hint="build it again from the release that you want",
            )
    manifest = parse_table(
        table,
        Parameters(facts["chunk_size"], facts["chunk_hash"]),
        digest=bytes.fromhex(facts["table"]),
        root=bytes.fromhex(facts["root"]),
    )
    _compare(source, manifest)
    return CheckedCache(name, statement.root, len(manifest.shards), manifest.bytes, verified.signer)


def _facts(statement: Statement) -> dict[str, Any]:
    kinds = {"root": str, "table": str, "chunk_size": int, "chunk_hash": str, "files": int, "bytes": int, "reads": dict}
    predicate: Any = statement.predicate
    facts = predicate.get(FIELD) if statement.kind == "receipt" else None
    if not isinstance(facts, dict) or set(facts) != set(kinds):
        raise FormatError("this is no receipt of a cache", hint="seal the cache with seal_cache")
    if predicate.get("verifier", {}).get("id") != VERIFIER or predicate.get("verificationResult") != "PASSED":
        raise FormatError("this is no receipt of a cache that was sealed")
    for field, kind in kinds.items():
        if type(facts[field]) is not kind:
            raise FormatError(f"a cache's receipt: {field} is no {kind.__name__}")
    return facts


def _unseen(walked: Walk) -> list[str]:
    """Folders that the walk of a dataset leaves out. A cache has none: whoever uses it may read them."""
    return [name for name in walked.left_out if name != SEAL]


def _compare(source: LocalFolder, manifest: Manifest) -> None:
    walked = source.walk(())
    actual = source.hash(walked.files, manifest.parameters, whole=False)
    smuggled = [f"{SEAL}/{name}" for name in source.seal() or () if name not in OURS]
    smuggled += [f"{name}/" for name in _unseen(walked)]
    found = [*forbidden(walked.problems), *compare(manifest, actual, digests=False)]
    if found or smuggled:
        first = found[0].message if found else f"{smuggled[0]} does not belong there"
        more = f", and {len(found) + len(smuggled) - 1} more" if len(found) + len(smuggled) > 1 else ""
        raise IntegrityError(
            f"the cache is not what was sealed: {first}{more}",
            where=source.name,
            hint="remove it and build it again from the verified dataset",
        )
