"""`dataseal verify --oms`: bundles that others made, and what no OMS tool may pass over in silence."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from support import oms as make
from support.cli import Said, dataseal, refused
from support.datasets import World, flip, run, signer, write
from support.oms import VECTORS
from support.statements import b64, spoil

KEY = VECTORS / "keys" / "p256.pub"


def verify(target: Path, bundle: Path, *more: object, key: Path = KEY) -> Said:
    return dataseal("verify", target, "--oms", bundle, "--publisher", key, *more)


@pytest.fixture
def model(tmp_path: Path, home: Path) -> Path:
    """The tree that the vectors sign."""
    return make.vector_tree(tmp_path / "model")


def vector(name: str) -> Path:
    return VECTORS / f"{name}.json"


def passed(said: Said, *parts: str) -> None:
    assert said.code == 0, said
    assert said.err == ""
    assert said.last.startswith("PASSED ")
    for part in parts:
        assert part in said.out, said.out


def blocked(said: Said, *parts: str) -> None:
    assert said.code == 1, said
    assert said.err == ""
    assert said.last.startswith("BLOCKED ")
    assert "next  " in said.out
    for part in parts:
        assert part in said.out, said.out


# --- what released versions made ---


@pytest.mark.parametrize(
    "name", ["0.2.0-key", "0.3.1-key", "0.3.1-shards", "0.3.1-blake2", "1.0.0-shards", "1.0.1-key"]
)
def test_an_old_bundle_that_signs_every_file(name: str, model: Path) -> None:
    said = verify(model, vector(name))
    passed(said, "signed by   ecdsa-p256 key ")
    assert said.last == f"PASSED {model}: 6 files, 91 bytes, as signed"


@pytest.mark.parametrize("name", ["1.1.1-key", "1.1.1-shards", "1.1.1-blake2", "1.1.1-blake3", "1.1.1-shards-blake2"])
def test_a_new_bundle_that_ignores_the_git_names_is_partial(name: str, model: Path) -> None:
    said = verify(model, vector(name))
    passed(
        said,
        "warn  oms.ignored: 1 file that nobody signed: the signer ignored '.gitattributes'",
        "at    .gitattributes",
    )
    assert said.last.startswith(f"PASSED partial {model}: 5 files")


def test_without_the_ignored_file_it_is_whole(model: Path) -> None:
    (model / ".gitattributes").unlink()
    assert verify(model, vector("1.1.1-key")).last == f"PASSED {model}: 5 files, 74 bytes, as signed"


@pytest.mark.parametrize("version", ["0.3.1", "1.0.0", "1.0.1", "1.1.1"])
def test_a_single_file(version: str, model: Path) -> None:
    said = verify(model / "weights.bin", vector(f"{version}-single-file"))
    assert said.last == f"PASSED {model / 'weights.bin'}: 1 file, 18 bytes, as signed"


def test_a_single_files_signature_over_a_folder(model: Path) -> None:
    blocked(verify(model, vector("1.1.1-single-file")), "a single file was signed, and this is a folder")


def test_a_folders_signature_over_a_single_file(model: Path) -> None:
    blocked(verify(model / "weights.bin", vector("1.1.1-key")), "a folder was signed, not this file")


def test_the_files_behind_a_signed_ignore_path_are_named(model: Path) -> None:
    write(model / "data" / "poison.bin", b"x")
    said = verify(model, vector("1.1.1-ignore"))
    passed(said, "4 files that nobody signed: the signer ignored 'data'", "at    data/poison.bin", "PASSED partial")
    document = verify(model, vector("1.1.1-ignore"), "--format", "json").json
    assert document["partial"] is True
    assert (document["files"], document["unsigned"]) == (2, 5)
    assert document["oms"]["ignore_paths"] == [".git", ".gitattributes", ".github", ".gitignore", "data"]


def test_files_that_an_old_signer_meant_to_ignore_and_did_not_say_so(model: Path) -> None:
    blocked(verify(model, vector("1.0.1-ignore")), "fail  integrity.extra: 'data/a-b.txt' was not signed")


def test_a_git_name_beside_an_old_bundle_is_reported(model: Path) -> None:
    write(model / ".github" / "evil.yml", b"x")
    passed(
        verify(model, vector("1.0.1-key")),
        "signers of this version ignore, without saying so, '.github'",
        "at    .github/evil.yml",
        "PASSED partial",
    )


def test_a_git_name_that_was_signed_is_compared(model: Path) -> None:
    flip(model / ".gitattributes", 0)
    blocked(verify(model, vector("1.0.1-key")), "integrity.changed: '.gitattributes'")


# --- attacks on the files ---


@pytest.mark.parametrize("name", ["1.1.1-key", "1.1.1-shards", "0.2.0-key", "1.1.1-blake3"])
def test_a_changed_byte(name: str, model: Path) -> None:
    flip(model / "data" / "a" / "b.txt", 9)
    said = verify(model, vector(name))
    blocked(said, "fail  integrity.changed: 'data/a/b.txt'")
    assert ("data/a/b.txt bytes 8-15" in said.out) == ("shards" in name)


@pytest.mark.parametrize("name", ["1.1.1-key", "1.1.1-shards"])
def test_a_file_that_grew(name: str, model: Path) -> None:
    with (model / "config.json").open("ab") as stream:
        stream.write(b"x")
    blocked(verify(model, vector(name)), "integrity.changed: 'config.json'")


@pytest.mark.parametrize("name", ["1.1.1-key", "1.1.1-shards"])
def test_an_added_file(name: str, model: Path) -> None:
    write(model / "poison.bin", b"x")
    blocked(verify(model, vector(name)), "integrity.extra: 'poison.bin' was not signed: 1 bytes")


def test_an_added_empty_file_beside_a_sharded_signature(model: Path) -> None:
    write(model / "__init__.py", b"")
    blocked(verify(model, vector("1.1.1-shards")), "a sharded OMS signature covers no empty files")


@pytest.mark.parametrize("name", ["1.1.1-key", "1.1.1-shards"])
def test_a_removed_file(name: str, model: Path) -> None:
    (model / "weights.bin").unlink()
    blocked(verify(model, vector(name)), "integrity.missing: 'weights.bin' is missing")


def test_a_renamed_file(model: Path) -> None:
    (model / "weights.bin").rename(model / "weights.old")
    blocked(verify(model, vector("1.1.1-key")), "integrity.missing: 'weights.bin'", "integrity.extra: 'weights.old'")


def test_two_files_that_changed_places(model: Path) -> None:
    """The OMS subject digest covers no names; what is compared does."""
    (model / "weights.bin").rename(model / "x")
    (model / "config.json").rename(model / "weights.bin")
    (model / "x").rename(model / "config.json")
    blocked(verify(model, vector("1.1.1-key")), "integrity.changed: 'weights.bin'", "integrity.changed: 'config.json'")


def test_a_link_in_place_of_a_signed_file(model: Path, tmp_path: Path) -> None:
    shutil.move(model / "weights.bin", tmp_path / "elsewhere")
    (model / "weights.bin").symlink_to(tmp_path / "elsewhere")
    blocked(verify(model, vector("1.1.1-key")), "integrity.forbidden: 'weights.bin' is a symbolic link")


def test_a_link_to_a_folder(model: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (model / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    blocked(verify(model, vector("1.1.1-key")), "integrity.forbidden: 'more'")


def test_a_link_behind_an_ignored_path_is_named(model: Path) -> None:
    (model / ".github").symlink_to("/etc")
    passed(verify(model, vector("1.1.1-key")), "at    .github")


def test_a_seal_that_nobody_signed_is_not_passed_over(model: Path) -> None:
    write(model / ".dataseal" / "poison", b"x")
    blocked(verify(model, vector("1.1.1-key")), "integrity.extra: '.dataseal/poison'")


def test_an_empty_folder_is_no_model(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    blocked(verify(tmp_path / "empty", vector("1.1.1-key")), "integrity.missing")


def test_a_statement_whose_every_file_hides(tmp_path: Path, home: Path) -> None:
    """A file that is signed is compared even below an ignored path."""
    folder = make.write(tmp_path / "model")
    key = run_key(tmp_path)
    payload = make.statement(ignore_paths=["."])
    bundle = write(tmp_path / "x.sig", make.bundle(payload, signer(key)))
    flip(folder / "data" / "a.txt", 0)
    write(folder / "poison", b"x")
    said = verify(folder, bundle, key=key.with_suffix(".pub"))
    blocked(said, "integrity.changed: 'data/a.txt'", "1 file that nobody signed: the signer ignored '.'")


def run_key(folder: Path) -> Path:
    run("key", "new", folder / "some.key")
    return folder / "some.key"


# --- attacks on the bundle ---


def test_another_publisher(model: Path) -> None:
    said = verify(model, vector("1.1.1-key"), key=VECTORS / "keys" / "p384.pub")
    blocked(said, "fail  signature.untrusted: no trusted key made it")


def test_a_second_signature_by_somebody_else(tmp_path: Path, home: Path) -> None:
    folder, key = make.write(tmp_path / "model"), run_key(tmp_path)
    run("key", "new", tmp_path / "other.key")
    raw = make.bundle(make.statement(), signer(key), signer(tmp_path / "other.key"))
    bundle = write(tmp_path / "x.sig", raw)
    blocked(verify(folder, bundle, key=key.with_suffix(".pub")), "signature 2 of 2")
    said = verify(folder, bundle, "--publisher", tmp_path / "other.pub", key=key.with_suffix(".pub"))
    passed(said)
    assert said.out.count("signed by ") == 2


def test_a_threshold_counts_distinct_signers(tmp_path: Path, home: Path) -> None:
    folder, key = make.write(tmp_path / "model"), run_key(tmp_path)
    run("key", "new", tmp_path / "other.key")
    bundle = write(tmp_path / "x.sig", make.bundle(make.statement(), signer(key), signer(key)))
    both = ("--publisher", tmp_path / "other.pub", "--threshold", "2")
    blocked(verify(folder, bundle, *both, key=key.with_suffix(".pub")), "signed by 1 of the 2 distinct signers")


def test_an_altered_payload(model: Path, tmp_path: Path) -> None:
    raw = vector("1.1.1-key").read_bytes()
    bundle = write(tmp_path / "x.sig", spoil(raw, "dsseEnvelope", "payload", to=b64(make.statement())))
    blocked(verify(model, bundle), "signature.untrusted")


def test_a_release_bundle_of_ours_is_no_oms_bundle(world: World) -> None:
    said = verify(world.v2, world.v2 / ".dataseal/release/1.sigstore.json", key=world.pub)
    blocked(said, "signature.invalid: OMS statement: predicate type 'https://dataseal.invalid/release/v1'")


def test_a_validly_signed_statement_with_a_path_that_leads_outside(tmp_path: Path, home: Path) -> None:
    folder, key = make.write(tmp_path / "model"), run_key(tmp_path)
    payload = make.statement([*make.whole(make.FILES), make.resource("../secret", b"x")])
    bundle = write(tmp_path / "x.sig", make.bundle(payload, signer(key)))
    blocked(verify(folder, bundle, key=key.with_suffix(".pub")), "signature.invalid: path '../secret'")


def test_hostile_names_reach_no_terminal(tmp_path: Path, home: Path) -> None:
    folder, key = make.write(tmp_path / "model"), run_key(tmp_path)
    payload = make.statement(ignore_paths=["\x1b[31m", "data"]).replace(b'"name": "model"', b'"name": "\\u001b[2J"')
    bundle = write(tmp_path / "x.sig", make.bundle(payload, signer(key)))
    write(folder / "\x1b[31m" / "x", b"x")
    said = verify(folder, bundle, key=key.with_suffix(".pub"))  # `dataseal` fails on raw characters
    passed(said, "PASSED partial")
    verify(folder, bundle, "--format", "json", key=key.with_suffix(".pub"))


def test_a_name_that_is_not_utf8(model: Path) -> None:
    with open(os.fsencode(model) + b"/bad\xff", "wb"):
        pass
    blocked(verify(model, vector("1.1.1-key")), "integrity.extra")
    assert verify(model, vector("1.1.1-key"), "--format", "json").code == 1


def test_a_bundle_of_a_gigabyte_is_not_read(model: Path, tmp_path: Path) -> None:
    bundle = write(tmp_path / "x.sig", b"")
    os.truncate(bundle, 1 << 30)
    blocked(verify(model, bundle), "signature.invalid: OMS bundle has", "at most")


# --- certificates ---


def test_a_certificates_key_may_be_trusted_as_a_key(model: Path) -> None:
    passed(verify(model, vector("1.1.1-certificate"), key=VECTORS / "keys" / "leaf.pub"))


# --- our own ---


def test_our_own_oms_signature_is_one_like_any_other(world: World) -> None:
    said = verify(world.v2, world.v2 / ".dataseal/oms.sigstore.json", key=world.pub)
    passed(said, "left out: .dataseal/ (")
    assert said.last.startswith(f"PASSED {world.v2}: 4 files")


# --- misuse ---


@pytest.mark.parametrize("option", [("--policy", "dataseal:baseline"), ("--log", "x"), ("--dataset", "acme/x")])
def test_options_that_an_oms_signature_can_not_answer(option: tuple[str, str], model: Path) -> None:
    refused(verify(model, vector("1.1.1-key"), *option), 2, "--oms goes without")


def test_no_publisher(model: Path) -> None:
    refused(dataseal("verify", model, "--oms", vector("1.1.1-key")), 2, "--publisher")


def test_no_such_bundle(model: Path) -> None:
    refused(verify(model, model / "model.sig"), 2, "no such file")


def test_a_folder_as_the_bundle(model: Path) -> None:
    refused(verify(model, model), 2, "not a file")


def test_no_such_target(model: Path) -> None:
    refused(verify(model / "nothing", vector("1.1.1-key")), 2, "no such file")


# --- trust documents ---


@pytest.fixture
def document(tmp_path: Path, home: Path) -> Path:
    """A trust document that names the vectors' certified name."""
    path = tmp_path / "trust.yaml"
    run("trust", "add", "models", "--roots", VECTORS / "keys/root.crt", "--identity", "email:models@example.com",
        "--trust", path)  # fmt: skip
    return path


def verify_named(model: Path, name: str, document: Path) -> Said:
    return dataseal("verify", model, "--oms", vector(name), "--trust", document, "--publisher", "models")


@pytest.mark.parametrize("version", ["1.0.0", "1.0.1", "1.1.1"])
def test_a_certified_name(version: str, model: Path, document: Path) -> None:
    passed(verify_named(model, f"{version}-certificate", document), "signed by   models, x509 ")


@pytest.mark.parametrize("version", ["1.0.0", "1.0.1", "1.1.1"])
def test_an_expired_certificate_which_the_reference_accepts(version: str, model: Path, document: Path) -> None:
    said = verify_named(model, f"{version}-certificate-expired", document)
    blocked(said, "signature.untrusted: no trusted key made it", "not valid at")


def test_a_certificate_that_can_not_be_read_is_nothing_to_a_key_beside_it(
    model: Path, document: Path, tmp_path: Path
) -> None:
    """Whoever passed the bundle on wrote it there; the document's certified name has nothing to do with it."""
    run("trust", "add", "amy", "--key", VECTORS / "keys" / "leaf.pub", "--trust", document)
    chain = ("verificationMaterial", "x509CertificateChain", "certificates")
    raw = spoil(vector("1.1.1-certificate").read_bytes(), *chain, to=[{"rawBytes": b64(b"junk")}])
    bundle = write(tmp_path / "spoilt.sig", raw)
    trusting = ("--trust", document, "--publisher", "amy", "--publisher", "models")
    passed(dataseal("verify", model, "--oms", bundle, *trusting), "signed by   amy")
    blocked(dataseal("verify", model, "--oms", bundle, *trusting[:2], "--publisher", "models"), "signature.invalid")


def test_a_signer_who_is_compromised_in_a_log(model: Path, world: World, tmp_path: Path) -> None:
    """An OMS signature stands in no log, and has no trusted time: nothing says that it is older than the theft."""
    path = tmp_path / "trust.yaml"
    run("trust", "add", "log", "--log", world.vkey, "--trust", path)
    run("trust", "add", "models", "--key", KEY, "--compromised-at", "log=5", "--trust", path)
    said = verify_named(model, "1.1.1-key", path)
    blocked(said, "the signature by ecdsa-p256", "is compromised")


def test_a_compromised_key_under_another_name(model: Path, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "trust.yaml"
    run("trust", "add", "models", "--key", KEY, "--trust", path)
    passed(verify_named(model, "1.1.1-key", path))
    run("trust", "add", "old", "--key", KEY, "--compromised-since", "2026-01-31", "--group", "both", "--trust", path)
    run("trust", "add", "models", "--key", KEY, "--group", "both", "--trust", path)
    said = dataseal("verify", model, "--oms", vector("1.1.1-key"), "--trust", path, "--publisher", "group:both")
    blocked(said, "signer 'old' is compromised since")


def test_a_signer_who_is_no_longer_valid(model: Path, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "trust.yaml"
    run("trust", "add", "models", "--key", KEY, "--valid-until", "2026-01-31", "--trust", path)
    blocked(verify_named(model, "1.1.1-key", path), "was valid until 2026-02-01")
