from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger import canonical, statement
from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.manifest import build
from dataseal.ledger.predicates import Release, Tree
from dataseal.ledger.statement import MAX_STATEMENT, MODIFICATION, RELEASE, parse
from support import statements as make
from support.errors import refused
from support.shards import SMALL, shard
from support.statements import OTHER, ROOT, TABLE, spoil

GOOD = make.release_payload()


def test_the_docstrings_subject_is_what_is_written() -> None:
    written = json.loads(GOOD)
    assert set(written) == {"_type", "predicate", "predicateType", "subject"}
    assert written["_type"] == "https://in-toto.io/Statement/v1"
    assert written["predicateType"] == "https://dataseal.invalid/release/v1"
    assert written["subject"] == [{"name": "acme/reviews@1.0.0", "digest": {"sha256": TABLE, "datasealRoot": ROOT}}]
    assert all(
        text in (statement.__doc__ or "") for text in ('"_type"', '"datasealRoot"', "release/v1", "reviews@1.0.0")
    )


def test_a_release_round_trips() -> None:
    parsed = parse(GOOD)
    assert (parsed.kind, parsed.dataset, parsed.version) == ("release", "acme/reviews", "1.0.0")
    assert (parsed.table, parsed.root, parsed.payload) == (TABLE, ROOT, GOOD)
    assert parsed.release().sequence == 1


def test_a_modification_round_trips_with_its_from() -> None:
    parsed = parse(make.modification_payload(OTHER))
    assert parsed.kind == "modification"
    state = parsed.modification().from_
    assert state is not None
    assert state.root == OTHER
    assert parsed.version == f"root-{ROOT[:12]}"


def test_release_modification_and_receipt_of_one_version_share_the_subject_form() -> None:
    subjects = [
        json.loads(p)["subject"][0]["digest"] for p in (GOOD, make.modification_payload(), make.receipt_payload())
    ]
    assert subjects[0] == subjects[1] == subjects[2]


def test_the_same_release_gives_the_same_bytes() -> None:
    assert make.release_payload() == GOOD


def test_a_statement_of_32_kib_fits_and_one_byte_more_is_refused_before_it_is_signed() -> None:
    room = MAX_STATEMENT - len(make.release_payload(exclusions=[])) - 2
    count, rest = divmod(room, 1003)
    globs = ["x" * 1000] * count + ["y" * (rest - 2)]
    exact = make.release_payload(exclusions=globs)
    assert len(exact) <= MAX_STATEMENT
    grown = [*globs[:-1], globs[-1] + "y" * (MAX_STATEMENT - len(exact))]
    assert len(make.release_payload(exclusions=grown)) == MAX_STATEMENT
    with refused(FormatError, "32,769 bytes", "32,768", "shorten"):
        make.release_payload(exclusions=[*grown[:-1], grown[-1] + "y"])


def test_a_larger_statement_is_not_read() -> None:
    with refused(FormatError, "at most 32,768"):
        parse(b" " * (MAX_STATEMENT + 1))


BAD_STATEMENTS: dict[str, bytes] = {
    "another type": spoil(GOOD, "_type", to="https://in-toto.io/Statement/v0.1"),
    "unknown field": spoil(GOOD, "more", to=1),
    "no predicate": spoil(GOOD, "predicate", to=...),
    "unknown predicate type": spoil(GOOD, "predicateType", to="https://dataseal.invalid/another/v1"),
    "predicate type is no URI": spoil(GOOD, "predicateType", to="provenance"),
    "later predicate type": spoil(GOOD, "predicateType", to="https://dataseal.invalid/release/v2"),
    "predicate type is a list": spoil(GOOD, "predicateType", to=[RELEASE]),
    "no subject": spoil(GOOD, "subject", to=[]),
    "two subjects": spoil(GOOD, "subject", to=json.loads(GOOD)["subject"] * 2),
    "subject no list": spoil(GOOD, "subject", to=json.loads(GOOD)["subject"][0]),
    "subject with more": spoil(GOOD, "subject", 0, "uri", to="https://example.org"),
    "third digest": spoil(GOOD, "subject", 0, "digest", "sha512", to="0" * 128),
    "no root": spoil(GOOD, "subject", 0, "digest", "datasealRoot", to=...),
    "no table": spoil(GOOD, "subject", 0, "digest", "sha256", to=...),
    "upper-case digest": spoil(GOOD, "subject", 0, "digest", "sha256", to=TABLE.upper()),
    "short root": spoil(GOOD, "subject", 0, "digest", "datasealRoot", to=ROOT[:-2]),
    "digest is a number": spoil(GOOD, "subject", 0, "digest", "sha256", to=7),
    "no version": spoil(GOOD, "subject", 0, "name", to="acme/reviews"),
    "no dataset": spoil(GOOD, "subject", 0, "name", to="@1.0.0"),
    "two at signs": spoil(GOOD, "subject", 0, "name", to="acme@x/reviews@1.0.0"),
    "name is a number": spoil(GOOD, "subject", 0, "name", to=1),
    "predicate no object": spoil(GOOD, "predicate", to=[]),
    "not canonical": GOOD + b"\n",
    "pretty": json.dumps(json.loads(GOOD)).encode(),
    "a list": b"[]",
    "duplicate key": GOOD.replace(b'{"_type"', b'{"_type":"x","_type"', 1),
}


@pytest.mark.parametrize("payload", BAD_STATEMENTS.values(), ids=BAD_STATEMENTS.keys())
def test_a_statement_of_another_shape_is_refused(payload: bytes) -> None:
    with refused(FormatError):
        parse(payload)


BAD_RELEASES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field": ({"more": 1}, "more"),
    "sequence 0": ({"sequence": 0}, "sequence"),
    "sequence true": ({"sequence": True}, "sequence"),
    "sequence as text": ({"sequence": "1"}, "sequence"),
    "sequence float": ({"sequence": 1.5}, "sequence"),
    "tree of another root": ({"tree": make.tree(OTHER)}, "subject"),
    "chunk size no power of two": ({"tree": make.tree(chunk_size=65_537)}, "power of two"),
    "chunk size too small": ({"tree": make.tree(chunk_size=1)}, "chunk_size"),
    "unknown chunk hash": ({"tree": make.tree(chunk_hash="md5")}, "chunk_hash"),
    "negative shards": ({"tree": make.tree(shards=-1)}, "shards"),
    "unknown field in tree": ({"tree": make.tree(more=1)}, "more"),
    "previous without root": ({"previous": {"version": "0.9"}}, "previous"),
    "metadata value number": ({"metadata": {"a": 1}}, "metadata"),
    "empty exclusion": ({"exclusions": [""]}, "exclusions"),
    "long metadata": ({"metadata": {"a": "x" * 1001}}, "metadata"),
}


@pytest.mark.parametrize(("changes", "field"), BAD_RELEASES.values(), ids=BAD_RELEASES.keys())
def test_a_release_predicate_that_does_not_fit_names_the_field(changes: dict[str, Any], field: str) -> None:
    body = make.release(**changes)
    payload = statement.encode(RELEASE, body, dataset="a", version="1", table=TABLE, root=ROOT)
    with refused(FormatError, field):
        parse(payload).release()


BAD_MODIFICATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field": ({"more": 1}, "more"),
    "from_ instead of from": ({"from_": None}, "from_"),
    "unknown operation": ({"operation": "poison"}, "poison"),
    "upper-case operation": ({"operation": "Append"}, "Append"),
    "bare x-": ({"operation": "x-"}, "x-"),
    "no reason": ({"reason": ""}, "reason"),
    "target of another root": ({"to": make.tree(OTHER)}, "subject"),
    "no delta": ({"delta": None}, "delta"),
    "delta upper-case": ({"delta": "A" * 64}, "delta"),
    "delta with newline": ({"delta": "a" * 64 + "\n"}, "delta"),
    "negative count": ({"counts": {"shards": {"added": -1, "removed": 0, "changed": 0}, "rows": None}}, "counts"),
    "tool as text": ({"tool": "dedupe"}, "tool"),
}


@pytest.mark.parametrize(("changes", "field"), BAD_MODIFICATIONS.values(), ids=BAD_MODIFICATIONS.keys())
def test_a_modification_predicate_that_does_not_fit_names_the_field(changes: dict[str, Any], field: str) -> None:
    body = make.modification(**changes)
    payload = statement.encode(MODIFICATION, body, dataset="a", version="root-x", table=TABLE, root=ROOT)
    with refused(FormatError, field):
        parse(payload).modification()


def test_a_release_is_no_modification_and_the_reverse() -> None:
    with refused(FormatError, "predicate type"):
        parse(GOOD).modification()
    with refused(FormatError, "predicate type"):
        parse(make.modification_payload()).release()


@pytest.mark.parametrize("version", ["head", "latest", "root-aaaaaaaaaaaa"])
def test_a_release_under_a_reserved_version_is_refused_when_it_is_read(version: str) -> None:
    """Else `NAME@head` would mean a release that somebody called so."""
    with refused(FormatError, "reserved"):
        parse(make.release_payload(version)).release()


@pytest.mark.parametrize("name", ["reviews", "acme/reviews", "a/b/c/d", "A.b_c-d", "0"])
def test_dataset_names(name: str) -> None:
    statement.check_dataset(name)


@pytest.mark.parametrize(
    "name",
    ["", "/", "a/", "/a", "a//b", "a/b/c/d/e", ".a", "a/.b", "-a", "a b", "a@b", "é", "a\n", "a/..", "x" * 201, "a*"],
)
def test_what_is_no_dataset_name(name: str) -> None:
    with refused(FormatError, "not a dataset name", "acme/reviews"):
        statement.check_dataset(name)


@pytest.mark.parametrize("version", ["1.0.0", "2024-01-02", "1.0.0+build.7_x", "v1", "rootless", "head2"])
def test_versions(version: str) -> None:
    statement.check_version(version)


@pytest.mark.parametrize("version", ["", "head", "latest", "root-1", ".1", "1 0", "1/0", "1\n", "1" * 129, "1@2", "é"])
def test_what_is_no_version(version: str) -> None:
    with refused(FormatError, "not a release version"):
        statement.check_version(version)


@pytest.mark.parametrize("operation", [*statement.OPERATIONS, "x-translate", "x-1"])
def test_operations(operation: str) -> None:
    statement.check_operation(operation)


@pytest.mark.parametrize("operation", ["", "Append", "append ", "x-", "x-A", "x-" + "a" * 42, "y-a", "append\n"])
def test_what_is_no_operation_names_the_vocabulary(operation: str) -> None:
    with refused(FormatError, "not an operation", "relabel"):
        statement.check_operation(operation)


def test_what_a_user_gave_wrong_is_a_usage_error_that_names_the_field() -> None:
    with refused(UsageError, "release", "metadata"):
        Release.make(**make.release(metadata={"licence": ""}, tree=Tree.of(build([shard("a")], SMALL))))


def test_a_tree_says_what_the_manifest_says() -> None:
    made = build([shard("a"), shard("b", b"12")], SMALL)
    tree = Tree.of(made)
    assert (tree.root, tree.shards, tree.bytes, tree.parameters) == (made.root.hex(), 2, 9, SMALL)


@given(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=6))
def test_any_predicate_is_read_or_refused(predicate: dict[str, Any]) -> None:
    try:
        payload = canonical.encode(json.loads(GOOD) | {"predicate": predicate})
    except FormatError:
        return
    with pytest.raises(FormatError):
        parse(payload).release()
