"""The same commands on a published log: ``--ledger DEST``, as a CI job without a ledger of its own runs them."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest

from dataseal.ledger import places
from support.cli import Said, refused
from support.cli import dataseal as run
from support.ledgers import log_receipts
from support.workspaces import Bench, flip, make_bench, make_dataset, write_shard

NAME = "acme/published"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A workspace whose ledger was published once."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    bench = make_bench(tmp_path / "first", "log.example/published")
    log_receipts(bench, 2)
    return bench


@pytest.fixture(params=["folder", "bucket"])
def url(request: pytest.FixtureRequest, bench: Bench, tmp_path: Path) -> str:
    place = str(tmp_path / "out") if request.param == "folder" else f"memory://{uuid.uuid4()}"
    assert run("ledger", "publish", place, "--workspace", bench.workspace.folder).code == 0
    return place


def job(bench: Bench, name: str) -> Path:
    """The workspace of a CI job: configuration and keys, and no ledger."""
    folder = bench.workspace.folder.parent / name
    shutil.copytree(bench.workspace.folder, folder, ignore=shutil.ignore_patterns("ledger.sqlite*", "state"))
    return folder


def ok(said: Said) -> Said:
    assert said.code == 0, said
    return said


def test_two_jobs_one_after_the_other(bench: Bench, url: str, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data")
    first = ["--workspace", str(job(bench, "one")), "--ledger", url]
    ok(run("record", "collect", "none", data, "--dataset", NAME, "--reason", "first", *first))
    ok(run("sign", data, "--dataset", NAME, "--release", "1.0.0", *first))
    keys = bench.workspace.folder / "keys"
    trust = ["--publisher", keys / "publisher.pub", "--log", keys / "log.vkey"]
    ok(run("verify", data, "--dataset", NAME, *trust))
    write_shard(data / "data" / "9.parquet", 5, start=100)
    second = ["--workspace", str(job(bench, "two")), "--ledger", url]
    shutil.copytree(tmp_path / "one" / "objects", tmp_path / "two" / "objects", dirs_exist_ok=True)
    ok(run("record", "append", f"{NAME}@head", data, "--reason", "more", *second))
    ok(run("sign", data, "--dataset", NAME, "--release", "1.1.0", *second))
    ok(run("gate", data, "--policy", "dataseal:baseline", "--dataset", NAME, *trust, *first, "--", "true"))
    told = ok(run("log", NAME, *second, "--format", "json")).json["entries"]
    assert [entry["kind"] for entry in told] == ["modification", "release"] * 2 + ["receipt"] * 2
    said = ok(run("ledger", "check", *second))
    assert "8 entries" in said.out
    assert "8 signatures" in said.out
    ok(run("ledger", "check", "--from", url, *trust[2:], "--publisher", keys / "publisher.pub",
           "--publisher", keys / "gate.pub"))  # fmt: skip


def test_what_reads_it(bench: Bench, url: str, tmp_path: Path) -> None:
    here = ["--workspace", str(job(bench, "one")), "--ledger", url]
    ok(run("ledger", "prove", "1", "--to", tmp_path / "p", "--bundle-to", tmp_path / "b", *here))
    vkey = bench.workspace.folder / "keys" / "log.vkey"
    ok(run("ledger", "verify-proof", tmp_path / "p", "--bundle", tmp_path / "b", "--log", vkey))
    assert "receipt" in ok(run("ledger", "show", "1", *here)).out
    assert ok(run("ledger", "stats", *here, "--format", "json")).json["entries"] == 2
    ok(run("ledger", "publish", tmp_path / "copy", *here))
    ok(run("ledger", "check", "--from", tmp_path / "copy", "--log", vkey, "--publisher", vkey.with_name("gate.pub")))


def test_it_is_closed_there(bench: Bench, url: str) -> None:
    here = ["--workspace", str(job(bench, "one")), "--ledger", url]
    assert ok(run("ledger", "close", "--yes", *here)).last.startswith("PASSED")
    vkey = bench.workspace.folder / "keys" / "log.vkey"
    said = run("ledger", "show", "2", "--from", url, "--log", vkey)
    assert "note: the log is closed" in said.err


def test_a_job_without_the_logs_key(bench: Bench, url: str, tmp_path: Path) -> None:
    folder = job(bench, "one")
    (folder / "keys" / "log.key").unlink()
    here = ["--workspace", str(folder), "--ledger", url]
    ok(run("log", *here))
    data = make_dataset(tmp_path / "data")
    said = run("sign", data, "--dataset", NAME, "--release", "1.0.0", *here)
    assert (said.code, said.out) == (2, "")
    assert "log.key" in said.err


def test_a_store_where_two_could_write_at_once(bench: Bench, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not url.startswith("memory"):
        pytest.skip("a folder can hold claims")
    monkeypatch.setattr(places, "EXCLUSIVE", frozenset())
    here = ["--workspace", str(job(bench, "one")), "--ledger", url]
    data = make_dataset(bench.workspace.folder.parent / "data")
    refused(run("sign", data, "--dataset", NAME, "--release", "1.0.0", *here), 2, "single_writer = true")
    config = Path(here[1]) / "dataseal.toml"
    config.write_text(config.read_text().replace("[ledger]", "[ledger]\nsingle_writer = true"))
    ok(run("sign", data, "--dataset", NAME, "--release", "1.0.0", *here))


def test_a_configured_place(bench: Bench, tmp_path: Path) -> None:
    """The configuration may name the place, so that no command has to."""
    folder = job(bench, "one")
    ok(run("ledger", "publish", folder / "published", "--workspace", bench.workspace.folder))
    config = folder / "dataseal.toml"
    config.write_text(config.read_text().replace('"ledger.sqlite"', '"published"'))
    ok(run("ledger", "close", "--yes", "--workspace", folder))
    assert "3 entries" in ok(run("ledger", "check", "--workspace", folder)).out


def test_not_a_published_log(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    here = ["--workspace", str(job(bench, "one")), "--ledger"]
    refused(run("log", *here, tmp_path / "empty"), 2, "no log is published there")
    refused(run("log", *here, bench.workspace.folder), 2, "this is a workspace")
    refused(run("log", *here, "nope://x"), 2, "can't open ledger")


class TestCheck:
    @pytest.fixture
    def out(self, bench: Bench, tmp_path: Path) -> Path:
        log_receipts(bench, 298, start=2)
        ok(run("ledger", "publish", tmp_path / "out", "--workspace", bench.workspace.folder))
        return tmp_path / "out"

    def check(self, bench: Bench, out: Path, *options: object) -> Said:
        vkey = bench.workspace.folder / "keys" / "log.vkey"
        return run("ledger", "check", "--from", out, "--log", vkey, *options)

    def test_all_of_it(self, bench: Bench, out: Path) -> None:
        said = self.check(bench, out, "--publisher", bench.workspace.folder / "keys" / "gate.pub")
        assert said.last == "PASSED log.example/published: every entry is there, once, unchanged and in order"
        assert "300 signatures" in ok(said).out

    def test_signatures_by_keys_that_are_not_at_hand(self, bench: Bench, out: Path) -> None:
        """A pass without them says that it is partial."""
        said = ok(self.check(bench, out))
        assert said.last == "PASSED partial log.example/published: 300 signatures not checked"
        assert "not checked signatures of 300 entries" in said.out
        report = self.check(bench, out, "--format", "json").json
        assert (report["partial"], report["signed"], report["unknown_signers"]) == (True, 0, 300)

    @pytest.mark.parametrize(
        "path", ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"]
    )
    def test_one_flipped_bit(self, bench: Bench, out: Path, path: str) -> None:
        flip(out / path, 500 if "entries" in path else 7)
        said = self.check(bench, out)
        assert said.code == 1, said
        assert "partial" not in said.last or said.last.startswith("BLOCKED")

    def test_what_lies_behind_it_was_not_checked(self, bench: Bench, out: Path) -> None:
        flip(out / "tile/entries/001.p/44", 500)
        said = self.check(bench, out)
        assert "entries 256 to 299: behind what does not hold" in said.out
        assert said.last.startswith("BLOCKED log.example/published: 1 problem; the first is in")

    def test_a_bundle_that_is_missing_is_no_verdict(self, bench: Bench, out: Path) -> None:
        (out / "tile/entries/000").unlink()
        refused(self.check(bench, out), 3, "does not serve entries")

    def test_a_signer_that_the_log_does_not_list(self, bench: Bench, out: Path) -> None:
        """With the workspace's list at hand an unlisted signer is a problem, as in a ledger of one's own."""
        folder = job(bench, "one")
        shutil.copy(folder / "keys" / "publisher.pub", folder / "keys" / "gate.pub")
        said = run("ledger", "check", "--workspace", folder, "--ledger", out)
        assert said.code == 1
        assert "entry 0: it is signed by no key that the log lists" in said.out

    def test_options_that_do_not_go_together(self, bench: Bench, out: Path) -> None:
        here = ["--workspace", bench.workspace.folder]
        key = bench.workspace.folder / "keys" / "gate.pub"
        refused(run("ledger", "check", "--publisher", key, *here), 2, "go with --from")
        refused(run("ledger", "check", "--from", out), 2, "no log to believe")
        refused(self.check(bench, out, "--no-signatures"), 2, "of one's own")
        ok(run("ledger", "check", *here))
        said = ok(run("ledger", "check", "--no-signatures", *here))
        assert said.last == "PASSED partial log.example/published: signatures not checked"
