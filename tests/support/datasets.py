"""A small world: a publisher's workspace, its signed datasets, and consumers' copies of them.

``world`` copies a template that is made once a session, so that each test may destroy what it likes::

    w.v1   acme/reviews@1.0.0: README.md, data/a.bin (5 chunks), data/b.bin
    w.v2   acme/reviews@1.1.0: one more shard, data/c.bin, recorded as an append (entry 2)
    w.other  acme/other@1.0.0, by the same publisher in the same log
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from dataseal.ledger import bundle as bundles
from dataseal.ledger.signers import keyfile
from dataseal.ledger.statement import PAYLOAD_TYPE
from dataseal.ledger.workspace import Workspace, load
from support.cli import Said, dataseal

NAME = "acme/reviews"
CHUNK = 64 * 1024
SIZE_A = 5 * CHUNK - 1000


@dataclass(frozen=True)
class World:
    """Paths of the world; ``here`` is the consumer's empty folder and the current directory."""

    root: Path
    here: Path

    @property
    def ws(self) -> Path:
        return self.root / "publisher"

    @property
    def v1(self) -> Path:
        return self.root / "v1"

    @property
    def v2(self) -> Path:
        return self.root / "v2"

    @property
    def other(self) -> Path:
        return self.root / "other"

    @property
    def pub(self) -> Path:
        return self.root / "publisher.pub"

    @property
    def vkey(self) -> str:
        return (self.root / "log.vkey").read_text().strip()

    @property
    def trust(self) -> tuple[str, ...]:
        """The publisher's key and the log's."""
        return ("--publisher", str(self.pub), "--log", self.vkey)

    @property
    def gate(self) -> tuple[str, ...]:
        """What a gate needs beside its target."""
        return ("--policy", "dataseal:baseline", *self.trust, "--dataset", NAME, "--workspace", str(self.ws))

    def copy(self, source: Path | None = None, name: str = "copy") -> Path:
        """A consumer's copy of a dataset (of 1.1.0)."""
        target = self.here / name
        shutil.copytree(source or self.v2, target, symlinks=True)
        return target

    def verify(self, target: Path, *more: object) -> Said:
        """Verifies ``target`` as acme/reviews."""
        return dataseal("verify", target, *self.trust, "--dataset", NAME, *more)

    def workspace(self) -> Workspace:
        """The publisher's workspace, opened."""
        return load(self.ws)

    def receipts(self) -> list[dict]:
        """The receipts in the ledger: the statements' predicates."""
        entries = dataseal("log", "--workspace", self.ws, "--format", "json").json["entries"]
        return [e["predicate"] for e in entries if e["kind"] == "receipt"]


def run(*args: object) -> Said:
    """A command that must succeed."""
    said = dataseal(*args)
    assert said.code == 0, said
    return said


def write(path: Path, data: bytes) -> Path:
    """Writes a file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def flip(path: Path, offset: int) -> None:
    """Flips one bit of one byte."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def make(root: Path) -> None:
    """Makes the template in ``root``."""
    noise = random.Random(7)
    ws = root / "publisher"
    run("init", ws)
    at = ("--workspace", ws)
    first = root / "v1"
    write(first / "README.md", b"# reviews\n")
    write(first / "data" / "a.bin", noise.randbytes(SIZE_A))
    write(first / "data" / "b.bin", noise.randbytes(10_000))
    run("record", "collect", "none", first, "--dataset", NAME, "--reason", "first", "--chunk-size", "64k", *at)
    shutil.copytree(first, root / "v2")
    run("sign", first, "--dataset", NAME, "--release", "1.0.0", *at)
    write(root / "v2" / "data" / "c.bin", noise.randbytes(70_000))
    run("record", "append", f"{NAME}@head", root / "v2", "--reason", "more", *at)
    run("sign", root / "v2", "--dataset", NAME, "--release", "1.1.0", *at)
    write(root / "other" / "data" / "a.bin", b"other data")
    run("sign", root / "other", "--dataset", "acme/other", "--release", "1.0.0", *at)
    shutil.copy(ws / "keys" / "publisher.pub", root)
    shutil.copy(ws / "keys" / "log.vkey", root)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's folder; never changed."""
    root = tmp_path_factory.mktemp("template")
    make(root)
    return root


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, no state, and an empty folder of one's own as current directory."""
    folder = tmp_path / "home"
    (tmp_path / "here").mkdir()
    folder.mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.delenv("DATASEAL_KEY_PASSPHRASE", raising=False)
    return folder


@pytest.fixture
def world(template: Path, tmp_path: Path, home: Path) -> World:
    """The world, to be destroyed at will."""
    shutil.copytree(template, tmp_path / "world")
    return World(tmp_path / "world", tmp_path / "here")


@pytest.fixture
def stranger(tmp_path: Path, home: Path) -> Path:
    """A workspace of somebody else, with keys of its own."""
    run("init", tmp_path / "stranger")
    return tmp_path / "stranger"


def signer(path: Path) -> keyfile.KeyFileSigner:
    """The signer in a key file."""
    return keyfile.load(path, lambda _: None)


def second(copy: Path, key: Path) -> None:
    """Adds a second signer's bundle over the same release statement, without a proof."""
    release = copy / ".dataseal" / "release"
    payload = bundles.parse((release / "1.sigstore.json").read_bytes()).payload
    who = signer(key)
    raw = bundles.encode(payload, who.sign(bundles.pae(PAYLOAD_TYPE, payload)), who.public)
    (release / "2.sigstore.json").write_bytes(raw)
