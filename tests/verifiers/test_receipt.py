"""Receipts as statements: shape, subject, what they bind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import statement as statements
from dataseal.verifiers import receipt as receipts
from dataseal.verifiers.examine import Examination, examine
from dataseal.verifiers.policy import Policy, load
from dataseal.verifiers.receipt import RUN, command_digest, receipt
from dataseal.verifiers.sources.local import LocalFolder
from dataseal.verifiers.verdict import Mode
from support.datasets import NAME, World

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Make = Callable[..., Any]


@pytest.fixture
def policy(world: World) -> Policy:
    from dataseal.cli.trusting import read_logs, read_publishers

    return load(
        "dataseal:baseline", publishers=read_publishers([str(world.pub)]), logs=read_logs([world.vkey]), datasets=[NAME]
    )


@pytest.fixture
def make(world: World, policy: Policy) -> Make:
    """Makes a receipt over a folder, parsed."""

    def one(folder: Path | None = None, **more: Any) -> statements.Statement:
        source = LocalFolder(folder or world.v2)
        found: Examination = examine(source, more.pop("policy", policy), now=NOW)
        words = {"command": ["true"], "hold": "recheck", "phase": "start", "run": "0" * 32, "now": NOW} | more
        return statements.parse(receipt(found, policy, source=source, **words))

    return one


def test_the_subject_is_the_releases(make: Make, world: World) -> None:
    from dataseal.ledger.bundle import parse

    release = statements.parse(parse((world.v2 / ".dataseal" / "release" / "1.sigstore.json").read_bytes()).payload)
    made = make()
    assert (made.dataset, made.version, made.table, made.root) == (
        release.dataset,
        release.version,
        release.table,
        release.root,
    )
    assert made.kind == "receipt"


def test_the_docstrings_example_has_the_fields_of_a_real_one(make: Make) -> None:
    text = (receipts.__doc__ or "").split("::\n\n", 1)[1]
    example = json.loads(re.sub(r"\s*\n\s*", "", text))
    made = make().predicate
    assert set(example) == set(made)
    assert set(example[RUN]) - {"opened"} <= set(made[RUN]) | {"screen"}


def test_it_binds_whom_the_policy_trusted(make: Make, policy: Policy) -> None:
    from dataseal.verifiers.policy.trust_digest import digest

    made = make().predicate[RUN]["trust"]
    assert made == digest(policy.trust)
    assert made != digest(replace(policy.trust, moderators=("group:publishers",)))


def test_time_is_written_in_utc(make: Make) -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert make(now=there).predicate["timeVerified"] == "2026-01-02T03:04:05Z"


def test_the_same_run_gives_the_same_bytes_and_another_run_does_not(make: Make) -> None:
    assert make().payload == make().payload
    assert make().payload != make(run="1" * 32).payload
    assert make().payload != make(command=["false"]).payload


def test_words_are_not_joined_before_they_are_hashed() -> None:
    assert command_digest(["a", "b"]) != command_digest(["a b"])
    assert command_digest(["ab"]) != command_digest(["a", "b"])
    assert command_digest([]) != command_digest([""])


def test_a_tainted_run_is_failed_whatever_the_verdict(make: Make) -> None:
    made = make(phase="end", failed=True, extra={"exit_code": 0, "recheck": "changed"}).predicate
    assert made["verificationResult"] == "FAILED"
    assert made["verifiedLevels"] == ["FAILED"]
    assert made[RUN]["recheck"] == "changed"


@pytest.mark.parametrize("mode", [Mode.WARN, Mode.AUDIT])
def test_allowed_is_failed(make: Make, policy: Policy, world: World, mode: Mode) -> None:
    (world.v2 / "extra").write_bytes(b"x")
    made = make(policy=replace(policy, mode=mode)).predicate
    assert made["verificationResult"] == "FAILED"
    assert made[RUN]["result"] == "ALLOWED"
    assert made[RUN]["mode"] == mode


def test_unsigned_bytes_are_named_by_their_own_root(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "x").write_bytes(b"x")
    one = make(folder)
    assert (one.dataset, one.version) == (NAME, receipts.UNVERIFIED)
    assert one.predicate["inputAttestations"] == []
    (folder / "x").write_bytes(b"y")
    assert make(folder).root != one.root


def test_a_dataset_whose_bytes_changed_keeps_its_name_and_fails(make: Make, world: World) -> None:
    (world.v2 / "README.md").write_bytes(b"changed")
    made = make()
    assert (made.dataset, made.version) == (NAME, "1.1.0")
    assert made.predicate["verificationResult"] == "FAILED"
