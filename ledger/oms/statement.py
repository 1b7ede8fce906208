"""OpenSSF Model Signing (OMS): the files of a folder as resources of one signed statement.

A Sigstore bundle v0.3 around a DSSE envelope, as in `dataseal.ledger.bundle`, whose payload is an in-toto statement.
What we write into ``.dataseal/oms.sigstore.json`` is signed over this, in one line::

    {"_type":"https://in-toto.io/Statement/v1",
     "predicate":{
      "resources":[{"algorithm":"sha256","annotations":{"datasealShardRoot":"<hex>"},"digest":"<hex>",
                    "name":"data/a.parquet"}],
      "serialization":{"allow_symlinks":false,"hash_type":"sha256",
                       "ignore_paths":[".dataseal",".git",".gitattributes",".github",".gitignore"],"method":"files"}},
     "predicateType":"https://model_signing/signature/v1.0",
     "subject":[{"digest":{"sha256":"<hex>"},"name":"acme/reviews@1.0.0"}]}

Resources stand in code-point order of their names. A digest is that of the whole file. The subject's digest is the
SHA-256 over the resources' digests (raw bytes, in their order): it covers no name, so that it stays the same when files
are renamed, and is never an identity of ours. Whatever lies below an ignored path is signed by nobody. The reference
always leaves out the four git names, and so do we.

Read is what the reference's versions 0.2 to 1.1 wrote, method by method:

- ``shards`` has a resource ``path:start:end`` for each ``shard_size`` bytes (an integral float, ``1e9``), under the
  algorithm ``sha256-sharded-1000000000``; such a list covers no empty files.
- ``hash_type`` is ``sha256``, ``blake2b`` or ``blake3``; 0.3 adds ``-sharded-N`` to it too.
- A signed single file has the name ``.``. ``ignore_paths`` is missing before 1.1, ``hint`` and ``tlogEntries`` too;
  0.3 and 1.0 have ``rawBytes`` and ``keyDetails`` in ``publicKey``, which anybody can write and nothing reads.
- 0.2 has the predicate type ``https://model_signing/Digests/v0.1``, a subject for each file, and a signature over
  ``DSSEV1 <length> <type> <length> b'<payload>'`` as Python shows bytes.

Sources: OpenSSF Model Signing specification 1.0; the behaviour of ``model-signing`` 0.2.0 to 1.1.1, whose bundles
``tests/vectors/oms`` holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from json.encoder import encode_basestring
from typing import Any, Final

from dataseal.ledger import canonical
from dataseal.ledger.digest import SIZE, parse_hex, sha256
from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.manifest import Manifest
from dataseal.ledger.paths import SEAL, check_relative, is_relative
from dataseal.ledger.statement import STATEMENT

PREDICATE: Final = "https://model_signing/signature/v1.0"
PREDICATE_0_2: Final = "https://model_signing/Digests/v0.1"

GIT_NAMES: Final = (".git", ".gitattributes", ".github", ".gitignore")
"""At the top of the folder; the reference never signs them, and before 1.1 does not say so."""

_HABIT: Final = dict(zip(GIT_NAMES, GIT_NAMES, strict=True))
IGNORED: Final = (SEAL, *GIT_NAMES)
SINGLE: Final = "."
"""The name of the one resource when a single file was signed."""

ROOT: Final = "datasealShardRoot"

MAX_FILES: Final = 100_000
"""Files of a statement that we write: its bundle has about 40 MB then, and every reader parses it whole."""

MAX_BUNDLE: Final = 96 * 1024 * 1024
"""Bytes of a bundle that is read: twice the largest that we write, for long names."""
MAX_GUESS: Final = 1024 * 1024
"""Bytes of an ``ignore_paths`` that `ignored_by` looks at."""

DIGEST_SIZES: Final[Mapping[str, int]] = {"sha256": SIZE, "blake2b": 64, "blake3": SIZE}
"""Bytes of each digest that the reference computes."""

_SHARD = re.compile(r"(?s:(?P<path>.+)):(?P<start>0|[1-9][0-9]{0,15}):(?P<end>[1-9][0-9]{0,15})\Z")
_HEX = re.compile(r"[0-9a-f]*\Z")


@dataclass(frozen=True, slots=True)
class File:
    """A signed file.

    Attributes:
        path: relative, or ``.`` for a file that was signed alone.
        digests: of the whole file, or of each ``shard_size`` bytes of it, raw.
        size: bytes, or None when the statement does not say (method ``files``).
        root: the shard root that an annotation gives, or None.
    """

    path: str
    digests: tuple[bytes, ...]
    size: int | None = None
    root: bytes | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """A parsed statement. Holding one says nothing about who signed it.

    Attributes:
        name: what the signer called the folder; a claim. predicate_type: which layout it has.
        algorithm: a name of `DIGEST_SIZES`. shard_size: bytes, or None for whole files.
        files: by path. ignored: the signed ``ignore_paths``, normalised, each with how it is written; None when the
            statement has none.
    """

    name: str
    predicate_type: str
    algorithm: str
    shard_size: int | None
    files: Mapping[str, File]
    ignored: Mapping[str, str] | None

    def hides(self, path: str) -> str | None:
        """The ignored path that ``path`` lies at or below, as it is written; None when it lies below none.

        A statement without ``ignore_paths`` hides the git names, by the reference's habit.
        """
        ignored = _HABIT if self.ignored is None else self.ignored
        parts = path.split("/")
        above = (SINGLE, *("/".join(parts[: n + 1]) for n in range(len(parts))))
        return next((ignored[name] for name in above if name in ignored), None)


def omitted(paths: Iterable[str]) -> list[str]:
    """Those of a dataset's shards that an OMS statement can't have: at or below a git name."""
    return [path for path in paths if path.split("/", 1)[0] in GIT_NAMES]


def encode_statement(manifest: Manifest, name: str, excluded: Iterable[str] = ()) -> bytes:
    """The statement about a release's files: canonical JSON.

    Args:
        name: the release's subject name. excluded: paths that the release's recorded exclusions left out of it; they
            are ignored here too.

    Raises:
        UsageError: more than `MAX_FILES`, or nothing is left to sign.
    """
    left_out = set(omitted(shard.path for shard in manifest.shards))
    shards = sorted((s for s in manifest.shards if s.path not in left_out), key=lambda s: s.path)
    ignored = {*IGNORED, *(path for path in excluded if is_relative(path))}
    if not shards or len(shards) + len(ignored) - len(IGNORED) > MAX_FILES:
        raise UsageError(
            f"an OMS signature names 1 to {MAX_FILES:,} files; this one would name {len(shards):,}",
            hint="sign with --no-oms",
        )
    # RFC 8785 by hand, since a hundred thousand may be written and the library takes twenty times as long; a test holds
    # the two against each other. Paths hold no control characters, so that JSON's escapes and RFC 8785's agree.
    resources = ",".join(
        f'{{"algorithm":"sha256","annotations":{{"{ROOT}":"{s.root.hex()}"}},"digest":"{s.sha256.hex()}",'
        f'"name":{encode_basestring(s.path)}}}'
        for s in shards
    )
    paths = ",".join(map(encode_basestring, sorted(ignored)))
    digest = sha256(b"".join(s.sha256 for s in shards)).hex()
    return (
        f'{{"_type":"{STATEMENT}","predicate":{{"resources":[{resources}],"serialization":{{"allow_symlinks":false,'
        f'"hash_type":"sha256","ignore_paths":[{paths}],"method":"files"}}}},"predicateType":"{PREDICATE}",'
        f'"subject":[{{"digest":{{"sha256":"{digest}"}},"name":{encode_basestring(name)}}}]}}'
    ).encode()


def ignored_by(payload: bytes) -> tuple[str, ...] | None:
    """The ``ignore_paths`` of a statement's bytes, found without parsing the rest; None when they are not found.

    A guess that decides nothing: whoever takes it writes the statement with it (`encode_statement`) and compares bytes.
    """
    start = payload.rfind(b'"ignore_paths":[')
    end = payload.find(b'],"method"', start)
    if start < 0 or end < 0 or end - start > MAX_GUESS:
        return None
    try:
        found = json.loads(payload[start + len(b'"ignore_paths":') : end + 1])
    except (ValueError, RecursionError):
        return None
    return tuple(found) if all(isinstance(item, str) for item in found) else None


def read(payload: bytes) -> Signature:
    """Reads a statement, strictly. Fields that the specification does not name are ignored, as it says.

    Raises:
        FormatError: another predicate type, method or digest algorithm; a path that is absolute, leads outside or
            stands twice; shards that leave bytes out; or a subject digest that is not the resources'.
    """
    value = canonical.decode(payload, what="OMS statement", max_bytes=MAX_BUNDLE)
    if not isinstance(value, dict) or value.get("_type") != STATEMENT:
        raise FormatError(f"OMS statement: not an in-toto statement of type {STATEMENT}")
    kind, subjects = value.get("predicateType"), value.get("subject")
    if not isinstance(subjects, list) or not all(isinstance(subject, dict) for subject in subjects):
        raise FormatError("OMS statement: the subject is not a list of objects")
    if kind == PREDICATE_0_2:
        return _read_0_2(subjects)
    if kind != PREDICATE:
        raise FormatError(f"OMS statement: predicate type {str(kind)[:120]!r}; {PREDICATE} is wanted")
    match value.get("predicate"):
        case {"serialization": dict(serialization), "resources": list(resources)}:
            pass
        case _:
            raise FormatError("OMS statement: the predicate has no serialization, or no list of resources")
    algorithm, shard_size = _serialization(serialization)
    marked = algorithm if shard_size is None else f"{algorithm}-sharded-{shard_size}"
    found = [_resource(item, {algorithm, marked}, DIGEST_SIZES[algorithm]) for item in resources]
    match subjects:
        case [{"name": str(name), "digest": {"sha256": str(claimed)}}]:
            pass
        case _:
            raise FormatError("OMS statement: the subject is not one name with its sha256")
    actual = sha256(b"".join(digest for _, digest, _ in found))
    if parse_hex(claimed, field="OMS subject digest") != actual:
        raise FormatError(f"OMS statement: its subject digest is {claimed}, and its resources make {actual.hex()}")
    files = _whole(found) if shard_size is None else _sharded(found, shard_size)
    return Signature(name, PREDICATE, algorithm, shard_size, files, _ignored(serialization.get("ignore_paths")))


def _read_0_2(subjects: list[dict[str, Any]]) -> Signature:
    found: list[_Found] = []
    for subject in subjects:
        match subject:
            case {"name": str(name), "digest": {"sha256": str(digest)}, **rest}:
                annotations = rest.get("annotations", {})
            case _:
                raise FormatError("OMS statement: a subject is not a name with its sha256")
        if annotations not in ({}, {"actual_hash_algorithm": "file-sha256"}, {"actual_hash_algorithm": "sha256"}):
            raise FormatError(f"OMS statement: {name[:200]!r} has annotations other than file-sha256")
        found.append((name, parse_hex(digest, field="OMS subject digest"), None))
    return Signature("", PREDICATE_0_2, "sha256", None, _whole(found), None)


def _serialization(value: dict[str, Any]) -> tuple[str, int | None]:
    """Digest algorithm, and bytes a shard or None for whole files."""
    method, algorithm = value.get("method"), str(value.get("hash_type"))
    shard_size: int | None = None
    if method == "shards":
        shard_size = _integral(value.get("shard_size"))
        algorithm = algorithm.removesuffix(f"-sharded-{shard_size}")
    elif method != "files":
        raise FormatError(f"OMS statement: method {str(method)[:40]!r}; files and shards are known")
    if algorithm not in DIGEST_SIZES:
        known = ", ".join(DIGEST_SIZES)
        raise FormatError(f"OMS statement: hash type {algorithm[:40]!r} is not known; {known} are")
    return algorithm, shard_size


def _integral(value: Any) -> int:
    """A size in bytes; the reference's JSON library writes numbers as floats."""
    if type(value) not in (int, float) or not 0 < value < 2**53 or value != int(value):
        raise FormatError(f"OMS statement: shard_size {str(value)[:40]!r} is no number of bytes")
    return int(value)


_Found = tuple[str, bytes, bytes | None]
"""A resource's name, its digest, and the shard root of its annotation."""


def _resource(item: Any, algorithms: set[str], size: int) -> _Found:
    match item:
        case {"name": str(name), "digest": str(digest), "algorithm": str(algorithm), **rest}:
            pass
        case _:
            raise FormatError("OMS statement: a resource is not a name with algorithm and digest")
    if algorithm not in algorithms:
        raise FormatError(f"OMS statement: {name[:200]!r} has algorithm {algorithm[:40]!r}, unlike the serialization")
    if len(digest) != 2 * size or not _HEX.match(digest):
        raise FormatError(
            f"OMS statement: the digest of {name[:200]!r} is not {2 * size} lower-case hexadecimal digits"
        )
    annotations = rest.get("annotations", {})
    if not isinstance(annotations, dict):
        raise FormatError(f"OMS statement: the annotations of {name[:200]!r} are no object")
    root = annotations.get(ROOT)
    return name, bytes.fromhex(digest), None if root is None else parse_hex(root, field=f"OMS annotation {ROOT}")


def _whole(found: list[_Found]) -> dict[str, File]:
    files = {name: File(name, (digest,), root=root) for name, digest, root in found}
    if len(files) != len(found):
        raise FormatError("OMS statement: two resources have one name")
    return _checked(files)


def _sharded(found: list[_Found], shard_size: int) -> dict[str, File]:
    """Shards tile their file: none missing, none twice, each but the last of full size."""
    parts: dict[str, list[tuple[int, int, bytes]]] = {}
    for name, digest, _ in found:
        match = _SHARD.match(name)
        if match is None:
            raise FormatError(f"OMS statement: {name[:200]!r} is not path:start:end")
        parts.setdefault(match["path"], []).append((int(match["start"]), int(match["end"]), digest))
    files = {}
    for path, shards in parts.items():
        shards.sort()
        size = shards[-1][1]
        wanted = ((start, min(start + shard_size, size)) for start in range(0, size, shard_size))
        if any(shard[:2] != place for shard, place in zip_longest(shards, wanted, fillvalue=())):
            raise FormatError(f"OMS statement: the shards of {path[:200]!r} do not cover its {size:,} bytes once each")
        files[path] = File(path, tuple(digest for _, _, digest in shards), size=size)
    return _checked(files)


def _checked(files: dict[str, File]) -> dict[str, File]:
    if not files:
        raise FormatError("OMS statement: it signs no files")
    for path in files:
        if path != SINGLE:
            check_relative(path)
        elif len(files) > 1:
            raise FormatError("OMS statement: a single file ('.') stands among others")
    return files


def _ignored(value: Any) -> dict[str, str] | None:
    """Absolute paths and those that lead outside are kept, and match nothing."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise FormatError("OMS statement: ignore_paths is not a list of paths")
    return {_normal(item): item for item in value}


def _normal(path: str) -> str:
    """Without empty and ``.`` parts, which a trailing slash and ``./`` leave."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ("/" if path.startswith("/") else "") + "/".join(parts) or SINGLE
