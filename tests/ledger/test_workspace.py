from __future__ import annotations

import os
import re
import stat
import textwrap
from pathlib import Path

import pytest

from dataseal.ledger import workspace as workspaces
from dataseal.ledger.errors import IntegrityError, Unavailable, UsageError
from dataseal.ledger.signers import keyfile
from dataseal.ledger.store.store import Store
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.workspace import CONFIG, MAX_CONFIG, Workspace, create, find, load
from support.errors import refused
from support.workspaces import make_workspace, no_passphrase, tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


@pytest.fixture
def made(folder: Path) -> Workspace:
    return make_workspace(folder)


def edit(workspace: Workspace, old: str, new: str) -> None:
    path = workspace.folder / CONFIG
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


# --- init ---


def test_the_docstrings_configuration_is_read_and_is_the_written_one(tmp_path: Path, made: Workspace) -> None:
    shown = re.search(r"::\n\n(.*?)\n\nPaths are relative", workspaces.__doc__ or "", re.DOTALL)
    assert shown
    (tmp_path / CONFIG).write_text(textwrap.dedent(shown[1]))
    example = load(tmp_path).config
    ours = made.config
    assert example.ledger.origin == "dataseal.invalid/0123456789abcdef"
    assert example.model_copy(update={"ledger": ours.ledger}) == ours


def test_what_init_makes_works(made: Workspace) -> None:
    log = made.log(no_passphrase)
    vkey = (made.folder / "keys" / "log.vkey").read_text().strip()
    assert log.vkey == vkey
    assert policy_for_log(vkey).logs[0].key.name == made.config.ledger.origin
    for name in ("publisher", "gate"):
        public = keyfile.load_public(made.folder / "keys" / f"{name}.pub")
        assert made.signer(name, no_passphrase).public.fingerprint == public.fingerprint


def test_secrets_are_0600_and_kept_out_of_git(made: Workspace) -> None:
    secret = sorted((made.folder / "keys").glob("*.key"))
    assert [p.name for p in secret] == ["gate.key", "log.key", "publisher.key"]
    assert {stat.S_IMODE(p.stat().st_mode) for p in secret} == {0o600}
    assert stat.S_IMODE((made.folder / "keys").stat().st_mode) == 0o700
    assert "keys/*.key" in (made.folder / ".gitignore").read_text().splitlines()


def test_an_existing_gitignore_keeps_its_lines(folder: Path) -> None:
    """It was overwritten."""
    folder.mkdir()
    (folder / ".gitignore").write_text("*.pyc\nkeys/*.key\n.env")
    create(folder)
    assert (folder / ".gitignore").read_text() == "*.pyc\nkeys/*.key\n.env\nledger.sqlite-*\nwitness-sizes.json\n"


def test_the_keys_are_encrypted_when_a_passphrase_is_given(folder: Path) -> None:
    made = create(folder, passphrase=b"secret")
    for path in (folder / "keys").glob("*.key"):
        assert b"ENCRYPTED" in path.read_bytes()
    assert made.log(lambda _: b"secret")
    with refused(UsageError, "passphrase"):
        made.log(lambda _: b"wrong")


def test_minted_origins_differ_and_are_valid(tmp_path: Path) -> None:
    origins = {make_workspace(tmp_path / str(n)).config.ledger.origin for n in range(3)}
    assert len(origins) == 3
    assert all(re.fullmatch(r"dataseal\.invalid/[0-9a-f]{16}", origin) for origin in origins)


@pytest.mark.parametrize("origin", ["https://log.example.org", "a b", "a+b", "a\nb", "\x00", "a\u2003b"])
def test_what_can_be_no_origin_is_refused(folder: Path, origin: str) -> None:
    with refused(UsageError, "origin", "without its scheme"):
        create(folder, origin=origin)
    assert not folder.exists()


@pytest.mark.parametrize("origin", ["log.example.org/data", 'log"quoted"', "log\\path", "é", "😀", "it's"])
def test_any_other_origin_is_read_as_it_was_written(folder: Path, origin: str) -> None:
    """A quote made a configuration that could not be read, or one that said something else."""
    made = create(folder, origin=origin)
    assert made.config.ledger.origin == origin
    assert made.log(no_passphrase).origin == origin


def test_init_twice_changes_nothing(made: Workspace) -> None:
    before = tree(made.folder)
    with refused(UsageError, "workspace already", "another folder"):
        create(made.folder)
    assert tree(made.folder) == before


@pytest.mark.parametrize("name", [CONFIG, "ledger.sqlite", "keys"])
def test_init_beside_a_part_of_a_workspace_is_refused(folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / name).symlink_to("/nowhere/at/all")
    with refused(UsageError, name):
        create(folder)
    assert os.listdir(folder) == [name]


def test_init_where_a_file_is_is_refused(folder: Path) -> None:
    folder.write_text("precious")
    with refused(UsageError, "not a folder"):
        create(folder)
    assert folder.read_text() == "precious"


@pytest.mark.parametrize("step", ["write_text", "Store.create", "keyfile.save"])
def test_an_init_that_fails_leaves_nothing_and_can_be_run_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Half a workspace was left, which the next init refused as "a workspace already"."""
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def broken(*_: object, **__: object) -> None:
        raise Unavailable("the ledger can't be written: disk full")

    with monkeypatch.context() as patched:
        if step == "write_text":
            patched.setattr(Path, "write_text", full)
        else:
            patched.setattr({"Store.create": Store, "keyfile.save": keyfile}[step], step.split(".")[1], broken)
        with refused(Unavailable):
            create(folder)
    assert tree(folder) == {"mine.txt": b"mine"}
    assert create(folder).log(no_passphrase)


def test_of_two_inits_at_once_the_second_takes_nothing_from_the_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def late(self: Path, *arguments: object, **options: object) -> None:
        if self.name == "keys":
            monkeypatch.setattr(Path, "mkdir", real)
            create(folder)
        real(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", late)
    with refused(Unavailable, "File exists"):
        create(folder)
    assert load(folder).log(no_passphrase)


# --- the configuration ---


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("dataseal = 1", "dataseal = 2", "dataseal"),
        ("dataseal = 1", 'dataseal = "1"', "dataseal"),
        ("dataseal = 1", "dataseal = true", "dataseal"),
        ("dataseal = 1", "dataseal = 1\nmore = 1", "more"),
        ("dataseal = 1", "dataseal = 1\ndataseal = 1", "not a valid configuration"),
        ("dataseal = 1", "dataseal = ", "not a valid configuration"),
        ("path = ", "pth = ", "ledger.p"),
        ('datasets = ["*"]', "datasets = []", "admission.0.datasets"),
        ('datasets = ["*"]', 'datasets = "*"', "admission.0.datasets"),
        ('keys = ["keys/publisher.pub"]', "keys = []", "admission.0.keys"),
        ("[[admission]]", "[[admissions]]", "admission"),
    ],
)
def test_a_wrong_field_is_named_with_the_file(made: Workspace, old: str, new: str, word: str) -> None:
    edit(made, old, new)
    with refused(UsageError, word, CONFIG):
        load(made.folder)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a = " + b"[" * 100_000, b"#" * (MAX_CONFIG + 1), b"", b"x = 1"])
def test_what_is_no_configuration_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / CONFIG).write_bytes(data)
    with refused(UsageError, CONFIG):
        load(tmp_path)


def test_no_configuration_says_how_to_get_one(tmp_path: Path) -> None:
    with refused(UsageError, str(tmp_path), "dataseal init"):
        load(tmp_path)


def test_no_admission_rule_is_no_configuration(made: Workspace) -> None:
    path = made.folder / CONFIG
    path.write_text(path.read_text().split("# Who may log what")[0])
    with refused(UsageError, "admission"):
        load(made.folder)


def test_an_unknown_kind_is_refused_and_the_known_ones_named(made: Workspace) -> None:
    edit(made, '"modification"', '"modifications"')
    with refused(UsageError, "modifications", "release, modification, receipt", CONFIG):
        load(made.folder).log(None)


def test_a_key_that_is_not_there_is_named(made: Workspace) -> None:
    (made.folder / "keys" / "gate.pub").unlink()
    with refused(UsageError, "gate.pub"):
        made.log(None)


def test_a_name_that_is_no_key_names_those_that_are(made: Workspace) -> None:
    with refused(UsageError, "'nobody'", "gate, publisher"):
        made.signer("nobody", no_passphrase)


def test_a_log_key_of_another_scheme_is_refused(made: Workspace) -> None:
    edit(made, "keys/log.key", "keys/publisher.key")
    with refused(UsageError, "Ed25519", "keys/publisher.key"):
        load(made.folder).log(no_passphrase)


def test_another_log_key_of_the_right_scheme_is_refused(made: Workspace) -> None:
    keyfile.save(keyfile.generate("ed25519"), made.folder / "keys" / "other.key", None)
    edit(made, "keys/log.key", "keys/other.key")
    with refused(UsageError, "log key"):
        load(made.folder).log(no_passphrase)


def test_another_origin_than_the_ledgers_is_refused(made: Workspace) -> None:
    edit(made, made.config.ledger.origin, "elsewhere.example")
    with refused(UsageError, "elsewhere.example", made.config.ledger.origin):
        load(made.folder).log(None)


def test_a_ledger_that_is_gone_is_named(made: Workspace) -> None:
    made.ledger.unlink()
    with refused(UsageError, "no ledger at", "ledger.sqlite"):
        made.log(None)
    assert not made.ledger.exists()


def test_a_ledger_that_is_none_is_an_integrity_error(made: Workspace) -> None:
    for name in os.listdir(made.folder):
        if name.startswith("ledger.sqlite-"):
            (made.folder / name).unlink()
    made.ledger.write_bytes(b"nothing like a database" * 100)
    with refused(IntegrityError, "not a ledger"):
        made.log(None)


# --- which workspace ---


def test_the_workspace_is_found_upward(made: Workspace) -> None:
    inside = made.folder / "a" / "b"
    inside.mkdir(parents=True)
    found, ignored = find(inside)
    assert found is not None
    assert found.folder == made.folder.resolve()
    assert ignored == []


def test_no_workspace_is_none(tmp_path: Path) -> None:
    assert find(tmp_path) == (None, [])


@pytest.mark.parametrize("where", [".", "sub", "sub/deep"])
def test_a_configuration_inside_the_target_is_ignored_and_told(tmp_path: Path, where: str) -> None:
    """Whoever made the target wrote it."""
    target = tmp_path / "target"
    make_workspace(target)
    start = target / where
    start.mkdir(parents=True, exist_ok=True)
    found, ignored = find(start, [target])
    assert found is None
    assert ignored == [target / CONFIG]


def test_a_workspace_around_the_target_is_used(made: Workspace) -> None:
    target = made.folder / "data"
    make_workspace(target)
    found, ignored = find(target, [target])
    assert found is not None
    assert found.folder == made.folder.resolve()
    assert ignored == [target / CONFIG]


def test_a_target_behind_a_link_or_dots_is_the_same_target(tmp_path: Path) -> None:
    target = tmp_path / "target"
    make_workspace(target)
    (tmp_path / "link").symlink_to(target)
    for name in (tmp_path / "link", target / ".." / "target"):
        found, ignored = find(target, [name])
        assert found is None
        assert ignored == [target / CONFIG]


def test_an_ignored_configuration_is_not_even_parsed(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_bytes(b"\xff not TOML")
    assert find(tmp_path, [tmp_path]) == (None, [tmp_path / CONFIG])


def test_another_verifier_key_in_the_ledger_is_not_this_log(made: Workspace, tmp_path: Path) -> None:
    """Whoever signs every head anew under a key of its own has to replace the published key as well."""
    other = make_workspace(tmp_path / "other", origin=made.config.ledger.origin)
    (other.folder / "ledger.sqlite").rename(made.folder / "ledger.sqlite")
    with pytest.raises(IntegrityError, match="verifier key") as caught:
        made.log(None)
    assert caught.value.hint
