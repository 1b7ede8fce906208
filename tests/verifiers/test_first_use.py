"""The file of pins: its format, and that nothing damaged in it is a first contact."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import canonical
from dataseal.ledger.errors import IntegrityError, UsageError
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.trust import TrustedLog
from dataseal.verifiers import first_use
from dataseal.verifiers.facts import LogFacts, ReleaseFacts, SignatureFacts
from dataseal.verifiers.first_use import PINNED, FirstUse
from dataseal.verifiers.seen import Seen
from support.errors import refused
from support.hostile_log import log_key, publisher

NAME = "acme/reviews"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY, OTHER = publisher().public, publisher("other").public
LOG = TrustedLog("log", policy_for_log(log_key().vkey))


def release(*keys: Any, root: str = "aa" * 32) -> ReleaseFacts:
    return ReleaseFacts(
        dataset=NAME, version="1.0.0", sequence=1, root=root, table="bb" * 32, shards=1, bytes=1, chunk_size=65536,
        chunk_hash="sha256", exclusions=(), metadata={},
        signatures=tuple(SignatureFacts((k.label,), k.fingerprint, k.fingerprint, k.scheme, k.label) for k in keys),
    )  # fmt: skip


def in_log(name: str = PINNED) -> LogFacts:
    return LogFacts(name, log_key().name, 1, 2, "self-operated", 0, 0, True, False)


def memory(folder: Path, *keys: Any, log: TrustedLog | None = LOG) -> FirstUse:
    return FirstUse(Seen(folder / "seen.json"), NAME, keys=keys, log=log, now=NOW)


def pinned(folder: Path) -> FirstUse:
    first = memory(folder, KEY, OTHER)
    first.remember(release(KEY), in_log("log"))
    assert first.made is not None
    return memory(folder)


def test_the_docstrings_file_has_the_written_fields(tmp_path: Path) -> None:
    pinned(tmp_path)
    found = canonical.decode_canonical((tmp_path / "first-use.json").read_bytes(), what="pins", max_bytes=9999)
    shown = re.search(r'\{"datasets".*\},"v":1\}', first_use.__doc__ or "", re.DOTALL)
    assert shown
    example = json.loads(re.sub(r"\n\s*", "", shown[0]))
    assert set(example["datasets"]) == set(found["datasets"]) == {NAME}
    assert set(example["datasets"][NAME]) == set(found["datasets"][NAME])


def test_only_who_signed_is_pinned(tmp_path: Path) -> None:
    pin = pinned(tmp_path).pin
    assert pin
    assert [key.fingerprint for key in pin.keys] == [KEY.fingerprint]
    assert (pin.log, pin.at) == (log_key().vkey, "2026-01-02T03:04:05Z")


def test_the_pinned_signer_and_log_are_no_change(tmp_path: Path) -> None:
    assert pinned(tmp_path).findings(release(KEY, OTHER), in_log(), pinned=False) == []


@pytest.mark.parametrize(
    ("facts", "log", "check"),
    [(release(OTHER), in_log(), "signature.changed"), (release(), in_log(), "signature.changed"),
     (release(KEY), in_log("log"), "log.changed")],
)  # fmt: skip
def test_another_is(tmp_path: Path, facts: ReleaseFacts, log: LogFacts, check: str) -> None:
    (found,) = pinned(tmp_path).findings(facts, log, pinned=False)
    assert (found.check, found.severity) == (check, "error")
    assert found.expected in (KEY.fingerprint, log_key().vkey)


def test_a_pin_never_moves(tmp_path: Path) -> None:
    again = pinned(tmp_path)
    again.remember(release(OTHER), in_log())
    assert again.made is None
    pin = memory(tmp_path).pin
    assert pin
    assert [key.fingerprint for key in pin.keys] == [KEY.fingerprint]


def test_of_two_first_uses_at_once_the_first_counts(tmp_path: Path) -> None:
    one, two = memory(tmp_path, KEY), memory(tmp_path, OTHER)
    one.remember(release(KEY), in_log("log"))
    with refused(IntegrityError, "pinned meanwhile"):
        two.remember(release(OTHER), in_log("log"))
    pin = memory(tmp_path).pin
    assert pin
    assert [key.fingerprint for key in pin.keys] == [KEY.fingerprint]


def test_without_a_log_nothing_is_pinned(tmp_path: Path) -> None:
    memory(tmp_path, KEY).remember(release(KEY), None)
    assert memory(tmp_path).pin is None


def test_the_memory_of_releases_still_speaks(tmp_path: Path) -> None:
    found = pinned(tmp_path).findings(release(KEY, root="cc" * 32), in_log(), pinned=False)
    assert [f.check for f in found] == ["rollback.fork"]


GOOD = {"at": "2026-01-02T03:04:05Z", "keys": [KEY.to_spki()], "log": log_key().vkey}


@pytest.mark.parametrize(
    "value",
    [
        {"v": 2, "datasets": {}},
        {"v": 1},
        {"v": 1, "datasets": [], "more": 1},
        {"v": 1, "datasets": []},
        {"v": 1, "datasets": {NAME: {}}},
        {"v": 1, "datasets": {NAME: GOOD | {"keys": []}}},
        {"v": 1, "datasets": {NAME: GOOD | {"keys": ["x"]}}},
        {"v": 1, "datasets": {NAME: GOOD | {"log": "x"}}},
        {"v": 1, "datasets": {NAME: GOOD | {"at": 1}}},
    ],
)
def test_a_damaged_file_is_an_error(tmp_path: Path, value: Any) -> None:
    (tmp_path / "first-use.json").write_bytes(canonical.encode(value))
    with refused(UsageError, "the pins are damaged", "restore"):
        memory(tmp_path)
