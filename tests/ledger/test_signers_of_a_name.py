"""A name is somebody else under another authority: what was found of one signer says nothing of the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dataseal.ledger import audit
from dataseal.ledger import bundle as bundles
from dataseal.ledger.admission import Admission, Rule
from dataseal.ledger.credential import Credential
from dataseal.ledger.errors import Refused
from dataseal.ledger.signers.certificate import certified
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.x509 import CertifiedName
from support.certificates import Authority, Issued
from support.errors import refused
from support.statements import receipt_payload, sign_bundle
from support.workspaces import Bench

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
PROD, LAB = (Authority.root(name, start=NOW - 30 * DAY) for name in ("Production CA", "Lab CA"))
ALICE = "email:alice@example.org"
PROD_ALICE, LAB_ALICE = (CertifiedName.of(root.pem, ALICE) for root in (PROD, LAB))


def leaf_of(root: Authority, days: int = 10) -> Issued:
    return root.leaf(start=NOW - DAY, end=NOW + days * DAY)


def receipt(leaf: Issued, root: Authority, number: int, dataset: str) -> bytes:
    """A receipt that somebody signed whose certificate comes along."""
    payload = receipt_payload(number, dataset=dataset)
    made = certified(KeyFileSigner(leaf.key), leaf.pem + root.pem, now=NOW).sign_payload(payload)
    return bundles.encode(payload, made.signature, made.material)


def listing(bench: Bench, **globs: Credential) -> None:
    """The log's rules: who may log receipts of the datasets below a name."""
    rules = [Rule((f"{name}/*",), ("receipt",), (credential,)) for name, credential in globs.items()]
    bench.log.admission = Admission(rules)
    bench.clock.now = NOW


def test_another_authoritys_certificate_of_a_listed_name_is_not_admitted_after_the_right_one(bench: Bench) -> None:
    listing(bench, prod=PROD_ALICE, lab=LAB_ALICE)
    bench.log.append([receipt(leaf_of(PROD), PROD, 0, "prod/x")])
    with refused(Refused, "does not list"):
        bench.log.append([receipt(leaf_of(LAB), LAB, 1, "prod/x")])


def test_another_key_of_a_name_is_not_admitted_where_one_key_is_listed(bench: Bench) -> None:
    leaf = leaf_of(PROD)
    listing(bench, any=PROD_ALICE, one=KeyFileSigner(leaf.key).public)
    bench.log.append([receipt(leaf, PROD, 0, "one/x")])
    with refused(Refused, "does not list"):
        bench.log.append([receipt(leaf_of(PROD), PROD, 1, "one/x")])


def test_a_listed_key_needs_its_certificate_each_time_where_the_name_is_listed(bench: Bench) -> None:
    leaf = leaf_of(PROD)
    listing(bench, one=KeyFileSigner(leaf.key).public, prod=PROD_ALICE)
    bench.log.append([receipt(leaf, PROD, 0, "prod/x")])
    with refused(Refused, "does not list"):
        bench.log.append([sign_bundle(receipt_payload(1, dataset="prod/x"), KeyFileSigner(leaf.key))])


def test_a_certificate_that_ended_speaks_no_more_although_it_did_before(bench: Bench) -> None:
    """The key has no end, the name has one; both recognise the signer."""
    leaf = leaf_of(PROD, days=1)
    listing(bench, one=KeyFileSigner(leaf.key).public, prod=PROD_ALICE)
    bench.log.append([receipt(leaf, PROD, 0, "prod/x")])
    bench.clock.now += 2 * DAY
    with refused(Refused, "does not list"):
        bench.log.append([receipt(leaf, PROD, 1, "prod/x")])


def test_a_statement_by_another_of_the_name_is_refused_and_no_damage(bench: Bench) -> None:
    listing(bench, prod=PROD_ALICE, lab=LAB_ALICE)
    bench.log.append([receipt(leaf_of(PROD), PROD, 0, "prod/x")])
    with refused(Refused, "of another authority"):
        bench.log.append([receipt(leaf_of(LAB), LAB, 0, "prod/x")])


@pytest.mark.parametrize("first", ["right", "wrong"])
def test_a_check_finds_the_entry_that_another_authority_let_in(bench: Bench, first: str) -> None:
    """As a log that does not hold its own rules has it; also the other way round: the right entry is not accused."""
    listing(bench, prod=PROD_ALICE, lab=LAB_ALICE)
    rules = bench.log.admission
    bench.log.admission = Admission([Rule(("*",), ("receipt",), (PROD_ALICE, LAB_ALICE))])
    right, wrong = receipt(leaf_of(PROD), PROD, 0, "prod/x"), receipt(leaf_of(LAB), LAB, 1, "prod/x")
    for bundle in (right, wrong) if first == "right" else (wrong, right):
        bench.log.append([bundle])
    bench.log.admission = rules
    (problem,) = audit.check(bench.log).problems
    assert problem.where == ("entry 1" if first == "right" else "entry 0")
    assert "does not list" in problem.what
