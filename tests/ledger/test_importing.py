"""A published log goes on elsewhere: same entries, same roots, same key, and only once it has stopped."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dataseal.ledger import entry as entries
from dataseal.ledger import workspace as workspaces
from dataseal.ledger.audit import check
from dataseal.ledger.bundle import parse as parse_bundle
from dataseal.ledger.closing import Moved
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
from dataseal.ledger.importing import follow_source, import_log, open_ledger
from dataseal.ledger.log import Log
from dataseal.ledger.places import Folder
from dataseal.ledger.publish import publish
from dataseal.ledger.record import sign
from dataseal.ledger.resources import StoreResources
from dataseal.ledger.signers import keyfile
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.view import Views, follow
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
    with refused(SignatureInvalid, "other.example/log", "--log"):
        follow_source(log, old, Views(tmp_path / "views"), None)


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


# A closed log, and its successor.


@pytest.fixture
def young(tmp_path: Path) -> Log:
    """The log of another origin and key that goes on."""
    return open_ledger(heir(tmp_path / "young", origin="log.example.org/data", key="young"), no_passphrase)


def test_the_successor_goes_on_under_its_own_key(old: HostileLog, young: Log, tmp_path: Path) -> None:
    old.close(young.vkey)
    assert import_log(young, published(old), stopped=False) == 301
    head = young.trusted().policy.check(young.checkpoint()).checkpoint
    assert (head.origin, head.size, head.root) == ("log.example.org/data", 301, published(old).root)
    gate = workspaces.load(tmp_path / "young").signer("gate", no_passphrase)
    assert young.append([sign_bundle(receipt_payload(1), gate)])[0].index == 301
    assert (check(young).entries, check(young).problems) == (302, [])


def test_a_new_key_under_the_same_origin(old: HostileLog, tmp_path: Path) -> None:
    young = open_ledger(heir(tmp_path / "young", key="young"), no_passphrase)
    old.close(young.vkey)
    import_log(young, published(old), stopped=False)
    assert young.closing() is None  # what is closed is the log of the old key
    gate = workspaces.load(tmp_path / "young").signer("gate", no_passphrase)
    young.append([sign_bundle(receipt_payload(1), gate)])
    assert check(young).clean
    views = Views(tmp_path / "views")
    both = policy_for_log(old.key.vkey, young.vkey)  # a consumer who trusts the new key beside the old one
    assert follow(old, both, views).size == 301
    assert follow(StoreResources(young.store, "young"), both, views).size == 302


def test_a_successor_is_closed_and_succeeded_in_its_turn(old: HostileLog, young: Log, tmp_path: Path) -> None:
    third = open_ledger(heir(tmp_path / "third", origin="third.example/log", key="third"), no_passphrase)
    old.close(young.vkey)
    import_log(young, published(old), stopped=False)
    young.close(lambda payload: sign(payload, publisher(), now=datetime.now(UTC)), reason="again", successor=third.vkey)
    resources = StoreResources(young.store, "young")
    import_log(third, open_tree(resources, young.trusted().policy), stopped=False)
    gate = workspaces.load(tmp_path / "third").signer("gate", no_passphrase)
    third.append([sign_bundle(receipt_payload(1), gate)])
    assert (check(third).entries, check(third).problems) == (303, [])
    fourth = open_ledger(heir(tmp_path / "fourth", origin="fourth.example/log", key="4"), no_passphrase)
    with refused(UsageError, "does not name this one"):
        import_log(fourth, published(old), stopped=True)


def test_a_log_that_is_not_closed_is_not_succeeded(old: HostileLog, young: Log) -> None:
    with refused(UsageError, "not closed", "ledger close --successor", young.vkey):
        import_log(young, published(old), stopped=True)
    assert empty(young)


def test_another_log_than_the_named_successor(old: HostileLog, young: Log) -> None:
    old.close(log_key("thief.example/log", "thief").vkey)
    with refused(UsageError, "does not name this one", "thief.example/log"):
        import_log(young, published(old), stopped=False)
    assert empty(young)


def test_a_log_that_ended_for_good(old: HostileLog, young: Log) -> None:
    old.close(None)
    with refused(UsageError, "nothing follows it"):
        import_log(young, published(old), stopped=True)


def test_a_closed_log_moves_and_stays_closed(old: HostileLog, log: Log, young: Log, tmp_path: Path) -> None:
    old.close(young.vkey)
    assert import_log(log, published(old), stopped=False) == 301
    gate = workspaces.load(tmp_path / "heir").signer("gate", no_passphrase)
    with refused(Refused, "closed", young.vkey):
        log.append([sign_bundle(receipt_payload(1), gate)])
    assert check(log).clean


def test_entries_behind_the_end_are_not_imported(old: HostileLog, log: Log, young: Log) -> None:
    """Somebody with the old key went on: as the same log it is refused, and as the successor's it is not the end."""
    old.close(young.vkey).grow()
    with refused(Refused, "the log is closed", "entry 301"):
        import_log(log, published(old), stopped=True)
    with refused(UsageError, "not closed"):
        import_log(young, published(old), stopped=True)
    assert empty(log)
    assert empty(young)


@pytest.mark.parametrize("wrong", [{"size": 299}, {"root": b"\0" * 32}], ids=["size", "root"])
def test_a_closing_of_another_tree(old: HostileLog, young: Log, wrong: dict[str, object]) -> None:
    old.close(young.vkey, **wrong)  # type: ignore[arg-type]
    with refused(Moved, "not that tree"):
        import_log(young, published(old), stopped=False)


def test_a_closing_signed_by_a_stranger(old: HostileLog, young: Log) -> None:
    old.close(young.vkey, signer=publisher("thief"))
    with refused(SignatureInvalid, "entry 300"):
        import_log(young, published(old), stopped=False)
    assert empty(young)
