"""What a reader needs before it hands out anything: a verified release, or a pin. Nothing in the environment helps."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import pytest

from dataseal.ledger.errors import IntegrityError, Unavailable, UsageError
from dataseal.verifiers import OpenDataset, VerifiedFileSystem, open_dataset
from dataseal.verifiers.reader.errors import NotOpened
from dataseal.verifiers.reader.opened import Allowed
from support.datasets import run, write
from support.reading import NAME, Shelf


def pin(shelf: Shelf) -> dict[str, Any]:
    """The pinned content, as keywords."""
    return dict(shelf.open().storage_options["dataseal"])


def test_it_opens_with_a_publisher_a_log_and_a_name(shelf: Shelf) -> None:
    with shelf.open() as data:
        assert data.name == f"{NAME}@1.0.0"
        assert len(data.root) == 64


def test_a_relative_path_is_the_same_place_from_everywhere(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shelf.root)
    with open_dataset("data/", **shelf.trust) as data:
        frozen = pickle.dumps(data)
        assert data.url("rows.csv") == f"dataseal://rows.csv::{shelf.data}"
    monkeypatch.chdir("/")
    assert pickle.loads(frozen).open("rows.csv").read() == shelf.bytes("rows.csv")


@pytest.mark.parametrize("missing", ["publisher", "log", "dataset"])
def test_without_one_of_them_it_does_not_open(shelf: Shelf, missing: str) -> None:
    with pytest.raises(
        UsageError, match="no dataset is named" if missing == "dataset" else "nobody to trust"
    ) as caught:
        open_dataset(shelf.data, **{k: v for k, v in shelf.trust.items() if k != missing})
    assert caught.value.hint


def test_with_nothing_at_all_it_does_not_open(shelf: Shelf) -> None:
    with pytest.raises(UsageError, match="nobody to trust"):
        open_dataset(shelf.data)
    with pytest.raises(UsageError, match="nothing says whom to trust"):
        open_dataset()
    with pytest.raises(UsageError, match="nothing says whom to trust"):
        fsspec.open("dataseal://rows.csv")


def test_another_dataset_of_the_same_publisher(shelf: Shelf) -> None:
    with pytest.raises(NotOpened, match="another dataset"):
        shelf.open(dataset="acme/other")


def test_another_version_than_the_expected_one(shelf: Shelf) -> None:
    with pytest.raises(NotOpened, match=r"acme/shelf@2\.0\.0 was asked for"):
        shelf.open(dataset=f"{NAME}@2.0.0")


def test_a_publisher_who_did_not_sign(shelf: Shelf, tmp_path: Path) -> None:
    run("init", tmp_path / "stranger")
    with pytest.raises(NotOpened, match="no trusted key made this signature"):
        shelf.open(publisher=tmp_path / "stranger" / "keys" / "publisher.pub")


def test_a_log_that_does_not_hold_it(shelf: Shelf, tmp_path: Path) -> None:
    run("init", tmp_path / "stranger")
    with pytest.raises(NotOpened, match="no trusted log"):
        shelf.open(log=str(tmp_path / "stranger" / "keys" / "log.vkey"))


def test_a_stripped_proof(shelf: Shelf) -> None:
    (shelf.data / ".dataseal" / "release" / "1.tlog-proof").unlink()
    with pytest.raises(NotOpened, match="tlog-proof is missing"):
        shelf.open()


def test_a_stripped_seal(shelf: Shelf) -> None:
    shutil.rmtree(shelf.data / ".dataseal")
    with pytest.raises(UsageError, match="no dataset here"):
        shelf.open()


def test_an_edited_table(shelf: Shelf) -> None:
    table = shelf.data / ".dataseal" / "shards.parquet"
    table.write_bytes(table.read_bytes()[:-1] + b"\0")
    with pytest.raises(NotOpened, match="shard table's SHA-256"):
        shelf.open()


def test_a_file_smuggled_into_the_seal(shelf: Shelf) -> None:
    (shelf.data / ".dataseal" / "notes.txt").write_text("x")
    with pytest.raises(NotOpened, match="does not belong there"):
        shelf.open()


def test_an_older_release_than_one_already_read(shelf: Shelf, tmp_path: Path) -> None:
    shutil.copytree(shelf.data, tmp_path / "old")
    write(shelf.data / "more.bin", b"more")
    at = ("--workspace", shelf.ws)
    run("sign", shelf.data, "--dataset", NAME, "--release", "1.1.0", *at)
    shelf.open().close()
    with pytest.raises(NotOpened, match="older than"):
        open_dataset(tmp_path / "old", **shelf.trust)
    with open_dataset(tmp_path / "old", **{**shelf.trust, "dataset": f"{NAME}@1.0.0"}) as data:
        assert "more.bin" not in data.shards()


# Policies


def policy(shelf: Shelf, text: str) -> Path:
    return write(shelf.root / "policy.yaml", f"dataseal_policy: 1\nname: test\n{text}".encode())


def test_a_policy_file(shelf: Shelf) -> None:
    with shelf.open(policy="dataseal:baseline") as data:
        assert data.name == f"{NAME}@1.0.0"


def test_a_policy_that_is_expired(shelf: Shelf) -> None:
    file = policy(shelf, "extends: [{policy: 'dataseal:baseline'}]\nexpires: 2020-01-01\n")
    with pytest.raises(NotOpened, match="policy-expiry"):
        shelf.open(policy=file)


def test_a_policy_that_demands_whole_file_digests(shelf: Shelf) -> None:
    file = policy(
        shelf, "extends: [{policy: 'dataseal:baseline'}]\nrules: [{id: all, rule: integrity, digests: all}]\n"
    )
    with pytest.raises(NotOpened, match="whole-file SHA-256"):
        shelf.open(policy=file)


def test_a_policy_under_warn_opens_and_warns(shelf: Shelf) -> None:
    file = policy(shelf, "mode: warn\nextends: [{policy: 'dataseal:baseline'}]\nexpires: 2990-01-01\n")
    with pytest.warns(Allowed, match="another dataset"):
        shelf.open(policy=file, dataset="acme/other")


def test_a_policy_whose_screen_has_no_history_is_no_pass(shelf: Shelf) -> None:
    with pytest.raises(Unavailable, match="rule screen: indeterminate"):
        shelf.open(policy="dataseal:pretraining")


def test_a_loaded_policy_takes_no_further_signers(shelf: Shelf) -> None:
    from dataseal.verifiers.reader.trust import policy_of

    made = policy_of("dataseal:baseline", shelf.trust["publisher"], shelf.trust["log"], NAME)
    with open_dataset(shelf.data, policy=made) as data:
        assert data.name == f"{NAME}@1.0.0"
    with pytest.raises(UsageError, match="names its own signers"):
        open_dataset(shelf.data, policy=made, publisher=shelf.trust["publisher"])


# Pins


def test_a_pin_needs_no_trust_and_reads_the_same(shelf: Shelf) -> None:
    with open_dataset(shelf.data, **pin(shelf)) as data:
        assert data.open("rows.csv").read() == shelf.bytes("rows.csv")


@pytest.mark.parametrize("field", ["root", "table"])
def test_a_pin_of_something_else(shelf: Shelf, field: str) -> None:
    with pytest.raises(IntegrityError):
        open_dataset(shelf.data, **{**pin(shelf), field: "00" * 32})


@pytest.mark.parametrize("change", [{"chunk_size": 128 * 1024}, {"chunk_hash": "blake3"}])
def test_a_pin_with_other_parameters(shelf: Shelf, change: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"root|chunks"):
        open_dataset(shelf.data, **{**pin(shelf), **change})


@pytest.mark.parametrize("missing", ["root", "table"])
def test_half_a_pin(shelf: Shelf, missing: str) -> None:
    options = pin(shelf)
    del options[missing]
    with pytest.raises(UsageError, match="both"):
        open_dataset(shelf.data, **options)


def test_a_pin_beside_trust_is_a_contradiction(shelf: Shelf) -> None:
    with pytest.raises(UsageError, match="needs no trust"):
        shelf.open(**pin(shelf))


def test_a_pin_that_is_no_digest(shelf: Shelf) -> None:
    with pytest.raises(Exception, match="64 lower-case hexadecimal digits"):
        open_dataset(shelf.data, root="ABC", table="00" * 32)


@pytest.mark.parametrize(
    "wrong",
    [
        {"root": "0" * 63, "table": "0" * 64},
        {"root": "0" * 64, "table": "0" * 64, "chunk_size": "4m"},
        {"root": "0" * 64, "table": "0" * 64, "chunk_size": 5},
        {"root": 5, "table": "0" * 64},
        {"dataset": "A B", "publisher": "x", "log": "y"},
        {"dataset": 5, "publisher": "x", "log": "y"},
    ],
)
def test_arguments_of_a_wrong_kind_are_misuse(shelf: Shelf, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        open_dataset(shelf.data, **wrong)


@pytest.mark.parametrize("wrong", [-5, "1", None, 1.5])
def test_a_bound_that_is_no_number_of_bytes_is_misuse(shelf: Shelf, wrong: Any) -> None:
    with pytest.raises(UsageError, match="cache_bytes is a number of bytes"):
        shelf.open(cache_bytes=wrong)


def test_the_copy_in_another_place_has_the_same_pin(shelf: Shelf, tmp_path: Path) -> None:
    options = pin(shelf)
    shutil.copytree(shelf.data, tmp_path / "mirror")
    with open_dataset(tmp_path / "mirror", **options) as data:
        assert data.root == options["root"]


# The environment


def test_options_in_fsspecs_configuration_are_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.config import conf

    monkeypatch.setitem(conf, "dataseal", {"publisher": shelf.trust["publisher"]})
    with pytest.raises(UsageError, match="fsspec's configuration has options of dataseal: publisher"):
        fsspec.open(f"dataseal::{shelf.data}/rows.csv", **shelf.trust)


def test_options_in_fsspecs_environment_are_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in shelf.trust.items():
        monkeypatch.setenv(f"FSSPEC_DATASEAL_{name.upper()}", value)
    code = "import fsspec, sys; fsspec.open('dataseal::' + sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, shelf.data], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "UsageError: fsspec's configuration has options of dataseal" in done.stderr


@pytest.mark.parametrize("name", ["POLICY", "PUBLISHER", "LOG", "DATASET", "ROOT", "TABLE"])
def test_no_variable_opens_a_dataset(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    values = {**{k.upper(): str(v) for k, v in {**shelf.trust, **pin(shelf)}.items()}, "POLICY": "dataseal:baseline"}
    monkeypatch.setenv(f"DATASEAL_{name}", values[name])
    with pytest.raises(UsageError):
        open_dataset(shelf.data)


def test_unknown_options(shelf: Shelf) -> None:
    with pytest.raises(UsageError, match="unknown options of a dataseal file system: polcy"):
        VerifiedFileSystem(str(shelf.data), polcy="x")


def test_opening_is_light(shelf: Shelf) -> None:
    code = (
        "import sys; from dataseal.verifiers import open_dataset\n"
        "heavy = {'torch', 'sqlmodel', 'sigstore', 'sklearn', 'duckdb', 'fastapi', 'httpx2', 'pandas', 'pyarrow'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_is_what_it_says(shelf: Shelf) -> None:
    assert isinstance(shelf.open(), OpenDataset)
    import dataseal.verifiers

    with pytest.raises(AttributeError):
        dataseal.verifiers.nothing  # noqa: B018
