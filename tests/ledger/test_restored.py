"""A ledger that was restored from an old copy is told by what this client remembers of its log."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dataseal.ledger import workspace as workspaces
from dataseal.ledger.audit import check
from dataseal.ledger.errors import Rollback, UsageError
from dataseal.ledger.resources import StoreResources
from dataseal.ledger.view import follow, views_of
from support.cli import dataseal
from support.cli import refused as not_done
from support.errors import refused
from support.ledgers import log_receipts
from support.workspaces import Bench, make_bench, no_passphrase, open_bench


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def restored(tmp_path: Path) -> Bench:
    """Three entries, of a log of which seven were believed."""
    folder = tmp_path / "ws"
    bench = make_bench(folder, "log.example/one")
    log_receipts(bench, 3)
    bench.log.store.close()
    shutil.copy(bench.database, tmp_path / "backup")
    bench = open_bench(folder)
    log_receipts(bench, 4, 3)
    look(bench)
    bench.log.store.close()
    for file in folder.glob("ledger.sqlite*"):
        file.unlink()
    shutil.copy(tmp_path / "backup", bench.database)
    return open_bench(folder)


def look(bench: Bench) -> None:
    """What `ledger check --from` and `mirror` do with a published log: believe it."""
    follow(StoreResources(bench.log.store, "x"), bench.log.trusted().policy, views_of(bench.workspace.folder))


def size(bench: Bench) -> int:
    with bench.log.store.view() as view:
        return view.head().size


def problems(bench: Bench) -> list[str]:
    found = check(bench.log, views=views_of(bench.workspace.folder)).problems
    return [f"{problem.where}: {problem.what}" for problem in found]


def test_nothing_is_logged_to_an_old_copy(restored: Bench) -> None:
    with refused(Rollback, "size 7", "this ledger has 3 entries", "old copy"):
        restored.workspace.log(no_passphrase)
    assert restored.workspace.log(None).vkey == restored.log.vkey, "it can be read"


def test_the_check_names_an_old_copy(restored: Bench) -> None:
    assert check(restored.log).clean, "in itself it is whole"
    (problem,) = problems(restored)
    assert "what was believed of the log: size 7" in problem


def test_the_commands_say_so(restored: Bench, tmp_path: Path) -> None:
    where = ("--workspace", restored.workspace.folder)
    checked = dataseal("ledger", "check", *where)
    assert checked.code == 1
    assert "what was believed of the log: size 7" in checked.out
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("a")
    not_done(dataseal("sign", tmp_path / "data", "--dataset", "a/b", "--release", "1.0.0", *where), 1, "old copy")
    assert size(restored) == 3


@pytest.mark.parametrize("more", [4, 5])
def test_a_second_history_is_told_by_its_root(restored: Bench, more: int) -> None:
    log_receipts(restored, more, 90)
    with refused(Rollback, "size 7", "of that size"):
        restored.workspace.log(no_passphrase)
    assert "of that size" in problems(restored)[0]


def test_the_users_own_view_tells_too(restored: Bench) -> None:
    shutil.rmtree(restored.workspace.folder / "state" / "logs")
    with refused(Rollback, "size 7"):
        restored.workspace.log(no_passphrase)


def test_a_view_that_is_damaged_is_no_view_of_nothing(restored: Bench) -> None:
    for file in (restored.workspace.folder / "state" / "logs").glob("*.checkpoint"):
        file.write_text("damaged")
    with refused(UsageError, "damaged"):
        restored.workspace.log(no_passphrase)


def test_a_ledger_that_holds_what_was_believed_goes_on(tmp_path: Path) -> None:
    bench = make_bench(tmp_path / "ws", "log.example/one")
    assert workspaces.load(tmp_path / "ws").log(no_passphrase).vkey == bench.log.vkey, "nothing is believed yet"
    for start in (0, 3):
        log_receipts(bench, 3, start)
        look(bench)
        assert not problems(bench)
        bench.workspace.log(no_passphrase)
    log_receipts(bench, 1, 50)
    assert not problems(bench)
    bench.workspace.log(no_passphrase)
