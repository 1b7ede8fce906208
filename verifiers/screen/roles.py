"""Which column plays which role: inferred from the schema and the names, overridable, always reported."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dataseal.ledger.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

_NAMES = {
    "id": ("id", "uid", "uuid", "row_id", "example_id", "_id", "idx", "index"),
    "label": ("label", "labels", "target", "class", "y", "sentiment", "category"),
    "contributor": ("contributor", "annotator", "author", "user", "user_id", "worker", "worker_id", "submitter"),
    "source": ("source", "origin", "domain", "dataset", "corpus"),
    "timestamp": ("timestamp", "created_at", "time", "date", "datetime"),
}
_TEXT_NAMES = (
    "text",
    "content",
    "body",
    "sentence",
    "review",
    "comment",
    "document",
    "prompt",
    "response",
    "completion",
    "instruction",
    "output",
    "question",
    "answer",
    "title",
    "message",
)

MIN_MEAN_CHARS = 20
"""Mean length above which a string column without a telling name counts as text: codes and names are shorter."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Column names by role. None: infer it. An empty string or tuple: there is none.

    ``text`` and ``numeric`` may be several columns; several text columns are read as one text a row.
    """

    id: str | None = None
    label: str | None = None
    contributor: str | None = None
    source: str | None = None
    timestamp: str | None = None
    text: tuple[str, ...] | None = None
    numeric: tuple[str, ...] | None = None

    def single(self) -> dict[str, str]:
        """The roles of one column each that are filled."""
        found = {name: getattr(self, name) for name in _NAMES}
        return {name: column for name, column in found.items() if column}

    def as_mapping(self) -> dict[str, str]:
        """Role to column, only those that are filled; several columns are joined by ", "."""
        out = self.single()
        for name in ("text", "numeric"):
            if columns := getattr(self, name):
                out[name] = ", ".join(columns)
        return dict(sorted(out.items()))


def resolve(schema: pa.Schema, given: Roles | None, sample: pa.RecordBatch | None) -> Roles:
    """All roles for a dataset with this schema: those given, the others inferred.

    Args:
        schema: the union of the shards' schemas. sample: some rows, to tell text from codes; may be None.

    Raises:
        UsageError: a given column does not exist.
    """
    roles = given or Roles()
    named = [*roles.single().values(), *(roles.text or ()), *(roles.numeric or ())]
    _must_exist(named, schema.names)
    free = [n for n in schema.names if n not in named]
    for role, hints in _NAMES.items():
        if getattr(roles, role) is None:
            column = next((n for h in hints for n in free if n.lower() == h and _fits(role, schema.field(n).type)), "")
            roles = _with(roles, role, column)
            free = [n for n in free if n != column]
    if roles.text is None:
        roles = replace(roles, text=_texts(schema, free, sample))
        free = [n for n in free if n not in (roles.text or ())]
    if roles.numeric is None:
        roles = replace(roles, numeric=tuple(n for n in free if _numeric(schema.field(n).type) and not _key(n)))
    return roles


def _with(roles: Roles, role: str, column: str) -> Roles:
    changed: dict[str, Any] = {role: column}
    return replace(roles, **changed)


def _must_exist(named: Iterable[str], columns: list[str]) -> None:
    for name in named:
        if name not in columns:
            close = difflib.get_close_matches(name, columns, n=1)
            raise UsageError(
                f"there is no column {name!r}; the columns are {', '.join(columns) or '(none)'}",
                hint=f"did you mean {close[0]!r}?" if close else "name one of these columns",
            )


def _texts(schema: pa.Schema, free: list[str], sample: pa.RecordBatch | None) -> tuple[str, ...]:
    strings = [n for n in free if _string(schema.field(n).type)]
    if hinted := tuple(n for n in strings if n.lower() in _TEXT_NAMES):
        return hinted
    if sample is None:
        return ()
    import pyarrow.compute as pc

    lengths = {}
    for name in strings:
        if name in sample.schema.names:
            mean = pc.mean(pc.utf8_length(sample[name].cast("string"))).as_py()
            lengths[name] = mean or 0.0
    best = max(lengths, key=lambda n: (lengths[n], n), default="")
    return (best,) if best and lengths[best] >= MIN_MEAN_CHARS else ()


def _fits(role: str, kind: Any) -> bool:
    import pyarrow.types as pt

    if role == "timestamp":
        return bool(pt.is_temporal(kind))
    return bool(_string(kind) or pt.is_integer(kind) or (role == "label" and (pt.is_boolean(kind))))


def _string(kind: Any) -> bool:
    import pyarrow.types as pt

    if pt.is_dictionary(kind):
        kind = kind.value_type
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))


def _numeric(kind: Any) -> bool:
    import pyarrow.types as pt

    return bool(pt.is_integer(kind) or pt.is_floating(kind))


def _key(name: str) -> bool:
    """Keys and row numbers are numbers without a scale."""
    low = name.lower()
    return low in ("id", "index", "idx", "uid") or low.endswith("_id") or low.startswith("__")
