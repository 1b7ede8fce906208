"""The schema is what the migrations make, and a ledger is opened with that one only."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData

from dataseal.ledger.errors import IntegrityError, UsageError
from dataseal.ledger.store import upgrade
from dataseal.ledger.store.database import writing
from dataseal.ledger.store.models import REVISION, TABLES
from dataseal.ledger.store.store import Store
from support.errors import refused
from support.ledgers import raw, stored, tamper


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Store.create(tmp_path / "ledger.sqlite", origin="o", log_key="k").close()
    return tmp_path / "ledger.sqlite"


def test_the_migrations_make_what_the_models_describe(path: Path) -> None:
    wanted = MetaData()
    for table in TABLES:
        table.to_metadata(wanted)
    with writing(Store.open(path)._engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), wanted) == []


def test_the_newest_migration_is_the_schema_that_is_read() -> None:
    config = Config()
    config.set_main_option("script_location", str(upgrade._MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [REVISION]
    assert sorted(r.revision for r in script.walk_revisions()) == list(upgrade.known())


def test_an_older_schema_is_named_with_what_to_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "REVISION", "0002")
    with refused(UsageError, f"schema {REVISION}", "reads 0002", "dataseal ledger upgrade"):
        Store.open(path)


def test_an_upgrade_of_todays_schema_changes_nothing(path: Path) -> None:
    with Store.open(path).appending() as view:
        view.insert(stored(0, 3))
    assert Store.upgrade(path) == REVISION
    with Store.open(path).view() as view:
        assert view.count() == 3


def test_a_newer_ledger_is_not_upgraded(path: Path) -> None:
    tamper(path, "UPDATE alembic_version SET version_num = '9999'")
    with refused(UsageError, "newer dataseal"):
        Store.upgrade(path)


def test_a_ledger_from_before_the_first_release_says_so(tmp_path: Path) -> None:
    with raw(tmp_path / "old.sqlite") as connection:
        connection.execute("CREATE TABLE entries (body BLOB)")
    with refused(UsageError, "before its first release"):
        Store.open(tmp_path / "old.sqlite")


def test_a_ledger_without_its_schema_is_damaged(path: Path) -> None:
    tamper(path, "DELETE FROM alembic_version")
    with refused(IntegrityError, "says no schema"):
        Store.open(path)
