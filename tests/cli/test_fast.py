"""`--fast` of `sign`, `record` and `verify`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dataseal.ledger.hashing import remember
from support.cli import Said, blocked, dataseal, passed
from support.datasets import NAME, World, write

V2 = f"{NAME}@1.1.0"


@pytest.fixture(autouse=True)
def settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled though they were made just now."""
    monkeypatch.setattr(remember, "SETTLED", -(10**12))


def edit(path: Path, data: bytes) -> None:
    """Another content of the same size, with the mtime that was there."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def fast(world: World, copy: Path, *more: object) -> Said:
    return world.verify(copy, "--fast", *more)


def test_the_first_time_reads_everything_and_says_so(world: World) -> None:
    said = fast(world, world.copy())
    passed(said, V2)
    assert "--fast knows nothing of this folder yet: every file is read this time" in " ".join(said.out.split())


def test_the_second_time_says_in_its_last_line_what_was_not_read(world: World) -> None:
    copy = world.copy()
    fast(world, copy)
    said = fast(world, copy)
    passed(said, f"fast {V2}: 4 shards not read, unchanged since they were")
    assert "4 shards not read, unchanged since they were (--fast)" in said.out
    told = fast(world, copy, "--format", "json").json
    assert (told["complete"], told["fast"]) == (False, 4)


def test_a_changed_file_is_read_and_found(world: World) -> None:
    copy = world.copy()
    fast(world, copy)
    edit(copy / "data" / "b.bin", b"x" * 10_000)
    blocked(fast(world, copy), "integrity.changed", "data/b.bin")


def test_what_failed_is_not_remembered(world: World) -> None:
    copy = world.copy()
    edit(copy / "data" / "b.bin", b"x" * 10_000)
    blocked(fast(world, copy), "integrity.changed")
    blocked(fast(world, copy), "integrity.changed")


def test_a_new_release_in_the_same_folder_is_judged_by_its_own_table(world: World) -> None:
    copy = world.copy(world.v1)
    passed(fast(world, copy), f"{NAME}@1.0.0")
    os.rename(copy / ".dataseal", world.here / "old")
    os.rename(world.copy(name="new") / ".dataseal", copy / ".dataseal")
    blocked(fast(world, copy), "integrity.missing", "data/c.bin")
    write(copy / "data" / "c.bin", (world.v2 / "data" / "c.bin").read_bytes())
    passed(fast(world, copy), f"fast {V2}: 3 shards not read, unchanged since they were")


def test_removed_and_added_files_are_seen(world: World) -> None:
    copy = world.copy()
    fast(world, copy)
    (copy / "README.md").unlink()
    write(copy / "extra", b"x")
    said = fast(world, copy)
    blocked(said, "integrity.missing", "README.md")
    blocked(said, "integrity.extra", "extra")


def test_whole_digests_are_not_taken_from_a_run_that_did_not_make_them(world: World) -> None:
    copy = world.copy()
    fast(world, copy)
    passed(fast(world, copy, "--digests", "all"), f"fast {V2}: 2 shards not read, unchanged since they were")
    passed(fast(world, copy, "--digests", "all"), f"fast {V2}: 4 shards not read, unchanged since they were")


def test_without_fast_everything_is_read(world: World) -> None:
    copy = world.copy()
    fast(world, copy)
    passed(world.verify(copy), V2)


def test_a_forged_cache_is_refused_aloud(world: World) -> None:
    copy = world.copy()
    fast(world, copy)
    (cache,) = (world.root.parent / "home" / "state").rglob("*.cache")
    data = bytearray(cache.read_bytes())
    data[-1] ^= 1
    cache.write_bytes(bytes(data))
    said = fast(world, copy)
    passed(said, V2)
    assert "the cache of --fast is refused, every file is read" in " ".join(said.out.split())


def test_a_workspace_that_lies_around_does_not_give_the_cache(world: World) -> None:
    """It may have come with the data, key and all."""
    dataseal("init", world.here)
    copy = world.copy()
    fast(world, copy)
    assert not list(world.here.rglob("*.cache"))
    fast(world, copy, "--workspace", world.here)
    assert len(list(world.here.rglob("*.cache"))) == 1


def policy(world: World, rule: str) -> tuple[object, ...]:
    (world.here / "policy.yaml").write_text(f"""\
dataseal_policy: 1
name: mine
trust:
  signers: {{them: {{key: {world.pub}}}}}
rules:
  - {{id: who, rule: publisher, datasets: ["{NAME}"], all_of: [{{signers: them}}]}}
  - {{id: files, rule: integrity{rule}}}
""")
    return "--policy", world.here / "policy.yaml", "--log", world.vkey


@pytest.mark.parametrize("rule", ["", ", fast: deny"])
def test_a_policy_that_does_not_allow_it_blocks(world: World, rule: str) -> None:
    copy = world.copy()
    options = policy(world, rule)
    passed(dataseal("verify", copy, *options, "--fast"), V2)  # everything was read
    said = dataseal("verify", copy, *options, "--fast")
    assert (said.code, said.last) == (1, f"BLOCKED {V2}: rule files fail")
    assert "4 shards were not read" in said.out


def test_a_policy_that_allows_it_lets_it_pass(world: World) -> None:
    copy = world.copy()
    options = policy(world, ", fast: allow")
    dataseal("verify", copy, *options, "--fast")
    passed(dataseal("verify", copy, *options, "--fast"), f"fast {V2}: 4 shards not read, unchanged since they were")


def test_sign_and_record_read_only_what_changed(world: World) -> None:
    at = ("--workspace", world.ws)
    write(world.v2 / "data" / "d.bin", b"new")
    one = dataseal("record", "append", f"{NAME}@head", world.v2, "--reason", "d", "--fast", *at)
    assert one.code == 0, one
    two = dataseal("sign", world.v2, "--dataset", NAME, "--release", "1.2.0", "--fast", "--format", "json", *at)
    assert (two.code, two.json["unchanged"]) == (0, 5), two
    passed(world.verify(world.v2, "--digests", "all"), f"{NAME}@1.2.0")
