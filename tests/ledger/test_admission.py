from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from dataseal.ledger.admission import Admission, Newest, Rule
from dataseal.ledger.errors import Refused
from dataseal.ledger.statement import Statement
from dataseal.ledger.verify import verify_bundle
from support import statements as make
from support.errors import refused
from support.statements import DATASET, OTHER, ROOT, signer

KEY, STRANGER = signer().public, signer("stranger").public
EVERYTHING = Admission([Rule(("*",), ("release", "modification", "receipt"), (KEY,))])
PREVIOUS = {"version": "1.0.0", "root": OTHER}


@dataclass
class Past:
    """`admission.History` as a test wants it."""

    newest: Newest | None = None
    versions: set[str] = field(default_factory=set)
    roots: set[str] = field(default_factory=set)
    statements: set[bytes] = field(default_factory=set)

    def newest_release(self, dataset: str) -> Newest | None:
        return self.newest if dataset == DATASET else None

    def has_version(self, dataset: str, version: str) -> bool:
        return dataset == DATASET and version in self.versions

    def has_root(self, dataset: str, root: str) -> bool:
        return dataset == DATASET and root in self.roots

    def has_state(self, dataset: str) -> bool:
        return dataset == DATASET and bool(self.roots)

    def has_statement(self, statement: Statement) -> bool:
        return statement.payload in self.statements


NOTHING = Past()
ONE = Past(Newest(1, "1.0.0", OTHER), {"1.0.0"}, {OTHER})


def check(payload: bytes, past: Past, admission: Admission = EVERYTHING) -> None:
    bundle = make.sign_bundle(payload)
    verified = verify_bundle(bundle, [KEY])
    admission.check(verified, past, kind=verified.statement.kind, index=0)


@pytest.mark.parametrize(
    ("payload", "past"),
    [
        (make.release_payload(), NOTHING),
        (make.release_payload("1.1.0", sequence=2, previous=PREVIOUS), ONE),
        (make.modification_payload(), NOTHING),
        (make.modification_payload(OTHER), ONE),
        (make.receipt_payload(), NOTHING),
        (make.release_payload(dataset="acme/new"), ONE),
    ],
)
def test_what_follows_the_rules_is_admitted(payload: bytes, past: Past) -> None:
    check(payload, past)


@pytest.mark.parametrize(
    ("rule", "payload"),
    [
        (Rule(("other/*",), ("release",), (KEY,)), make.release_payload()),
        (Rule(("acme/*",), ("modification",), (KEY,)), make.release_payload()),
        (Rule(("acme/reviews",), ("release",), (STRANGER,)), make.release_payload()),
        (Rule(("acme/review",), ("release",), (KEY,)), make.release_payload()),
        (Rule(("ACME/*",), ("release",), (KEY,)), make.release_payload()),
        (Rule((), ("release",), (KEY,)), make.release_payload()),
        (Rule(("*",), ("release",), ()), make.release_payload()),
        (Rule(("*",), ("release", "modification"), (KEY,)), make.receipt_payload()),
    ],
    ids=["dataset", "kind", "key", "prefix", "case", "no dataset", "no key", "receipt by the publisher"],
)
def test_rule_1_only_listed_keys_for_their_datasets_and_kinds(rule: Rule, payload: bytes) -> None:
    with refused(Refused, "does not list key", KEY.fingerprint[:16], "[[admission]]"):
        check(payload, NOTHING, Admission([rule]))


def test_rule_1_rights_are_not_joined_across_rules() -> None:
    apart = Admission([Rule(("acme/*",), ("receipt",), (KEY,)), Rule(("other",), ("release",), (KEY,))])
    with refused(Refused, "does not list"):
        check(make.release_payload(), NOTHING, apart)


def test_rule_1_no_rule_admits_nobody() -> None:
    with refused(Refused, "does not list"):
        check(make.release_payload(), NOTHING, Admission([]))


def test_globs_cross_slashes() -> None:
    check(make.release_payload(dataset="a/b/c"), NOTHING, Admission([Rule(("a*",), ("release",), (KEY,))]))


@pytest.mark.parametrize(
    ("sequence", "past", "word"),
    [
        (2, NOTHING, "1 comes next"),
        (1, ONE, "2 comes next"),
        (3, ONE, "2 comes next"),
        (2**53 - 1, ONE, "2 comes next"),
    ],
)
def test_rule_2_a_release_follows_the_newest_sequence(sequence: int, past: Past, word: str) -> None:
    with refused(Refused, f"has sequence {sequence}", word):
        check(make.release_payload("1.1.0", sequence=sequence, previous=PREVIOUS if sequence > 1 else None), past)


@pytest.mark.parametrize(
    "previous",
    [None, {"version": "1.0.0", "root": ROOT}, {"version": "0.9.0", "root": OTHER}],
    ids=["none", "root", "version"],
)
def test_rule_2_a_release_names_the_one_before_it(previous: dict[str, str] | None) -> None:
    with refused(Refused, "previous"):
        check(make.release_payload("1.1.0", sequence=2, previous=previous), ONE)


def test_rule_2_the_first_release_has_no_previous() -> None:
    with refused(Refused, "previous"):
        check(make.release_payload(previous=PREVIOUS), NOTHING)


def test_rule_2_a_version_is_released_once() -> None:
    with refused(Refused, "released already"):
        check(make.release_payload("1.0.0", sequence=2, previous=PREVIOUS), ONE)


def test_rule_3_a_modification_starts_from_a_known_root() -> None:
    with refused(Refused, ROOT[:16], "no recorded state", "start from a recorded state"):
        check(make.modification_payload(ROOT, OTHER), ONE)


def test_rule_3_another_datasets_root_is_not_known() -> None:
    with refused(Refused, "no recorded state of 'acme/new'"):
        check(make.modification_payload(OTHER, dataset="acme/new"), ONE)


def test_rule_3_only_a_new_dataset_starts_from_nothing() -> None:
    with refused(Refused, "has states already", "acme/reviews@head"):
        check(make.modification_payload(), ONE)


def test_the_log_tries_each_key_once() -> None:
    twice = Admission([Rule(("a",), ("release",), (KEY, STRANGER)), Rule(("b",), ("receipt",), (KEY,))])
    assert [k.fingerprint for k in twice.credentials()] == [KEY.fingerprint, STRANGER.fingerprint]
