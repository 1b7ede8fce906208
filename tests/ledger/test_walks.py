"""The publisher's walks: sign, record, and the references that they resolve."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import audit, seal, states
from dataseal.ledger import entry as entries
from dataseal.ledger.delta import apply, bare, parse, root_of
from dataseal.ledger.errors import FormatError, IntegrityError, Refused, SignatureInvalid, Unavailable, UsageError
from dataseal.ledger.manifest import MIN_CHUNK, Parameters, encode_table, parse_table
from dataseal.ledger.modify import parent
from dataseal.ledger.record import record
from dataseal.ledger.signers import keyfile
from dataseal.ledger.signers.base import KeySigner
from dataseal.ledger.verify import verify_bundle, verify_logged
from support import statements as make
from support.errors import refused
from support.ledgers import tamper_entry
from support.shards import SMALL
from support.workspaces import DATASET, Bench, flip, make_bench, make_dataset, tree, write_shard


def count(bench: Bench) -> int:
    with bench.log.store.view() as view:
        return view.count()


def copy(dataset: Path, name: str) -> Path:
    target = dataset.parent / name
    shutil.copytree(dataset, target, ignore=shutil.ignore_patterns(".dataseal"))
    return target


# --- sign ---


def test_a_signed_folder_verifies_with_what_travels_and_nothing_else(bench: Bench, dataset: Path) -> None:
    signed = bench.sign(dataset)
    files = tree(dataset / ".dataseal")
    assert set(files) == {"shards.parquet", "release/1.sigstore.json", "release/1.tlog-proof", "oms.sigstore.json"}
    verified = verify_bundle(files["release/1.sigstore.json"], [bench.publisher.public])
    logged = verify_logged(verified, files["release/1.tlog-proof"], [bench.log.trusted()])
    assert logged.index == signed.recorded.logged.index == 0
    statement = verified.statement
    table, root = bytes.fromhex(statement.table), bytes.fromhex(statement.root)
    manifest = parse_table(files["shards.parquet"], statement.release().tree.parameters, digest=table, root=root)
    assert [s.path for s in manifest.shards] == ["README.md", "data/0.parquet", "data/1.parquet", "data/2.parquet"]
    assert all(seal.known(name) for name in files)


def test_the_history_travels_under_one_checkpoint_with_its_deltas(bench: Bench, dataset: Path) -> None:
    bench.sign(dataset)
    write_shard(dataset / "data" / "3.parquet", 4, 100)
    modified = bench.record(dataset)
    signed = bench.sign(dataset, "1.1.0")
    files = tree(dataset / ".dataseal")
    assert seal.history(files) == [0, 1]
    assert signed.history == 2
    assert seal.object_name(modified.modification.delta) in files
    for index in (0, 1):
        verified = verify_bundle(files[seal.history_name(index, "sigstore.json")], [bench.publisher.public])
        proof = files[seal.history_name(index, "tlog-proof")]
        assert verify_logged(verified, proof, [bench.log.trusted()]).index == index
    assert audit.check(bench.log).clean


def test_another_datasets_history_does_not_travel(bench: Bench, dataset: Path) -> None:
    other = copy(dataset, "other")
    write_shard(other / "data" / "9.parquet", 2)
    bench.sign(other, dataset="acme/other")
    bench.sign(dataset)
    assert seal.history(tree(dataset / ".dataseal")) == []


def test_a_second_release_follows_the_first(bench: Bench, dataset: Path) -> None:
    bench.sign(dataset)
    release = bench.sign(dataset, "1.0.1").release
    assert release.sequence == 2
    assert release.previous is not None
    assert (release.previous.version, release.previous.root) == ("1.0.0", release.tree.root)


def test_signing_again_gives_the_same_entry_and_the_same_seal(bench: Bench, dataset: Path) -> None:
    bench.sign(dataset)
    before = tree(dataset)
    again = bench.sign(dataset)
    assert again.recorded.existed
    assert tree(dataset) == before
    assert count(bench) == 1


def test_an_older_release_can_be_sealed_again_after_newer_ones(bench: Bench, dataset: Path) -> None:
    old = copy(dataset, "old")
    bench.sign(dataset)
    write_shard(dataset / "data" / "3.parquet", 4)
    bench.sign(dataset, "1.1.0")
    again = bench.sign(old)
    assert (again.recorded.existed, again.release.sequence, again.history) == (True, 1, 0)


def test_a_version_with_another_content_is_refused(bench: Bench, dataset: Path) -> None:
    bench.sign(dataset)
    before = tree(dataset / ".dataseal")
    flip(dataset / "data" / "1.parquet", 10)
    with refused(UsageError, "acme/reviews@1.0.0", "another content", "entry 0", "next version"):
        bench.sign(dataset)
    assert count(bench) == 1
    assert tree(dataset / ".dataseal") == before


OTHER_OPTIONS = [{"metadata": {"license": "MIT"}}, {"exclusions": ["*.tmp"]}, {"derived_from": [f"{DATASET}@1.0.0"]}]


@pytest.mark.parametrize("options", OTHER_OPTIONS)
def test_a_version_with_other_options_is_refused_as_what_it_is(
    bench: Bench, dataset: Path, options: dict[str, Any]
) -> None:
    bench.sign(dataset)
    with refused(UsageError, "other metadata, exclusions or sources", "entry 0"):
        bench.sign(dataset, **options)


def test_a_release_records_where_it_comes_from(bench: Bench, dataset: Path) -> None:
    first = bench.sign(dataset)
    root = first.release.tree.root
    write_shard(dataset / "data" / "3.parquet", 1)
    references = [f"{DATASET}@1.0.0", f"{DATASET}@head", root]
    release = bench.sign(dataset, dataset="acme/derived", derived_from=references, metadata={"license": "MIT"}).release
    named = [(s.dataset, s.version, s.root) for s in release.derived_from]
    assert named == [(DATASET, v, root) for v in ("1.0.0", f"root-{root[:12]}", f"root-{root[:12]}")]
    assert release.metadata == {"license": "MIT"}


BAD: dict[str, tuple[Callable[[Path], object], dict[str, Any], str]] = {
    "bad dataset name": (lambda d: None, {"dataset": "../x"}, "dataset name"),
    "bad version": (lambda d: None, {"version": "head"}, "release version"),
    "empty folder": (lambda d: [shutil.rmtree(d), d.mkdir()], {}, "no files"),
    "no folder": (shutil.rmtree, {}, "no such folder"),
    "all excluded": (lambda d: None, {"exclusions": ["*"]}, "no files"),
    "symlink": (lambda d: (d / "link").symlink_to("/etc/passwd"), {}, "symbolic link"),
    "fifo": (lambda d: os.mkfifo(d / "pipe"), {}, "plain files"),
    "newline in a name": (lambda d: (d / "a\nb").write_bytes(b""), {}, "control"),
    "case collision": (lambda d: (d / "readme.MD").write_bytes(b""), {}, "case-insensitive"),
    "seal in other case": (
        lambda d: (d / ".DATASEAL").mkdir() or (d / ".DATASEAL/x").write_bytes(b""),
        {},
        ".dataseal",
    ),
    "long metadata": (lambda d: None, {"metadata": {str(n): "x" * 999 for n in range(40)}}, "32,768"),
    "empty metadata": (lambda d: None, {"metadata": {"license": ""}}, "metadata"),
    "unknown source": (lambda d: None, {"derived_from": ["acme/nothing@1.0"]}, "nothing is recorded"),
}


@pytest.mark.parametrize(("spoil", "options", "word"), BAD.values(), ids=BAD.keys())
def test_what_can_not_be_signed_is_a_usage_error_and_leaves_nothing(
    bench: Bench, dataset: Path, spoil: Callable[[Path], object], options: dict[str, Any], word: str
) -> None:
    spoil(dataset)
    options = dict(options)
    with refused(UsageError, word):
        bench.sign(dataset, options.pop("version", "1.0.0"), **options)
    assert count(bench) == 0
    assert not (dataset / ".dataseal").exists()
    assert not bench.objects.folder.exists()


def test_a_key_that_the_log_does_not_list_is_refused(bench: Bench, dataset: Path) -> None:
    with refused(SignatureInvalid, "no trusted key"):
        bench.sign(dataset, signer=keyfile.generate())
    with refused(Refused, "does not list key"):
        bench.sign(dataset, signer=bench.gate)
    assert count(bench) == 0
    assert not (dataset / ".dataseal").exists()


def test_a_missing_delta_is_missed_before_anything_is_logged(bench: Bench, dataset: Path) -> None:
    """The release was logged first, and could then never be sealed."""
    bench.sign(dataset)
    write_shard(dataset / "data" / "3.parquet", 4)
    delta = bench.record(dataset).modification.delta
    (bench.objects.folder / delta[:2] / delta).unlink()
    with refused(UsageError, delta, "entry 1"):
        bench.sign(dataset, "1.1.0")
    assert count(bench) == 2


def test_a_missing_shard_table_is_made_again(bench: Bench, dataset: Path) -> None:
    table = bench.sign(dataset).recorded.logged.verified.statement.table
    (bench.objects.folder / table[:2] / table).unlink()
    bench.sign(dataset)
    assert bench.objects.get(table, what="table")


def test_a_recorded_state_keeps_its_table_although_pyarrow_writes_another(
    bench: Bench, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one version would have two subjects."""
    first = bench.sign(dataset).recorded.logged.verified.statement
    write_shard(dataset / "data" / "3.parquet", 4)
    bench.record(dataset)
    (dataset / "data" / "3.parquet").unlink()
    monkeypatch.setattr("dataseal.ledger.sign.encode_table", lambda manifest: encode_table(manifest) + b"later version")
    back = bench.record(dataset, operation="remove", reason="not wanted").recorded.logged.verified.statement
    assert (back.table, back.root) == (first.table, first.root)
    assert bench.sign(dataset, "1.0.1").recorded.logged.verified.statement.table == first.table


def test_a_folder_that_can_not_be_written_is_finished_by_the_next_run(
    bench: Bench, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.rename

    def denied(self: Path, target: Path) -> Path:
        if self.name == ".dataseal.new":
            raise PermissionError(13, "Permission denied")
        return real(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", denied)
        with refused(Unavailable, "Permission denied", "will be found and used"):
            bench.sign(dataset)
    assert not [p for p in dataset.iterdir() if p.name.startswith(".dataseal")]
    assert bench.sign(dataset).recorded.existed
    assert count(bench) == 1


# --- crashes ---

SIGN_STEPS = [
    "dataseal.ledger.objects.Objects.put",
    "dataseal.ledger.store.store.View.insert",
    "dataseal.ledger.log.Log.checkpoint",
    "dataseal.ledger.store.store.View.sign_head",
    "dataseal.ledger.log.Log.prove",
    "dataseal.ledger.sign._history",
    "dataseal.ledger.seal.replace",
    "pathlib.Path.rename",
]


@contextmanager
def dying_at(target: str, call: int = 1) -> Iterator[None]:
    """Call number ``call`` of ``target`` is as far as this process gets."""
    from importlib import import_module

    parts = target.split(".")
    owner: Any = import_module(".".join(parts[:-2])) if parts[-2][0].isupper() else import_module(".".join(parts[:-1]))
    owner = getattr(owner, parts[-2]) if parts[-2][0].isupper() else owner
    real, calls = getattr(owner, parts[-1]), []

    def die(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) >= call:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(owner, parts[-1], die)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.mark.parametrize("step", SIGN_STEPS)
def test_a_sign_that_is_cut_off_anywhere_finishes_when_it_is_run_again(bench: Bench, dataset: Path, step: str) -> None:
    with dying_at(step):
        bench.sign(dataset)
    bench.log = bench.again()
    signed = bench.sign(dataset)
    assert count(bench) == 1
    assert signed.recorded.logged.index == 0
    assert seal.releases(tree(dataset / ".dataseal")) == [1]
    assert not (dataset / ".dataseal.new").exists()
    assert audit.check(bench.log).clean


@pytest.mark.parametrize("call", [2, 3])
def test_a_seal_that_is_cut_off_between_its_renames_is_recovered(bench: Bench, dataset: Path, call: int) -> None:
    """Call 1 stores an object; 2 moves the old seal away, 3 brings the new one."""
    bench.sign(dataset)
    write_shard(dataset / "data" / "3.parquet", 4)
    with dying_at("pathlib.Path.rename", call):
        bench.sign(dataset, "1.1.0")
    bench.sign(dataset, "1.1.0")
    assert count(bench) == 2
    assert sorted(p.name for p in dataset.iterdir()) == [".dataseal", "README.md", "data"]


def test_recording_clears_what_a_cut_off_sign_left(bench: Bench, dataset: Path) -> None:
    """Half a seal would have been recorded as shards of the dataset."""
    bench.sign(dataset)
    (dataset / ".dataseal").rename(dataset / ".dataseal.old")
    (dataset / ".dataseal.new").mkdir()
    (dataset / ".dataseal.new" / "shards.parquet").write_bytes(b"half")
    write_shard(dataset / "data" / "3.parquet", 4)
    delta = bench.record(dataset).delta
    assert delta.touched() == ("data/3.parquet",)
    assert (dataset / ".dataseal" / "shards.parquet").exists()


@pytest.mark.parametrize("step", SIGN_STEPS[:5])
def test_a_record_that_is_cut_off_anywhere_finishes_when_it_is_run_again(
    bench: Bench, dataset: Path, step: str
) -> None:
    bench.sign(dataset)
    write_shard(dataset / "data" / "3.parquet", 4)
    with dying_at(step):
        bench.record(dataset, f"{DATASET}@1.0.0")
    bench.log = bench.again()
    made = bench.record(dataset, f"{DATASET}@1.0.0")
    assert (made.recorded.logged.index, count(bench)) == (1, 2)
    assert audit.check(bench.log).clean


# --- record ---


def test_a_modification_leads_from_root_to_root(bench: Bench, dataset: Path) -> None:
    before = bench.sign(dataset)
    write_shard(dataset / "data" / "3.parquet", 4, 100)
    (dataset / "data" / "0.parquet").unlink()
    write_shard(dataset / "data" / "1.parquet", 5, 6)
    made = bench.record(dataset, tool="https://example.org/dedupe@1", settings={"k": "v"})
    modification = made.modification
    assert modification.from_ is not None
    assert modification.from_.root == before.release.tree.root
    counts = modification.counts
    assert (counts.shards.added, counts.shards.removed, counts.shards.changed) == (1, 1, 1)
    assert modification.parameters == {"k": "v"}
    delta = parse(bench.objects.get(modification.delta, what="delta"))
    shards = apply(bare(before.hashed.manifest.shards), delta)
    assert root_of(shards.values(), modification.to.parameters).hex() == modification.to.root


FROM: dict[str, Callable[[Bench, Path, str], str]] = {
    "version": lambda bench, old, root: f"{DATASET}@1.0.0",
    "head": lambda bench, old, root: f"{DATASET}@head",
    "root": lambda bench, old, root: root,
    "folder": lambda bench, old, root: str(old),
}


@pytest.mark.parametrize("start", FROM.values(), ids=FROM.keys())
def test_a_parent_is_named_in_four_ways(bench: Bench, dataset: Path, start: Callable[..., str]) -> None:
    old = copy(dataset, "old")
    root = bench.sign(dataset).release.tree.root
    write_shard(dataset / "data" / "3.parquet", 4)
    made = bench.record(dataset, start(bench, old, root))
    assert made.modification.from_ is not None
    assert made.modification.from_.root == root


def test_rows_are_counted_when_the_old_bytes_are_at_hand(bench: Bench, dataset: Path) -> None:
    old = copy(dataset, "old")
    bench.sign(dataset)
    (dataset / "data" / "0.parquet").unlink()
    write_shard(dataset / "data" / "1.parquet", 5, 6)
    write_shard(dataset / "data" / "3.parquet", 4, 100)
    rows = bench.record(dataset, str(old)).modification.counts.rows
    assert (rows.added, rows.removed, rows.changed) == (5, 6, None)


def test_rows_are_not_guessed_when_the_old_bytes_are_gone(bench: Bench, dataset: Path) -> None:
    bench.sign(dataset)
    (dataset / "data" / "0.parquet").unlink()
    rows = bench.record(dataset).modification.counts.rows
    assert (rows.added, rows.removed, rows.changed) == (0, None, 0)


def test_a_first_state_starts_from_nothing(bench: Bench, dataset: Path) -> None:
    made = bench.record(dataset, "none", "collect", parameters=SMALL)
    assert made.modification.from_ is None
    assert made.modification.to.parameters == SMALL
    assert len(made.delta.added) == 4
    with refused(Refused, "has states already", f"{DATASET}@head"):
        bench.record(dataset, "none", "collect", reason="again")


def test_a_first_state_needs_a_name_that_is_one(bench: Bench) -> None:
    with refused(UsageError, "--dataset"):
        parent("none", dataset=None, log=bench.log, objects=bench.objects)
    with refused(UsageError, "not a dataset name"):
        parent("none", dataset="../x", log=bench.log, objects=bench.objects)


def test_later_states_keep_the_first_ones_parameters(bench: Bench, dataset: Path) -> None:
    bench.sign(dataset, parameters=Parameters(2 * MIN_CHUNK, "blake3"))
    write_shard(dataset / "data" / "3.parquet", 4)
    assert bench.record(dataset).modification.to.chunk_hash == "blake3"
    assert bench.sign(dataset, "1.1.0").release.tree.chunk_size == 2 * MIN_CHUNK


def test_a_parent_folder_is_hashed_with_its_recorded_exclusions(bench: Bench, dataset: Path) -> None:
    """The exclusions were not known, so that the folder was no recorded state."""
    (dataset / ".gitattributes").write_text("*.parquet lfs")
    old = copy(dataset, "old")
    bench.sign(dataset, exclusions=[".gitattributes"])
    write_shard(dataset / "data" / "3.parquet", 4)
    made = bench.record(dataset, str(old), exclusions=[".gitattributes"])
    assert [s.path for s in made.delta.added] == ["data/3.parquet"]


def test_nothing_that_differs_is_nothing_to_record(bench: Bench, dataset: Path) -> None:
    bench.sign(dataset)
    with refused(UsageError, "nothing differs", "dataseal log"):
        bench.record(dataset)
    assert count(bench) == 1


def test_the_same_change_made_a_second_time_is_not_taken_for_the_first(bench: Bench, dataset: Path) -> None:
    """There, back, and there again: the third was answered with the first one's entry, and was never recorded."""
    bench.sign(dataset)
    write_shard(dataset / "data" / "3.parquet", 4)
    bench.record(dataset)
    (dataset / "data" / "3.parquet").unlink()
    bench.record(dataset, operation="remove", reason="not wanted")
    write_shard(dataset / "data" / "3.parquet", 4)
    with refused(UsageError, "recorded already (entry 1)", "another --reason"):
        bench.record(dataset)
    assert bench.record(dataset, reason="wanted after all").recorded.logged.index == 3


@pytest.mark.parametrize(
    ("reference", "word"),
    [
        (f"{DATASET}@9.9.9", "releases of acme/reviews: 1.0.0"),
        ("acme/other@1.0.0", "no state of 'acme/reviews'"),
        ("ab" * 32, "is no recorded state"),
        ("AB" * 32, "neither a folder nor a recorded state"),
        ("nowhere", "neither a folder nor a recorded state"),
        ("", "neither"),
        ("x" * 5000, "neither"),
        ("a\0b", "neither"),
        (f"{DATASET}@", "nothing is recorded"),
    ],
    ids=["version", "dataset", "root", "upper-case root", "word", "nothing", "long", "zero byte", "no version"],
)
def test_a_parent_that_is_not_recorded_says_what_is(bench: Bench, dataset: Path, reference: str, word: str) -> None:
    bench.sign(dataset)
    with refused(UsageError, word):
        bench.record(dataset, reference)
    assert count(bench) == 1


def test_a_parent_folder_that_was_changed_is_no_recorded_state(bench: Bench, dataset: Path) -> None:
    old = copy(dataset, "old")
    bench.sign(dataset)
    flip(old / "data" / "0.parquet", 20)
    with refused(UsageError, "no recorded state", "dataseal log"):
        bench.record(dataset, str(old))


def test_a_parent_whose_table_is_gone_names_the_object(bench: Bench, dataset: Path) -> None:
    table = bench.sign(dataset).recorded.logged.verified.statement.table
    (bench.objects.folder / table[:2] / table).unlink()
    write_shard(dataset / "data" / "3.parquet", 4)
    with refused(UsageError, table, "shard table of acme/reviews", "copy it into"):
        bench.record(dataset)


def test_a_parent_whose_table_was_altered_is_an_integrity_error(bench: Bench, dataset: Path) -> None:
    table = bench.sign(dataset).recorded.logged.verified.statement.table
    flip(bench.objects.folder / table[:2] / table, 40)
    write_shard(dataset / "data" / "3.parquet", 4)
    with refused(IntegrityError, table, "altered"):
        bench.record(dataset)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"operation": "poison"}, "not an operation"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 1001}, "reason"),
        ({"tool": "x" * 1001}, "tool"),
        ({"settings": {"k": ""}}, "parameters"),
        ({"settings": {str(n): "x" * 999 for n in range(40)}}, "32,768"),
    ],
)
def test_what_can_not_be_recorded_is_a_usage_error(
    bench: Bench, dataset: Path, options: dict[str, Any], word: str
) -> None:
    bench.sign(dataset)
    write_shard(dataset / "data" / "3.parquet", 4)
    with refused(UsageError, word):
        bench.record(dataset, **options)
    assert count(bench) == 1


def test_a_corrupt_shard_is_named_and_nothing_is_logged(bench: Bench, dataset: Path) -> None:
    bench.sign(dataset)
    (dataset / "data" / "3.parquet").write_bytes(b"PAR1 or so")
    with refused(FormatError, "data/3.parquet", "Parquet"):
        bench.record(dataset)
    assert count(bench) == 1


def test_a_file_that_changes_while_it_is_signed_is_refused(bench: Bench, dataset: Path) -> None:
    def meddle(_bytes: int) -> None:
        (dataset / "README.md").write_text("changed again and again" * 5)

    with refused(IntegrityError, "changed while it was read"):
        bench.sign(dataset, progress=meddle)
    assert count(bench) == 0


# --- references ---


def test_a_root_that_two_datasets_have_asks_which(bench: Bench, dataset: Path) -> None:
    root = bench.sign(dataset).release.tree.root
    bench.sign(dataset, dataset="acme/copy")
    with bench.log.store.view() as view:
        with refused(UsageError, "acme/copy, acme/reviews", "--dataset"):
            states.with_root(view, root)
        assert states.with_root(view, root, "acme/copy").dataset == "acme/copy"
        with refused(UsageError, "no recorded state of 'acme/third'"):
            states.with_root(view, root, "acme/third")


def test_head_is_the_newest_state_and_not_the_newest_release(bench: Bench, dataset: Path) -> None:
    bench.sign(dataset)
    write_shard(dataset / "data" / "3.parquet", 4)
    root = bench.record(dataset).modification.to.root
    bench.log.append([make.sign_bundle(make.receipt_payload(dataset=DATASET), bench.gate)])
    with bench.log.store.view() as view:
        assert states.resolve(view, f"{DATASET}@head").tree.root == root
        assert states.resolve(view, f"{DATASET}@1.0.0").tree.root != root
        assert states.newest(view, "acme/none") is None


def test_a_dataset_with_an_at_sign_in_a_folders_name_is_a_folder(bench: Bench, dataset: Path) -> None:
    bench.sign(dataset)
    folder = copy(dataset, "reviews@1.0.0")
    write_shard(dataset / "data" / "3.parquet", 4)
    assert bench.record(dataset, str(folder)).modification.counts.rows.removed == 0


# --- record.record ---


def test_whatever_is_recorded_was_verified_by_the_consumers_code(bench: Bench) -> None:
    recorded = record(make.release_payload(), signer=bench.publisher, log=bench.log)
    assert recorded.logged.index == 0
    assert not recorded.existed
    again = record(make.release_payload(), signer=bench.publisher, log=bench.log)
    assert again.existed
    assert again.bundle == recorded.bundle


def test_a_signer_whose_signature_does_not_verify_logs_nothing(bench: Bench) -> None:
    class Broken(KeySigner):
        public = bench.publisher.public

        def sign(self, message: bytes) -> bytes:
            return bench.gate.sign(message)

    with refused(SignatureInvalid):
        record(make.release_payload(), signer=Broken(), log=bench.log)
    assert count(bench) == 0


def test_a_stored_bundle_that_was_altered_is_not_handed_out(bench: Bench) -> None:
    payload = make.release_payload()
    record(payload, signer=bench.publisher, log=bench.log)
    with bench.log.store.view() as view:
        row = view.entry(0)
    assert row
    forged = entries.Entry(row.header, make.sign_bundle(payload, bench.publisher)).encode()
    tamper_entry(bench.database, 0, forged)
    with pytest.raises(Exception, match="root"):
        record(payload, signer=bench.publisher, log=bench.log)


def test_two_workspaces_do_not_know_each_others_states(tmp_path: Path, bench: Bench, dataset: Path) -> None:
    bench.sign(dataset)
    other = make_bench(tmp_path / "other")
    with refused(UsageError, "nothing is recorded under"):
        other.record(make_dataset(tmp_path / "d2", 1), f"{DATASET}@1.0.0")
