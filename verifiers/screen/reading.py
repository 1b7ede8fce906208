"""Record shards as batches: Parquet footers, column selection, bounded batches, clear errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from dataseal.ledger.errors import DatasealError, FormatError, Unavailable
from dataseal.verifiers.screen.limits import BATCH_BYTES, BATCH_ROWS

if TYPE_CHECKING:
    from typing import Any


class RecordSource(Protocol):
    """Where record shards come from."""

    def shards(self) -> Sequence[str]:
        """Every record shard's path, sorted."""
        ...

    def open(self, shard: str) -> BinaryIO:
        """A seekable stream of its bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Footer:
    """What a shard's footer says: its schema, and rows and uncompressed bytes of each row group."""

    shard: str
    schema: pa.Schema
    row_groups: tuple[tuple[int, int], ...]

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.row_groups)


@dataclass(frozen=True, slots=True)
class Piece:
    """One row group of one shard; ``row`` is its first row's index in the shard."""

    shard: str
    row_group: int
    row: int
    batch_rows: int
    columns: tuple[str, ...]
    missing: tuple[str, ...]


@contextmanager
def _reading(shard: str) -> Iterator[None]:
    """Turn what pyarrow and the file system raise into our errors, naming the shard."""
    try:
        yield
    except DatasealError:
        raise
    except OSError as problem:
        if problem.errno is not None:
            raise Unavailable(
                f"the shard could not be read: {problem.strerror}", where=shard, hint="check the disk and try again"
            ) from problem
        raise _corrupt(shard, problem) from problem
    except (pa.ArrowException, ValueError, UnicodeDecodeError) as problem:
        raise _corrupt(shard, problem) from problem


def _corrupt(shard: str, problem: Exception) -> FormatError:
    first = str(problem).strip().splitlines()[0][:200] if str(problem).strip() else type(problem).__name__
    return FormatError(
        f"the shard is not readable as Parquet: {first}",
        where=shard,
        hint="run `dataseal verify` on the dataset; if it passes, the publisher must repair and sign this shard again",
    )


def footer(source: RecordSource, shard: str) -> Footer:
    """Read a shard's footer.

    Raises:
        FormatError: it is not Parquet, is corrupt, or names a column twice. Unavailable: it could not be read.
    """
    with _reading(shard), source.open(shard) as stream:
        file = pq.ParquetFile(stream)
        schema = file.schema_arrow
        meta = file.metadata
        groups = tuple(
            (meta.row_group(g).num_rows, meta.row_group(g).total_byte_size) for g in range(meta.num_row_groups)
        )
    twice = sorted({n for n in schema.names if schema.names.count(n) > 1})
    if twice:
        raise FormatError(
            f"the shard has more than one column named {twice[0]!r}", where=shard, hint="rename one of the columns"
        )
    return Footer(shard, schema, groups)


def pieces(footers: Sequence[Footer], columns: Sequence[str]) -> list[Piece]:
    """The row groups of these shards, in order, each with a batch size that keeps batches near `BATCH_BYTES`."""
    out = []
    for foot in footers:
        present = tuple(c for c in columns if c in foot.schema.names)
        missing = tuple(c for c in columns if c not in foot.schema.names)
        row = 0
        for group, (rows, size) in enumerate(foot.row_groups):
            fitting = BATCH_BYTES * rows // max(size, 1) if rows else 1
            out.append(Piece(foot.shard, group, row, max(1, min(BATCH_ROWS, fitting)), present, missing))
            row += rows
    return out


def batches(source: RecordSource, todo: Sequence[Piece]) -> Iterator[tuple[Piece, int, pa.RecordBatch]]:
    """Yield (piece, index in the shard of the first row, batch); columns that a shard lacks are null.

    Raises:
        FormatError, Unavailable: as `footer`.
    """
    at = 0
    while at < len(todo):
        shard = todo[at].shard
        with _reading(shard), source.open(shard) as stream:
            file = pq.ParquetFile(stream)
            while at < len(todo) and todo[at].shard == shard:
                yield from _batches_of(file, todo[at])
                at += 1


def _batches_of(file: Any, piece: Piece) -> Iterator[tuple[Piece, int, pa.RecordBatch]]:
    row = piece.row
    found = file.iter_batches(
        batch_size=piece.batch_rows, row_groups=[piece.row_group], columns=list(piece.columns), use_threads=False
    )
    for batch in found:
        for name in piece.missing:
            batch = batch.append_column(name, pa.nulls(batch.num_rows))
        yield piece, row, batch
        row += batch.num_rows
