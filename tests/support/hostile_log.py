"""A whole published log in memory, over real signed entries, that can misbehave: fork, roll back, alter, drop.

It is a `Resources`: what followers, mirrors and monitors read. What it serves is made by a second, naive implementation
of tlog-tiles (every tile of every size that it ever served), so that the reader is not held against its own writer.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataseal.ledger import bundle as bundles
from dataseal.ledger import closing as closings
from dataseal.ledger import entry as entries
from dataseal.ledger import predicates
from dataseal.ledger import statement as statements
from dataseal.ledger.errors import Unavailable
from dataseal.ledger.predicates import Release, Version
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.statement import RELEASE
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import Checkpoint
from dataseal.ledger.tlog.cosignature import Ed25519Cosigner
from dataseal.ledger.tlog.note import Ed25519Signer
from dataseal.ledger.tlog.policy import LogPolicy, parse_policy, policy_for_log

ORIGIN = "dataseal.invalid/0123456789abcdef"
DATASET = "acme/reviews"
NOW = 1767323045  # 2026-01-02T03:04:05Z


def seeded(name: str) -> Ed25519PrivateKey:
    """The same key for the same name."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def log_key(origin: str = ORIGIN, name: str = "log") -> Ed25519Signer:
    """A log's key."""
    return Ed25519Signer(origin, seeded(name))


def publisher(name: str = "publisher") -> KeyFileSigner:
    """A publisher's Ed25519 key: quick, and the same every time."""
    return KeyFileSigner(seeded(name))


def release_payload(dataset: str, sequence: int, previous: tuple[str, str] | None, root: str) -> bytes:
    """A release statement about nothing at hand."""
    predicate = Release.make(
        sequence=sequence,
        previous=Version.make(version=previous[0], root=previous[1]) if previous else None,
        tree=predicates.Tree.make(root=root, shards=1, bytes=1, chunk_size=1 << 22, chunk_hash="sha256"),
        derived_from=[],
        exclusions=[],
        metadata={"note": "x" * 200},
    )
    table = hashlib.sha256(root.encode()).hexdigest()
    return statements.encode(RELEASE, predicate, dataset=dataset, version=f"1.{sequence}", table=table, root=root)


@dataclass
class HostileLog:
    """One log. `bodies` are its entries; `served` what `read` answers, by path."""

    key: Ed25519Signer = field(default_factory=log_key)
    witnesses: Sequence[Ed25519Cosigner] = ()
    salt: str = ""
    name: str = "memory log"
    bodies: list[bytes] = field(default_factory=list)
    served: dict[str, bytes | None] = field(default_factory=dict)
    down: bool = False
    asked: list[str] = field(default_factory=list)
    newest: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    last: dict[str, entries.Link] = field(default_factory=dict)
    at: int = NOW
    cosigned_at: int | None = None

    # what it serves

    def read(self, path: str) -> bytes | None:
        """A resource of the size that it serves now."""
        self.asked.append(path)
        if self.down:
            raise Unavailable("the network is down", where=f"{self.name}/{path}")
        return self.served.get(path)

    @property
    def policy(self) -> LogPolicy:
        """The policy of somebody who knows the log's key, and wants every witness of it."""
        if not self.witnesses:
            return policy_for_log(self.key.vkey)
        lines = [f"log {self.key.vkey}"]
        lines += [f"witness w{i} {w.vkey}" for i, w in enumerate(self.witnesses)]
        lines += [f"group all all {' '.join(f'w{i}' for i in range(len(self.witnesses)))}", "quorum all"]
        return parse_policy("\n".join(lines) + "\n")

    def publish(self, size: int | None = None) -> HostileLog:
        """Serves the tree of ``size`` entries (all of them): every tile, bundle and the checkpoint."""
        bodies = self.bodies[:size]
        self.served.update(resources(bodies))
        self.served["checkpoint"] = self.checkpoint(len(bodies))
        return self

    def checkpoint(self, size: int, key: Ed25519Signer | None = None) -> bytes:
        """The signed checkpoint of the first ``size`` entries."""
        root = merkle.root_from_leaves([merkle.leaf_hash(body) for body in self.bodies[:size]])
        head = Checkpoint((key or self.key).name, size, root)
        at = self.cosigned_at or self.at
        return notes.sign(head.encode(), [key or self.key, *(w.at(at) for w in self.witnesses)])

    # what it logs

    def grow(self, count: int = 1, dataset: str = DATASET, **options: Any) -> HostileLog:
        """Logs so many releases, and serves them."""
        for _ in range(count):
            self.append(dataset, **options)
        return self.publish()

    def append(
        self,
        dataset: str = DATASET,
        *,
        signer: KeyFileSigner | None = None,
        header: Callable[[entries.Header], entries.Header] = lambda header: header,
        bundle: Callable[[bytes], bytes] = lambda raw: raw,
        sequence: int | None = None,
    ) -> None:
        """Logs a release; ``header``, ``bundle`` and ``sequence`` falsify it."""
        before = self.newest.get(dataset)
        number = sequence or (before[0] + 1 if before else 1)
        root = hashlib.sha256(f"{self.salt}{dataset}{number}".encode()).hexdigest()
        payload = release_payload(dataset, number, before[1:] if before else None, root)
        signer = signer or publisher()
        raw = bundle(bundles.encode(payload, signer.sign(bundles.pae(statements.PAYLOAD_TYPE, payload)), signer.public))
        self.newest[dataset] = (number, f"1.{number}", root)
        self.put(header(self.header(dataset)).encode() + b"\n" + raw, dataset)

    def header(self, dataset: str, kind: str = "release") -> entries.Header:
        """The honest header of the next entry."""
        self.at += 1
        logged_at = datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return entries.Header(
            kind=kind,
            dataset=dataset,
            logged_at=logged_at,
            prev=merkle.leaf_hash(self.bodies[-1]) if self.bodies else None,
            dataset_prev=self.last.get(dataset),
        )

    def close(
        self, successor: str | None, *, signer: KeyFileSigner | None = None, size: int | None = None, root: bytes = b""
    ) -> HostileLog:
        """Logs the entry that ends it, and serves it; ``size`` and ``root`` falsify it."""
        tree = root or merkle.root_from_leaves([merkle.leaf_hash(body) for body in self.bodies])
        count = len(self.bodies) if size is None else size
        payload = closings.closed(self.key.vkey, size=count, root=tree, reason="a new key", successor=successor)
        signer = signer or publisher()
        raw = bundles.encode(payload, signer.sign(bundles.pae(statements.PAYLOAD_TYPE, payload)), signer.public)
        self.put(self.header(self.key.name, "closed").encode() + b"\n" + raw, self.key.name)
        return self.publish()

    def put(self, body: bytes, dataset: str | None = None) -> None:
        """Logs any bytes."""
        if dataset is not None:
            self.last[dataset] = entries.Link(len(self.bodies), merkle.leaf_hash(body))
        self.bodies.append(body)

    def copy(self) -> HostileLog:
        """A twin that goes its own way from here."""
        kept = {"bodies": list(self.bodies), "served": dict(self.served), "asked": []}
        return replace(self, **kept, newest=dict(self.newest), last=dict(self.last))

    # what it does wrong

    def forked(self, size: int, salt: str = "fork") -> HostileLog:
        """Another history after the first ``size`` entries, under the same key; logs and serves nothing yet."""
        twin = replace(self, salt=salt, bodies=self.bodies[:size], served={}, asked=[], newest={}, last={})
        for index, body in enumerate(twin.bodies):
            name = entries.parse(body).header.dataset
            twin.last[name] = entries.Link(index, merkle.leaf_hash(body))
            number = twin.newest[name][0] + 1 if name in twin.newest else 1
            root = hashlib.sha256(f"{self.salt}{name}{number}".encode()).hexdigest()
            twin.newest[name] = (number, f"1.{number}", root)
        return twin

    def flip(self, path: str, at: int = 0, bit: int = 0) -> None:
        """Serves one bit of a resource wrongly."""
        data = bytearray(self.served[path] or b"")
        data[at] ^= 1 << bit
        self.served[path] = bytes(data)

    def drop(self, path: str) -> None:
        """Serves a resource no more."""
        self.served[path] = None


def tile_paths(level: str, count: int) -> list[tuple[str, int, int]]:
    """The path, start and end of every tile over ``count`` things, as tlog-tiles writes them."""
    found = []
    for number, start in enumerate(range(0, count, 256)):
        digits = f"{number:03}" if number < 1000 else f"x{number // 1000:03}/{number % 1000:03}"
        end = min(count, start + 256)
        partial = "" if end - start == 256 else f".p/{end - start}"
        found.append((f"tile/{level}/{digits}{partial}", start, end))
    return found


def resources(bodies: Sequence[bytes]) -> dict[str, bytes]:
    """All tiles and bundles of a log with these entries."""
    found: dict[str, bytes] = {}
    for path, start, end in tile_paths("entries", len(bodies)):
        found[path] = b"".join(struct.pack(">H", len(body)) + body for body in bodies[start:end])
    hashes, level = [merkle.leaf_hash(body) for body in bodies], 0
    while hashes:
        for path, start, end in tile_paths(str(level), len(hashes)):
            found[path] = b"".join(hashes[start:end])
        full = range(0, len(hashes) - 255, 256)
        hashes, level = [merkle.root_from_leaves(hashes[i : i + 256]) for i in full], level + 1
    return found
