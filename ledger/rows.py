"""Counting the rows that a modification touched, in Parquet shards.

Added and removed shards count by their footers; changed ones as multisets of whole rows (DuckDB's ``EXCEPT ALL``,
which spills to disk). What can't be counted, because the old bytes are not at hand, is None and never 0.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from dataseal.ledger.delta import Delta
from dataseal.ledger.errors import FormatError, Unavailable

SUFFIX = ".parquet"


def count(path: Path) -> int:
    """Rows of a Parquet file, by its footer.

    Raises:
        FormatError: not a Parquet file, or a corrupt one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise FormatError(
            f"not a readable Parquet file: {' '.join(str(error).split())[:120]}",
            where=str(path),
            hint="write the file again, or leave it out with --exclude",
        ) from None


def counts(delta: Delta, old: Path | None, new: Path) -> tuple[int | None, int | None, int | None]:
    """Rows added, removed and changed by ``delta``.

    A row of a changed shard counts as removed and added: which of them are the same record needs key columns.

    Args:
        old, new: the folders of the two versions; ``old`` is None when its bytes are not at hand.

    Returns:
        (added, removed, changed); None where it could not be counted. ``changed`` is 0 when no
        Parquet shard changed, else None.
    """
    added: int | None = _total(new, [s.path for s in delta.added])
    removed = _total(old, [s.path for s in delta.removed])
    changed = [new for _, new in delta.changed if new.path.endswith(SUFFIX)]
    if not changed:
        return added, removed, 0
    if old is None:
        return None, None, None
    for shard in changed:
        plus, minus = _exchanged(old / shard.path, new / shard.path)
        added = None if added is None else added + plus
        removed = None if removed is None else removed + minus
    return added, removed, None


def _total(folder: Path | None, paths: list[str]) -> int | None:
    tables = [p for p in paths if p.endswith(SUFFIX)]
    if not tables:
        return 0
    return None if folder is None else sum(count(folder / p) for p in tables)


def _exchanged(old: Path, new: Path) -> tuple[int, int]:
    """How many rows ``new`` has that ``old`` has not, and the reverse, as multisets."""
    import duckdb
    import pyarrow.parquet as pq

    rows = count(new), count(old)  # a clear error for a file that is no Parquet
    if pq.read_schema(new).names != pq.read_schema(old).names:
        return rows  # other columns: no row of one is a row of the other
    query = "SELECT count(*) FROM (SELECT * FROM read_parquet($a) EXCEPT ALL SELECT * FROM read_parquet($b))"
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(config={"temp_directory": folder}) as db:
        # DuckDB reads a path as a glob, and a shard may be called `part-*.parquet`: give it names of our own.
        a, b = Path(folder, "new.parquet"), Path(folder, "old.parquet")
        a.symlink_to(new.absolute())
        b.symlink_to(old.absolute())
        try:
            plus = db.execute(query, {"a": str(a), "b": str(b)}).fetchone()
            minus = db.execute(query, {"a": str(b), "b": str(a)}).fetchone()
        except (duckdb.BinderException, duckdb.ConversionException):
            return rows  # columns of one name and of types that can't be compared
        except duckdb.Error as error:
            raise Unavailable(
                f"can't compare the rows of {new} and {old}: {' '.join(str(error).split())[:200]}"
            ) from None
    return (plus or (0,))[0], (minus or (0,))[0]
