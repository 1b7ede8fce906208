"""The history that travels with a dataset: which recorded modification brought which shard.

Each file in ``.dataseal/history/`` is verified like the release itself: a trusted key's signature, and a trusted
log's proof at the index that the file's name says. An entry that a trusted log holds and whose signer is not trusted
here (a retired key, perhaps) is genuine and proves nothing; one that no trusted log holds was altered.

From the release's manifest the deltas are taken back, one modification after the other, and every root on the way is
re-derived. The chain ends at nothing, or at an earlier release beside it: there the history of a dataset starts that
was signed before anything was recorded, and the shards of that start belong to no delivery. A modification that was
left out, a delta that lies or a root that was skipped breaks the chain, and a broken chain is no history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dataseal.ledger import delta as deltas
from dataseal.ledger import seal
from dataseal.ledger import statement as statements
from dataseal.ledger.bundle import parse as parse_bundle
from dataseal.ledger.digest import sha256
from dataseal.ledger.endorse import endorse
from dataseal.ledger.entry import leaf_hash
from dataseal.ledger.errors import DatasealError, IntegrityError, SignatureInvalid, Unavailable
from dataseal.ledger.manifest import Manifest
from dataseal.ledger.statement import Statement
from dataseal.ledger.tlog.proof import parse_proof, verify_proof
from dataseal.ledger.trust import Trust
from dataseal.ledger.verify import LoggedStatement, verify_logged
from dataseal.verifiers.finding import Finding, Pointer
from dataseal.verifiers.screen.report import Delivery

ReadSeal = Callable[[str, int], bytes | None]


@dataclass(frozen=True, slots=True)
class History:
    """Verified history.

    Attributes:
        deliveries: what brought the release's shards, oldest first; empty when there is no unbroken history.
        status: one line for people. findings: what did not hold.
        objects: names of the seal's objects that a verified modification binds.
    """

    deliveries: tuple[Delivery, ...]
    status: str
    findings: tuple[Finding, ...]
    objects: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Step:
    logged: LoggedStatement
    delta: deltas.Delta


def read_history(
    read: ReadSeal,
    names: Sequence[str],
    *,
    trust: Trust,
    release: LoggedStatement,
    manifest: Manifest,
    now: datetime,
) -> History:
    """Verifies the history beside a verified, logged release.

    Args:
        read: gives a file of the seal. names: the seal's files.
        release: the release. manifest: its verified manifest. now: the clock, as `endorse` takes it.
    """
    findings: list[Finding] = []
    logged: list[LoggedStatement] = []
    present = dict.fromkeys(names)
    steps: dict[int, _Step] = {}
    objects: set[str] = set()
    for index in seal.history(present):
        try:
            logged.append(_entry(read, index, now, trust, release))
        except _Unknown as error:
            if error.kind != "key":  # what somebody unknown announces is nobody's history
                findings.append(_broken(f"history entry {index}: {error.what}", index))
            objects |= error.objects
        except Unavailable:
            raise
        except DatasealError as error:
            findings.append(_tampered(f"history entry {index}: {error.what}", index))
    for item in logged:
        if item.verified.statement.kind != "modification":
            continue
        digest = item.verified.statement.modification().delta
        try:
            steps[item.index] = _Step(item, deltas.parse(_object(read, digest)))
            objects.add(seal.object_name(digest))
        except Unavailable:
            raise
        except DatasealError as error:
            findings.append(_tampered(f"history entry {item.index}: {error.what}", item.index))
    if not steps:
        return History((), "none", tuple(findings), frozenset(objects))
    try:
        starts = [i for i in logged if i.verified.statement.kind == "release"]
        deliveries = _walk_back(release, manifest, steps, starts, trust)
    except DatasealError as error:
        findings.append(_broken(error.what, None))
        return History((), f"broken: {error.what}", tuple(findings), frozenset(objects))
    status = f"verified: {len(deliveries)} {'delivery' if len(deliveries) == 1 else 'deliveries'}"
    return History(tuple(deliveries), status, tuple(findings), frozenset(objects))


def _entry(read: ReadSeal, index: int, now: datetime, trust: Trust, release: LoggedStatement) -> LoggedStatement:
    bundle = read(seal.history_name(index, "sigstore.json"), seal.MAX_SMALL)
    proof = read(seal.history_name(index, "tlog-proof"), seal.MAX_SMALL)
    if bundle is None or proof is None:
        raise IntegrityError("its bundle or its proof is missing")
    try:
        verified = endorse(bundle, trust, proof=proof, now=now).verified
    except SignatureInvalid as error:
        raise _Unknown(error.what, *_genuine(bundle, proof, index, trust, release)) from None
    logged = verify_logged(verified, proof, tuple(trust.logs.values()))
    _belongs(verified.statement, logged.index, logged.checked.log, index, release)
    return logged


def _belongs(statement: Statement, at: int, log: str, index: int, release: LoggedStatement) -> None:
    """An entry is an earlier one of the release's own dataset and log, at the index that its file's name says."""
    if at != index or statement.kind not in ("modification", "release", "key"):
        raise IntegrityError(f"it is a {statement.kind} at index {at}")
    if statement.dataset != release.verified.statement.dataset:
        raise IntegrityError(f"it belongs to another dataset, {statement.dataset!r}")
    if statement.kind != "key" and (log != release.checked.log or index >= release.index):
        raise IntegrityError("it does not stand before the release in the release's log")


class _Unknown(SignatureInvalid):
    """A genuine entry by a signer who is not trusted here, and its kind.

    ``objects`` are those of the seal that it binds.
    """

    def __init__(self, what: str, kind: str, objects: frozenset[str]) -> None:
        super().__init__(what)
        self.kind = kind
        self.objects = objects


def _genuine(
    bundle: bytes, proof: bytes, index: int, trust: Trust, release: LoggedStatement
) -> tuple[str, frozenset[str]]:
    """Kind and bound objects of an entry whose signer is unknown; a trusted log must hold it just as it is."""
    parsed = parse_proof(proof)
    leaf = leaf_hash(parsed.extra or b"", bundle)
    for log in trust.logs.values():
        try:
            found = verify_proof(parsed, leaf, log.policy, require_quorum=False)
        except DatasealError:
            continue
        statement = statements.parse(parse_bundle(bundle).payload)
        _belongs(statement, found.index, found.checked.log, index, release)
        modification = statement.modification() if statement.kind == "modification" else None
        return statement.kind, frozenset([seal.object_name(modification.delta)] if modification else [])
    raise IntegrityError("no trusted key signed it, and no trusted log holds it like this: it was altered")


def _object(read: ReadSeal, digest: str) -> bytes:
    data = read(seal.object_name(digest), deltas.MAX_DELTA)
    if data is None or sha256(data).hex() != digest:
        raise IntegrityError(f"its delta {digest[:16]}… is {'missing' if data is None else 'altered'}")
    return data


def _walk_back(
    release: LoggedStatement,
    manifest: Manifest,
    steps: Mapping[int, _Step],
    releases: Sequence[LoggedStatement],
    trust: Trust,
) -> list[Delivery]:
    shards = deltas.bare(manifest.shards)
    owner: dict[str, int | None] = dict.fromkeys(shards)
    chain: list[_Step] = []
    root: str | None = release.verified.statement.root
    before = release.index
    while root is not None:
        found = [i for i, s in steps.items() if i < before and s.logged.verified.statement.root == root]
        if not found:
            break
        before = max(found)
        step = steps[before]
        modification = step.logged.verified.statement.modification()
        for path in step.delta.touched():
            if path in owner and owner[path] is None:
                owner[path] = before
        shards = deltas.apply(shards, _reversed(step.delta))
        root = modification.from_.root if modification.from_ else None
        reached = deltas.root_of(shards.values(), modification.to.parameters).hex()
        if root is None and shards:
            raise IntegrityError(f"entry {before} claims to start from nothing, and {len(shards)} shards are older")
        if root is not None and reached != root:
            raise IntegrityError(f"entry {before}: its delta does not lead from the root that it names")
        chain.append(step)
    if not chain:
        raise IntegrityError("no recorded modification leads to the release's root")
    if root is not None and not any(i.index < before and i.verified.statement.root == root for i in releases):
        raise IntegrityError(f"entry {before} starts from root {root[:16]}…, and no entry beside it leads there")
    chain.reverse()
    return [_delivery(step, ordinal, owner, trust) for ordinal, step in enumerate(chain)]


def _reversed(delta: deltas.Delta) -> deltas.Delta:
    return deltas.Delta(delta.removed, delta.added, tuple((new, old) for old, new in delta.changed))


def _delivery(step: _Step, ordinal: int, owner: Mapping[str, int | None], trust: Trust) -> Delivery:
    modification = step.logged.verified.statement.modification()
    return Delivery(
        ordinal=ordinal,
        entry=step.logged.index,
        operation=modification.operation,
        reason=modification.reason,
        shards=frozenset(p for p, index in owner.items() if index == step.logged.index),
        signer=_who(step.logged, trust),
        root=modification.to.root,
    )


def _who(logged: LoggedStatement, trust: Trust) -> str:
    signer = logged.verified.signer
    return "/".join(trust.names(logged.verified.credential.fingerprint)) or signer.fingerprint[:16]


def _broken(message: str, index: int | None) -> Finding:
    return Finding(
        "history.broken",
        message,
        severity="warning",
        hint="ask the publisher for an unbroken history: without it nothing says which change brought which rows",
        data={} if index is None else {"entry": index},
    )


def _tampered(message: str, index: int) -> Finding:
    return Finding(
        "integrity.history",
        message,
        where=(Pointer(f".dataseal/{seal.history_name(index, '*')}"),),
        hint="fetch .dataseal/ again from the publisher",
        data={"entry": index},
    )


def shard_owner(deliveries: Sequence[Delivery]) -> dict[str, Delivery]:
    """Which delivery brought each shard."""
    return {path: delivery for delivery in deliveries for path in delivery.shards}
