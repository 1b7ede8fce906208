"""The OMS signature of a release: what is signed by default, and what a changed one is refused for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dataseal.ledger import paths
from dataseal.ledger.credential import Signer as Recognised
from dataseal.ledger.errors import FormatError, IntegrityError, SignatureInvalid, UsageError
from dataseal.ledger.manifest import Manifest, build
from dataseal.ledger.oms import envelope, release, statement
from support import oms as make
from support.errors import refused
from support.shards import SMALL, shard
from support.statements import signer

NAME = "acme/reviews@1.0.0"
MANIFEST = build([shard("data/a.txt", b"1"), shard("data/b.txt", b"2"), shard(".gitattributes", b"3")], SMALL)
KEY, OTHER = signer(), signer("other")


def by(*keys: Any) -> list[tuple[Recognised, Any]]:
    return [
        (Recognised(k.public.fingerprint, k.public.scheme, k.public.label, k.public.fingerprint), k.public)
        for k in keys
    ]


def check(raw: bytes, manifest: Manifest = MANIFEST, **more: Any) -> None:
    release.check(raw, manifest, NAME, by(KEY), **more)


def spoiled(change: Any) -> bytes:
    """Our statement with a change, its subject digest made good, signed by the release's signer."""
    value = json.loads(statement.encode_statement(MANIFEST, NAME))
    change(value)
    made = json.loads(make.statement(value["predicate"]["resources"]))
    value["subject"][0]["digest"] = made["subject"][0]["digest"]
    return make.bundle(json.dumps(value).encode(), KEY)


def resources(value: Any) -> Any:
    return value["predicate"]["resources"]


def test_what_is_made_is_accepted() -> None:
    check(release.make(MANIFEST, NAME, KEY))


def test_what_is_made_again_is_what_is_there() -> None:
    raw = release.make(MANIFEST, NAME, KEY)
    assert release.make(MANIFEST, NAME, KEY, present=raw) == raw


@pytest.mark.parametrize("present", [b"", b"{}", release.make(MANIFEST, NAME, OTHER), release.make(MANIFEST, "x", KEY)])
def test_what_is_there_and_is_something_else_is_replaced(present: bytes) -> None:
    raw = release.make(MANIFEST, NAME, KEY, present=present)
    assert raw != present
    check(raw)


# --- when it is made ---


@pytest.mark.parametrize(
    ("scheme", "wanted"), [("ecdsa-p256", True), ("ecdsa-p384", True), ("ed25519", False), ("ml-dsa-44", False)]
)
def test_the_keys_that_get_one_by_default(scheme: str, wanted: bool) -> None:
    assert release.wanted(signer(scheme=scheme), MANIFEST, (), None) is wanted
    assert release.wanted(signer(scheme=scheme), MANIFEST, (), False) is False


def test_one_that_is_asked_for_and_that_nobody_could_check() -> None:
    with refused(UsageError, "ECDSA", "ed25519"):
        release.wanted(signer(scheme="ed25519"), MANIFEST, (), True)


def test_one_that_could_name_nothing() -> None:
    nothing = build([shard(".gitignore")], SMALL)
    assert release.wanted(KEY, nothing, (), None) is False
    with refused(UsageError, "can't name"):
        release.wanted(KEY, nothing, (), True)


def test_one_that_would_name_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "MAX_FILES", 2)
    assert release.wanted(KEY, MANIFEST, (), None) is True
    assert release.wanted(KEY, MANIFEST, ("a.tmp",), None) is False


# --- attacks ---


def test_by_another_signer_than_the_release() -> None:
    with refused(SignatureInvalid):
        check(release.make(MANIFEST, NAME, OTHER))


def test_by_a_stranger_beside_the_releases_signer() -> None:
    raw = make.bundle(statement.encode_statement(MANIFEST, NAME), KEY, OTHER)
    with refused(SignatureInvalid, "signature 2 of 2"):
        check(raw)


def test_of_another_release() -> None:
    with refused(IntegrityError, "not about"):
        check(release.make(MANIFEST, "acme/reviews@0.9.0", KEY))


def test_a_file_left_out() -> None:
    with refused(IntegrityError, "leaves out 'data/b.txt'"):
        check(spoiled(lambda value: resources(value).pop()))


def test_a_file_added() -> None:
    with refused(IntegrityError, "'data/c.txt'"):
        check(spoiled(lambda value: resources(value).append(make.resource("data/c.txt", b"poison"))))


def test_a_git_name_that_the_reference_would_not_look_at() -> None:
    with refused(IntegrityError, "'.gitattributes'"):
        check(spoiled(lambda value: resources(value).append(make.resource(".gitattributes", b"3"))))


def test_a_file_renamed() -> None:
    with refused(IntegrityError, "leaves out 'data/a.txt'"):
        check(spoiled(lambda value: resources(value)[0].update(name="data/z.txt")))


def test_another_digest() -> None:
    with refused(IntegrityError, "another digest"):
        check(spoiled(lambda value: resources(value)[0].update(digest="ab" * 32)))


def test_another_shard_root() -> None:
    with refused(IntegrityError, "shard root"):
        check(spoiled(lambda value: resources(value)[0].update(annotations={statement.ROOT: "ab" * 32})))


def test_no_shard_root() -> None:
    with refused(IntegrityError, "shard root"):
        check(spoiled(lambda value: resources(value)[0].pop("annotations")))


def test_an_ignored_path_that_no_exclusion_leaves_out() -> None:
    def hide(value: Any) -> None:
        value["predicate"]["serialization"]["ignore_paths"].append("data/poison")

    with refused(IntegrityError, "ignores 'data/poison'"):
        check(spoiled(hide))
    check(spoiled(hide), exclusions=["data/p*"])


def test_no_bundle_at_all() -> None:
    with refused(FormatError):
        check(b"")


def test_the_shard_tables_sort_order_does_not_matter() -> None:
    shards = [shard("é"), shard("z"), shard("a/b"), shard("a-b")]
    check(release.make(build(shards, SMALL), NAME, KEY), build(shards, SMALL))
    assert paths.sort_key("é") > paths.sort_key("z")


def test_what_is_made_hints_at_the_key_as_the_reference_looks_for_it() -> None:
    [bundle] = envelope.parse(release.make(MANIFEST, NAME, KEY))
    assert len(bundle.hint) == 64
    assert bundle.hint != KEY.public.fingerprint
