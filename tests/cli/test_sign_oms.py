"""`dataseal sign --oms` and `--no-oms`: when the OMS signature is written, and what `sign` says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataseal.ledger.oms import envelope, statement
from support.cli import Said, dataseal, refused
from support.datasets import run, write

OMS = ".dataseal/oms.sigstore.json"


@pytest.fixture
def place(tmp_path: Path, home: Path) -> Path:
    """A workspace ``ws``, and a dataset ``data`` with git's files in it."""
    run("init", tmp_path / "ws")
    for name in ("a.txt", ".gitattributes", "sub/.gitignore", "x.tmp"):
        write(tmp_path / "data" / name, name.encode())
    return tmp_path


def sign(place: Path, *options: object, version: str = "1.0.0") -> Said:
    return dataseal(
        "sign", place / "data", "--dataset", "acme/x", "--release", version, "--workspace", place / "ws", *options
    )


def signature(place: Path) -> statement.Signature:
    return statement.read(envelope.parse((place / "data" / OMS).read_bytes())[0].payload)


def with_key(place: Path, scheme: str) -> tuple[str, Path]:
    """A new key that the log lists."""
    run("key", "new", place / "other.key", "--scheme", scheme)
    config = place / "ws/dataseal.toml"
    config.write_text(config.read_text().replace('["keys/publisher.pub"]', '["keys/publisher.pub", "../other.pub"]'))
    return "--key", place / "other.key"


def test_it_is_written_by_default_and_says_what_it_can_not_name(place: Path) -> None:
    said = sign(place)
    assert said.code == 0, said
    assert f"oms         {OMS}" in said.out
    assert "it can't name .gitattributes" in said.out
    assert set(signature(place).files) == {"a.txt", "sub/.gitignore", "x.tmp"}
    assert sign(place, "--format", "json").json["oms"] == {"omits": [".gitattributes"]}


def test_it_names_the_dataset_and_ignores_what_was_excluded(place: Path) -> None:
    assert sign(place, "--exclude", "*.tmp").code == 0
    found = signature(place)
    assert found.name == "acme/x@1.0.0"
    assert set(found.ignored or ()) == {*statement.IGNORED, "x.tmp"}


def test_no_oms(place: Path) -> None:
    sign(place)
    said = sign(place, "--no-oms")
    assert said.code == 0, said
    assert not (place / "data" / OMS).exists()
    assert "oms " not in said.out
    assert sign(place, "--no-oms", "--format", "json").json["oms"] is None


@pytest.mark.parametrize("scheme", ["ed25519", "ml-dsa-44"])
def test_a_key_that_oms_tools_do_not_know_gets_none(scheme: str, place: Path) -> None:
    key = with_key(place, scheme)
    refused(sign(place, *key, "--oms"), 2, "OMS signatures are ECDSA signatures", scheme)
    assert not (place / "data/.dataseal").exists()  # nothing was logged either
    assert sign(place, *key).code == 0
    assert not (place / "data" / OMS).exists()


def test_a_dataset_of_more_files_than_an_oms_signature_names(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "MAX_FILES", 2)
    refused(sign(place, "--oms"), 2, "at most 2 files", "3")
    assert sign(place).code == 0
    assert not (place / "data" / OMS).exists()


def test_signing_again_leaves_it_as_it_is(place: Path) -> None:
    sign(place)
    first = (place / "data" / OMS).read_bytes()
    assert sign(place).code == 0
    assert (place / "data" / OMS).read_bytes() == first


def test_the_next_release_gets_its_own(place: Path) -> None:
    sign(place)
    assert sign(place, version="1.1.0").code == 0
    assert signature(place).name == "acme/x@1.1.0"


def test_what_is_signed_passes(place: Path) -> None:
    sign(place, "--exclude", "*.tmp")
    keys = place / "ws/keys"
    said = dataseal("verify", place / "data", "--dataset", "acme/x", "--publisher", keys / "publisher.pub", "--log",
                    keys / "log.vkey")  # fmt: skip
    assert said.code == 0, said
