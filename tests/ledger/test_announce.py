"""Key announcements: the statement, what the log takes, and who recognises it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import audit, canonical
from dataseal.ledger import statement as statements
from dataseal.ledger.admission import Admission, Rule
from dataseal.ledger.announce import announce
from dataseal.ledger.errors import FormatError, Refused, UsageError
from dataseal.ledger.predicates import KeyAnnouncement
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.statement import KEY
from dataseal.ledger.verify import verify_bundle
from support import statements as make
from support.errors import refused
from support.statements import sign_bundle, signer
from support.workspaces import DATASET, Bench

NEW, OLD = signer("new").public, signer("publisher").public


def payload(**changes: Any) -> bytes:
    body = {"key": NEW.to_spki(), "fingerprint": NEW.fingerprint, "replaces": OLD.fingerprint, "reason": "r"} | changes
    body = {name: value for name, value in body.items() if value is not ...}
    return statements.encode(KEY, body, dataset=DATASET, version="1.0.0", table=make.TABLE, root=make.ROOT)


@pytest.mark.parametrize("scheme", ["ecdsa-p256", "ecdsa-p384", "ed25519", "ml-dsa-44"])
def test_a_key_on_one_line_is_read_back(scheme: str) -> None:
    key = signer(scheme, scheme).public
    assert PublicKey.from_spki(key.to_spki()).fingerprint == key.fingerprint
    statements.parse(payload(key=key.to_spki(), fingerprint=key.fingerprint)).announcement()


@pytest.mark.parametrize(
    "text",
    ["", "AAAA", NEW.to_spki() + "\n", NEW.to_spki()[:-4], " " + NEW.to_spki(), NEW.to_spki().rstrip("=") + "A", "é"],
)
def test_another_spelling_of_a_key_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        PublicKey.from_spki(text)


BAD: dict[str, dict[str, Any]] = {
    "another fingerprint": {"fingerprint": OLD.fingerprint},
    "no key": {"key": ...},
    "a PEM key": {"key": NEW.pem().decode()},
    "replaces a name": {"replaces": "acme"},
    "no reason": {"reason": ""},
    "one field more": {"valid_from": "2026-01-01"},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=list(BAD))
def test_an_announcement_that_does_not_fit_its_model_is_no_statement(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        verify_bundle(sign_bundle(payload(**changes)), [OLD])


def test_a_release_under_the_announcements_type_is_refused() -> None:
    value = canonical.decode(make.release_payload(), what="x", max_bytes=9999) | {"predicateType": KEY}
    with refused(FormatError, "key predicate"):
        verify_bundle(sign_bundle(canonical.encode(value)), [OLD])


def test_it_is_logged_once_in_the_datasets_own_history(bench: Bench, dataset: Path) -> None:
    release = bench.sign(dataset)
    made = announce(NEW, dataset=DATASET, reason="a new laptop", log=bench.log, signer=bench.publisher, replaces=OLD)
    statement = made.logged.verified.statement
    assert (statement.kind, made.logged.header.kind) == ("key", "key")
    assert statement.root == release.release.tree.root
    assert made.logged.header.dataset_prev
    assert made.logged.header.dataset_prev.index == release.recorded.logged.index
    assert statement.announcement() == KeyAnnouncement(
        key=NEW.to_spki(), fingerprint=NEW.fingerprint, replaces=OLD.fingerprint, reason="a new laptop"
    )
    again = announce(NEW, dataset=DATASET, reason="a new laptop", log=bench.log, signer=bench.publisher, replaces=OLD)
    assert again.existed
    assert audit.check(bench.log).problems == []
    with bench.log.store.view() as view:  # and it is no state
        newest = view.newest(DATASET, "release", "modification")
        assert newest
        assert newest.index == 0


def test_nothing_is_announced_of_an_unknown_dataset(bench: Bench) -> None:
    with refused(UsageError, "nothing is recorded of 'acme/none'", "dataseal log"):
        announce(NEW, dataset="acme/none", reason="x", log=bench.log, signer=bench.publisher)


def test_a_key_does_not_announce_itself(bench: Bench, dataset: Path) -> None:
    bench.sign(dataset)
    with refused(UsageError, "announces itself", "--key"):
        announce(bench.publisher.public, dataset=DATASET, reason="x", log=bench.log, signer=bench.publisher)


def test_a_log_takes_announcements_of_those_only_whom_it_lists_for_them(bench: Bench, dataset: Path) -> None:
    bench.sign(dataset)
    bench.log.admission = Admission([Rule(("*",), ("release", "modification"), (bench.publisher.public,))])
    with refused(Refused, "does not list", "for a key"):
        announce(NEW, dataset=DATASET, reason="x", log=bench.log, signer=bench.publisher)
