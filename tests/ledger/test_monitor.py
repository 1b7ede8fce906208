"""A monitor tells what is new, and every misbehaviour, once and for sure."""

from __future__ import annotations

import ast
import inspect
import json
import re
import sqlite3
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import bundle as bundles
from dataseal.ledger import entry as entries
from dataseal.ledger import judge
from dataseal.ledger import monitor as module
from dataseal.ledger.alarms import PAUSES, event_id
from dataseal.ledger.errors import Unavailable, UsageError
from dataseal.ledger.identity import Pattern
from dataseal.ledger.monitor import Event, Monitor, Outcome, Watch
from dataseal.ledger.replay import open_replay
from dataseal.ledger.signers.certificate import certified
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.cosignature import Ed25519Cosigner
from dataseal.ledger.tlog.policy import parse_policy
from dataseal.ledger.view import Views
from dataseal.ledger.x509 import CertifiedName
from support import statements as make
from support.certificates import Authority
from support.errors import refused
from support.hostile_log import DATASET, NOW, ORIGIN, HostileLog, log_key, publisher, seeded

OURS = (publisher().public,)
OURS_ALONE = Watch(publishers=OURS)


class Bystander:
    """Somebody who runs the monitor again and again, each time as a new process would."""

    def __init__(self, folder: Path, log: HostileLog) -> None:
        self.folder, self.log, self.policy = folder, log, log.policy
        self.events: list[Event] = []
        self.now = datetime.fromtimestamp(NOW, UTC)

    def look(self, watch: Watch = OURS_ALONE, *, posts: list[bytes] | None = None, down: int = 0) -> Outcome:
        """One look; ``posts`` takes what the webhook got, after ``down`` failures."""
        self.events = []
        failures = [down]

        def post(body: bytes) -> None:
            if failures[0]:
                failures[0] -= 1
                raise Unavailable("the webhook answers 500")
            assert posts is not None
            posts.append(body)

        with open_replay(self.folder / "monitor.sqlite") as replay:
            monitor = Monitor(
                self.log,
                self.policy,
                views=Views(self.folder / "logs"),
                replay=replay,
                watch=watch,
                report=self.events.append,
                clock=lambda: self.now,
            )
            outcome = monitor.poll(jobs=2)
            if posts is not None:
                with suppress(Unavailable):
                    monitor.deliver(post, lambda _: None)
        return outcome

    def told(self, *kinds: str) -> list[Event]:
        """The events of these kinds."""
        return [event for event in self.events if event["event"] in kinds]

    @property
    def alarms(self) -> list[str]:
        """The alarms' kinds, in order."""
        return [event["event"] for event in self.events if event["severity"] == "alarm"]


@pytest.fixture(scope="module")
def grown() -> HostileLog:
    return HostileLog().grow(5).grow(3, "acme/other").grow(2)


@pytest.fixture
def log(grown: HostileLog) -> HostileLog:
    return grown.copy()


@pytest.fixture
def by(tmp_path: Path, log: HostileLog) -> Bystander:
    return Bystander(tmp_path, log)


class TestTells:
    def test_every_new_entry_once(self, by: Bystander, log: HostileLog) -> None:
        assert by.look() == Outcome(entries=10, counts={"entry": 10, "head": 1})
        assert [event["index"] for event in by.told("entry")] == list(range(10))
        by.look()
        assert [event["event"] for event in by.events] == ["head"]
        log.grow(2)
        by.look()
        assert [event["index"] for event in by.told("entry")] == [10, 11]

    def test_all_fields_of_an_entry(self, by: Bystander, log: HostileLog) -> None:
        by.look()
        event = by.told("entry")[5]
        header = entries.parse(log.bodies[5]).header
        assert event == {
            "v": 1, "event": "entry", "severity": "info", "time": "2026-01-02T03:04:05Z", "log": ORIGIN, "index": 5,
            "leaf": event["leaf"], "kind": "release", "dataset": "acme/other", "version": "1.1", "root": event["root"],
            "logged_at": header.logged_at, "signer": OURS[0].fingerprint, "claimed": OURS[0].fingerprint,
            "watched": "dataset",
        }  # fmt: skip

    def test_the_example_in_the_docstring(self, by: Bystander) -> None:
        text = ast.get_docstring(ast.parse(inspect.getsource(module))) or ""
        found = re.search(r"^    (\{.*?\})$", text, re.DOTALL | re.MULTILINE)
        assert found
        example = json.loads(found[1])
        by.look()
        assert set(example) == set(by.told("head")[0])
        kinds = re.findall(r"^ {4}(?:info|warning|alarm| ) +([a-z-]+(?:, [a-z-]+)*)  ", text, re.MULTILINE)
        listed = {name for line in kinds for name in line.split(", ")}
        source = inspect.getsource(module) + inspect.getsource(judge)
        told = set(re.findall(r'(?<![\w-])"([a-z]+(?:-[a-z]+)*)"', source.replace(text, "")))
        assert {"entry", "head", "fork", "unexpected-signer", "unproven-time"} <= listed
        assert listed <= told, "an event is promised that nothing tells"

    def test_only_the_datasets_that_are_watched(self, by: Bystander) -> None:
        by.look(Watch(["acme/o*"]))
        assert {event["dataset"] for event in by.told("entry")} == {"acme/other"}

    def test_our_key_used_for_another_dataset(self, by: Bystander) -> None:
        by.look(Watch(["acme/other"], OURS))
        assert {event["watched"] for event in by.told("entry") if event["dataset"] == DATASET} == {"publisher"}

    def test_who_signed_is_only_claimed_without_a_key(self, by: Bystander) -> None:
        by.look(Watch())
        assert by.told("entry")[0]["signer"] is None
        assert by.told("entry")[0]["claimed"] == OURS[0].fingerprint
        assert by.alarms == []

    def test_progress_on_the_way(self, by: Bystander, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "PROGRESS", 4)
        by.look()
        assert [event["position"] for event in by.told("progress")] == [4, 8]

    def test_witnesses_of_each_head(self, tmp_path: Path) -> None:
        log = HostileLog(witnesses=[Ed25519Cosigner("w.example/1", seeded("w1"))]).grow(2)
        by = Bystander(tmp_path, log)
        by.look()
        assert by.told("head")[0]["witnesses"] == [{"name": "w0", "timestamp": log.at}]


WRONG: dict[str, tuple[list[str], dict[str, Any]]] = {
    "prev": (["broken-chain"], {"header": lambda h: replace(h, prev=b"\0" * 32)}),
    "no prev": (["broken-chain"], {"header": lambda h: replace(h, prev=None)}),
    "dataset_prev is skipped": (["broken-chain"], {"header": lambda h: replace(h, dataset_prev=None)}),
    "dataset_prev of another": (["broken-chain"], {"header": lambda h: replace(h, dataset_prev=entries.Link(6, b"\0" * 32))}),  # noqa: E501
    "time goes back": (["broken-chain"], {"header": lambda h: replace(h, logged_at="2020-01-01T00:00:00Z")}),
    "header of another kind": (["bad-entry"], {"header": lambda h: replace(h, kind="receipt")}),
    "a sequence left out": (["bad-entry"], {"sequence": 9}),
    "no bundle": (["bad-entry"], {"bundle": lambda raw: b"{}"}),
    "forged in our name": (["bad-entry"], {"bundle": lambda raw: raw.replace(b'"sig":"', b'"sig":"AAAA')}),
    "somebody else's key": (["unexpected-signer"], {"signer": publisher("thief")}),
}  # fmt: skip


class TestMisbehaviour:
    @pytest.mark.parametrize("name", WRONG)
    def test_one_wrong_entry_is_one_alarm(self, by: Bystander, log: HostileLog, name: str) -> None:
        """And neither the entries before it nor those after it are blamed."""
        by.look()
        kinds, wrong = WRONG[name]
        before = log.newest[DATASET]
        log.append(**wrong)
        if kinds == ["bad-entry"]:
            log.newest[DATASET] = before if name != "a sequence left out" else log.newest[DATASET]
        log.grow(2, "acme/other")
        outcome = by.look()
        assert by.alarms == kinds
        assert outcome.alarms == 1
        assert by.events[0 if kinds != ["unexpected-signer"] else 1]["index"] == 10
        assert by.look().alarms == 0  # told once

    def test_an_entry_that_is_none_at_all(self, by: Bystander, log: HostileLog) -> None:
        log.put(b"hello")
        log.grow(1)
        by.look()
        assert by.alarms == ["bad-entry"]
        assert by.told("bad-entry")[0]["index"] == 10
        assert "kind" not in by.told("bad-entry")[0]

    def test_a_rollback(self, by: Bystander, log: HostileLog) -> None:
        by.look()
        log.publish(7)
        for _ in range(2):
            assert by.look().alarms == 1
            assert by.alarms == ["rollback"]
        assert "size 10" in by.told("rollback")[0]["detail"]
        assert by.told("head") == []

    @pytest.mark.parametrize(("at", "size"), [(0, 11), (9, 10), (5, 40)])
    def test_a_fork(self, by: Bystander, log: HostileLog, at: int, size: int) -> None:
        by.look()
        by.log = log.forked(at).grow(size - at)
        by.look()
        assert by.alarms == ["fork"]
        kept = list((by.folder / "logs" / "evidence").iterdir())
        assert len(kept) == 2
        assert all(str(path) in by.told("fork")[0]["detail"] for path in kept)

    @pytest.mark.parametrize(("at", "size", "event"), [(3, 20, "fork"), (3, 5, "rollback")])
    def test_a_fork_though_the_view_was_lost(
        self, by: Bystander, log: HostileLog, at: int, size: int, event: str
    ) -> None:
        by.look()
        for path in (by.folder / "logs").glob("*.checkpoint"):
            path.unlink()
        by.log = log.forked(at).grow(size - at)
        for _ in range(2):
            by.look()
            assert by.alarms == [event]
        assert Views(by.folder / "logs").newest(by.policy, ORIGIN) is None

    def test_another_key(self, by: Bystander, log: HostileLog) -> None:
        log.served["checkpoint"] = log.checkpoint(10, log_key(name="thief"))
        by.look()
        assert by.alarms == ["bad-checkpoint"]

    def test_a_checkpoint_that_is_none(self, by: Bystander, log: HostileLog) -> None:
        log.served["checkpoint"] = b"garbage"
        by.look()
        assert by.alarms == ["bad-checkpoint"]

    @pytest.mark.parametrize("path", ["tile/0/000.p/10", "tile/entries/000.p/10"])
    def test_a_flipped_bit_in_what_it_serves(self, by: Bystander, log: HostileLog, path: str) -> None:
        log.flip(path, 300)
        by.look()
        assert by.alarms == ["bad-tile"]
        log.publish()
        by.look()
        assert by.alarms == []
        assert len(by.told("entry")) == 10  # nothing was passed over

    def test_a_cut_tile(self, by: Bystander, log: HostileLog) -> None:
        log.served["tile/0/000.p/10"] = b"x"
        by.look()
        assert by.alarms == ["bad-tile"]

    def test_witnesses_that_are_missing(self, tmp_path: Path) -> None:
        log = HostileLog(witnesses=[Ed25519Cosigner("w.example/1", seeded("w1"))]).grow(2)
        by = Bystander(tmp_path, log)
        log.witnesses = ()
        log.publish()
        by.look()
        assert by.alarms == ["not-witnessed"]
        assert by.told("entry") == []
        assert Views(tmp_path / "logs").newest(by.policy, ORIGIN) is None

    @pytest.mark.parametrize(("age", "alarms"), [(50, []), (200, ["frozen"])])
    def test_a_log_that_is_frozen(self, tmp_path: Path, age: int, alarms: list[str]) -> None:
        """The head is valid and does not move: only the witnesses' clocks tell."""
        log = HostileLog(witnesses=[Ed25519Cosigner("w.example/1", seeded("w1"))], cosigned_at=NOW - age).grow(2)
        by = Bystander(tmp_path, log)
        by.look(Watch(publishers=OURS, max_age=100))
        assert by.alarms == alarms

    @pytest.mark.parametrize(
        ("quorum", "ages", "alarms"),
        [
            ("all", (50, 50), []),
            ("all", (50, 200), ["frozen"]),
            ("any", (50, 200), []),
            ("any", (200, 150), ["frozen"]),
            ("none", (50, 200), []),
        ],
    )
    def test_one_witness_of_a_quorum_makes_nothing_fresh(
        self, tmp_path: Path, quorum: str, ages: tuple[int, int], alarms: list[str]
    ) -> None:
        """Who has the log's key and one witness's can date that one anew for ever."""
        w1, w2 = (Ed25519Cosigner(f"w.example/{name}", seeded(name)) for name in ("w1", "w2"))
        log = HostileLog().grow(2)
        cosigners = [w.at(NOW - age) for w, age in zip((w1, w2), ages, strict=True)]
        head = notes.parse(log.checkpoint(2)).text
        log.served["checkpoint"] = notes.sign(head, [log.key, *cosigners])
        by = Bystander(tmp_path, log)
        lines = [f"log {log.key.vkey}", f"witness w1 {w1.vkey}", f"witness w2 {w2.vkey}"]
        lines += [f"group both {quorum} w1 w2", "quorum both"] if quorum != "none" else ["quorum none"]
        by.policy = parse_policy("\n".join(lines) + "\n")
        by.look(Watch(publishers=OURS, max_age=100))
        assert by.alarms == alarms
        if alarms:
            assert "no quorum of cosignatures since 2026-01-02T03:0" in by.told("frozen")[0]["what"]

    def test_a_log_without_witnesses_can_t_show_that_it_is_fresh(self, by: Bystander) -> None:
        by.look(Watch(publishers=OURS, max_age=100))
        assert by.alarms == ["frozen"]


@pytest.fixture(scope="module")
def certificate() -> tuple[CertifiedName, bytes]:
    """Alice's name under a CA, and a receipt that her certificate of five days signed."""
    start = datetime.fromtimestamp(NOW, UTC) - timedelta(days=1)
    root = Authority.root(start=start)
    leaf = root.leaf(start=start, end=start + timedelta(days=5))
    signer = certified(KeyFileSigner(leaf.key), leaf.pem + root.pem, now=start)
    payload = make.receipt_payload(1)
    made = signer.sign_payload(payload)
    raw = bundles.encode(payload, made.signature, made.material)
    return CertifiedName.of(root.pem, "email:alice@example.org"), raw


class TestCertificates:
    """What a certificate says is judged by others' clocks than the watched log's."""

    def look(
        self,
        folder: Path,
        certificate: tuple[CertifiedName, bytes],
        *,
        days: int,
        cosigned: int | None = None,
        datasets: tuple[str, ...] = (),
    ) -> Bystander:
        """Looks ``days`` after logged_at at a log that w cosigned ``cosigned`` days after it."""
        name, raw = certificate
        log = HostileLog()
        if cosigned is not None:
            log.witnesses = [Ed25519Cosigner("w.example/1", seeded("w1"))]
            log.cosigned_at = NOW + cosigned * 86400
        log.put(log.header(make.DATASET, "receipt").encode() + b"\n" + raw, make.DATASET)
        by = Bystander(folder, log.publish())
        by.now += timedelta(days=days)
        by.look(Watch(datasets, (name,)))
        return by

    def test_one_that_is_valid_is_ours(self, tmp_path: Path, certificate: tuple[CertifiedName, bytes]) -> None:
        by = self.look(tmp_path, certificate, days=1)
        assert by.told("entry")[0]["signer"]
        assert (by.alarms, by.told("unproven-time")) == ([], [])

    def test_a_stolen_expired_one_and_an_entry_that_the_log_dates_back(
        self, tmp_path: Path, certificate: tuple[CertifiedName, bytes]
    ) -> None:
        by = self.look(tmp_path, certificate, days=400)
        assert by.alarms == ["unexpected-signer"]
        (warning,) = by.told("unproven-time")
        assert (warning["severity"], warning["signer"]) == ("warning", None)
        assert "email:alice@example.org" in warning["what"]

    def test_witnesses_that_saw_the_entry_too_late(
        self, tmp_path: Path, certificate: tuple[CertifiedName, bytes]
    ) -> None:
        assert self.look(tmp_path, certificate, days=400, cosigned=300).alarms == ["unexpected-signer"]

    def test_an_old_entry_is_ours_by_the_word_of_witnesses(
        self, tmp_path: Path, certificate: tuple[CertifiedName, bytes]
    ) -> None:
        by = self.look(tmp_path, certificate, days=400, cosigned=2)
        assert by.told("entry")[0]["signer"]
        assert by.alarms == []

    def test_one_that_was_used_for_another_dataset(
        self, tmp_path: Path, certificate: tuple[CertifiedName, bytes]
    ) -> None:
        by = self.look(tmp_path, certificate, days=400, datasets=("acme/other",))
        assert [event["watched"] for event in by.told("unproven-time")] == ["publisher"]
        assert by.alarms == []

    def test_somebody_elses_certificate_is_nobodys_word(
        self, tmp_path: Path, certificate: tuple[CertifiedName, bytes]
    ) -> None:
        bob = replace(certificate[0], pattern=Pattern("bob@example.org"))
        by = self.look(tmp_path, (bob, certificate[1]), days=400)
        assert (by.alarms, by.told("unproven-time")) == (["unexpected-signer"], [])


class TestGoesOn:
    def test_a_log_that_can_t_be_read_is_no_verdict(self, by: Bystander, log: HostileLog) -> None:
        by.look()
        log.down = True
        outcome = by.look()
        assert (outcome.unavailable, outcome.alarms) == (True, 0)
        assert [event["severity"] for event in by.events] == ["warning"]

    @pytest.mark.parametrize("path", ["checkpoint", "tile/0/000.p/10", "tile/entries/000.p/10"])
    def test_a_dropped_resource_is_no_verdict(self, by: Bystander, log: HostileLog, path: str) -> None:
        log.drop(path)
        outcome = by.look()
        assert (outcome.unavailable, outcome.alarms) == (True, 0)
        log.publish()
        by.look()
        assert len(by.told("entry")) == 10

    def test_a_report_that_fails_is_made_again(self, by: Bystander) -> None:
        class Full(Exception):
            pass

        class Few(list[Event]):
            def append(self, event: Event) -> None:
                if len(self) == 4:
                    raise Full
                super().append(event)

        with open_replay(by.folder / "monitor.sqlite") as replay, pytest.raises(Full):
            Monitor(
                by.log, by.policy, views=Views(by.folder / "logs"), replay=replay, watch=Watch(), report=Few().append
            ).poll()
        by.look()
        assert len(by.told("entry")) == 10

    def test_after_a_crash_between_two_batches(self, tmp_path: Path) -> None:
        log = HostileLog().grow(300)
        by = Bystander(tmp_path, log)
        log.flip("tile/entries/001.p/44", 400)
        by.look()
        assert [event["index"] for event in by.told("entry")] == list(range(256))
        log.publish()
        by.look()
        assert [event["index"] for event in by.told("entry")] == list(range(256, 300))
        assert by.alarms == []

    def test_two_with_the_same_state_do_not_take_each_other_s_entries(self, tmp_path: Path) -> None:
        with open_replay(tmp_path / "m"), refused(Unavailable, "locked"), open_replay(tmp_path / "m"):
            pass

    def test_damaged_state_stops(self, by: Bystander) -> None:
        (by.folder / "monitor.sqlite").write_bytes(b"garbage" * 1000)
        with refused(UsageError, "damaged", "monitor.sqlite"):
            by.look()

    def test_state_of_another_version_stops(self, by: Bystander) -> None:
        with sqlite3.connect(by.folder / "monitor.sqlite") as connection:
            connection.execute("PRAGMA user_version = 9")
        connection.close()
        with refused(UsageError, "version 9"):
            by.look()


class TestWebhook:
    def test_gets_each_alarm_with_an_id(self, by: Bystander, log: HostileLog) -> None:
        log.append(signer=publisher("thief"))
        log.publish()
        posts: list[bytes] = []
        by.look(posts=posts)
        sent = json.loads(posts[0])
        assert len(posts) == 1
        assert sent == by.told("unexpected-signer")[0] | {"id": event_id(by.told("unexpected-signer")[0])}

    def test_gets_nothing_when_all_is_well(self, by: Bystander) -> None:
        posts: list[bytes] = []
        by.look(posts=posts)
        assert posts == []

    def test_a_passing_failure_is_tried_again(self, by: Bystander, log: HostileLog) -> None:
        log.put(b"x")
        log.publish()
        posts: list[bytes] = []
        by.look(posts=posts, down=len(PAUSES))
        assert len(posts) == 1

    def test_no_alarm_is_lost_over_a_receiver_that_is_down(self, by: Bystander, log: HostileLog) -> None:
        log.put(b"x")
        log.put(b"y")
        log.publish()
        posts: list[bytes] = []
        by.look(posts=posts, down=100)
        assert posts == []
        assert by.told("undelivered")[0]["waiting"] == 2
        by.look(posts=posts, down=len(PAUSES) + 1)
        assert posts == []
        by.look(posts=posts)
        assert [json.loads(body)["index"] for body in posts] == [10, 11]
        by.look(posts=posts)
        assert len(posts) == 2

    def test_an_alarm_that_stays_is_sent_once(self, by: Bystander, log: HostileLog) -> None:
        posts: list[bytes] = []
        by.look(posts=posts)
        by.log = log.forked(3).grow(20)
        for _ in range(3):
            by.look(posts=posts)
            assert by.alarms == ["fork"]
        assert [json.loads(body)["event"] for body in posts] == ["fork"]

    def test_an_alarm_found_before_the_webhook_was_asked_for_is_kept(self, by: Bystander, log: HostileLog) -> None:
        log.put(b"x")
        log.publish()
        by.look()
        posts: list[bytes] = []
        by.look(posts=posts)
        assert len(posts) == 1


class TestEnds:
    NEXT = log_key("log.example.org/data", "next")

    def test_a_log_that_is_closed(self, by: Bystander, log: HostileLog) -> None:
        """It names a successor, says how to trust it, and does not follow it."""
        log.close(self.NEXT.vkey)
        posts: list[bytes] = []
        by.look(posts=posts)
        (event,) = by.told("closed")
        assert by.alarms == ["closed"]
        assert (event["index"], event["successor"], event["reason"]) == (10, self.NEXT.vkey, "a new key")
        assert (event["watched"], event["signer"]) == ("log", OURS[0].fingerprint)
        assert f"--log '{self.NEXT.vkey}'" in event["hint"]
        assert json.loads(posts[0])["event"] == "closed"
        assert by.look().alarms == 0

    def test_it_is_told_whatever_is_watched(self, by: Bystander, log: HostileLog) -> None:
        log.close(None)
        by.look(Watch(datasets=("nothing/*",)))
        assert by.alarms == ["closed"]
        assert "nothing follows it" in by.told("closed")[0]["what"]

    def test_entries_behind_the_end(self, by: Bystander, log: HostileLog) -> None:
        """Each is told, in one look and in a later one: the old key goes on signing."""
        log.close(self.NEXT.vkey).grow(2)
        by.look()
        assert by.alarms == ["closed", "bad-entry", "bad-entry", "not-successor"]
        log.grow(1)
        by.look()
        assert by.alarms == ["bad-entry", "not-successor"]
        assert "the log is closed: entry 10" in by.told("bad-entry")[0]["what"]

    def test_a_closing_of_another_tree_ends_nothing(self, by: Bystander, log: HostileLog) -> None:
        log.close(self.NEXT.vkey, size=3).grow(1)
        by.look()
        assert by.alarms == ["bad-entry"]

    def test_the_successor_goes_on_and_a_stranger_does_not(self, tmp_path: Path, log: HostileLog) -> None:
        log.close(self.NEXT.vkey)
        for name, key, alarms in (
            ("next", self.NEXT, ["closed"]),
            ("stranger", log_key("stranger.example/log"), ["closed", "not-successor"]),
        ):
            twin = replace(log.copy(), key=key).grow(1)
            (tmp_path / name).mkdir()
            by = Bystander(tmp_path / name, twin)
            by.look()
            assert by.alarms == alarms

    def test_a_follower_of_the_version_before_is_not_gone_on_with(self, by: Bystander) -> None:
        """It kept neither closed entries nor statements: what follows could not be judged."""
        by.look()
        with sqlite3.connect(by.folder / "monitor.sqlite") as connection:
            connection.execute("PRAGMA user_version = 1")
        with refused(UsageError, "followed from its first entry again"):
            by.look()
