"""The recorded states of datasets: what names them, and their manifests from the workspace's objects.

A reference is ``NAME@VERSION`` (a release), ``NAME@head`` (the newest recorded state) or a root in hexadecimal.
"""

from __future__ import annotations

from dataclasses import dataclass

from dataseal.ledger import entry as entries
from dataseal.ledger import statement as statements
from dataseal.ledger.anylog import Queries
from dataseal.ledger.bundle import parse as parse_bundle
from dataseal.ledger.digest import parse_hex
from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.manifest import Manifest, parse_table
from dataseal.ledger.objects import Objects
from dataseal.ledger.predicates import Tree
from dataseal.ledger.statement import Statement
from dataseal.ledger.store.models import StoredEntry

HEAD = "head"


@dataclass(frozen=True, slots=True)
class RecordedState:
    """One recorded state of a dataset: the entry that has or leads to it, its tree, and what was left out of it."""

    dataset: str
    index: int
    table: str
    tree: Tree
    exclusions: tuple[str, ...]


def statement_of(row: StoredEntry) -> Statement:
    """The statement in a stored entry."""
    return statements.parse(parse_bundle(entries.parse(row.body).bundle).payload)


def of_entry(row: StoredEntry) -> RecordedState:
    """The state that a release or modification entry has or leads to."""
    statement = statement_of(row)
    if row.kind == "release":
        release = statement.release()
        tree, exclusions = release.tree, release.exclusions
    else:
        modification = statement.modification()
        tree, exclusions = modification.to, modification.exclusions
    return RecordedState(row.dataset, row.index, row.table_digest, tree, tuple(exclusions))


def newest(view: Queries, dataset: str) -> RecordedState | None:
    """A dataset's newest recorded state."""
    row = view.newest(dataset, "release", "modification")
    return of_entry(row) if row else None


def with_root(view: Queries, root: str, dataset: str | None = None) -> RecordedState:
    """The newest recorded state with ``root``, of the named dataset or of the only one that has it.

    Raises:
        UsageError: no dataset, or several, have that root.
    """
    names = [dataset] if dataset else view.datasets()
    rows = [row for name in names if (row := view.state(name, root))]
    if len(rows) == 1:
        return of_entry(rows[0])
    if rows:
        raise UsageError(
            f"root {root[:16]}… belongs to {', '.join(r.dataset for r in rows)}", hint="say which with --dataset"
        )
    raise UsageError(
        f"root {root[:16]}… is no recorded state{f' of {dataset!r}' if dataset else ''} in this ledger",
        hint="record how the dataset got there, or start from a recorded state; `dataseal log` lists them",
    )


def resolve(view: Queries, reference: str, dataset: str | None = None) -> RecordedState:
    """The state behind a reference.

    Raises:
        UsageError: not a reference, or nothing is recorded under it.
    """
    name, at, version = reference.rpartition("@")
    if at:
        if dataset and name != dataset:
            raise UsageError(f"{reference!r} is no state of {dataset!r}")
        state = newest(view, name) if version == HEAD else None
        if version != HEAD and (row := view.release(name, version)):
            state = of_entry(row)
        if state is None:
            known = [r.version for r in view.of_dataset(name, "release")]
            raise UsageError(
                f"nothing is recorded under {reference!r}",
                hint=f"releases of {name}: {', '.join(known)}" if known else "`dataseal log` shows what is recorded",
            )
        return state
    try:
        root = parse_hex(reference, field="root")
    except FormatError:
        raise UsageError(
            f"{reference!r} is neither a folder nor a recorded state",
            hint="give a folder, NAME@VERSION, NAME@head, a root digest, or `none` for a dataset's first state",
        ) from None
    return with_root(view, root.hex(), dataset)


def manifest(state: RecordedState, objects: Objects) -> Manifest:
    """The manifest of a recorded state.

    Raises:
        UsageError: its table is not among the workspace's objects.
    """
    data = objects.get(state.table, what=f"the shard table of {state.dataset}, root {state.tree.root[:12]}")
    return parse_table(
        data, state.tree.parameters, digest=bytes.fromhex(state.table), root=bytes.fromhex(state.tree.root)
    )
