"""The order of releases and modifications behind entries that can't be read: excused is what they explain, no more."""

from __future__ import annotations

import pytest

from dataseal.ledger.checks.order import Order
from dataseal.ledger.errors import Refused
from dataseal.ledger.statement import Statement, parse
from support import statements as make
from support.errors import refused
from support.statements import OTHER, ROOT

THIRD, FOURTH = "dd" * 32, "ee" * 32


def release(sequence: int, version: str = "", *, dataset: str = make.DATASET, root: str = ROOT) -> Statement:
    before = {"version": f"{sequence - 1}.0.0", "root": ROOT} if sequence > 1 else None
    payload = make.release_payload(
        version or f"{sequence}.0.0", dataset=dataset, root=root, sequence=sequence, previous=before
    )
    return parse(payload)


def modification(start: str | None, to: str, *, dataset: str = make.DATASET) -> Statement:
    return parse(make.modification_payload(start, to, dataset=dataset))


@pytest.fixture
def order() -> Order:
    """One release, and behind it one entry that can't be read."""
    order = Order()
    order.check(release(1))
    order.miss(make.DATASET)
    return order


def test_an_unreadable_entry_may_have_been_the_release_between(order: Order) -> None:
    order.check(release(3))
    order.check(release(4))


def test_it_was_one_release_and_not_two(order: Order) -> None:
    with refused(Refused, "sequence 4; 2 comes next"):
        order.check(release(4))


def test_it_explains_one_gap_and_not_another_one_later(order: Order) -> None:
    order.check(release(3))
    with refused(Refused, "sequence 5; 4 comes next"):
        order.check(release(5))


def test_a_sequence_that_goes_back_is_never_explained(order: Order) -> None:
    order.check(release(3))
    with refused(Refused, "sequence 2"):
        order.check(release(2))


def test_a_version_that_was_read_before_is_never_released_again(order: Order) -> None:
    with refused(Refused):
        order.check(release(3, "1.0.0"))


def test_a_release_that_names_another_previous_one_is_not_explained(order: Order) -> None:
    """No release can have been between 1 and 2."""
    payload = make.release_payload("2.0.0", sequence=2, previous={"version": "1.0.0", "root": OTHER})
    with refused(Refused, "does not name the newest release"):
        order.check(parse(payload))


def test_it_may_have_brought_one_root_and_not_two(order: Order) -> None:
    order.check(modification(OTHER, THIRD))
    order.check(modification(OTHER, ROOT))
    with refused(Refused, "no recorded state"):
        order.check(modification(FOURTH, ROOT))


def test_it_may_have_been_a_release_with_the_root_that_a_modification_starts_from(order: Order) -> None:
    order.check(modification(OTHER, THIRD))
    order.check(release(3))


def test_a_modification_from_nothing_is_never_explained(order: Order) -> None:
    with refused(Refused, "has states already"):
        order.check(modification(None, THIRD))


def test_it_excuses_no_other_dataset(order: Order) -> None:
    with refused(Refused, "1 comes next"):
        order.check(release(2, dataset="acme/other"))
    with refused(Refused, "no recorded state"):
        order.check(modification(OTHER, THIRD, dataset="acme/other"))


def test_what_breaks_a_rule_is_told_once_and_taken(order: Order) -> None:
    with refused(Refused):
        order.check(release(9))
    order.check(release(10))
