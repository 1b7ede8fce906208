"""`dataseal verify`: the history beside a dataset is verified like the release, or it is none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from dataseal.ledger.digest import sha256
from support.cli import blocked, dataseal, passed
from support.datasets import NAME, World, flip, run, write


def seal(copy: Path) -> Path:
    return copy / ".dataseal"


def drop(copy: Path, *indexes: int) -> None:
    """Drops history entries, and the deltas that nothing binds any more."""
    for index in indexes:
        for path in (seal(copy) / "history").glob(f"{index:08d}.*"):
            path.unlink()


def deltas(world: World) -> dict[int, str]:
    """The delta that each modification binds."""
    entries = dataseal("log", "--workspace", world.ws, "--format", "json").json["entries"]
    return {e["index"]: e["predicate"]["delta"] for e in entries if e["kind"] == "modification"}


def test_the_whole_history_is_verified_and_said(world: World) -> None:
    said = world.verify(world.copy())
    passed(said, f"{NAME}@1.1.0")
    assert "history     verified: 2 deliveries" in said.out


def test_no_history_at_all_passes_and_is_said(world: World) -> None:
    copy = world.copy()
    for name in ("history", "objects"):
        shutil.rmtree(seal(copy) / name)
    said = world.verify(copy)
    passed(said, f"{NAME}@1.1.0")
    assert "history     none" in said.out


def test_the_newest_entry_dropped_breaks_the_chain(world: World) -> None:
    copy = world.copy()
    drop(copy, 2)
    (seal(copy) / "objects" / deltas(world)[2]).unlink()
    said = world.verify(copy)
    passed(said, f"{NAME}@1.1.0")
    assert "history     broken: no recorded modification leads to the release's root" in said.out
    assert "warn  history.broken" in said.out


def test_an_entry_in_the_middle_dropped_breaks_the_chain(world: World) -> None:
    write(world.v2 / "data" / "d.bin", b"d")
    at = ("--workspace", world.ws)
    run("record", "append", f"{NAME}@head", world.v2, "--reason", "even more", *at)
    write(world.v2 / "data" / "e.bin", b"e")
    run("record", "append", f"{NAME}@head", world.v2, "--reason", "most", *at)
    run("sign", world.v2, "--dataset", NAME, "--release", "1.2.0", *at)
    copy = world.copy()
    assert "verified: 4 deliveries" in world.verify(copy).out
    drop(copy, 5)
    (seal(copy) / "objects" / deltas(world)[5]).unlink()
    said = world.verify(copy)
    assert "history     broken: entry 6 starts from root " in said.out
    assert "no entry beside it leads there" in said.out


def test_the_start_dropped_leaves_a_start_at_the_signed_release(world: World) -> None:
    # 1.0.0 was signed over that state: a history may start there, and its shards are nobody's delivery then.
    copy = world.copy()
    drop(copy, 0)
    (seal(copy) / "objects" / deltas(world)[0]).unlink()
    said = world.verify(copy)
    assert "history     verified: 1 delivery" in said.out


def test_the_start_and_its_release_dropped_break_the_chain(world: World) -> None:
    copy = world.copy()
    drop(copy, 0, 1)
    (seal(copy) / "objects" / deltas(world)[0]).unlink()
    assert "history     broken: entry 2 starts from root " in world.verify(copy).out


def test_a_dropped_entry_whose_delta_stays_blocks(world: World) -> None:
    copy = world.copy()
    drop(copy, 2)
    blocked(world.verify(copy), "integrity.seal", f"objects/{deltas(world)[2]} is bound by no verified statement")


def test_a_stripped_history_proof(world: World) -> None:
    copy = world.copy()
    (seal(copy) / "history" / "00000002.tlog-proof").unlink()
    blocked(world.verify(copy), "integrity.history", "entry 2: its bundle or its proof is missing")


def test_an_altered_delta(world: World) -> None:
    copy = world.copy()
    flip(seal(copy) / "objects" / deltas(world)[2], 30)
    blocked(world.verify(copy), "integrity.history", "history entry 2", "is altered")


def test_a_removed_delta(world: World) -> None:
    copy = world.copy()
    (seal(copy) / "objects" / deltas(world)[2]).unlink()
    blocked(world.verify(copy), "integrity.history", "history entry 2", "is missing")


def test_a_delta_swapped_for_another_valid_one(world: World) -> None:
    copy = world.copy()
    shutil.copy(seal(copy) / "objects" / deltas(world)[0], seal(copy) / "objects" / deltas(world)[2])
    blocked(world.verify(copy), "integrity.history", "is altered")


def test_an_altered_history_bundle(world: World) -> None:
    copy = world.copy()
    path = seal(copy) / "history" / "00000002.sigstore.json"
    bundle = json.loads(path.read_bytes())
    signature = bundle["dsseEnvelope"]["signatures"][0]["sig"]
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = (
        signature[:20] + ("A" if signature[20] != "A" else "B") + signature[21:]
    )
    path.write_text(json.dumps(bundle, separators=(",", ":"), sort_keys=True))
    blocked(world.verify(copy), "integrity.history", "history entry 2", "it was altered")


def test_an_altered_history_proof(world: World) -> None:
    copy = world.copy()
    path = seal(copy) / "history" / "00000002.tlog-proof"
    flip(path, path.read_bytes().index(b"\nindex ") + 12)
    blocked(world.verify(copy), "integrity.history", "history entry 2")


def test_an_entry_under_another_index(world: World) -> None:
    copy = world.copy()
    for kind in ("sigstore.json", "tlog-proof"):
        path = seal(copy) / "history"
        (path / f"00000002.{kind}").rename(path / f"00000007.{kind}")
    blocked(world.verify(copy), "integrity.history", "history entry 7: it is a modification at index 2")


def test_the_entry_of_another_dataset(world: World) -> None:
    copy = world.copy()
    # Entry 4 is acme/other's release; it lies behind 1.1.0, and is not ours in any case.
    for kind in ("sigstore.json", "tlog-proof"):
        shutil.copy(world.other / ".dataseal" / "release" / f"1.{kind}", seal(copy) / "history" / f"00000004.{kind}")
    blocked(world.verify(copy), "integrity.history", "it belongs to another dataset, 'acme/other'")


def test_the_release_itself_as_its_own_history(world: World) -> None:
    copy = world.copy()
    for kind in ("sigstore.json", "tlog-proof"):
        shutil.copy(seal(copy) / "release" / f"1.{kind}", seal(copy) / "history" / f"00000003.{kind}")
    blocked(world.verify(copy), "integrity.history", "does not stand before the release")


def retired(world: World, tmp_path: Path) -> Path:
    """A copy of a release whose history was signed with a key that the consumer does not trust, in the same log."""
    ws = world.ws
    run("key", "new", ws / "keys" / "new.key")
    config = (ws / "dataseal.toml").read_text()
    (ws / "dataseal.toml").write_text(
        config.replace('keys = ["keys/publisher.pub"]', 'keys = ["keys/publisher.pub", "keys/new.pub"]')
    )
    write(world.v2 / "data" / "z.bin", b"z")
    at = ("--workspace", ws, "--key", ws / "keys" / "new.key")
    run("record", "append", f"{NAME}@head", world.v2, "--reason", "with the new key", *at)
    run("sign", world.v2, "--dataset", NAME, "--release", "1.2.0", *at)
    return world.copy()


def test_genuine_history_by_a_retired_key_is_no_tampering_and_no_evidence(world: World, tmp_path: Path) -> None:
    copy = retired(world, tmp_path)
    said = dataseal(
        "verify", copy, "--publisher", world.ws / "keys" / "new.pub", "--log", world.vkey, "--dataset", NAME
    )
    passed(said, f"{NAME}@1.2.0")
    assert "history     broken" in said.out
    assert "warn  history.broken: history entry 2: no trusted key made this signature" in said.out


def test_altered_history_by_a_retired_key_blocks(world: World, tmp_path: Path) -> None:
    copy = retired(world, tmp_path)
    path = seal(copy) / "history" / "00000000.sigstore.json"
    path.write_bytes((seal(copy) / "history" / "00000001.sigstore.json").read_bytes())
    said = dataseal(
        "verify", copy, "--publisher", world.ws / "keys" / "new.pub", "--log", world.vkey, "--dataset", NAME
    )
    blocked(said, "integrity.history", "history entry 0", "it was altered")


def test_an_object_beside_retired_history_must_be_bound_too(world: World, tmp_path: Path) -> None:
    copy = retired(world, tmp_path)
    write(seal(copy) / "objects" / sha256(b"x").hex(), b"x")
    said = dataseal(
        "verify", copy, "--publisher", world.ws / "keys" / "new.pub", "--log", world.vkey, "--dataset", NAME
    )
    blocked(said, "integrity.seal", sha256(b"x").hex())


def test_without_a_log_the_history_is_not_believed_and_that_is_said(world: World) -> None:
    said = dataseal("verify", world.copy(), "--publisher", world.pub, "--no-log", "--dataset", NAME)
    passed(said, f"{NAME}@1.1.0")
    assert "history     not verified: the log was not checked" in said.out
