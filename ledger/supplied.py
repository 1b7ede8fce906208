"""Digests that were computed elsewhere: by an upload pipeline, or on the machine that has the data.

A list is either a shard table (the Parquet file of `dataseal.ledger.manifest`), or JSON lines: a header, then one line
a file, with the digests in hexadecimal (``tests/ledger/test_supplied.py`` parses this one)::

    {"dataseal_digests":1,"chunk_size":65536,"chunk_hash":"sha256"}
    {"path":"data/a.bin","size":3,"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","chunks":["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]}

``chunks`` are the digests of the file's chunks in order, ``sha256`` that of the whole file. What fits together is
checked (counts and sizes; paths); that the digests are those of any file is not, and the release says so: it carries
``"digests":"supplied"``. Verifiers hash the data as ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from dataseal.ledger import canonical
from dataseal.ledger.digest import parse_hex
from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.manifest import Manifest, Parameters, Shard, read_table, shard_root

VERSION: Final = 1
MAX_LINE: Final = 1024 * 1024 * 1024
"""Bytes: the chunk list of a file of 60 TB in chunks of 4 MiB."""

_PARQUET: Final = b"PAR1"


def read(path: Path) -> tuple[list[Shard], Parameters | None]:
    """The shards of a list, and its parameters; a shard table does not say them.

    Raises:
        UsageError: the file can't be read, or is no such list, naming the line.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(len(_PARQUET)) == _PARQUET:
                stream.seek(0)
                return read_table(stream.read()), None
            stream.seek(0)
            return _lines(stream, str(path))
    except OSError as error:
        raise UsageError(f"can't read the digests: {error.strerror}", where=str(path)) from None
    except FormatError as error:
        where = error.where if error.where and error.where.startswith(str(path)) else str(path)
        raise UsageError(error.what, where=where, hint=error.hint or "see the format: docs/formats.md") from None


def write(manifest: Manifest) -> Iterator[bytes]:
    """A list's lines."""
    parameters = manifest.parameters
    header = {"dataseal_digests": VERSION, "chunk_size": parameters.chunk_size, "chunk_hash": parameters.chunk_hash}
    yield _line(header)
    for shard in manifest.shards:
        chunks = [shard.chunk(index).hex() for index in range(shard.chunk_count)]
        yield _line({"path": shard.path, "size": shard.size, "sha256": shard.sha256.hex(), "chunks": chunks})


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _lines(stream: BinaryIO, name: str) -> tuple[list[Shard], Parameters]:
    parameters: Parameters | None = None
    shards: list[Shard] = []
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        try:
            value = canonical.decode(line, what="the line", max_bytes=MAX_LINE)
            if parameters is None:
                parameters = _header(value)
            else:
                shards.append(_shard(value))
        except FormatError as error:
            raise FormatError(error.what, where=f"{name}:{number}", hint=error.hint) from None
    if parameters is None:
        raise FormatError("it is empty", hint='the first line is {"dataseal_digests":1,…}')
    return shards, parameters


def _header(value: Any) -> Parameters:
    if not isinstance(value, dict) or value.get("dataseal_digests") != VERSION:
        raise FormatError(
            "the first line does not say what this is",
            hint='it is {"dataseal_digests":1,"chunk_size":…,"chunk_hash":…}',
        )
    if set(value) != {"dataseal_digests", "chunk_size", "chunk_hash"} or type(value["chunk_size"]) is not int:
        raise FormatError("the first line holds other fields than dataseal_digests, chunk_size, chunk_hash")
    return Parameters(value["chunk_size"], str(value["chunk_hash"]))


def _shard(value: Any) -> Shard:
    match value:
        case {"path": str(path), "size": size, "sha256": sha256, "chunks": list(listed), **more} if not more:
            if type(size) is not int:
                raise FormatError(f"size {size!r} is no number of bytes")
            chunks = b"".join(parse_hex(digest, field=f"chunk {i}") for i, digest in enumerate(listed))
            return Shard(path, size, parse_hex(sha256, field="sha256"), shard_root(chunks), chunks)
    raise FormatError("a line has exactly path, size, sha256, chunks")
