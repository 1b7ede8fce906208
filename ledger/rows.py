"""Counting the rows that a modification touched, in Parquet shards.

Added and removed shards count by their footers; changed ones as multisets of whole rows (DuckDB's ``EXCEPT ALL``,
which spills to disk). What can't be counted, because the old bytes are not at hand, is None and never 0.
"""

from __future__ import annotations

from pathlib import Path

from dataseal.ledger.delta import Delta
from dataseal.ledger.errors import FormatError

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
            f"not a readable Parquet file: {str(error)[:120]}",
            where=path.name,
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

    count(old), count(new)  # a clear error for a file that is no Parquet
    with duckdb.connect() as db:
        query = "SELECT count(*) FROM (SELECT * FROM read_parquet($a) EXCEPT ALL SELECT * FROM read_parquet($b))"
        try:
            plus = db.execute(query, {"a": str(new), "b": str(old)}).fetchone()
            minus = db.execute(query, {"a": str(old), "b": str(new)}).fetchone()
        except duckdb.Error:
            # Other columns: no row of one is a row of the other.
            return count(new), count(old)
    return (plus or (0,))[0], (minus or (0,))[0]
