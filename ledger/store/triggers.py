"""The triggers that make the tables append-only, on SQLite and on PostgreSQL.

The rules, the same on both: no logged row is updated or deleted; a tile only grows, and what stands in it stays its
prefix; a head keeps its root, its checkpoint is written once, and cosignatures stand after that checkpoint's own lines.

SQLite's ``INSERT OR REPLACE`` deletes the row in its way without firing a DELETE trigger, so that it is refused at the
insert; rows of ``chains`` and ``lookups`` are keys through and through, and can only be replaced by themselves.
PostgreSQL's TRUNCATE fires no row trigger, and is refused by one of its own.
"""

from __future__ import annotations

from typing import Final

_FROZEN: Final = ("segments", "names", "chains", "lookups", "meta")
_KEYS: Final = {
    "segments": ("first = NEW.first",),
    "tiles": ("level = NEW.level AND number = NEW.number",),
    "heads": ("size = NEW.size",),
    "names": ("id = NEW.id", "dataset = NEW.dataset AND kind = NEW.kind AND signer = NEW.signer"),
    "meta": ("key = NEW.key",),
}
_ALL: Final = ("segments", "tiles", "heads", "names", "chains", "lookups", "meta")

_TILE: Final = (
    "NEW.level <> OLD.level OR NEW.number <> OLD.number OR length(NEW.data) <= length(OLD.data) "
    "OR substr(NEW.data, 1, length(OLD.data)) <> OLD.data"
)
_HEAD: Final = (
    "NEW.size <> OLD.size OR NEW.root <> OLD.root "
    "OR (OLD.note IS NOT NULL AND (NEW.note IS NULL OR NEW.note <> OLD.note OR NEW.cosigned IS NULL)) "
    "OR (NEW.cosigned IS NOT NULL AND (NEW.note IS NULL OR length(NEW.cosigned) <= length(NEW.note) "
    "OR substr(NEW.cosigned, 1, length(NEW.note)) <> NEW.note))"
)

MESSAGE: Final = "the ledger is append-only"


def _sqlite() -> tuple[str, ...]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    found = [f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}" for table in _ALL]
    found += [f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}" for table in _FROZEN]
    found.append(f"CREATE TRIGGER tiles_only_grow BEFORE UPDATE ON tiles WHEN {_TILE} {refuse}")
    found.append(f"CREATE TRIGGER heads_sign_once BEFORE UPDATE ON heads WHEN {_HEAD} {refuse}")
    for table, keys in _KEYS.items():
        there = " OR ".join(f"({key})" for key in keys)
        taken = f"EXISTS (SELECT 1 FROM {table} WHERE {there})"  # noqa: S608  our own names
        found.append(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {taken} {refuse}")
    return tuple(found)


def _postgresql() -> tuple[str, ...]:
    raised = f"RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'"

    def function(name: str, body: str) -> str:
        return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"

    found = [
        function("dataseal_refuse", f"{raised};"),
        function("dataseal_tile", f"IF {_TILE} THEN {raised}; END IF; RETURN NEW;"),
        function("dataseal_head", f"IF {_HEAD} THEN {raised}; END IF; RETURN NEW;"),
    ]
    each, refuse = "FOR EACH ROW EXECUTE FUNCTION", "dataseal_refuse()"
    found += [f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {each} {refuse}" for table in _ALL]
    found += [f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {each} {refuse}" for table in _FROZEN]
    found += [
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {refuse}"
        for table in _ALL
    ]
    found.append(f"CREATE TRIGGER tiles_only_grow BEFORE UPDATE ON tiles {each} dataseal_tile()")
    found.append(f"CREATE TRIGGER heads_sign_once BEFORE UPDATE ON heads {each} dataseal_head()")
    return tuple(found)


SQLITE: Final = _sqlite()
POSTGRESQL: Final = _postgresql()


def of(dialect: str) -> tuple[str, ...]:
    """The statements for a dialect, by SQLAlchemy's name of it."""
    return {"sqlite": SQLITE, "postgresql": POSTGRESQL}[dialect]
