"""Bad input: one clear error (what, where, what next), the right exit code, nothing half-written, no traceback."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from support.cli import PROGRAM, Said, dataseal, process, python, refused
from support.datasets import NAME, World, flip, run, write


def tree(folder: Path) -> dict[str, bytes]:
    """Everything below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and not p.is_symlink()}


def entries(world: World) -> int:
    return len(dataseal("log", "--workspace", world.ws, "--format", "json").json["entries"])


@pytest.fixture
def data(world: World) -> Path:
    """An unsigned folder that could be signed."""
    write(world.here / "data" / "x.bin", b"x")
    return world.here / "data"


def sign(world: World, folder: Path, *more: object) -> Said:
    return dataseal("sign", folder, "--dataset", "acme/new", "--release", "1.0.0", "--workspace", world.ws, *more)


def record(world: World, folder: Path, *more: object) -> Said:
    at = ("--dataset", "acme/new", "--reason", "r", "--workspace", world.ws)
    return dataseal("record", "collect", "none", folder, *at, *more)


def unchanged(world: World, folder: Path, before: dict[str, bytes]) -> None:
    """Nothing was recorded, and the folder is as it was."""
    assert entries(world) == 5
    assert tree(folder) == before


# Paths


@pytest.mark.parametrize("command", ["verify", "screen", "gate"])
def test_a_missing_path(world: World, command: str) -> None:
    words = world.gate[:2] if command == "gate" else ()
    said = dataseal(command, world.here / "nothing", *words, *world.trust, "--dataset", NAME, "--workspace", world.ws)
    refused(said, 2, "no such folder", "nothing")


def test_a_missing_path_to_sign_or_record(world: World) -> None:
    refused(sign(world, world.here / "nothing"), 2, "no such folder")
    refused(record(world, world.here / "nothing"), 2, "no such folder")
    assert not (world.here / "nothing").exists()


def test_a_file_in_place_of_a_folder(world: World) -> None:
    path = write(world.here / "file", b"x")
    refused(world.verify(path), 2, "not a folder")
    refused(dataseal("screen", path), 2, "not a folder")
    refused(sign(world, path), 2, "not a folder")


def test_an_empty_folder(world: World) -> None:
    folder = world.here / "empty"
    folder.mkdir()
    refused(sign(world, folder), 2, "no files to sign")
    refused(record(world, folder), 2, "no files to sign")
    refused(dataseal("screen", folder), 2, "no files to screen")
    said = world.verify(folder)
    assert said.code == 1
    assert said.last.startswith("BLOCKED")
    assert list(folder.iterdir()) == []


def test_a_path_with_dots_is_the_folder_that_it_names(world: World) -> None:
    copy = world.copy()
    said = world.verify(copy / "data" / ".." / ".." / copy.name)
    assert said.code == 0


@pytest.mark.parametrize("name", ["a\nb.bin", "a\x1b[31mb.bin", "a\\b.bin", os.fsdecode(b"\xff.bin")])
def test_a_name_that_no_shard_can_have_is_not_signed(world: World, data: Path, name: str) -> None:
    write(data / name, b"x")
    before = tree(data)
    refused(sign(world, data), 2, "data")
    refused(record(world, data), 2)
    unchanged(world, data, before)


def test_a_symlink_out_of_the_tree_is_not_signed(world: World, data: Path) -> None:
    (data / "link").symlink_to("/etc/passwd")
    before = tree(data)
    refused(sign(world, data), 2, "'link' is a symbolic link to '/etc/passwd'", "--exclude")
    refused(record(world, data), 2, "'link'")
    unchanged(world, data, before)


def test_a_fifo_is_not_signed_and_does_not_hang(world: World, data: Path) -> None:
    os.mkfifo(data / "pipe")
    refused(sign(world, data), 2, "'pipe'")


@pytest.mark.parametrize("name", ["publisher.key", "notes.txt"])
def test_a_private_key_is_not_signed(world: World, data: Path, name: str) -> None:
    shutil.copy(world.ws / "keys" / "publisher.key", data / name)
    before = tree(data)
    refused(sign(world, data), 2, "private key", name)
    refused(record(world, data), 2, "private key", name)
    unchanged(world, data, before)


def test_a_workspace_in_the_dataset_is_not_signed(world: World, data: Path, stranger: Path) -> None:
    shutil.copytree(stranger, data / "ws")
    refused(sign(world, data), 2, "holds a workspace", "ws/dataseal.toml", "keep the workspace outside")
    assert not (data / ".dataseal").exists()


def test_signing_from_a_workspace_inside_the_dataset(world: World, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data)
    run("init", data)
    said = dataseal("sign", ".", "--dataset", "acme/new", "--release", "1")
    refused(said, 2, "the workspace lies inside the dataset's folder", "keep the workspace outside")
    said = dataseal("sign", ".", "--dataset", "acme/new", "--release", "1", "--workspace", data)
    refused(said, 2, "the workspace lies inside")


def test_a_configuration_inside_the_target_is_ignored_and_said(world: World, stranger: Path) -> None:
    copy = world.copy()
    shutil.copy(stranger / "dataseal.toml", copy)
    said = world.verify(copy)
    assert said.code == 1
    assert said.err == (
        f"note: {copy}/dataseal.toml lies inside the target and was ignored: whoever made the target wrote it\n"
    )
    assert "integrity.extra: 'dataseal.toml'" in said.out


# Names and options


@pytest.mark.parametrize("name", ["a b", "../x", "/abs", "", "a@b", "a//b", "a\nb"])
def test_a_bad_dataset_name_is_misuse(world: World, data: Path, name: str) -> None:
    before = tree(data)
    refused(dataseal("sign", data, "--dataset", name, "--release", "1", "--workspace", world.ws), 2, "dataset name")
    unchanged(world, data, before)


@pytest.mark.parametrize("version", ["1 0", "", "root-abc", "head", "latest", "1/2"])
def test_a_bad_version_is_misuse(world: World, data: Path, version: str) -> None:
    said = dataseal("sign", data, "--dataset", "acme/new", "--release", version, "--workspace", world.ws)
    refused(said, 2, "release version")


def test_an_unknown_operation_is_misuse(world: World, data: Path) -> None:
    refused(dataseal("record", "frob", "none", data, "--dataset", "a", "--reason", "r"), 2, "'frob'", "append")


@pytest.mark.parametrize(
    "words",
    [
        ("--chunk-size", "7"),
        ("--chunk-size", "x"),
        ("--chunk-size", "3m"),
        ("--meta", "x"),
        ("--meta", "a=1", "--meta", "a=2"),
    ],
    ids=" ".join,
)
def test_a_bad_option_is_misuse(world: World, data: Path, words: tuple[str, ...]) -> None:
    refused(sign(world, data, *words), 2)
    assert entries(world) == 5


def test_a_reference_to_nothing(world: World, data: Path) -> None:
    for reference in (f"{NAME}@9", f"{NAME}@head2", "0" * 64, "nothing", "acme/nothing@head"):
        said = dataseal("record", "append", reference, data, "--reason", "r", "--workspace", world.ws)
        refused(said, 2, "next: ")
    assert entries(world) == 5


def test_a_release_never_changes(world: World) -> None:
    write(world.v2 / "data" / "x.bin", b"x")
    before = tree(world.v2)
    said = dataseal("sign", world.v2, "--dataset", NAME, "--release", "1.1.0", "--workspace", world.ws)
    refused(said, 2, "released already, with another content", "choose the next version")
    unchanged(world, world.v2, before)


def test_a_change_that_is_none(world: World) -> None:
    said = dataseal("record", "edit", f"{NAME}@head", world.v2, "--reason", "r", "--workspace", world.ws)
    refused(said, 2, "nothing differs")


# Keys


@pytest.fixture
def locked(world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A publisher's key that is encrypted with another passphrase than the one at hand."""
    monkeypatch.setenv("DATASEAL_KEY_PASSPHRASE", "right")
    run("key", "new", world.here / "locked.key", "--encrypt")
    monkeypatch.setenv("DATASEAL_KEY_PASSPHRASE", "wrong")
    return world.here / "locked.key"


def test_a_wrong_passphrase(world: World, data: Path, locked: Path) -> None:
    before = tree(data)
    refused(sign(world, data, "--key", locked), 2, "the passphrase does not open this key", str(locked))
    refused(dataseal("key", "show", locked), 2, "the passphrase does not open this key")
    unchanged(world, data, before)


def test_no_passphrase(world: World, data: Path, locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATASEAL_KEY_PASSPHRASE")
    said = process("sign", data, "--dataset", "a", "--release", "1", "--workspace", world.ws, "--key", locked)
    refused(said, 2, "no passphrase was given", "DATASEAL_KEY_PASSPHRASE")


def test_a_key_that_the_log_does_not_list(world: World, data: Path, stranger: Path) -> None:
    said = sign(world, data, "--key", stranger / "keys" / "publisher.key")
    assert said.code == 1
    assert "key" in said.err
    assert "next: " in said.err
    assert not (data / ".dataseal").exists()
    assert entries(world) == 5


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
)
def test_a_publisher_file_that_is_no_key(world: World, content: bytes) -> None:
    path = write(world.here / "x.pub", content)
    refused(dataseal("verify", world.copy(), "--publisher", path, "--log", world.vkey), 2, "--publisher", "x.pub")


def test_a_private_key_in_place_of_the_public_one(world: World) -> None:
    said = dataseal("verify", world.copy(), "--publisher", world.ws / "keys" / "publisher.key", "--log", world.vkey)
    refused(said, 2, "private key", "give the .pub file")


@pytest.mark.parametrize("path", ["nothing.pub", "."])
def test_a_missing_key_file(world: World, path: str) -> None:
    refused(
        dataseal("verify", world.copy(), "--publisher", path, "--log", world.vkey), 2, "can't read the key file", path
    )


@pytest.mark.parametrize("vkey", ["nothing", "a+b", "a+b+c", "example.com+00000000+AAAA", "a\x1b+b+c"])
def test_a_bad_log_key(world: World, vkey: str) -> None:
    refused(dataseal("verify", world.copy(), "--publisher", world.pub, "--log", vkey), 2, "--log")


@pytest.mark.parametrize("content", [b"", b"# only a comment\n", b"junk\n", b"\xff\xfe\n"])
def test_a_bad_log_file(world: World, content: bytes) -> None:
    path = write(world.here / "log.vkey", content)
    refused(dataseal("verify", world.copy(), "--publisher", world.pub, "--log", path), 2, "--log")


def test_a_key_that_others_can_read_is_told(world: World, data: Path) -> None:
    (world.ws / "keys" / "publisher.key").chmod(0o644)
    said = sign(world, data)
    assert said.code == 0
    assert "can be read by others; run: chmod 600" in said.err


def test_a_key_is_never_overwritten(world: World) -> None:
    path = world.ws / "keys" / "publisher.key"
    before = path.read_bytes()
    refused(dataseal("key", "new", path), 2, "a key is never overwritten")
    assert path.read_bytes() == before


# Workspaces and ledgers


def test_no_workspace(world: World, data: Path) -> None:
    for words in (("log",), ("ledger", "check"), ("sign", data, "--dataset", "a", "--release", "1")):
        refused(dataseal(*words), 2, "no workspace here", "dataseal init")


@pytest.mark.parametrize("content", [b"", b"dataseal = 2", b"[[[", b"\xff", b"dataseal = 1\nextra = 1"])
def test_a_broken_configuration(world: World, content: bytes) -> None:
    (world.ws / "dataseal.toml").write_bytes(content)
    said = dataseal("log", "--workspace", world.ws)
    assert (said.code, said.out) == (2, "")
    assert "dataseal.toml" in said.err


def test_a_second_init_leaves_the_first_alone(world: World) -> None:
    before = tree(world.ws)
    refused(dataseal("init", world.ws), 2, "this is a workspace already")
    assert tree(world.ws) == before


@pytest.mark.parametrize("origin", ["https://x", "a b", "a+b"])
def test_a_bad_origin(world: World, origin: str) -> None:
    refused(dataseal("init", world.here / "new", "--origin", origin), 2, "origin")
    assert not (world.here / "new" / "dataseal.toml").exists()


def test_a_locked_ledger(world: World, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataseal.ledger.store import database

    monkeypatch.setattr(database.open_sqlite, "__kwdefaults__", {"create": False, "busy_timeout": 0.05})
    other = sqlite3.connect(world.ws / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    before = tree(data)
    try:
        refused(sign(world, data), 3, "the ledger is locked by another process", "wait")
        refused(record(world, data), 3, "the ledger is locked")
    finally:
        other.close()
    unchanged(world, data, before)


def test_a_changed_row_in_the_database_is_found_and_named(world: World) -> None:
    ledger = sqlite3.connect(world.ws / "ledger.sqlite")
    names = [n for (n,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    for name in names:
        ledger.execute(f"DROP TRIGGER {name}")
    (data,) = ledger.execute("SELECT data FROM segments WHERE first = 2").fetchone()
    ledger.execute("UPDATE segments SET data = ? WHERE first = 2", (data.replace(b"acme", b"evil", 1),))
    ledger.commit()
    ledger.close()
    said = dataseal("ledger", "check", "--workspace", world.ws)
    assert said.code == 1
    assert "fail  entry 2: its bytes were changed" in said.out
    assert "next  " in said.out
    assert said.last.startswith("BLOCKED ")
    report = dataseal("ledger", "check", "--workspace", world.ws, "--format", "json")
    assert report.json["problems"][0]["where"] == "entry 2"
    assert report.code == 1


def test_a_hostile_row_in_the_database_drives_no_terminal(world: World) -> None:
    ledger = sqlite3.connect(world.ws / "ledger.sqlite")
    for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        ledger.execute(f"DROP TRIGGER {name}")
    ledger.execute("UPDATE names SET signer = id || char(27) || '[2J', kind = char(27) || 'c'")
    ledger.commit()
    ledger.close()
    assert dataseal("log", "--workspace", world.ws).code in (0, 1, 3)
    assert dataseal("ledger", "check", "--workspace", world.ws).code == 1


# Files that are not what they seem


@pytest.mark.parametrize("content", [b"", b"x", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"id,text\n1,hello\n"])
def test_a_file_that_is_no_parquet_is_told_by_the_screen(world: World, content: bytes) -> None:
    folder = world.here / "d"
    write(folder / "a.parquet", content)
    said = dataseal("screen", folder)
    assert (said.code, said.out) == (1, "")
    assert "where: a.parquet" in said.err
    assert "next: " in said.err


def test_a_corrupt_parquet_can_be_recorded_and_its_rows_are_not_counted(world: World) -> None:
    folder = world.here / "d"
    write(folder / "a.parquet", b"PAR1 broken PAR1")
    said = record(world, folder)
    assert "Traceback" not in said.err
    assert said.code in (0, 1, 2)
    if said.code == 0:
        assert "rows        ? added" in said.out
    else:
        assert "a.parquet" in said.err


def test_a_truncated_parquet_is_told(world: World) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = world.here / "d"
    folder.mkdir()
    pq.write_table(pa.table({"text": ["some text that is long enough"] * 1000}), folder / "a.parquet")
    os.truncate(folder / "a.parquet", (folder / "a.parquet").stat().st_size - 10)
    said = dataseal("screen", folder)
    assert said.code == 1
    assert "where: a.parquet" in said.err


def test_a_corrupt_page_is_told(world: World) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = world.here / "d"
    folder.mkdir()
    pq.write_table(
        pa.table({"text": [f"some text {n}" for n in range(5000)]}), folder / "a.parquet", compression="gzip"
    )
    flip(folder / "a.parquet", 2000)
    said = dataseal("screen", folder)
    assert said.code in (1, 3)
    assert "Traceback" not in said.err


def test_files_that_no_screen_looks_into_are_named(world: World) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = world.here / "d"
    write(folder / "more.jsonl", b"{}")
    pq.write_table(pa.table({"text": ["some text that is long enough"] * 10}), folder / "A.PARQUET")
    said = dataseal("screen", folder)
    assert said.code == 3
    assert "screened    10 rows in 1 of 1 record shards" in said.out
    assert "note        not screened, since not Parquet: more.jsonl" in said.out


# Full disks and closed pipes


def test_a_full_stdout_is_no_pass(world: World) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [PROGRAM, "verify", world.copy(), *world.trust], stdout=full, stderr=subprocess.PIPE, check=False, text=True
        )
    assert done.returncode == 3
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_stdout_and_stderr_are_no_pass_and_no_block(world: World) -> None:
    with open("/dev/full", "w") as full:
        words = [PROGRAM, "verify", world.copy(), *world.trust]
        assert subprocess.run(words, stdout=full, stderr=full, check=False).returncode == 3
        assert subprocess.run([PROGRAM, "verify", "nothing"], stderr=full, check=False).returncode == 3


def test_a_closed_pipe_is_no_pass_and_no_block(world: World) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [PROGRAM, "verify", world.copy(), *world.trust]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, check=False, text=True)
    os.close(writer)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


FULL = (
    "import resource, signal, sys\n"
    "from dataseal.cli.main import main\n"
    "import dataseal.ledger.sign, dataseal.ledger.modify, pyarrow.parquet\n"
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))\n"
    "main(sys.argv[2:])\n"
)


@pytest.mark.parametrize("limit", [100, 20_000])
def test_a_disk_that_fills_up_while_signing(world: World, data: Path, limit: int) -> None:
    before = tree(data)
    words = ("sign", data, "--dataset", "acme/new", "--release", "1.0.0", "--workspace", world.ws)
    done = python(FULL, limit, *words)
    assert done.returncode == 3, done.stderr
    assert "next: " in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(data) == before
    assert dataseal("ledger", "check", "--workspace", world.ws).code == 0
    # With room again the same command finishes.
    assert dataseal(*words).code == 0
    assert dataseal("verify", data, *world.trust).code == 0


def test_a_disk_that_fills_up_while_a_report_is_written(world: World) -> None:
    report = write(world.here / "report.json", b"old")
    done = python(FULL, 200, "verify", world.copy(), *world.trust, "-o", f"json={report}")
    assert done.returncode == 3
    assert report.read_bytes() == b"old"
    assert [p.name for p in world.here.iterdir()] == ["report.json", "copy"] or len(list(world.here.iterdir())) == 2
