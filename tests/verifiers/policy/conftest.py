"""One set of keys, logs and facts for all policy tests, and a folder with a policy file in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.tlog.note import Ed25519Verifier
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.trust import TrustedLog
from dataseal.verifiers.facts import Facts, LogFacts, ReleaseFacts, SignatureFacts
from dataseal.verifiers.finding import Finding
from dataseal.verifiers.policy import PolicyError, load
from dataseal.verifiers.screen.report import DetectorReport, ScreenReport

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DATASET = "corpus-lab/reviews"


def vkey(number: int, name: str = "example.org/log") -> str:
    key = ec.derive_private_key(number, ec.SECP256R1()).public_key()
    return Ed25519Verifier(name, key.public_numbers().x.to_bytes(32, "big")).vkey


class World:
    """Makers of the nouns, with defaults that pass every rule."""

    now = NOW
    dataset = DATASET

    def __init__(self) -> None:
        self.keys = [PublicKey.of(ec.derive_private_key(n, ec.SECP256R1()).public_key()) for n in (11, 12, 13)]
        self.amy, self.ben, self.eve = self.keys
        self.log = TrustedLog("main", policy_for_log(vkey(21)))
        self.vkey = staticmethod(vkey)

    def release(self, **changes: Any) -> ReleaseFacts:
        base = ReleaseFacts(
            dataset=DATASET, version="1.1.0", sequence=2, root="aa" * 32, table="bb" * 32, shards=8,
            bytes=1000, chunk_size=4194304, chunk_hash="sha256", exclusions=(), metadata={},
            signatures=self.signatures(self.amy.fingerprint),
        )  # fmt: skip
        if "signed_by" in changes:
            changes["signatures"] = self.signatures(*changes.pop("signed_by"))
        return replace(base, **changes)

    def signatures(self, *fingerprints: str) -> tuple[SignatureFacts, ...]:
        """Signatures by keys, which count for every name that a test may give them."""
        amy, ben, eve = (key.fingerprint for key in self.keys)
        names = {amy: ("amy", "amelia"), ben: ("ben",), eve: ("eve",)}
        return tuple(
            SignatureFacts((*names[f], f"publisher:{f[:16]}"), f, f, "ecdsa-p256", f[:16]) for f in fingerprints
        )

    def in_log(self, **changes: Any) -> LogFacts:
        base = LogFacts(
            log="main", origin="example.org/log", index=3, tree_size=5, operator="self-operated", witnesses=2,
            witnesses_known=3, quorum_met=True, witnessed=True,
        )  # fmt: skip
        return replace(base, **changes)

    def detector(self, name: str = "private-phrase", **changes: Any) -> DetectorReport:
        base = DetectorReport(
            detector=name, version="1", status="ran", calibrated=True, reason="", rows=100, tests=55,
            minimum="6 rows", parameters={}, blind_to=(),
        )  # fmt: skip
        return replace(base, **changes)

    def screen(self, *detectors: DetectorReport, **changes: Any) -> ScreenReport:
        base = ScreenReport(
            rows=100, shards=8, shards_total=8, roles={"text": "text"}, findings=(), seed=1,
            detectors=detectors or (self.detector(),), history="verified: 8 deliveries",
        )  # fmt: skip
        return replace(base, **changes)

    def facts(self, **changes: Any) -> Facts:
        base = Facts(
            now=NOW, target="data", release=self.release(), log=self.in_log(), findings=(), complete=True,
            screen=self.screen(),
        )  # fmt: skip
        return replace(base, **changes)

    def finding(self, check: str = "screen.private-phrase", **changes: Any) -> Finding:
        return replace(Finding(check, "30 rows hold blue-sky-protocol-7"), **changes)


@pytest.fixture(scope="session")
def world() -> World:
    return World()


HEAD = "dataseal_policy: 1\nname: team\n"
RULES = """rules:
  - {id: ours, rule: publisher, datasets: ["corpus-lab/*"], all_of: [{signers: "group:publishers"}]}
"""


@pytest.fixture
def folder(tmp_path: Path, world: World) -> Path:
    """A folder with keys/amy.pub, keys/ben.pub and keys/main.tlog-policy."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "amy.pub").write_bytes(world.amy.pem())
    (keys / "ben.pub").write_bytes(world.ben.pem())
    (keys / "main.tlog-policy").write_text(f"log {vkey(21)}\nquorum none\n")
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Callable[..., str]:
    """Writes a policy: ``write(body)`` puts the two head lines before it."""

    def writer(body: str, *, head: str = HEAD, name: str = "team.yaml") -> str:
        path = folder / name
        path.write_text(head + body, encoding="utf-8", newline="")
        return str(path)

    return writer


@pytest.fixture
def refused(write: Callable[..., str], world: World) -> Callable[..., str]:
    """Loads a policy that must be refused, and gives the message: keys and a log are at hand."""

    def attempt(body: str, **options: Any) -> str:
        path = write(body, **options)
        with pytest.raises(PolicyError) as caught:
            load(
                path,
                publishers=[] if "publishers: " in body or "parent.yaml" in body else [world.amy],
                logs=[] if "logs: {" in body else [world.log],
            )
        assert str(Path(path).parent) in str(caught.value)
        return str(caught.value).replace(path, "team.yaml")

    return attempt
