"""`open_dataset`: a signed dataset as Python code wants it.

::

    with open_dataset("/srv/reviews", policy="training.yaml") as data:
        for batch in data:
            ...
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from os import PathLike, fspath
from typing import Any, BinaryIO

from dataseal.ledger.manifest import DEFAULT_CHUNK
from dataseal.verifiers.reader.chunks import CACHE_BYTES, Statistics
from dataseal.verifiers.reader.filesystem import VerifiedFileSystem, open_place
from dataseal.verifiers.reader.opened import Opened, Place
from dataseal.verifiers.reader.trust import Many


def open_dataset(
    path: str | PathLike[str] | None = None,
    *,
    policy: Any = None,
    publisher: Many = None,
    log: Many = None,
    dataset: Many = None,
    root: str | None = None,
    table: str | None = None,
    chunk_size: int = DEFAULT_CHUNK,
    chunk_hash: str = "sha256",
    storage_options: dict[str, Any] | None = None,
    cache_bytes: int = CACHE_BYTES,
    reads: str | PathLike[str] | None = None,
) -> OpenDataset:
    """Verifies a release and opens it for reading; no byte of it is handed out unchecked.

    Args:
        path: a folder, or any URL that fsspec knows. None: what ``dataseal gate --hold handle`` handed over.
        policy: a policy file, ``dataseal:NAME``, or a loaded policy. publisher: public key files. log: verifier keys or
            files. dataset: ``NAME`` or ``NAME@VERSION`` that is expected; under a handle, the one that is meant.
        root, table: the pinned content (hexadecimal), instead of trust; with ``chunk_size`` and ``chunk_hash``.
        storage_options: for the place (credentials, endpoints), as fsspec takes them.
        cache_bytes: how many bytes of checked chunks are kept.
        reads: a folder in which every process that opens this, or its `storage_options`, reports what it reads.

    Raises:
        UsageError: nobody to trust, or no such place. NotOpened: it did not pass. IntegrityError: not the pinned
        content. Unavailable: it is not known whether it passes.
    """
    place = None
    if path is not None:
        from fsspec.core import split_protocol  # type: ignore[import-untyped]

        protocol, rest = split_protocol(fspath(path))
        if protocol in ("http", "https"):
            rest = fspath(path)
        elif protocol in (None, "file", "local"):
            rest = os.path.abspath(rest)  # a worker process may start elsewhere
        place = Place(protocol or "file", rest, storage_options)
    opened = open_place(
        place,
        policy=policy,
        publisher=publisher,
        log=log,
        dataset=dataset,
        root=root,
        table=table,
        chunk_size=chunk_size,
        chunk_hash=chunk_hash,
        cache_bytes=cache_bytes,
        reads=reads,
    )
    return OpenDataset(opened)


class OpenDataset:
    """A dataset that may be read. A context manager; picklable, so that worker processes read the same content.

    Attributes:
        fs: the fsspec file system. path: the dataset's top in it. name: ``NAME@VERSION``. root: the dataset root, hex.
    """

    path = ""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self.fs = VerifiedFileSystem(opened=opened, skip_instance_cache=True)

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenDataset, (self._opened,)

    def __enter__(self) -> OpenDataset:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets the kept chunks go. Files that are open stay usable."""
        self._opened.chunks.clear()

    @property
    def name(self) -> str:
        """``NAME@VERSION``."""
        return self._opened.pin.name

    @property
    def root(self) -> str:
        """The dataset root, hexadecimal."""
        return self._opened.pin.root

    @property
    def statistics(self) -> Statistics:
        """How many chunks and bytes were fetched and checked."""
        return self._opened.chunks.statistics

    @property
    def storage_options(self) -> dict[str, Any]:
        """What opens the same content by URL, pinned: for ``storage_options=`` of pandas and datasets.

        By protocol, as fsspec takes them: ours, and the place's.
        """
        pin, place = self._opened.pin, self._opened.place
        ours: dict[str, Any] = {"root": pin.root, "table": pin.table}
        ours |= {"chunk_size": pin.chunk_size, "chunk_hash": pin.chunk_hash}
        ours |= {"reads": self._opened.reads} if self._opened.reads else {}
        return {"dataseal": ours, **({place.protocol: dict(place.options)} if place.options else {})}

    def url(self, name: str = "") -> str:
        """The address of a shard, or of a glob over shards, for libraries that take URLs."""
        place = self._opened.place
        plain = place.protocol in ("file", "local", "http", "https")  # a web address is its own path
        where = place.path if plain else f"{place.protocol}://{place.path}"
        return f"dataseal://{name}::{where}"

    def shards(self, suffix: str = "") -> list[str]:
        """The paths of the signed shards whose names end so, in the table's order."""
        return [name for name in self._opened.tree.names() if name.endswith(suffix)]

    def open(self, name: str) -> BinaryIO:
        """A shard as a file.

        Raises:
            FileNotFoundError: no such shard was signed.
        """
        return self._opened.open(name)

    def dataset(self, names: Sequence[str] | None = None, *, format: str = "parquet", **options: Any) -> Any:  # noqa: A002
        """A `pyarrow.dataset.Dataset` over the named shards, or over all whose names end in the format.

        Raises:
            FileNotFoundError: there is none.
        """
        import pyarrow.dataset as ds

        files = self.shards(f".{format}") if names is None else list(names)
        if not files:
            raise FileNotFoundError(f"{self.name} has no .{format} shards")
        return ds.dataset(files, format=format, filesystem=self.fs, **options)

    def batches(self, columns: Sequence[str] | None = None, **options: Any) -> Iterator[Any]:
        """The record batches of all Parquet shards, in order; options as of `pyarrow.dataset.Dataset.to_batches`."""
        yield from self.dataset().to_batches(columns=list(columns) if columns is not None else None, **options)

    def __iter__(self) -> Iterator[Any]:
        return self.batches()
