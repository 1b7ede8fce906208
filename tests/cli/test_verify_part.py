"""`dataseal verify --only` and `--sample`: a part of a dataset, against the signed root."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataseal.ledger.hashing import remember
from support.cli import blocked, dataseal, passed, refused
from support.datasets import CHUNK, NAME, World, flip, write

V2 = f"{NAME}@1.1.0"


def test_chosen_shards_pass_as_partial(world: World) -> None:
    said = world.verify(world.copy(), "--only", "data/[ab].bin")
    passed(said, f"partial {V2}: 2 of 4 shards")


def test_only_the_chosen_shards_are_looked_at(world: World) -> None:
    copy = world.copy()
    flip(copy / "data" / "a.bin", 0)
    (copy / "README.md").unlink()
    write(copy / "extra", b"x")
    passed(world.verify(copy, "--only", "data/b.bin"), f"partial {V2}: 1 of 4 shards")
    blocked(world.verify(copy, "--only", "data/*"), "integrity.changed", "data/a.bin")


@pytest.mark.parametrize("damage", ["flip", "remove", "add"])
def test_what_is_wrong_with_a_chosen_shard_blocks(world: World, damage: str) -> None:
    copy = world.copy()
    if damage == "flip":
        flip(copy / "data" / "b.bin", 5_000)
        blocked(world.verify(copy, "--only", "data/*"), "integrity.changed", "bytes 0-9999")
    elif damage == "remove":
        (copy / "data" / "b.bin").unlink()
        blocked(world.verify(copy, "--only", "data/*"), "integrity.missing", "data/b.bin")
    else:
        write(copy / "data" / "z.bin", b"x")
        blocked(world.verify(copy, "--only", "data/*"), "integrity.extra", "data/z.bin")


@pytest.mark.parametrize("globs", [("nothing*",), ("data/*", "train/*"), ("DATA/*",), ("",)])
def test_a_glob_that_matches_nothing_is_an_error(world: World, globs: tuple[str, ...]) -> None:
    options = [part for glob in globs for part in ("--only", glob)]
    refused(world.verify(world.copy(), *options), 2, "matches no signed shard")


def test_a_glob_that_matches_only_what_was_not_signed_is_an_error(world: World) -> None:
    copy = world.copy()
    write(copy / "train" / "x.bin", b"x")
    refused(world.verify(copy, "--only", "train/*"), 2, "matches no signed shard")


def test_whole_files_of_a_part_can_be_checked_too(world: World) -> None:
    said = world.verify(world.copy(), "--only", "data/*", "--digests", "all")
    passed(said, f"partial {V2}: 3 of 4 shards")
    assert "not checked (--digests" not in said.out


def test_a_sample_says_what_it_would_find(world: World) -> None:
    said = world.verify(world.copy(), "--sample", "50%")
    passed(said, f"partial {V2}: 5 of 9 chunks of 4 of 4 shards")
    assert "a sample of 5 of 9 chunks finds at least one of k bad chunks with the probability 1: 55.6%" in said.out
    assert "with 95% from k = 3" in said.out


def test_a_sample_of_everything_finds_one_flipped_bit(world: World) -> None:
    copy = world.copy()
    flip(copy / "data" / "a.bin", 2 * CHUNK + 1)
    said = world.verify(copy, "--sample", "100%")
    blocked(said, "integrity.changed", f"of the chunks that were looked at, bytes {2 * CHUNK}-{3 * CHUNK - 1} differ")
    assert "data/b.bin" not in said.out


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda copy: (copy / "data" / "b.bin").unlink(), "integrity.missing"),
        (lambda copy: write(copy / "new", b"x"), "integrity.extra"),
        (lambda copy: (copy / "data" / "b.bin").write_bytes(b"x"), "integrity.changed"),
        (lambda copy: (copy / "link").symlink_to("README.md"), "integrity.forbidden"),
    ],
)
def test_the_smallest_sample_sees_names_and_sizes_of_all_files(world: World, change, check: str) -> None:
    copy = world.copy()
    change(copy)
    blocked(world.verify(copy, "--sample", "1%"), check)


def test_a_sample_of_chosen_shards(world: World) -> None:
    copy = world.copy()
    (copy / "README.md").unlink()
    said = world.verify(copy, "--only", "data/a.bin", "--sample", "20%")
    passed(said, f"partial {V2}: 1 of 5 chunks of 1 of 4 shards")


@pytest.mark.parametrize(
    "text",
    [
        "0%",
        "101%",
        "5",
        "-5%",
        "nan%",
        "1/0%",
        "%",
        "five%",
        "",
        "1e-99999999%",
        "1e0%",
        "5/1%",
        "1_0%",
        "0.0000000001%",
    ],
)
def test_what_is_no_share_is_told(world: World, text: str) -> None:
    refused(world.verify(world.copy(), "--sample", text), 2, "no share")


@pytest.mark.parametrize(
    "options",
    [("--fast", "--only", "*"), ("--fast", "--sample", "5%"), ("--sample", "5%", "--digests", "all")],
)
def test_options_that_exclude_each_other(world: World, options: tuple[str, ...]) -> None:
    refused(world.verify(world.copy(), *options), 2, "--")


def policy(world: World, rule: str) -> Path:
    text = f"""\
dataseal_policy: 1
name: mine
trust:
  signers: {{them: {{key: {world.pub}}}}}
rules:
  - {{id: who, rule: publisher, datasets: ["{NAME}"], all_of: [{{signers: them}}]}}
  - {{id: files, rule: integrity{rule}}}
"""
    (world.here / "policy.yaml").write_text(text)
    return world.here / "policy.yaml"


@pytest.mark.parametrize("rule", ["", ", partial: deny"])
def test_a_policy_that_does_not_allow_a_part_blocks_it(world: World, rule: str) -> None:
    said = dataseal("verify", world.copy(), "--policy", policy(world, rule), "--log", world.vkey, "--only", "data/*")
    assert said.code == 1
    assert said.last == f"BLOCKED {V2}: rule files fail"
    assert "not every byte of every shard was compared" in said.out


@pytest.mark.parametrize("options", [("--only", "data/*"), ("--sample", "5%"), ("--fast",)])
def test_a_policy_without_an_integrity_rule_allows_no_less(
    world: World, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr(remember, "SETTLED", -(10**12))
    copy, made = world.copy(), policy(world, "")
    made.write_text("".join(line for line in made.read_text().splitlines(True) if "integrity" not in line))
    words = (copy, "--policy", made, "--log", world.vkey)
    passed(dataseal("verify", *words, *(o for o in options if o == "--fast")), V2)
    said = dataseal("verify", *words, *options)
    assert said.code == 1
    assert said.last == f"BLOCKED {V2}: rule unjudged fail"


def test_a_policy_that_allows_a_part_lets_it_pass_as_partial(world: World) -> None:
    made = policy(world, ", partial: allow")
    said = dataseal("verify", world.copy(), "--policy", made, "--log", world.vkey, "--only", "data/*")
    passed(said, f"partial {V2}: 3 of 4 shards")


def test_a_policy_that_demands_whole_digests_is_not_met_by_a_part_without(world: World) -> None:
    made = policy(world, ", partial: allow, digests: all")
    said = dataseal("verify", world.copy(), "--policy", made, "--log", world.vkey, "--only", "data/*")
    assert said.last == f"BLOCKED {V2}: rule files fail"


@pytest.mark.parametrize("option", [("--only", "data/*"), ("--sample", "5%"), ("--fast",)])
def test_a_gate_has_no_such_options(world: World, option: tuple[str, ...]) -> None:
    said = dataseal("gate", world.copy(), *world.gate, *option, "--", "true")
    refused(said, 122, "No such option")


def test_a_part_is_not_remembered_as_seen(world: World) -> None:
    world.verify(world.copy(), "--only", "data/*")
    assert not list((world.root.parent / "home" / "state").rglob("seen.json"))


def test_json_says_what_was_covered(world: World) -> None:
    said = world.verify(world.copy(), "--only", "data/*", "--format", "json")
    assert said.json["complete"] is False
    assert said.json["partial"] == {
        "shards": 3, "shards_total": 4, "chunks": 8, "chunks_total": 8, "sampled": False,
    }  # fmt: skip


def test_the_chunk_hash_that_a_policy_demands(world: World) -> None:
    good, bad = (
        dataseal("verify", world.copy(name=h), "--policy", policy(world, f", chunk_hash: [{h}]"), "--log", world.vkey)
        for h in ("sha256", "blake3")
    )
    passed(good, V2)
    assert bad.last == f"BLOCKED {V2}: rule files fail"
    assert "hashed with sha256, expected blake3" in bad.out
