"""Witnesses that lie, stall and flood: nothing of it gets onto the checkpoint, and each is named for what it did."""

from __future__ import annotations

import itertools
import time

import pytest

from dataseal.ledger.tlog import note as notes
from dataseal.ledger.witness.answer import Outcome
from dataseal.ledger.witness.client import Patience, Witnesses
from dataseal.ledger.witness.limits import MAX_ATTEMPTS, MAX_CLOCK_SKEW
from dataseal.ledger.witness.wire import monitor_path, parse_add_checkpoint
from support.witnessing import NOW, ORIGIN, Tree, cosigner, http, lying, policy, pq_cosigner, size_answer

W1, W2 = cosigner("w1"), cosigner("w2")
QUICK = Patience(timeout=0.5, grace=0.1)


def ask(script, *, log=None, size=None, patience=None):
    log = log or Tree.of(5)
    with lying(script) as liar:
        asked = Witnesses(policy((W1, liar.url)), patience=patience, clock=lambda: NOW).ask(log.checkpoint(size), log)
    (answer,) = asked.answers
    if answer.outcome is not Outcome.COSIGNED:
        assert asked.note == log.checkpoint(size)
        assert not asked.quorum_met
    return answer, liar


def line(signer, text):
    return notes.Signature(signer.name, signer.key_id, signer.sign(text)).encode()


def text_of(body):
    return notes.parse(parse_add_checkpoint(body).checkpoint).text


def answering(make):
    """A script that answers 200 with what ``make`` says of the checkpoint's text."""
    return lambda path, body, send: http(200, make(text_of(body))) if body else http(404)


OTHER = Tree.of(5, "other")
GARBAGE = {
    "a bad signature": lambda text: notes.Signature(W1.name, W1.verifier.key_id, bytes(7) + b"\1" + bytes(64)).encode(),
    "another note": lambda text: line(W1.at(NOW), notes.parse(OTHER.checkpoint()).text),
    "another name": lambda text: line(W2.at(NOW), text),
    "a log signature by the same key": lambda text: line(notes.Ed25519Signer(W1.name, W1.private_key), text),
    "a good line and a bad one": lambda text: (
        line(W1.at(NOW), text) + notes.Signature(W1.name, W1.verifier.key_id, bytes(72)).encode()
    ),
    "a cut line": lambda text: line(W1.at(NOW), text)[:-1],
    "a line and an empty line": lambda text: line(W1.at(NOW), text) + b"\n",
    "a whole note": lambda text: notes.sign(text, [W1.at(NOW)]),
    "a carriage return": lambda text: line(W1.at(NOW), text).replace(b"\n", b"\r\n"),
    "nothing": lambda text: b"",
    "a page": lambda text: b"<html>welcome</html>",
    "too many lines": lambda text: line(W1.at(NOW), text) * 101,
    "no UTF-8": lambda text: b"\xff" + line(W1.at(NOW), text),
    "a time of zero": lambda text: notes.Signature(
        W1.name, W1.verifier.key_id, bytes(8) + W1.private_key.sign(b"cosignature/v1\ntime 0\n" + text)
    ).encode(),
    "the future": lambda text: line(W1.at(NOW + MAX_CLOCK_SKEW + 1), text),
    "the past": lambda text: line(W1.at(NOW - MAX_CLOCK_SKEW - 1), text),
    "a time beyond the limit": lambda text: notes.Signature(
        W1.name, W1.verifier.key_id, b"\xff" * 8 + W1.private_key.sign(text)
    ).encode(),
    "an oversize answer": lambda text: line(W1.at(NOW), text) * 800,
}


@pytest.mark.parametrize("case", GARBAGE)
def test_answers_that_are_no_cosignature(case):
    answer, liar = ask(answering(GARBAGE[case]))
    assert answer.outcome is Outcome.GARBAGE
    assert len(liar.requests) == 1


def test_strangers_lines_are_ignored_beside_a_good_one():
    answer, _ = ask(
        answering(lambda text: line(W2.at(NOW), text) + line(W1.at(NOW), text) + line(pq_cosigner("w1").at(NOW), text))
    )
    assert answer.outcome is Outcome.COSIGNED


@pytest.mark.parametrize("skew", [-MAX_CLOCK_SKEW, MAX_CLOCK_SKEW])
def test_a_small_difference_of_clocks_is_borne(skew):
    answer, _ = ask(answering(lambda text: line(W1.at(NOW + skew), text)))
    assert (answer.outcome, answer.timestamp) == (Outcome.COSIGNED, NOW + skew)


def test_a_time_of_zero_is_none_even_to_a_clock_that_was_never_set():
    log = Tree.of(5)
    with lying(answering(GARBAGE["a time of zero"])) as liar:
        asked = Witnesses(policy((W1, liar.url)), clock=lambda: 5).ask(log.checkpoint(), log)
    assert asked.answers[0].outcome is Outcome.GARBAGE


# --- sizes ---


def only_posts(answers):
    """Plays answers to the POSTs, and shows nothing to monitors."""
    rest = iter(answers)
    return lambda path, body, send: next(rest) if path == "/add-checkpoint" else http(404)


@pytest.mark.parametrize("status", [409, 422])
def test_a_witness_that_refuses_the_size_that_it_names(status):
    answer, liar = ask(only_posts(itertools.repeat(size_answer(3, status))))
    assert (answer.outcome, liar.olds) == (Outcome.REFUSED, [0, 3])


def test_a_witness_that_goes_to_and_fro():
    answer, liar = ask(only_posts(size_answer(size) for size in itertools.cycle((3, 4))))
    assert (answer.outcome, liar.olds) == (Outcome.REFUSED, [0, 3, 4])


def test_a_witness_that_names_another_size_each_time():
    answer, liar = ask(only_posts(size_answer(size) for size in itertools.count(1)), log=Tree.of(50))
    assert (answer.outcome, len(liar.olds)) == (Outcome.GARBAGE, MAX_ATTEMPTS)


@pytest.mark.parametrize("size", [6, 2**64 - 1])
def test_a_size_above_ours_is_a_claim_and_never_used(size):
    answer, liar = ask(only_posts([size_answer(size)]))
    assert (answer.outcome, answer.size, answer.evidence, liar.olds) == (Outcome.AHEAD, size, None, [0])


def test_the_claim_is_not_remembered():
    log = Tree.of(5)
    with lying(only_posts(itertools.repeat(size_answer(99)))) as liar:
        client = Witnesses(policy((W1, liar.url)), clock=lambda: NOW)
        client.ask(log.checkpoint(), log)
        client.ask(log.checkpoint(), log)
        assert liar.olds == [0, 0]


@pytest.mark.parametrize(
    "shown", [b"", b"garbage", Tree.of(3).checkpoint(), Tree.of(9).checkpoint()[:-9] + b"AAAAAAA=\n"]
)
def test_a_claim_is_no_evidence(shown):
    asked_log = Tree.of(5)
    script = lambda path, body, send: size_answer(9) if body else http(200, shown)  # noqa: E731
    answer, liar = ask(script, log=asked_log)
    assert (answer.outcome, answer.evidence) == (Outcome.AHEAD, None)
    assert liar.requests[-1][0] == monitor_path(ORIGIN)


def test_an_old_checkpoint_of_ours_is_no_fork():
    log = Tree.of(5)
    script = lambda path, body, send: http(422, b"no") if body else http(200, log.checkpoint(3))  # noqa: E731
    answer, _ = ask(script, log=log)
    assert (answer.outcome, answer.evidence) == (Outcome.REFUSED, None)


@pytest.mark.parametrize("body", [b"", b"x\n", b"-1\n", b"3", b"03\n", b"3\n3\n", b"%d\n" % 2**64])
def test_a_size_that_is_none(body):
    answer, _ = ask(lambda *_: http(409, body, "text/x.tlog.size"))
    assert answer.outcome is Outcome.GARBAGE


# --- statuses ---


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Outcome.REFUSED),
        (409, Outcome.REFUSED),  # without a size
        (422, Outcome.REFUSED),
        (403, Outcome.UNKNOWN_LOG),
        (404, Outcome.UNKNOWN_LOG),
        (429, Outcome.UNAVAILABLE),
        (500, Outcome.UNAVAILABLE),
        (503, Outcome.UNAVAILABLE),
        (201, Outcome.GARBAGE),
        (204, Outcome.GARBAGE),
        (418, Outcome.GARBAGE),
        (999, Outcome.GARBAGE),
    ],
)
def test_statuses(status, outcome):
    answer, liar = ask(lambda *_: http(status, b"" if status == 204 else b"why"))
    assert answer.outcome is outcome
    assert sum(path == "/add-checkpoint" for path, _ in liar.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_refused(status):
    with lying(answering(lambda text: line(W1.at(NOW), text))) as honest:
        answer, _ = ask(lambda *_: http(status, location=f"{honest.url}/add-checkpoint"))
        assert answer.outcome is Outcome.GARBAGE
        assert honest.requests == []


def test_compressed_answers_are_refused():
    """Even one that is said to be compressed and is not: what is parsed is what was sent."""
    answer, _ = ask(lambda _, body, __: http(200, line(W1.at(NOW), text_of(body)), content_encoding="gzip"))
    assert answer.outcome is Outcome.GARBAGE


# --- time and size ---


def endless(start, piece, pause):
    def script(path, body, send):
        send(start)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            send(piece)
            time.sleep(pause)

    return script


HEAD = b"HTTP/1.1 200 X\r\n"


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (endless(HEAD + b"\r\n", b"x" * 4096, 0), Outcome.GARBAGE),
        (endless(HEAD + b"transfer-encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n", 0), Outcome.GARBAGE),
        (endless(HEAD + b"\r\n", b"x", 0.1), Outcome.UNAVAILABLE),
        (endless(HEAD, b"a: b\r\n", 0.1), Outcome.UNAVAILABLE),
        (endless(b"", b"H", 0.1), Outcome.UNAVAILABLE),
        (endless(HEAD, b"a: " + b"b" * 4096, 0), Outcome.UNAVAILABLE),
        (lambda *_: time.sleep(0.8), Outcome.UNAVAILABLE),
        (lambda *_: b"", Outcome.UNAVAILABLE),
        (lambda *_: b"SSH-2.0-OpenSSH\r\n", Outcome.UNAVAILABLE),
        (lambda *_: HEAD + b"content-length: 500\r\n\r\nshort", Outcome.UNAVAILABLE),
    ],
)
def test_slow_endless_and_broken_answers(script, outcome):
    answer, _ = ask(script, patience=QUICK)
    assert answer.outcome is outcome


def test_a_deadline_holds_over_all_requests_of_a_witness():
    """One that answers each request just in time does not get a deadline for each."""
    answer, _ = ask(lambda *_: time.sleep(0.35) or size_answer(3), patience=QUICK)
    assert (answer.outcome, answer.detail) == (Outcome.UNAVAILABLE, "no answer within 0.5 s")


def test_text_from_a_witness_is_cut_short():
    answer, _ = ask(lambda *_: http(400, b"\x1b[31m" + b"x" * 10_000))
    assert len(answer.detail) < 300
