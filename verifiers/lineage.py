"""The history that travels with a dataset: which recorded modification brought which shard.

Each file in ``.dataseal/history/`` is verified like the release itself: a trusted key's signature, and a trusted
log's proof at the index that the file's name says. From the release's manifest the deltas are taken back, one
modification after the other, and every root on the way is re-derived: a modification that was left out, a delta that
lies or a root that was skipped breaks the chain, and a broken chain is no history. Shards that are older than the
first recorded modification belong to no delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dataseal.ledger import delta as deltas
from dataseal.ledger import seal
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import DatasealError, IntegrityError, SignatureInvalid
from dataseal.ledger.manifest import Manifest
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.trust import Trust
from dataseal.ledger.verify import LoggedStatement, verify_bundle, verify_logged
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
    read: ReadSeal, names: Sequence[str], *, trust: Trust, release: LoggedStatement, manifest: Manifest
) -> History:
    """Verifies the history beside a verified, logged release.

    Args:
        read: gives a file of the seal. names: the seal's files.
        release: the release. manifest: its verified manifest.
    """
    findings: list[Finding] = []
    logged: list[LoggedStatement] = []
    present = dict.fromkeys(names)
    keys = [s.key for s in trust.signers.values()]
    for index in seal.history(present):
        try:
            logged.append(_entry(read, index, keys, trust, release))
        except SignatureInvalid as error:
            # Somebody whom this consumer does not trust, perhaps a retired key: no evidence, and no tampering.
            findings.append(_broken(f"history entry {index}: {error.what}", index))
        except DatasealError as error:
            findings.append(_tampered(f"history entry {index}: {error.what}", index))
    steps: dict[int, _Step] = {}
    objects: set[str] = set()
    for item in logged:
        if item.verified.statement.kind != "modification":
            continue
        digest = item.verified.statement.modification().delta
        try:
            steps[item.index] = _Step(item, deltas.parse(_object(read, digest)))
            objects.add(seal.object_name(digest))
        except DatasealError as error:
            findings.append(_tampered(f"history entry {item.index}: {error.what}", item.index))
    if not steps:
        return History((), "none", tuple(findings), frozenset(objects))
    try:
        deliveries = _walk_back(release, manifest, steps, trust)
    except DatasealError as error:
        findings.append(_broken(error.what, None))
        return History((), f"broken: {error.what}", tuple(findings), frozenset(objects))
    status = f"verified: {len(deliveries)} deliveries"
    return History(tuple(deliveries), status, tuple(findings), frozenset(objects))


def _entry(
    read: ReadSeal, index: int, keys: list[PublicKey], trust: Trust, release: LoggedStatement
) -> LoggedStatement:
    bundle = read(seal.history_name(index, "sigstore.json"), seal.MAX_SMALL)
    proof = read(seal.history_name(index, "tlog-proof"), seal.MAX_SMALL)
    if bundle is None or proof is None:
        raise IntegrityError("its bundle or its proof is missing")
    logged = verify_logged(verify_bundle(bundle, keys), proof, tuple(trust.logs.values()))
    statement = logged.verified.statement
    if logged.index != index or statement.kind not in ("modification", "release"):
        raise IntegrityError(f"it is a {statement.kind} at index {logged.index}")
    if statement.dataset != release.verified.statement.dataset:
        raise IntegrityError(f"it belongs to another dataset, {statement.dataset!r}")
    if logged.checked.log != release.checked.log or index >= release.index:
        raise IntegrityError("it does not stand before the release in the release's log")
    return logged


def _object(read: ReadSeal, digest: str) -> bytes:
    data = read(seal.object_name(digest), deltas.MAX_DELTA)
    if data is None or sha256(data).hex() != digest:
        raise IntegrityError(f"its delta {digest[:16]}… is {'missing' if data is None else 'altered'}")
    return data


def _walk_back(
    release: LoggedStatement,
    manifest: Manifest,
    steps: Mapping[int, _Step],
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
    fingerprint = logged.verified.key.fingerprint
    return "/".join(trust.names(fingerprint)) or fingerprint[:16]


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
