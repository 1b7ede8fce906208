"""The sign walk: a folder becomes a signed, logged release with everything that proves it beside it.

hash → manifest → statement → `record` → ``.dataseal/`` by rename. A run that was cut off anywhere finishes when it is
run again: the statement has no clock in it, so that its entry is found and used.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dataseal.ledger import entry as entries
from dataseal.ledger import hashing, leaks, seal, states
from dataseal.ledger import statement as statements
from dataseal.ledger.anylog import AnyLog, Queries, Recorder
from dataseal.ledger.bundle import parse as parse_bundle
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.hashing.remember import Memory, shard_of
from dataseal.ledger.hashing.run import Run, Watched
from dataseal.ledger.manifest import Manifest, Parameters, Shard, build, encode_table
from dataseal.ledger.objects import Objects
from dataseal.ledger.oms import release as oms_release
from dataseal.ledger.oms.statement import MAX_BUNDLE, omitted
from dataseal.ledger.paths import LEFT_OUT
from dataseal.ledger.predicates import Release, Source, Tree, Version
from dataseal.ledger.record import Recorded, record
from dataseal.ledger.signers.base import Signer
from dataseal.ledger.store.models import StoredEntry


@dataclass(frozen=True, slots=True)
class HashedFolder:
    """A folder's manifest, what was left out of it, and what was not read.

    Attributes:
        resumed: files that an attempt before this one had hashed. unchanged: files that ``--fast`` did not read.
        run: what the memory learned; `sign` and `modify` end it.
    """

    manifest: Manifest
    left_out: tuple[str, ...]
    excluded: tuple[str, ...]
    resumed: int = 0
    unchanged: int = 0
    run: Run | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about it."""
        return tuple(self.run.notes) if self.run else ()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Around what a command does with it: the memory learns whether the command succeeded."""
        try:
            yield
        except BaseException:
            if self.run:
                self.run.cut_off()
            raise
        if self.run:
            self.run.done(self.manifest.shards)


@dataclass(frozen=True, slots=True)
class SignedRelease:
    """What `sign` made.

    Attributes:
        history: how many earlier entries travel with it.
        oms_omits: paths of the release that its OMS signature can't name; None when it has none.
    """

    recorded: Recorded
    hashed: HashedFolder
    release: Release
    history: int
    oms_omits: tuple[str, ...] | None = None


def hash_folder(
    folder: Path,
    parameters: Parameters,
    *,
    exclusions: Sequence[str] = (),
    jobs: int | None = None,
    progress: hashing.Progress | None = None,
    memory: Memory | None = None,
    fast: bool = False,
) -> HashedFolder:
    """Hashes a folder that is to be signed. What an interrupted run left of its seal is cleared first.

    Args:
        memory: where a journal is kept, and the cache for ``fast`` (`dataseal.ledger.hashing.remember`).
        fast: do not read files whose identity is the one that was signed last.

    Raises:
        UsageError: missing, empty, or it holds something that can't or must not be signed.
        IntegrityError: a file changed while it was read. Unavailable: one can't be read.
    """
    seal.recover(folder)
    walked = hashing.walk(folder, exclusions)
    if walked.problems:
        first, more = walked.problems[0], len(walked.problems) - 1
        raise UsageError(
            f"{first.path!r} {first.reason}" + (f" (and {more} more such)" if more else ""),
            where=str(folder),
            hint="move it away, or leave it out with --exclude GLOB (which is recorded)",
        )
    if not walked.files:
        raise UsageError(f"no files to sign in {folder}", hint="give the folder that holds the dataset's files")
    run = Run.begin(memory, folder, parameters, walked, fast=fast) if memory else None
    known = run.known if run else {}
    try:
        shards = hashing.hash_files(
            [f for f in walked.files if f.path not in known] if known else walked.files,
            parameters,
            jobs=jobs,
            progress=Watched(run, progress) if run else progress,
            inspect=leaks.refuse,
            finished=run.add if run else None,
            shorter=run.shorter if run else None,
        )
        shards += [shard_of(path, entry) for path, entry in known.items()]
        with as_usage():
            manifest = build(shards, parameters)
    except BaseException:
        if run:
            run.cut_off()
        raise
    resumed, unchanged = (run.resumed, run.unchanged) if run else (0, 0)
    return HashedFolder(manifest, walked.left_out, walked.excluded, resumed, unchanged, run)


@contextmanager
def as_usage() -> Iterator[None]:
    """What breaks a format's rules here was given by the caller, who can mend it: no evidence is at fault."""
    try:
        yield
    except FormatError as error:
        raise UsageError(error.what, where=error.where, hint=error.hint) from None


def state_table(log: AnyLog, dataset: str, manifest: Manifest, objects: Objects) -> bytes:
    """The shard table of ``manifest``. A state that was recorded before keeps its table, and so its subject.

    Raises:
        UsageError: the recorded table is not at hand, and this version of pyarrow writes other bytes.
    """
    with log.store.view() as view:
        known = view.state(dataset, manifest.root.hex())
    table = encode_table(manifest)
    if known is None or sha256(table).hex() == known.table_digest:
        return table
    return objects.get(known.table_digest, what="shard table")


def sign(
    folder: Path,
    *,
    dataset: str,
    version: str,
    log: AnyLog,
    signer: Signer,
    objects: Objects,
    parameters: Parameters | None = None,
    exclusions: Sequence[str] = (),
    derived_from: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    oms: bool | None = None,
    jobs: int | None = None,
    progress: hashing.Progress | None = None,
    memory: Memory | None = None,
    fast: bool = False,
    supplied: Sequence[Shard] | None = None,
) -> SignedRelease:
    """Signs ``folder`` as ``dataset@version`` and writes its ``.dataseal/``.

    Args:
        parameters: chunk size and hash; those of the dataset's newest state when None.
        derived_from: references of recorded states, as `states.resolve` takes them.
        memory, fast: see `hash_folder`.
        supplied: shards whose digests were computed elsewhere (`dataseal.ledger.supplied`): no file is read, and the
            statement says so. ``folder`` is then where the seal goes.
        oms: whether an OMS signature travels with it too; when None, if its readers can check it (`oms.release`).

    Raises:
        UsageError: a name, a folder or a file that can't be signed, or the version is released with another content.
        Refused: the log refuses the signer.
        Unavailable: the ledger or the folder can't be written.
    """
    with as_usage():
        statements.check_dataset(dataset)
        statements.check_version(version)
    with log.store.view() as view:
        state = states.newest(view, dataset)
    parameters = parameters or (state.tree.parameters if state else Parameters())
    if supplied is not None:
        seal.recover(folder)
        _refuse_unseen(supplied, exclusions)
        hashed = HashedFolder(_supplied(supplied, parameters), (), ())
    else:
        hashed = hash_folder(
            folder,
            parameters,
            exclusions=exclusions,
            jobs=jobs,
            progress=progress,
            memory=memory,
            fast=fast,
        )
    with hashed.used():
        with_oms = oms_release.wanted(signer, hashed.manifest, hashed.excluded, oms)
        return _sign(
            folder,
            hashed,
            dataset=dataset,
            version=version,
            log=log,
            signer=signer,
            objects=objects,
            exclusions=exclusions,
            derived_from=derived_from,
            metadata=metadata or {},
            digests="supplied" if supplied is not None else None,
            with_oms=with_oms,
        )


def _refuse_unseen(shards: Sequence[Shard], exclusions: Sequence[str]) -> None:
    """A verifier's walk leaves these paths out, so that a release that lists them could never pass."""
    globs = [(glob, re.compile(fnmatch.translate(glob)).match) for glob in exclusions]
    for shard in shards:
        top = next((name for name in LEFT_OUT if shard.path.startswith(f"{name}/")), None)
        glob = next((glob for glob, match in globs if match(shard.path)), None)
        if top is not None or glob is not None:
            why = f"{top}/ is never part of a dataset" if top is not None else f"--exclude {glob!r} leaves it out"
            raise UsageError(
                f"the list of digests names {shard.path!r}, which no verifier would look at: {why}",
                hint="take it out of the list, or leave the exclusion out",
            )


def _supplied(shards: Sequence[Shard], parameters: Parameters) -> Manifest:
    if not shards:
        raise UsageError("no files to sign: the list of digests is empty", hint="list at least one file")
    try:
        return build(shards, parameters)
    except FormatError as error:
        raise UsageError(
            f"the list of digests: {error.what}",
            hint=error.hint or "have it made anew, with the chunk size and chunk hash that it names",
        ) from None


def _sign(
    folder: Path,
    hashed: HashedFolder,
    *,
    dataset: str,
    version: str,
    log: AnyLog,
    signer: Signer,
    objects: Objects,
    exclusions: Sequence[str],
    derived_from: Sequence[str],
    metadata: Mapping[str, str],
    digests: str | None,
    with_oms: bool,
) -> SignedRelease:
    with log.store.view() as view:
        sequence, previous = _place(view, dataset, version, hashed.manifest.root.hex())
        release = Release.make(
            sequence=sequence,
            previous=previous,
            tree=Tree.of(hashed.manifest),
            derived_from=[_source(view, reference) for reference in derived_from],
            exclusions=list(exclusions),
            metadata=dict(metadata),
            **({"digests": digests} if digests else {}),
        )
        modifications = view.of_dataset(dataset, "modification")
    table = state_table(log, dataset, hashed.manifest, objects)
    with as_usage():
        payload = statements.encode(
            statements.RELEASE,
            release,
            dataset=dataset,
            version=version,
            table=sha256(table).hex(),
            root=release.tree.root,
        )
    _refuse_other(log, dataset, version, payload)
    for row in modifications:  # whatever is missing is missed before anything is logged
        objects.get(states.statement_of(row).modification().delta, what=f"delta of entry {row.index}")
    objects.put(table)
    foreign = _oms(folder, f"{dataset}@{version}", hashed, signer) if with_oms else None
    recorded = record(payload, signer=signer, log=log)
    history = _history(log, dataset, recorded.logged.index)
    files = {
        seal.TABLE: table,
        seal.release_name(1, "sigstore.json"): recorded.bundle,
        seal.release_name(1, "tlog-proof"): recorded.proof,
        **history,
        **_deltas(history, objects),
    }
    if foreign is not None:
        files[seal.OMS] = foreign
    seal.replace(folder, files)
    omits = tuple(omitted(shard.path for shard in hashed.manifest.shards)) if with_oms else None
    return SignedRelease(recorded, hashed, release, len(seal.history(files)), omits)


def _place(view: Queries, dataset: str, version: str, root: str) -> tuple[int, Version | None]:
    """The sequence and the predecessor of a release: the next ones, or those it has already."""
    present = view.release(dataset, version)
    if present is not None:
        release = states.statement_of(present).release()
        if present.root == root:
            return release.sequence, release.previous
        raise UsageError(
            f"{dataset}@{version} is released already, with another content (entry {present.index})",
            hint="a release never changes: choose the next version",
        )
    newest = view.newest(dataset, "release")
    if newest is None:
        return 1, None
    return states.statement_of(newest).release().sequence + 1, Version(version=newest.version, root=newest.root)


def _refuse_other(log: AnyLog, dataset: str, version: str, payload: bytes) -> None:
    """A run that is finished says the same as the one that was cut off."""
    with log.store.view() as view:
        present = view.release(dataset, version)
    if present is not None and states.statement_of(present).payload != payload:
        raise UsageError(
            f"{dataset}@{version} is released already, with other metadata, exclusions or sources "
            f"(entry {present.index})",
            hint="a release never changes: give the same options, or choose the next version",
        )


def _source(view: Queries, reference: str) -> Source:
    name, _, version = reference.rpartition("@")
    state = states.resolve(view, reference)
    return Source(
        dataset=state.dataset,
        version=version if name and version != states.HEAD else statements.state_version(state.tree.root),
        root=state.tree.root,
    )


def _oms(folder: Path, name: str, hashed: HashedFolder, signer: Signer) -> bytes:
    present = seal.read(folder, seal.OMS, MAX_BUNDLE)
    now = datetime.now(UTC)
    return oms_release.make(hashed.manifest, name, signer, excluded=hashed.excluded, present=present, now=now)


def _history(log: AnyLog, dataset: str, before: int) -> dict[str, bytes]:
    """Bundles and proofs of the dataset's earlier releases, modifications and announced keys, under one checkpoint."""
    with log.store.view() as view:
        rows = [r for r in view.of_dataset(dataset, "release", "modification", "key") if r.index < before]
    return entry_files(log, rows)


def entry_files(log: Recorder, rows: Sequence[StoredEntry]) -> dict[str, bytes]:
    """Bundles and proofs of entries, as they stand in a seal's history."""
    files: dict[str, bytes] = {}
    for row, proof in zip(rows, log.prove([r.index for r in rows]) if rows else [], strict=True):
        files[seal.history_name(row.index, "sigstore.json")] = entries.parse(row.body).bundle
        files[seal.history_name(row.index, "tlog-proof")] = proof
    return files


def _deltas(history: Mapping[str, bytes], objects: Objects) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name, data in history.items():
        if name.endswith(".sigstore.json"):
            statement = statements.parse(parse_bundle(data).payload)
            if statement.kind == "modification":
                digest = statement.modification().delta
                found[seal.object_name(digest)] = objects.get(digest, what="delta")
    return found
