"""The walk that records a modification: from a recorded state to what a folder holds now.

resolve the parent → hash the child → delta and row counts → statement → `record`. The delta and the child's shard
table go into the workspace's objects before the entry that binds them is logged.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dataseal.ledger import delta as deltas
from dataseal.ledger import entry as entries
from dataseal.ledger import hashing, rows, states
from dataseal.ledger import statement as statements
from dataseal.ledger.anylog import AnyLog
from dataseal.ledger.errors import UsageError, VerificationError
from dataseal.ledger.hashing.remember import Memory
from dataseal.ledger.manifest import Manifest, Parameters
from dataseal.ledger.objects import Objects
from dataseal.ledger.predicates import Changes, Counts, Modification, State, Tool, Tree
from dataseal.ledger.record import Recorded, record
from dataseal.ledger.sign import HashedFolder, as_usage, hash_folder, state_table
from dataseal.ledger.signers.base import Signer

NOTHING: Final = "none"
"""The reference of what a dataset's first modification starts from."""


@dataclass(frozen=True, slots=True)
class Parent:
    """What a modification starts from.

    Attributes:
        dataset: whose state it is. state: its digests; None for nothing.
        manifest: its shards; None for nothing. folder: where its bytes are, when they are at hand.
    """

    dataset: str
    state: State | None
    manifest: Manifest | None
    folder: Path | None


@dataclass(frozen=True, slots=True)
class RecordedModification:
    """What `modify` made."""

    recorded: Recorded
    hashed: HashedFolder
    modification: Modification
    delta: deltas.Delta


def parent(
    reference: str,
    *,
    dataset: str | None,
    log: AnyLog,
    objects: Objects,
    jobs: int | None = None,
    progress: hashing.Progress | None = None,
    memory: Memory | None = None,
    fast: bool = False,
) -> Parent:
    """What ``reference`` names: ``none``, a folder, ``NAME@VERSION``, ``NAME@head`` or a root digest.

    Raises:
        UsageError: nothing is recorded under it, or the folder's content is no recorded state.
    """
    if reference == NOTHING:
        if dataset is None:
            raise UsageError("a first state needs the dataset's name", hint="give it with --dataset")
        with as_usage():
            statements.check_dataset(dataset)
        return Parent(dataset, None, None, None)
    with log.store.view() as view:
        if not os.path.isdir(reference):
            state = states.resolve(view, reference, dataset)
            return Parent(state.dataset, _state(state), states.manifest(state, objects), None)
    folder = Path(reference)
    parameters, exclusions = _like_newest(log, dataset)
    hashed = hash_folder(
        folder, parameters, exclusions=exclusions, jobs=jobs, progress=progress, memory=memory, fast=fast
    )
    with hashed.used(), log.store.view() as view:
        state = states.with_root(view, hashed.manifest.root.hex(), dataset)
    return Parent(state.dataset, _state(state), hashed.manifest, folder)


def _state(state: states.RecordedState) -> State:
    return State(root=state.tree.root, table=state.table)


def _like_newest(log: AnyLog, dataset: str | None) -> tuple[Parameters, tuple[str, ...]]:
    """Parameters and exclusions of the dataset's newest state, or of the ledger's only dataset."""
    with log.store.view() as view:
        names = [dataset] if dataset else view.datasets()
        state = states.newest(view, names[0]) if len(names) == 1 else None
    return (state.tree.parameters, state.exclusions) if state else (Parameters(), ())


def modify(
    operation: str,
    start: Parent,
    folder: Path,
    *,
    reason: str,
    log: AnyLog,
    signer: Signer,
    objects: Objects,
    parameters: Parameters | None = None,
    exclusions: Sequence[str] = (),
    tool: str | None = None,
    settings: Mapping[str, str] | None = None,
    jobs: int | None = None,
    progress: hashing.Progress | None = None,
    memory: Memory | None = None,
    fast: bool = False,
) -> RecordedModification:
    """Records that ``operation`` led from ``start`` to what ``folder`` holds.

    Args:
        parameters: chunk size and hash of a dataset's first state; later ones keep theirs.
        settings: the operation's own parameters, as the statement records them.
        memory, fast: see `hash_folder`.

    Raises:
        UsageError: a name, a folder or a file that can't be recorded; nothing differs; or the very same change
            is recorded already and others followed it.
        Refused: the log refuses the signer or the parent. Unavailable: the ledger can't be written; or it is logged,
            and the log's witnesses did not cosign it: the same call finishes it later.
    """
    with as_usage():
        statements.check_operation(operation)
    tree = start.manifest.parameters if start.manifest else (parameters or Parameters())
    hashed = hash_folder(folder, tree, exclusions=exclusions, jobs=jobs, progress=progress, memory=memory, fast=fast)
    with hashed.used():
        return _modify(
            operation,
            start,
            folder,
            hashed,
            reason=reason,
            log=log,
            signer=signer,
            objects=objects,
            exclusions=exclusions,
            tool=tool,
            settings=settings or {},
        )


def _modify(
    operation: str,
    start: Parent,
    folder: Path,
    hashed: HashedFolder,
    *,
    reason: str,
    log: AnyLog,
    signer: Signer,
    objects: Objects,
    exclusions: Sequence[str],
    tool: str | None,
    settings: Mapping[str, str],
) -> RecordedModification:
    delta = deltas.between(start.manifest, hashed.manifest)
    if delta.empty:
        said = {"operation": operation, "reason": reason, "tool": tool, "settings": dict(settings or {})}
        unfinished = _unfinished(log, start.dataset, signer, exclusions=list(exclusions), **said)
        if unfinished is not None:
            modification = unfinished.modification()
            delta = deltas.parse(objects.get(modification.delta, what="delta"))
            return RecordedModification(record(unfinished.payload, signer=signer, log=log), hashed, modification, delta)
        raise UsageError(
            f"nothing differs between the recorded state and {folder}",
            hint="this change may be recorded already: `dataseal log` shows it",
        )
    added, removed, changed = rows.counts(delta, start.folder, folder)
    root = hashed.manifest.root.hex()
    table = objects.put(state_table(log, start.dataset, hashed.manifest, objects))
    modification = Modification.make(
        operation=operation,
        from_=start.state,
        to=Tree.of(hashed.manifest),
        reason=reason,
        tool=Tool.make(uri=tool) if tool else None,
        parameters=dict(settings),
        exclusions=list(exclusions),
        counts=Counts(
            shards=Changes(added=len(delta.added), removed=len(delta.removed), changed=len(delta.changed)),
            rows=Changes(added=added, removed=removed, changed=changed),
        ),
        delta=objects.put(_encode(delta)),
    )
    with as_usage():
        payload = statements.encode(
            statements.MODIFICATION,
            modification,
            dataset=start.dataset,
            version=statements.state_version(root),
            table=table,
            root=root,
        )
    recorded = record(payload, signer=signer, log=log)
    if recorded.existed:
        _refuse_repeated(log, start.dataset, recorded.logged.index)
    return RecordedModification(recorded, hashed, modification, delta)


def _unfinished(log: AnyLog, dataset: str, signer: Signer, **said: Any) -> statements.Statement | None:
    """The newest state of a dataset, when it is this very change, logged by a run that could not prove it."""
    with log.store.view() as view:
        row = view.newest(dataset, "release", "modification")
    if row is None or row.kind != "modification" or log.proven(row.index) or not _signed_by(row.body, signer, log):
        return None
    statement = states.statement_of(row)
    found = statement.modification()
    held = {
        "operation": found.operation,
        "reason": found.reason,
        "tool": found.tool.uri if found.tool else None,
        "settings": dict(found.parameters),
        "exclusions": list(found.exclusions),
    }
    return statement if held == said else None


def _signed_by(body: bytes, signer: Signer, log: AnyLog) -> bool:
    """Whether the signer signed this entry: by a key, or by a name or identity that has another key each time."""
    try:
        log.admission.verify_entry(entries.parse(body), [signer.credential])
    except VerificationError:  # also another signer's certificate that can't be read
        return False
    return True


def _encode(delta: deltas.Delta) -> bytes:
    with as_usage():
        return delta.encode()


def _refuse_repeated(log: AnyLog, dataset: str, index: int) -> None:
    """An entry that was there finishes an interrupted run, unless the dataset went on: then this is a new change."""
    with log.store.view() as view:
        newest = states.newest(view, dataset)
    if newest is not None and newest.index != index:
        raise UsageError(
            f"this very change of {dataset!r} is recorded already (entry {index}), and other states followed it",
            hint="to record that it was made once more, give another --reason",
        )
