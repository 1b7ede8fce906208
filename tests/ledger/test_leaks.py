from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from dataseal.ledger import leaks
from dataseal.ledger.errors import UsageError
from dataseal.ledger.hashing import File
from dataseal.ledger.signers.keyfile import SCHEMES
from support.errors import refused
from support.statements import signer
from support.workspaces import Bench, make_workspace, tree

PEM, PLAIN = serialization.Encoding.PEM, serialization.NoEncryption()


def look(data: bytes, path: str = "data/file") -> None:
    leaks.refuse(File(path, "/x", len(data)), memoryview(data))


KEYS = {
    **{s: signer(s, s).private.private_bytes(PEM, serialization.PrivateFormat.PKCS8, PLAIN) for s in SCHEMES},
    "encrypted": signer().private.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    ),
    "old EC": signer().private.private_bytes(PEM, serialization.PrivateFormat.TraditionalOpenSSL, PLAIN),
    "OpenSSH": signer().private.private_bytes(PEM, serialization.PrivateFormat.OpenSSH, PLAIN),
    "PGP": b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOY\n",
    "note": b"PRIVATE+KEY+example.org/log+d557fb4b+AQAA\n",
    "age": b"# created: 2026\nAGE-SECRET-KEY-1QQQQ\n",
    "after text": b"certificate and key\n-----BEGIN RSA PRIVATE KEY-----\nMII\n",
    "DOS lines": b"hello\r\n-----BEGIN RSA PRIVATE KEY-----\r\nMII\r\n",
    "indented": b"key: |\n    -----BEGIN PRIVATE KEY-----\n    MII\n",
    "byte order mark": b"\xef\xbb\xbf-----BEGIN PRIVATE KEY-----\nMII\n",
    "service account": b'{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\\nMII\\n"}',
}


@pytest.mark.parametrize("data", KEYS.values(), ids=KEYS.keys())
def test_a_private_key_is_refused_by_its_file(data: bytes) -> None:
    with refused(UsageError, "private key", "data/file", "--exclude"):
        look(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        signer().public.pem(),
        b"it says -----BEGIN PRIVATE KEY----- in the middle of a line",
        b'{"text": "how to read -----BEGIN PRIVATE KEY----- in Go"}',
        b"PAR1" + b"\0" * 100,
        b"\xff" * 65_536,
    ],
)
def test_other_files_pass(data: bytes) -> None:
    look(data)


def test_a_large_shard_that_quotes_a_key_passes() -> None:
    look(b"-----BEGIN PRIVATE KEY-----\n" + b"x" * leaks.MAX_KEY)


@pytest.mark.parametrize("path", ["dataseal.toml", "sub/dataseal.toml"])
def test_a_workspaces_configuration_is_refused_at_any_depth(path: str) -> None:
    with refused(UsageError, "workspace", path, "outside"):
        look(b"anything", path)


@pytest.mark.parametrize("path", ["my-dataseal.toml", "dataseal.toml.txt", "dataseal.toml/x"])
def test_a_similar_name_passes(path: str) -> None:
    look(b"anything", path)


def test_signing_a_folder_that_holds_a_workspace_signs_and_changes_nothing(bench: Bench, dataset: Path) -> None:
    make_workspace(dataset / "inside")
    before = tree(dataset)
    with refused(UsageError):
        bench.sign(dataset)
    assert tree(dataset) == before
    assert bench.log.store.open(bench.database)
    with bench.log.store.view() as view:
        assert view.count() == 0


def test_signing_a_folder_with_a_private_key_is_refused_and_naming_it_out_is_recorded(
    bench: Bench, dataset: Path
) -> None:
    (dataset / "id_rsa").write_bytes(KEYS["OpenSSH"])
    with refused(UsageError, "id_rsa"):
        bench.sign(dataset)
    assert bench.sign(dataset, exclusions=["id_*"]).release.exclusions == ["id_*"]


@pytest.mark.parametrize("data", KEYS.values(), ids=KEYS.keys())
def test_a_private_key_between_other_bytes_is_found(data: bytes) -> None:
    noise = bytes(range(128, 256)) * 100
    with refused(UsageError, "private key"):
        look(noise + b"\n" + data + noise)
