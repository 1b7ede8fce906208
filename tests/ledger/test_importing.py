"""A published log goes on elsewhere: same entries, same roots, same key, and only once it has stopped."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dataseal.ledger import entry as entries
from dataseal.ledger import workspace as workspaces
from dataseal.ledger.audit import check
from dataseal.ledger.bundle import parse as parse_bundle
from dataseal.ledger.entry import ENDORSEMENT
from dataseal.ledger.errors import (
    DatasealError,
    FormatError,
    IntegrityError,
    ProofInvalid,
    Refused,
    SignatureInvalid,
    UsageError,
)
from dataseal.ledger.follow import Tree, open_tree
from dataseal.ledger.importing import follow_own, import_log, open_ledger
from dataseal.ledger.log import Log
from dataseal.ledger.places import Folder
from dataseal.ledger.publish import publish
from dataseal.ledger.resources import StoreResources
from dataseal.ledger.signers import keyfile
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.view import Views
from dataseal.ledger.workspace import Workspace
from support.errors import refused
from support.hostile_log import DATASET, ORIGIN, HostileLog, log_key, publisher, seeded
from support.statements import receipt_payload, sign_bundle
from support.workspaces import no_passphrase


def heir(folder: Path, *, origin: str = ORIGIN, key: str = "log", trusted: str = "publisher") -> Workspace:
    """A fresh workspace with the old log's key and the publisher's public key, and no ledger."""
    workspace = workspaces.create(folder, origin=origin)
    for name in ("ledger.sqlite", "keys/log.key", "keys/publisher.pub", "keys/publisher.key"):
        (folder / name).unlink()
    keyfile.save(KeyFileSigner(seeded(key)), folder / "keys" / "log.key", None)
    keyfile.save(publisher(trusted), folder / "keys" / "publisher.key", None)
    return workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return heir(tmp_path / "heir")


@pytest.fixture
def log(workspace: Workspace) -> Log:
    return open_ledger(workspace, no_passphrase)


@pytest.fixture(scope="module")
def grown() -> HostileLog:
    return HostileLog().grow(150).grow(150, "acme/other")


@pytest.fixture
def old(grown: HostileLog) -> HostileLog:
    return grown.copy()


def published(log: HostileLog) -> Tree:
    return open_tree(log, log.policy)


def empty(log: Log) -> bool:
    with log.store.view() as view:
        return view.head().size == 0 and view.count() == 0


def test_it_goes_on_with_the_same_entries_and_roots(old: HostileLog, log: Log, tmp_path: Path) -> None:
    assert import_log(log, published(old), stopped=True) == 300
    audit = check(log)
    assert (audit.entries, audit.clean) == (300, True)
    assert (tmp_path / "heir/keys/log.vkey").read_text() == f"{old.key.vkey}\n"
    assert log.checkpoint() == old.served["checkpoint"]  # nothing was signed
    folder = Folder(tmp_path / "out")
    publish(old, folder, old.policy)
    gate = workspaces.load(tmp_path / "heir").signer("gate", no_passphrase)
    log.append([sign_bundle(receipt_payload(1), gate)])
    done = publish(StoreResources(log.store, "heir"), folder, log.trusted().policy)
    assert (done.before, done.tree.size) == (300, 301)


def test_endorsements_go_along_and_are_held_to_their_rule(workspace: Workspace) -> None:
    """Of two signatures over one release the second follows no sequence, and needs the first."""
    cosigner = publisher("cosigner")
    keyfile.save(cosigner, workspace.folder / "keys" / "cosigner.key", None)
    with (workspace.folder / "dataseal.toml").open("a") as stream:
        stream.write('\n[[admission]]\ndatasets = ["*"]\nkinds = ["endorsement"]\nkeys = ["keys/cosigner.pub"]\n')
    log = open_ledger(workspaces.load(workspace.folder), no_passphrase)
    old = HostileLog().grow(2)
    payload = parse_bundle(entries.parse(old.bodies[0]).bundle).payload
    old.put(old.header(DATASET, ENDORSEMENT).encode() + b"\n" + sign_bundle(payload, cosigner), DATASET)
    alone = HostileLog()
    alone.put(alone.header(DATASET, ENDORSEMENT).encode() + b"\n" + sign_bundle(payload, cosigner), DATASET)
    with refused(Refused, "only what is logged can be endorsed", "entry 0"):
        import_log(log, published(alone.publish()), stopped=True)
    assert import_log(log, published(old.publish()), stopped=True) == 3
    assert check(log).problems == []
    with log.store.view() as view:
        assert [row.kind for row in view.entries()] == ["release", "release", ENDORSEMENT]
        newest = view.newest(DATASET, "release")
        assert newest
        assert newest.sequence == 2


def test_a_log_that_may_still_be_written_elsewhere(old: HostileLog, log: Log) -> None:
    with refused(UsageError, "not closed", "--same-log-stopped"):
        import_log(log, published(old), stopped=False)
    assert empty(log)


def test_a_ledger_that_holds_something(old: HostileLog, log: Log) -> None:
    import_log(log, published(old), stopped=True)
    with refused(UsageError, "holds 300 entries"):
        import_log(log, published(old), stopped=True)


def test_another_origin(old: HostileLog, tmp_path: Path) -> None:
    log = open_ledger(heir(tmp_path / "b", origin="other.example/log"), no_passphrase)
    with refused(UsageError, "other.example/log"):
        import_log(log, published(old), stopped=True)
    with refused(SignatureInvalid, "own origin and key"):
        follow_own(log, old, Views(tmp_path / "views"))


def test_another_key(old: HostileLog, tmp_path: Path) -> None:
    log = open_ledger(heir(tmp_path / "b", key="new key"), no_passphrase)
    with refused(UsageError, "by another one"):
        import_log(log, published(old), stopped=True)


def test_a_ledger_made_with_another_key(tmp_path: Path) -> None:
    workspace = workspaces.create(tmp_path / "b", origin=ORIGIN)
    shutil.copy(heir(tmp_path / "c").folder / "keys" / "log.key", tmp_path / "b" / "keys" / "log.key")
    with refused(UsageError, "log key", "remove it"):
        open_ledger(workspace, no_passphrase)


def test_a_signer_that_the_new_log_does_not_list(old: HostileLog, tmp_path: Path) -> None:
    log = open_ledger(heir(tmp_path / "b", trusted="somebody else"), no_passphrase)
    with refused(SignatureInvalid, "entry 0"):
        import_log(log, published(old), stopped=True)
    assert empty(log)


@pytest.mark.parametrize(
    ("kind", "words", "wrong"),
    [
        (IntegrityError, "prev is not", {"header": lambda h: replace(h, prev=b"\0" * 32)}),
        (IntegrityError, "dataset_prev", {"header": lambda h: replace(h, dataset_prev=None)}),
        (IntegrityError, "dataset_prev", {"header": lambda h: replace(h, dataset_prev=entries.Link(0, b"\0" * 32))}),
        (IntegrityError, "goes back", {"header": lambda h: replace(h, logged_at="2020-01-01T00:00:00Z")}),
        (FormatError, "header says", {"header": lambda h: replace(h, kind="receipt")}),
        (Refused, "sequence 9", {"sequence": 9}),
        (SignatureInvalid, "no trusted key", {"signer": publisher("thief")}),
        (FormatError, "bundle", {"bundle": lambda raw: raw[:-1]}),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_entry_that_does_not_hold(
    old: HostileLog, log: Log, kind: type[DatasealError], words: str, wrong: dict[str, object]
) -> None:
    """The log's operator signed it all the same: whoever goes on with it would vouch for it."""
    old.append(**wrong)  # type: ignore[arg-type]
    with refused(kind, words, "entry 300"):
        import_log(log, published(old.publish()), stopped=True)
    assert empty(log)


def test_an_altered_entry(old: HostileLog, log: Log) -> None:
    old.flip("tile/entries/001.p/44", 800)
    with refused(ProofInvalid, "its bytes were changed"):
        import_log(log, published(old), stopped=True)
    assert empty(log)


def test_nothing_to_import(log: Log) -> None:
    with refused(UsageError, "no entries"):
        import_log(log, published(HostileLog(log_key()).publish(0)), stopped=True)
