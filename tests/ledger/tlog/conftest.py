"""What the log format tests share: keys from fixed seeds, a log in memory, vectors, and the docstrings' examples."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import pathlib
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataseal.ledger.tlog import merkle, note, tile
from dataseal.ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from dataseal.ledger.tlog.cosignature import Ed25519Cosigner, MLDSA44Cosigner

ROOT = pathlib.Path(__file__).resolve().parents[3]
ORIGIN = "dataseal.invalid/0123456789abcdef"
NOW = 1767225600  # 2026-01-01T00:00:00Z


def seed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def ed25519(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed(name))


def mldsa44(name: str) -> Any:
    mldsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mldsa", reason="no ML-DSA here")
    return mldsa.MLDSA44PrivateKey.from_seed_bytes(seed(name))


@pytest.fixture
def log_signer() -> note.Ed25519Signer:
    return note.Ed25519Signer(ORIGIN, ed25519("dataseal example log"))


@pytest.fixture
def witness() -> Ed25519Cosigner:
    return Ed25519Cosigner("witness.example/w1", ed25519("dataseal example witness"))


@pytest.fixture
def pq_witness() -> MLDSA44Cosigner:
    return MLDSA44Cosigner("witness.example/pq", mldsa44("dataseal example pq witness"))


@pytest.fixture
def pq_log() -> MLDSA44Cosigner:
    return MLDSA44Cosigner(ORIGIN, mldsa44("dataseal example pq log"))


@pytest.fixture
def new_witness() -> Callable[[str], Ed25519Cosigner]:
    return lambda name: Ed25519Cosigner(f"witness.example/{name}", ed25519(name))


@dataclass
class MemoryLog:
    """A whole log in memory: a `merkle.HashReader`, and a source of tiles that can lose, cut and alter them."""

    entries: list[bytes]
    nodes: dict[merkle.Node, bytes] = field(default_factory=dict)
    edge: merkle.CompactRange = field(default_factory=merkle.CompactRange)
    altered: dict[str, bytes | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for level, first, hashes in self.edge.extend(tile.entry_hashes(self.entries)):
            self.nodes.update(((level, first + i), value) for i, value in enumerate(hashes))

    @property
    def leaves(self) -> list[bytes]:
        return tile.entry_hashes(self.entries)

    def read(self, nodes: Sequence[merkle.Node]) -> list[bytes]:
        return [self.nodes[node] for node in nodes]

    def read_tile(self, path: str) -> bytes | None:
        self.asked.append(path)
        if path in self.altered:
            return self.altered[path]
        found = tile.parse_path(path)
        assert found.level is not None
        first = found.index * tile.WIDTH
        level = found.level * tile.HEIGHT
        wanted = [self.nodes.get((level, i)) for i in range(first, first + found.width)]
        return None if None in wanted else b"".join(value for value in wanted if value)

    def checkpoint(self, *signers: note.Signer) -> bytes:
        return sign_checkpoint(Checkpoint(ORIGIN, len(self.entries), self.edge.root()), signers)


@pytest.fixture(scope="session")
def make_log() -> Callable[[int], MemoryLog]:
    return lambda size: MemoryLog([b"entry %d" % i for i in range(size)])


@pytest.fixture
def hash_reader_contract() -> Callable[[merkle.HashReader, list[bytes]], None]:
    """What every `merkle.HashReader` over these leaves must do; new readers are put through it."""

    def check(reader: merkle.HashReader, leaves: list[bytes]) -> None:
        size = len(leaves)
        assert merkle.root_at(reader, size) == merkle.root_from_leaves(leaves)
        assert reader.read([]) == []
        for index in {0, size // 2, size - 1}:
            assert reader.read([(0, index)]) == [leaves[index]]
            proof = merkle.prove_inclusion(reader, size=size, index=index)
            assert proof == merkle.inclusion_proof(leaves, index)
        for old in {1, size // 2 or 1, size}:
            assert merkle.prove_consistency(reader, old=old, new=size) == merkle.consistency_proof(leaves, old)

    return check


@pytest.fixture(scope="session")
def shared_vectors() -> pathlib.Path:
    folder = ROOT.parent / "shared" / "vectors"
    if not folder.is_dir():
        pytest.skip(f"the shared vectors are not at hand ({folder})")
    return folder


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], Any]:
    return lambda name: json.loads((ROOT / "tests" / "vectors" / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def vectors_folder() -> pathlib.Path:
    return ROOT / "tests" / "vectors"


@pytest.fixture(scope="session")
def example() -> Callable[[ModuleType], str]:
    """The example at the end of a module's docstring, dedented, with a final newline."""

    def read(module: ModuleType) -> str:
        text = ast.get_docstring(ast.parse(inspect.getsource(module)))
        assert text is not None
        assert "\nExample" in text
        block = text[text.index("\nExample") :].partition("::\n\n")[2]
        return textwrap.dedent(block).rstrip("\n") + "\n"

    return read
