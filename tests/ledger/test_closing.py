"""The final entry of a log: what it says, who may write it, and that nothing comes after it under the log's key."""

from __future__ import annotations

import hashlib
import json
import re
from threading import Barrier, Thread

import pytest

from dataseal.ledger import closing as closings
from dataseal.ledger import statement as statements
from dataseal.ledger.audit import check
from dataseal.ledger.batch import Batch
from dataseal.ledger.closing import Closing, Succession, closed
from dataseal.ledger.entry import Header, parse_header
from dataseal.ledger.errors import FormatError, Refused, Unavailable, UsageError
from dataseal.ledger.record import sign
from dataseal.ledger.statement import parse
from dataseal.ledger.tlog import merkle
from support.errors import refused
from support.hostile_log import log_key
from support.ledgers import log_receipts
from support.statements import b64, receipt_payload, release_payload, sign_bundle, signer, spoil
from support.workspaces import Bench

OLD, NEXT, THIRD = log_key(), log_key("log.example.org/data", "next"), log_key("c.example/log", "third")
ROOT = hashlib.sha256(b"a tree").digest()


def statement(log: str = OLD.vkey, size: int = 3, successor: str | None = NEXT.vkey) -> statements.Statement:
    return parse(closed(log, size=size, root=ROOT, reason="a new key", successor=successor))


def close(bench: Bench, **options: str) -> tuple[int, bool]:
    done = bench.log.close(
        lambda payload: sign(payload, bench.publisher, now=bench.clock.now), **{"reason": "the end"} | options
    )  # type: ignore[arg-type]
    return done.index, done.existed


def test_the_docstrings_example_is_what_is_written_and_read() -> None:
    example = re.search(r"such as ::\n\n(.*?)\n\n\(on one line", closings.__doc__ or "", re.DOTALL)
    assert example is not None
    payload = "".join(line.strip() for line in example[1].splitlines()).encode()
    said = parse(payload).closed()
    assert (said.size, said.reason) == (0, "a new log key")
    assert closed(said.log, size=0, root=merkle.EMPTY_ROOT, reason=said.reason, successor=said.successor) == payload


def test_its_subject_is_the_logs_last_tree() -> None:
    found = statement()
    assert (found.kind, found.dataset, found.version, found.root) == ("closed", OLD.name, "3", ROOT.hex())
    text = f"{OLD.name}\n3\n{b64(ROOT)}\n"
    assert found.table == hashlib.sha256(text.encode()).hexdigest()
    assert Closing.of(found) == Closing(3, OLD.vkey, NEXT.vkey, "a new key")


def test_a_log_whose_origin_no_dataset_could_have() -> None:
    key = log_key("localhost:8080/a/b/c/d/e", "odd")
    found = statement(key.vkey)
    assert found.dataset == key.name
    header = Header("closed", key.name, "2026-01-02T03:04:05Z", None, None)
    assert parse_header(header.encode()) == header
    with refused(FormatError, "not a dataset name"):
        parse_header(header.encode().replace(b'"closed"', b'"release"'))


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("predicate", "log"), NEXT.vkey),
        (("predicate", "log"), "no key"),
        (("predicate", "size"), 4),
        (("predicate", "size"), True),
        (("predicate", "successor"), OLD.vkey),
        (("predicate", "successor"), log_key("another.name/log").vkey),
        (("predicate", "successor"), "no key"),
        (("predicate", "reason"), ""),
        (("predicate", "more"), 1),
        (("subject", 0, "name"), f"{OLD.name}@4"),
        (("subject", 0, "name"), f"{NEXT.name}@3"),
        (("subject", 0, "digest", "sha256"), "0" * 64),
        (("subject", 0, "digest", "datasealRoot"), "0" * 64),
    ],
)
def test_a_closed_statement_that_contradicts_itself(path: tuple[str | int, ...], to: object) -> None:
    with refused(FormatError):
        parse(spoil(statement().payload, *path, to=to)).closed()


@pytest.mark.parametrize("successor", ["no key", OLD.vkey, log_key("another.name/log").vkey])
def test_no_successor_to_name(successor: str) -> None:
    with refused(UsageError):
        closed(OLD.vkey, size=0, root=merkle.EMPTY_ROOT, reason="r", successor=successor)


# The log.


def test_nothing_is_logged_behind_it(bench: Bench) -> None:
    log_receipts(bench, 3)
    assert close(bench, successor=NEXT.vkey) == (3, False)
    for log in (bench.log, bench.again()):
        with refused(Refused, "closed", NEXT.vkey, "--log"):
            log.append([sign_bundle(receipt_payload(9), bench.gate)])
    assert bench.log.closing() == Closing(3, bench.log.vkey, NEXT.vkey, "the end")


def test_what_it_holds_is_still_found_and_proven(bench: Bench) -> None:
    payloads = log_receipts(bench, 3)
    close(bench)
    again = bench.again().append([sign_bundle(payloads[1], bench.gate)])[0]
    assert (again.index, again.existed) == (1, True)
    assert len(bench.again().prove([0, 3])) == 2


def test_closing_twice_is_closing_once(bench: Bench) -> None:
    log_receipts(bench, 1)
    assert close(bench, reason="first") == (1, False)
    assert close(bench, reason="second") == (1, True)
    with refused(UsageError, "first", "nothing follows"):
        close(bench, successor=NEXT.vkey)
    with bench.log.store.view() as view:
        assert view.head().size == 2


def test_an_empty_log_can_be_closed(bench: Bench) -> None:
    assert close(bench) == (0, False)
    with refused(Refused, "closed"):
        log_receipts(bench, 1)


def test_a_key_that_is_not_listed_closes_nothing(bench: Bench) -> None:
    log_receipts(bench, 1)
    with refused(Refused, "does not list", "closed"):
        bench.log.close(lambda payload: sign(payload, bench.gate, now=bench.clock.now), reason="r")
    log_receipts(bench, 1, start=1)


def test_a_listed_key_alone_closes_nothing(bench: Bench) -> None:
    """Whoever stole the publisher's key can post statements; the log's own key is asked for, too."""
    log_receipts(bench, 1)
    with bench.log.store.view() as view:
        head = view.head()
    payload = closed(bench.log.vkey, size=head.size, root=head.root, reason="r", successor=NEXT.vkey)
    with refused(Refused, "operator alone"):
        bench.log.append([sign(payload, bench.publisher, now=bench.clock.now)])
    log_receipts(bench, 1, start=1)


@pytest.mark.parametrize(
    "change", [{"log": NEXT.vkey}, {"size": 0}, {"size": 2}, {"root": ROOT}], ids=lambda change: next(iter(change))
)
def test_a_closing_of_another_tree_or_log(bench: Bench, change: dict[str, object]) -> None:
    log_receipts(bench, 1)
    with bench.log.store.view() as view:
        right = {"log": bench.log.vkey, "size": 1, "root": view.head().root}
    log, size, root = ({**right, **change}[name] for name in ("log", "size", "root"))
    payload = closed(log, size=size, root=root, reason="r", successor=None)  # type: ignore[arg-type]
    with pytest.raises((Refused, Unavailable)):
        bench.log.close(lambda _: sign(payload, bench.publisher, now=bench.clock.now), reason="r")
    log_receipts(bench, 1, start=1)


def test_it_is_last_though_others_log_at_the_same_time(bench: Bench) -> None:
    """Each thread's entry is logged before the closed one, or refused; the closing waits for a still tree."""
    log_receipts(bench, 1)
    barrier, logged = Barrier(4), []

    def work(number: int) -> None:
        barrier.wait()
        for step in range(4):
            try:
                bench.log.append([sign_bundle(receipt_payload(100 * number + step), bench.gate)])
                logged.append(step)
            except Refused:
                return

    threads = [Thread(target=work, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    barrier.wait()
    index, _ = close(bench)
    for thread in threads:
        thread.join()
    with bench.log.store.view() as view:
        assert (index, view.head().size) == (len(logged) + 1, len(logged) + 2)


# The walk over a log's entries.


def no_root() -> bytes:
    raise AssertionError("the root is asked for a closed entry only")


def tree_root() -> bytes:
    return ROOT


def test_nothing_stands_behind_the_end_of_this_log() -> None:
    walk = Succession([OLD.vkey], [Closing(3, OLD.vkey, NEXT.vkey, "r")])
    walk.check_end(4)
    with refused(Refused, "entry 3 closed"):
        walk.check(4, parse(release_payload()), no_root)
    with refused(Refused, "entry 3 closed"):
        walk.check(4, None, no_root)
    with refused(Refused, "that is not this log"):
        walk.check_end(5)


def test_the_successor_goes_on() -> None:
    walk = Succession([NEXT.vkey], [Closing(3, OLD.vkey, NEXT.vkey, "r")])
    assert walk.check(4, parse(release_payload()), no_root) is None
    walk.check_end(4)
    walk.check_end(9)


def test_nobody_goes_on_with_a_log_that_names_no_successor() -> None:
    walk = Succession([NEXT.vkey], [Closing(3, OLD.vkey, None, "r")])
    with refused(Refused, "nothing follows"):
        walk.check(4, parse(release_payload()), no_root)


def test_a_log_that_is_not_the_named_successor() -> None:
    walk = Succession([THIRD.vkey], [Closing(3, OLD.vkey, NEXT.vkey, "r")])
    walk.check(4, parse(release_payload()), no_root)  # a later closing may name it
    with refused(Refused, "only the named one"):
        walk.check_end(5)


def test_a_log_that_goes_on_twice() -> None:
    walk = Succession([THIRD.vkey])
    for index, log, successor in ((3, OLD, NEXT), (7, NEXT, THIRD)):
        closing = walk.check(index, statement(log.vkey, index, successor.vkey), tree_root)
        assert closing is not None
        walk.add(closing)
    walk.check(8, parse(release_payload()), no_root)
    walk.check_end(9)


def test_a_chain_that_leaves_its_successor() -> None:
    walk = Succession([THIRD.vkey], [Closing(3, OLD.vkey, NEXT.vkey, "r")])
    with refused(Refused, "went on as", NEXT.vkey):
        walk.check(7, statement(THIRD.vkey, 7, None), tree_root)


def test_a_thief_of_the_old_key_does_not_reopen_the_log() -> None:
    walk = Succession([THIRD.vkey], [Closing(3, OLD.vkey, NEXT.vkey, "r")])
    with refused(Refused, "closed before"):
        walk.check(7, statement(NEXT.vkey, 7, OLD.vkey), tree_root)


@pytest.mark.parametrize(("index", "root"), [(4, ROOT), (3, b"\0" * 32)])
def test_a_closing_that_is_not_about_the_tree_before_it(index: int, root: bytes) -> None:
    with refused(closings.Moved, "not that tree"):
        Succession([OLD.vkey]).check(index, statement(), lambda: root)


def test_a_closed_bundle_is_held_against_its_model_when_it_is_verified() -> None:
    from dataseal.ledger.verify import verify_bundle

    payload = spoil(statement().payload, "predicate", "reason", to="")
    with refused(FormatError, "reason"):
        verify_bundle(sign_bundle(payload), [signer().public])
    assert json.loads(statement().payload)["predicateType"] == statements.CLOSED


# The audit.


def audited(bench: Bench) -> list[str]:
    return [f"{problem.where}: {problem.what}" for problem in check(bench.again()).problems]


def test_a_closed_log_is_whole(bench: Bench) -> None:
    log_receipts(bench, 3)
    close(bench, successor=NEXT.vkey)
    assert audited(bench) == []


def test_an_entry_that_was_put_behind_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's own program let it pass: every link, root and signature of it holds."""
    log_receipts(bench, 3)
    close(bench, successor=NEXT.vkey)
    monkeypatch.setattr(Batch, "closing", property(lambda _: None))
    log_receipts(bench, 1, start=3)
    found = audited(bench)
    assert any(line.startswith("entry 4: the log is closed: entry 3") for line in found), found
    assert any("that is not this log" in line for line in found)
