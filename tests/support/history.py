"""A log in memory that signs whatever it is told, also what no honest log would admit: branches, cycles, lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dataseal.ledger import bundle as bundles
from dataseal.ledger import delta as deltas
from dataseal.ledger import entry as entries
from dataseal.ledger import seal
from dataseal.ledger import statement as statements
from dataseal.ledger.delta import Delta
from dataseal.ledger.digest import sha256
from dataseal.ledger.manifest import Manifest, build, encode_table
from dataseal.ledger.predicates import Changes, Counts, Modification, Release, State, Tree
from dataseal.ledger.signers import keyfile
from dataseal.ledger.statement import PAYLOAD_TYPE
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from dataseal.ledger.tlog.note import Ed25519Signer
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.tlog.proof import LogProof
from dataseal.ledger.trust import Signer, Trust, TrustedLog
from dataseal.ledger.verify import LoggedStatement, verify_bundle, verify_logged
from dataseal.verifiers.lineage import History, read_history
from support.shards import SMALL, shard

NAME, ORIGIN = "acme/reviews", "simulated.invalid/log"
Files = Mapping[str, bytes]


def manifest(files: Files) -> Manifest:
    """The manifest of files in memory."""
    return build([shard(path, data) for path, data in files.items()], SMALL)


_KEY, _LOG_KEY = keyfile.generate(), keyfile.generate("ed25519")


@dataclass
class Simulated:
    """The log, and the seal of a dataset in it."""

    bodies: list[tuple[entries.Header, bytes]] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)

    def note_signer(self) -> Ed25519Signer:
        return Ed25519Signer(ORIGIN, _LOG_KEY.private)  # type: ignore[arg-type]

    @property
    def trust(self) -> Trust:
        """Trusts the one key, as amy, and the one log."""
        log = TrustedLog("log", policy_for_log(self.note_signer().vkey))
        return Trust(signers={"amy": Signer.of("amy", _KEY.public)}, logs={"log": log})

    def add(self, payload: bytes, *, key: keyfile.KeyFileSigner = _KEY) -> int:
        """Signs and appends a statement; nothing is asked."""
        statement = statements.parse(payload)
        raw = bundles.encode(payload, key.sign(bundles.pae(PAYLOAD_TYPE, payload)), key.public)
        header = entries.Header(statement.kind, statement.dataset, "2026-01-02T03:04:05Z", self._prev(), None)
        self.bodies.append((header, raw))
        return len(self.bodies) - 1

    def _prev(self) -> bytes | None:
        return self._leaves()[-1] if self.bodies else None

    def _leaves(self) -> list[bytes]:
        return [entries.leaf_hash(header.encode(), raw) for header, raw in self.bodies]

    def modify(
        self, before: Files | None, after: Files, *, operation: str = "append", delta: Delta | None = None,
        name: str = NAME, key: keyfile.KeyFileSigner = _KEY,
    ) -> int:  # fmt: skip
        """Appends a modification; ``delta`` may be a lie."""
        old, new = manifest(before) if before is not None else None, manifest(after)
        told = (delta or deltas.between(old, new)).encode()
        self.objects[sha256(told).hex()] = told
        root, table = new.root.hex(), sha256(encode_table(new)).hex()
        nothing = Changes(added=0, removed=0, changed=0)
        start = State(root=old.root.hex(), table="0" * 64) if old else None
        body = Modification.make(
            operation=operation, from_=start, to=Tree.of(new), reason="r", tool=None, parameters={}, exclusions=[],
            counts=Counts(shards=nothing, rows=nothing), delta=sha256(told).hex(),
        )  # fmt: skip
        version = statements.state_version(root)
        return self.add(
            statements.encode(statements.MODIFICATION, body, dataset=name, version=version, table=table, root=root),
            key=key,
        )

    def release(self, files: Files, version: str = "1.0.0", sequence: int = 1, name: str = NAME) -> int:
        """Appends a release."""
        new = manifest(files)
        body = Release.make(
            sequence=sequence, previous=None, tree=Tree.of(new), derived_from=[], exclusions=[], metadata={}
        )
        root, table = new.root.hex(), sha256(encode_table(new)).hex()
        return self.add(
            statements.encode(statements.RELEASE, body, dataset=name, version=version, table=table, root=root)
        )

    def proof(self, index: int) -> bytes:
        """The proof file of an entry under the newest head."""
        leaves = self._leaves()
        head = Checkpoint(ORIGIN, len(leaves), merkle.root_from_leaves(leaves))
        note = sign_checkpoint(head, [self.note_signer()])
        hashes = tuple(merkle.inclusion_proof(leaves, index))
        return LogProof(index, hashes, note, self.bodies[index][0].encode()).encode()

    def logged(self, index: int) -> LoggedStatement:
        """An entry, verified."""
        verified = verify_bundle(self.bodies[index][1], [_KEY.public])
        return verify_logged(verified, self.proof(index), tuple(self.trust.logs.values()))

    def files(self, *indexes: int) -> dict[str, bytes]:
        """The seal's files of these history entries, and every object."""
        found = {seal.object_name(digest): data for digest, data in self.objects.items()}
        for index in indexes:
            found[seal.history_name(index, "sigstore.json")] = self.bodies[index][1]
            found[seal.history_name(index, "tlog-proof")] = self.proof(index)
        return found

    def read(self, release: int, files: Files, *history: int, change: Files | None = None) -> History:
        """The history beside a release over ``files``: all entries before it, or the named ones."""
        indexes = history or tuple(range(release))
        present = {**self.files(*indexes), **(change or {})}
        return read_history(
            lambda name, _: present.get(name),
            sorted(present),
            trust=self.trust,
            release=self.logged(release),
            manifest=manifest(files),
            now=datetime(2026, 6, 1, tzinfo=UTC),
        )
