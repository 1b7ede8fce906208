"""`dataseal gate --hold snapshot` and `--hold handle`: what the command gets, and that nothing else reaches it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataseal.verifiers.holds import snapshot
from dataseal.verifiers.reader import handle
from support.cli import PROGRAM, Said, dataseal, refused, sh
from support.datasets import CHUNK, NAME, World, flip, write

RUN = "https://dataseal.invalid/gate/v1#run"


@pytest.fixture(autouse=True)
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files, which must be empty at the end: every hold cleans up."""
    folder = tmp_path / "private"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    assert list(folder.iterdir()) == []


def gate(world: World, hold: str, *words: object) -> Said:
    return dataseal("gate", *words[:1], *world.gate, "--hold", hold, *words[1:])


def python(code: str, *args: object) -> tuple[str, ...]:
    return ("--", sys.executable, "-c", code, *map(str, args))


def runs(world: World) -> list[dict[str, Any]]:
    return [receipt[RUN] for receipt in world.receipts()]


# snapshot: what the command gets


def test_a_snapshot_holds_the_signed_files_and_the_seal_and_nothing_else(
    world: World, private: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    copy = world.copy()
    write(copy / ".git" / "config", b"x")
    write(copy / ".cache" / "huggingface" / "x", b"x")
    script = 'cd "$DATASEAL_DATA"; pwd; find . -type f | sort; cat data/b.bin | sha256sum'
    assert gate(world, "snapshot", copy, *sh(script)).code == 0
    out = capfd.readouterr().out.splitlines()
    assert out[0].startswith(str(private))
    signed = ["./README.md", "./data/a.bin", "./data/b.bin", "./data/c.bin"]
    assert [line for line in out[1:-1] if not line.startswith("./.dataseal/")] == signed
    assert "./.dataseal/shards.parquet" in out
    first, second_ = runs(world)
    assert first["hold"] == second_["hold"] == "snapshot"
    assert first["snapshot"] == {"cloned": 0, "copied": 4}
    assert second_["recheck"] == "unchanged"


def test_a_snapshot_verifies_like_the_original(world: World) -> None:
    words = " ".join([*world.trust, "--dataset", NAME])
    script = f'{PROGRAM} verify "$DATASEAL_DATA" {words} >&2'
    assert gate(world, "snapshot", world.copy(), *sh(script)).code == 0


def test_a_swap_after_the_check_has_no_effect(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    copy = world.copy()
    script = (
        f'echo swapped > {copy}/data/b.bin; rm {copy}/data/a.bin; cmp "$DATASEAL_DATA"/data/b.bin {world.v2}/data/b.bin'
    )
    said = gate(world, "snapshot", copy, *sh(script))
    assert said.code == 0, said.err
    assert world.receipts()[1]["verificationResult"] == "PASSED"


def test_a_swap_between_the_copy_and_the_screen_has_no_effect(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = world.copy()
    hashed = snapshot.SnapshotFolder.hash

    def then_swap(self: snapshot.SnapshotFolder, *args: Any, **options: Any) -> Any:
        found = hashed(self, *args, **options)
        flip(copy / "data" / "a.bin", 0)
        with self.open("data/a.bin") as file:
            assert file.read(9) == (world.v2 / "data" / "a.bin").read_bytes()[:9]
        return found

    monkeypatch.setattr(snapshot.SnapshotFolder, "hash", then_swap)
    said = gate(world, "snapshot", copy, *sh(f'cmp "$DATASEAL_DATA"/data/a.bin {world.v2}/data/a.bin'))
    assert said.code == 0, said.err


def test_an_altered_file_is_blocked_before_the_start(world: World) -> None:
    copy = world.copy()
    flip(copy / "data" / "a.bin", 3 * CHUNK)
    said = gate(world, "snapshot", copy, *sh("touch ran"))
    assert said.code == 121
    assert f"bytes {3 * CHUNK}-{4 * CHUNK - 1}" in said.err
    assert not (world.here / "ran").exists()


def test_a_snapshot_is_read_only(world: World) -> None:
    script = (
        'test ! -w "$DATASEAL_DATA"/data/a.bin || test "$(id -u)" = 0; stat -c %a "$DATASEAL_DATA"/data/a.bin > mode'
    )
    assert gate(world, "snapshot", world.copy(), *sh(script)).code == 0
    assert (world.here / "mode").read_text() == "444\n"


def test_a_command_that_writes_into_its_snapshot_is_found_out(world: World) -> None:
    script = 'chmod -R u+w "$DATASEAL_DATA"; echo x >> "$DATASEAL_DATA"/data/a.bin'
    said = gate(world, "snapshot", world.copy(), *sh(script))
    assert said.code == 120
    assert runs(world)[1]["recheck"] == "changed"


def test_several_targets_each_have_a_snapshot(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    a, b = world.copy(), world.copy(world.other, "other")
    words = ("--dataset", "acme/other", *sh('echo "$DATASEAL_TARGETS"; cat "$DATASEAL_DATA"/README.md'))
    said = dataseal("gate", a, b, *world.gate, "--hold", "snapshot", *words)
    assert said.code == 0, said.err
    first, rest = capfd.readouterr().out.split("\n", 1)
    assert len({Path(p) for p in json.loads(first)}) == 2
    assert rest == "# reviews\n"


def test_the_folder_for_snapshots_can_be_chosen(
    world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "disk").mkdir()
    words = ("--snapshot-dir", tmp_path / "disk", *sh('echo "$DATASEAL_DATA"'))
    assert gate(world, "snapshot", world.copy(), *words).code == 0
    assert capfd.readouterr().out.startswith(str(tmp_path / "disk"))
    assert list((tmp_path / "disk").iterdir()) == []


@pytest.mark.parametrize(("place", "what"), [("copy/data", "lies inside"), ("nothing", "no such folder")])
def test_a_folder_that_can_not_hold_snapshots(world: World, place: str, what: str) -> None:
    copy = world.copy()
    refused(gate(world, "snapshot", copy, "--snapshot-dir", world.here / place, *sh("touch ran")), 122, what)


def test_a_snapshot_dir_without_a_snapshot(world: World, tmp_path: Path) -> None:
    refused(gate(world, "recheck", world.copy(), "--snapshot-dir", tmp_path, *sh("touch ran")), 122, "--snapshot-dir")


def test_a_full_disk_is_123_before_the_start(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def full(descriptor: int, data: Any) -> int:
        if len(data) > 1000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(snapshot.os, "write", full)
    said = gate(world, "snapshot", world.copy(), *sh("touch ran"))
    assert said.code == 123
    assert "no room for the snapshot: the disk is full" in said.err
    assert "--snapshot-dir" in said.err
    assert not (world.here / "ran").exists()


def test_a_file_that_changes_while_it_is_copied_is_blocked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = world.copy()
    real = os.write
    done: list[int] = []

    def write_and_change(descriptor: int, data: Any) -> int:
        if len(data) > 60_000 and not done:
            done.append(1)
            flip(copy / "data" / "a.bin", 4 * CHUNK)
        return real(descriptor, data)

    monkeypatch.setattr(snapshot.os, "write", write_and_change)
    said = gate(world, "snapshot", copy, *sh("touch ran"))
    assert said.code == 121
    assert "integrity.unstable" in said.err


def test_unsigned_data_under_audit_is_copied_too(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    folder = world.here / "plain"
    write(folder / "sub" / "x", b"unsigned")
    text = "dataseal_policy: 1\nname: soft\nmode: audit\nextends: [{policy: 'dataseal:baseline'}]\n"
    words = ("--policy", write(world.here / "audit.yaml", text.encode()), *world.gate[2:], "--hold", "snapshot")
    assert dataseal("gate", folder, *words, *sh('cat "$DATASEAL_DATA"/sub/x')).code == 0
    assert capfd.readouterr().out == "unsigned"


# Clones, where a file system shares blocks; here the system call is played


def test_a_clone_is_what_is_hashed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(target: int, source: int) -> None:
        data = bytearray(os.pread(source, 10**6, 0))
        if len(data) > CHUNK:
            data[0] ^= 1
        os.write(target, data)

    monkeypatch.setattr(snapshot, "clone", swapped)
    said = gate(world, "snapshot", world.copy(), *sh("touch ran"))
    assert said.code == 121
    assert "integrity.changed" in said.err


def test_a_clone_costs_no_copy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "clone", lambda target, source: os.write(target, os.pread(source, 10**6, 0)))
    assert (
        gate(world, "snapshot", world.copy(), *sh(f'cmp "$DATASEAL_DATA"/data/a.bin {world.v2}/data/a.bin')).code == 0
    )
    assert runs(world)[0]["snapshot"] == {"cloned": 4, "copied": 0}


# Cleaning up: the fixture looks


def test_a_command_that_is_not_there(world: World) -> None:
    assert gate(world, "snapshot", world.copy(), "--", "no-such-command").code == 127


@pytest.mark.parametrize(
    ("hold", "number"), [("snapshot", signal.SIGTERM), ("snapshot", signal.SIGINT), ("handle", signal.SIGHUP)]
)
def test_a_signal_while_the_command_runs(world: World, hold: str, number: signal.Signals, private: Path) -> None:
    words = [PROGRAM, "gate", world.copy(), *world.gate, "--hold", hold, *sh("touch ran; exec sleep 60")]
    with subprocess.Popen(list(map(str, words)), start_new_session=True, stderr=subprocess.DEVNULL) as running:
        wait_for(world.here / "ran")
        assert list(private.iterdir())
        os.killpg(running.pid, number)
        assert running.wait() == 128 + number


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)])
def test_a_signal_while_it_copies(world: World, private: Path, number: signal.Signals, code: int) -> None:
    copy = world.copy()
    script = (
        "import sys, time; from dataseal.verifiers.holds import snapshot; from dataseal.cli.main import main\n"
        "call = snapshot._Sink.__call__\n"
        "def slow(self, view): open('copying', 'w').close(); time.sleep(0.2); call(self, view)\n"
        "snapshot._Sink.__call__ = slow\n"
        "main(sys.argv[1:])"
    )
    words = [sys.executable, "-c", script, "gate", copy, *world.gate, "--hold", "snapshot", *sh("touch ran")]
    with subprocess.Popen(list(map(str, words)), stderr=subprocess.DEVNULL) as running:
        wait_for(world.here / "copying")
        running.send_signal(number)
        assert running.wait() == code
    assert not (world.here / "ran").exists()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# handle

READS = "from dataseal.verifiers import open_dataset\nwith open_dataset() as d:\n    "


def test_a_handle_opens_in_one_line(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    code = READS + "print(d.name, len(d.open('data/a.bin').read()))\nimport os; print(os.environ['DATASEAL_DATA'])"
    said = gate(world, "handle", world.copy(), *python(code))
    assert said.code == 0, said.err
    name, data = capfd.readouterr().out.splitlines()
    assert name.startswith(f"{NAME}@1.1.0 ")
    assert data == "dataseal://"


def test_fsspec_opens_what_was_handed_over(world: World) -> None:
    code = "import fsspec\nwith fsspec.open('dataseal://README.md') as f: assert f.read() == b'# reviews\\n'"
    assert gate(world, "handle", world.copy(), *python(code)).code == 0
    assert runs(world)[1]["handle"] == "handle-read"


def test_a_receipt_tells_what_was_reported(world: World) -> None:
    code = READS + "d.open('data/a.bin').read(10); d.open('data/b.bin').read(); d.open('data/b.bin').read()"
    assert gate(world, "handle", world.copy(), *python(code)).code == 0
    first, last = runs(world)
    assert (first["hold"], first["handle"]) == ("handle", "handle-offered")
    assert last["handle"] == "handle-read"
    assert last["reads"] == {"shards": 2, "chunks": 2, "bytes": CHUNK + 10_000}
    assert "recheck" not in last


def test_a_command_that_does_not_read_through_it_was_only_offered_it(world: World) -> None:
    copy = world.copy()
    assert gate(world, "handle", copy, *sh(f"cat {copy}/data/a.bin > /dev/null")).code == 0
    assert [r["handle"] for r in runs(world)] == ["handle-offered"] * 2


def test_opening_alone_is_not_reading(world: World) -> None:
    assert gate(world, "handle", world.copy(), *python(READS + "d.shards()")).code == 0
    assert runs(world)[1]["handle"] == "handle-offered"


def test_a_swap_after_the_check_is_caught_when_it_is_read(world: World) -> None:
    copy = world.copy()
    code = "import sys; p = sys.argv[1]; b = bytearray(open(p, 'rb').read()); b[70000] ^= 1; open(p, 'wb').write(b)\n"
    code += READS + "d.open('data/a.bin').read(10); d.open('data/a.bin').read()"
    said = gate(world, "handle", copy, *python(code, copy / "data" / "a.bin"))
    assert said.code == 1
    assert runs(world)[1]["reads"]["chunks"] == 1


def test_another_validly_signed_release_in_its_place_is_caught(world: World) -> None:
    copy = world.copy()
    code = "import shutil, sys; shutil.rmtree(sys.argv[1]); shutil.copytree(sys.argv[2], sys.argv[1])\n"
    code += "from dataseal.ledger.errors import IntegrityError\nfrom dataseal.verifiers import open_dataset\n"
    code += "try: open_dataset()\nexcept IntegrityError: sys.exit(7)"
    assert gate(world, "handle", copy, *python(code, copy, world.v1)).code == 7


def test_spawned_workers_report_too(world: World) -> None:
    script = world.here / "train.py"
    script.write_text(
        "import multiprocessing\n"
        "from dataseal.verifiers import open_dataset\n"
        "def read(job):\n    data, name = job\n    return len(data.open(name).read())\n"
        "if __name__ == '__main__':\n"
        "    with open_dataset() as data, multiprocessing.get_context('spawn').Pool(2) as pool:\n"
        "        print(pool.map(read, [(data, name) for name in data.shards()]))\n"
    )
    said = gate(world, "handle", world.copy(), "--", sys.executable, script)
    assert said.code == 0, said.err
    assert runs(world)[1]["reads"]["shards"] == 4


def test_several_targets_are_chosen_by_name(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    code = (
        "from dataseal.verifiers import open_dataset\n"
        "print(open_dataset(dataset='acme/other').name, open_dataset(dataset='acme/reviews@1.1.0').name)\n"
        "open_dataset(dataset='acme/other').open('data/a.bin').read()\n"
        "try: open_dataset()\n"
        "except Exception as e: print(e.hint)"
    )
    targets = (world.copy(), world.copy(world.other, "other"))
    said = dataseal("gate", *targets, *world.gate, "--dataset", "acme/other", "--hold", "handle", *python(code))
    assert said.code == 0, said.err
    names, hint = capfd.readouterr().out.splitlines()
    assert names == f"acme/other@1.0.0 {NAME}@1.1.0"
    assert "acme/other@1.0.0" in hint
    assert [r["handle"] for r in runs(world)[2:]] == ["handle-offered", "handle-read"]


def test_data_without_a_verified_release_has_no_handle(world: World) -> None:
    folder = world.here / "plain"
    write(folder / "x", b"unsigned")
    text = "dataseal_policy: 1\nname: soft\nmode: audit\nextends: [{policy: 'dataseal:baseline'}]\n"
    words = ("--policy", write(world.here / "audit.yaml", text.encode()), *world.gate[2:], "--hold", "handle")
    said = dataseal("gate", folder, *words, *sh("touch ran"))
    assert said.code == 121
    assert "no verified release" in said.err
    assert not (world.here / "ran").exists()


def test_a_report_about_something_else_counts_as_none(world: World) -> None:
    code = READS + "d.open('README.md').read(); reads = d.fs.opened.reads\n"
    code += "import os; open(os.path.join(reads, 'x'), 'w').write('{}')"
    assert gate(world, "handle", world.copy(), *python(code)).code == 0
    last = runs(world)[1]
    assert last["handle"] == "handle-offered"
    assert "report" in last["unread"]


def test_a_handle_that_others_can_write_is_not_believed(world: World) -> None:
    code = "import os, sys\nos.chmod(os.environ['DATASEAL_HANDLE'], 0o666)\n"
    code += "from dataseal.verifiers import open_dataset\ntry: open_dataset()\n"
    code += "except Exception as e: assert 'somebody else' in str(e); sys.exit(7)"
    assert gate(world, "handle", world.copy(), *python(code)).code == 7


def test_a_handle_is_not_followed_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"{}")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(Exception, match="can't read the gate's handle"):
        handle.load(str(tmp_path / "link"))


def test_a_gates_own_handle_is_not_for_the_command_of_a_gate_inside_it(world: World) -> None:
    copy = world.copy()
    inner = " ".join(map(str, [PROGRAM, "gate", copy, *world.gate, "--hold", "none"]))
    script = f"{inner} -- sh -c 'echo \"<$DATASEAL_HANDLE>$DATASEAL_DATA\" > seen'"
    assert gate(world, "handle", copy, *sh(script)).code == 0
    assert (world.here / "seen").read_text() == f"<>{copy}\n"


def test_the_format_of_the_handle_parses_and_says_what_it_is() -> None:
    pin = handle.Pin("ab" * 32, "cd" * 32, 65536, "sha256", "acme/x", "1")
    made = handle.Handle((handle.Handed("file", "/srv/x", pin),), "/tmp/x/reads")
    assert handle.parse(made.encode()) == made
    for bad in (b"{}", made.encode().replace(b'"v":1', b'"v":2'), made.encode().replace(b"65536", b"65537"),
                made.encode().replace(b'"root":"ab', b'"root":"AB'), made.encode() + b" "):  # fmt: skip
        with pytest.raises(Exception, match=r"."):
            handle.parse(bad)
