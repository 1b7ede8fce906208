"""`dataseal verify`: a valid signature over something else, or over something older, does not pass for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.cli import blocked, dataseal, passed, process, python, refused
from support.datasets import NAME, World, run, second, write


def test_a_consumer_needs_nothing_but_the_name_and_two_keys(world: World, tmp_path: Path) -> None:
    copy, trust = world.copy(), world.trust
    shutil.copy(world.pub, world.here / "publisher.pub")
    trust = ("--publisher", world.here / "publisher.pub", "--log", world.vkey, "--dataset", NAME)
    shutil.rmtree(world.root)
    home = tmp_path / "empty"
    home.mkdir()
    said = process("verify", copy, *trust, cwd=world.here, env={"HOME": str(home), "XDG_STATE_HOME": ""})
    passed(said, f"{NAME}@1.1.0")
    assert [p.name for p in home.iterdir()] == [".local"]


def test_no_socket_is_opened(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    passed(world.verify(world.copy()), f"{NAME}@1.1.0")


def test_an_unpinned_identity_is_said(world: World) -> None:
    said = dataseal("verify", world.copy(), *world.trust)
    passed(said, f"{NAME}@1.1.0")
    assert f"note        identity not pinned: {NAME}@1.1.0" in said.out


def test_a_pinned_identity_is_not_said_to_be_open(world: World) -> None:
    assert "not pinned" not in world.verify(world.copy()).out


def test_another_validly_signed_dataset_of_the_same_publisher(world: World) -> None:
    said = world.verify(world.copy(world.other))
    blocked(said, "identity.dataset", "acme/other@1.0.0; acme/reviews was asked for")


def test_a_prefix_of_the_name_is_not_the_name(world: World) -> None:
    said = dataseal("verify", world.copy(), *world.trust, "--dataset", "acme/review")
    blocked(said, "identity.dataset")


def test_any_of_several_names_is_enough(world: World) -> None:
    passed(world.verify(world.copy(world.other), "--dataset", "acme/other"), "acme/other@1.0.0")


def test_an_older_release_when_the_newer_version_is_asked_for(world: World) -> None:
    said = dataseal("verify", world.copy(world.v1), *world.trust, "--dataset", f"{NAME}@1.1.0")
    blocked(said, "identity.version", f"this is {NAME}@1.0.0; {NAME}@1.1.0 was asked for")


def test_an_older_release_than_one_seen_here(world: World) -> None:
    passed(world.verify(world.copy(), "-q"), f"{NAME}@1.1.0")
    said = world.verify(world.copy(world.v1, "old"))
    blocked(said, "rollback.older", f"{NAME}@1.0.0 (sequence 1) is older than 1.1.0 (sequence 2)", f"{NAME}@1.0.0")


def test_meeting_an_older_release_twice_does_not_make_it_good(world: World) -> None:
    world.verify(world.copy())
    old = world.copy(world.v1, "old")
    assert [world.verify(old).code for _ in range(3)] == [1, 1, 1]


def test_who_names_the_older_version_may_have_it(world: World) -> None:
    world.verify(world.copy())
    old = world.copy(world.v1, "old")
    passed(dataseal("verify", old, *world.trust, "--dataset", f"{NAME}@1.0.0"), f"{NAME}@1.0.0")
    assert world.verify(old).code == 1


def test_upgrading_is_no_rollback(world: World) -> None:
    passed(world.verify(world.copy(world.v1, "old")), f"{NAME}@1.0.0")
    passed(world.verify(world.copy()), f"{NAME}@1.1.0")


def test_a_blocked_release_is_not_remembered(world: World) -> None:
    bad = world.copy(name="bad")
    write(bad / "extra", b"x")
    assert world.verify(bad).code == 1
    passed(world.verify(world.copy(world.v1, "old")), f"{NAME}@1.0.0")


def test_a_workspace_that_comes_with_the_download_does_not_make_one_forget(world: World, stranger: Path) -> None:
    world.verify(world.copy())
    shutil.copytree(stranger, world.here / "repo")
    old = world.copy(world.v1, "repo/data")
    said = process("verify", old, *world.trust, "--dataset", NAME, cwd=world.here / "repo")
    blocked(said, "rollback.older")


def test_a_workspace_named_by_the_environment_does_not_make_one_forget(
    world: World, stranger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.verify(world.copy())
    monkeypatch.setenv("DATASEAL_WORKSPACE", str(stranger))
    blocked(world.verify(world.copy(world.v1, "old")), "rollback.older")


def test_a_workspace_named_on_the_command_line_has_a_memory_of_its_own(world: World, stranger: Path) -> None:
    world.verify(world.copy())
    old = world.copy(world.v1, "old")
    passed(world.verify(old, "--workspace", stranger), f"{NAME}@1.0.0")
    passed(world.verify(world.here / "copy", "--workspace", stranger), f"{NAME}@1.1.0")
    blocked(world.verify(old, "--workspace", stranger), "rollback.older")


def test_leaving_out_one_of_two_signatures_does_not_make_one_forget(world: World, stranger: Path) -> None:
    keys = stranger / "keys"
    both = ("--publisher", world.pub, "--publisher", keys / "publisher.pub", "--no-log", "--dataset", NAME)
    new, old = world.copy(name="new"), world.copy(world.v1, "old")
    for copy in (new, old):
        second(copy, keys / "publisher.key")
    passed(dataseal("verify", new, *both), f"{NAME}@1.1.0")
    (old / ".dataseal" / "release" / "1.sigstore.json").unlink()
    (old / ".dataseal" / "release" / "1.tlog-proof").unlink()
    blocked(dataseal("verify", old, *both), "rollback.older")


def test_an_older_release_than_the_policys_least_sequence(world: World) -> None:
    policy = write(
        world.here / "p.yaml",
        b"dataseal_policy: 1\nname: least\nextends: [{policy: 'dataseal:baseline'}]\nrules:\n"
        b"  - {id: new, rule: publisher, datasets: [acme/*], min_sequence: 2,\n"
        b"     all_of: [{signers: 'group:publishers'}]}\n",
    )
    old = dataseal("verify", world.copy(world.v1, "old"), "--policy", policy, *world.trust)
    assert old.code == 1
    assert "has sequence 1, expected 2 or later" in old.out
    assert "p.yaml:5:5" in old.out
    passed(dataseal("verify", world.copy(), "--policy", policy, *world.trust), f"{NAME}@1.1.0")


def fork(world: World, tmp_path: Path, version: str) -> Path:
    """Another 1.1.0 (or whatever) by the same publisher in a log of the same name and key, with other bytes."""
    ws = tmp_path / "forked"
    shutil.copytree(world.ws, ws)
    (ws / "ledger.sqlite").unlink()
    for rest in ws.glob("ledger.sqlite-*"):
        rest.unlink()
    from dataseal.ledger.store.store import Store

    Store.create(ws / "ledger.sqlite", origin=world.vkey.split("+")[0], log_key=world.vkey)
    copy = world.copy(world.v1, "forked")
    shutil.rmtree(copy / ".dataseal")
    run("sign", copy, "--dataset", NAME, "--release", "1.0.0", "--workspace", ws)
    write(copy / "data" / "other.bin", b"another content")
    run("sign", copy, "--dataset", NAME, "--release", version, "--workspace", ws)
    return copy


def test_two_contents_under_one_sequence_are_a_fork(world: World, tmp_path: Path) -> None:
    forked = fork(world, tmp_path, "1.1.0")
    passed(world.verify(world.copy()), f"{NAME}@1.1.0")
    blocked(world.verify(forked), "rollback.fork", "sequence 2", "shows different histories")


def test_two_contents_under_one_sequence_with_another_version_are_a_fork(world: World, tmp_path: Path) -> None:
    forked = fork(world, tmp_path, "1.1.1")
    passed(world.verify(world.copy()), f"{NAME}@1.1.0")
    blocked(world.verify(forked), "rollback.fork")


def test_asking_for_the_forked_version_by_name_does_not_help(world: World, tmp_path: Path) -> None:
    forked = fork(world, tmp_path, "1.1.0")
    world.verify(world.copy())
    blocked(dataseal("verify", forked, *world.trust, "--dataset", f"{NAME}@1.1.0"), "rollback.fork")


def test_one_version_with_another_content_under_a_later_sequence_is_a_fork(world: World, tmp_path: Path) -> None:
    passed(world.verify(world.copy(world.v1, "old")), f"{NAME}@1.0.0")
    # In the forked log 1.0.0 comes second.
    ws = tmp_path / "forked"
    shutil.copytree(world.ws, ws)
    (ws / "ledger.sqlite").unlink()
    for rest in ws.glob("ledger.sqlite-*"):
        rest.unlink()
    from dataseal.ledger.store.store import Store

    Store.create(ws / "ledger.sqlite", origin=world.vkey.split("+")[0], log_key=world.vkey)
    copy = world.copy(world.v1, "forked")
    shutil.rmtree(copy / ".dataseal")
    run("sign", copy, "--dataset", NAME, "--release", "0.9.0", "--workspace", ws)
    write(copy / "data" / "other.bin", b"another content")
    run("sign", copy, "--dataset", NAME, "--release", "1.0.0", "--workspace", ws)
    blocked(world.verify(copy), "rollback.fork", "of that version")


def test_a_damaged_memory_is_no_empty_memory(world: World, home: Path) -> None:
    world.verify(world.copy())
    memory = home / "state" / "dataseal" / "seen.json"
    memory.write_bytes(memory.read_bytes()[:-1])
    said = world.verify(world.copy(world.v1, "old"))
    refused(said, 2, "the memory of verified releases is damaged", str(memory))


def test_a_memory_that_cannot_be_written_is_no_pass(world: World, home: Path) -> None:
    write(home / "state" / "dataseal", b"a file where the folder should be")
    refused(world.verify(world.copy()), 3, "the memory of verified releases")


def test_a_full_disk_is_no_pass_and_leaves_the_memory_as_it_was(world: World, home: Path) -> None:
    world.verify(world.copy(world.v1, "old"))
    memory = home / "state" / "dataseal" / "seen.json"
    before = memory.read_bytes()
    script = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)); "
        "import sys; from dataseal.cli.main import main; main(sys.argv[1:])"
    )
    done = python(script, "verify", world.copy(), *world.trust, "--dataset", NAME)
    assert (done.returncode, done.stdout) == (3, "")
    assert "can't remember the release" in done.stderr
    assert "XDG_STATE_HOME" in done.stderr
    assert memory.read_bytes() == before
    assert sorted(p.name for p in memory.parent.iterdir()) == ["seen.json"]


@pytest.mark.parametrize(
    "name", ["", "acme/*", "@1.0", "acme/reviews@", "a b", "acme/reviews@1@2", "../x", "acme/reviews@head"]
)
def test_a_name_that_no_release_can_have_is_misuse(world: World, name: str) -> None:
    refused(dataseal("verify", world.copy(), *world.trust, "--dataset", name), 2, "--dataset", "next: ")
