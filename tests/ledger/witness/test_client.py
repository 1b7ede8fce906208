"""Our client and our witness over real HTTP, on loopback."""

from __future__ import annotations

import contextlib
import time

import pytest

from dataseal.ledger.errors import IntegrityError, Rollback, SignatureInvalid, Unavailable, UsageError
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.cosignature import MLDSA44Cosigner
from dataseal.ledger.witness.answer import Outcome
from dataseal.ledger.witness.client import Patience, Witnesses
from dataseal.ledger.witness.sizes import MemorySizes
from dataseal.ledger.witness.wire import parse_add_checkpoint
from support.witnessing import (
    NOW,
    ORIGIN,
    Tree,
    cosigner,
    http,
    lying,
    opened,
    policy,
    pq_cosigner,
    served,
    size_answer,
)

W1, W2, W3 = cosigner("w1"), cosigner("w2"), cosigner("w3")
NOWHERE = "http://127.0.0.1:9"


@contextlib.contextmanager
def running(folder, *keys, clock=lambda: NOW):
    """A witness for each key; gives (witness, url) for each."""
    with contextlib.ExitStack() as stack:
        found = []
        for key in keys:
            group = key if isinstance(key, tuple) else (key,)
            path = folder / f"{group[0].name.rpartition('/')[2]}.sqlite"
            witness = stack.enter_context(opened(path, *group, clock=clock))
            found.append((witness, stack.enter_context(served(witness))))
        yield found


def client(policy_, **options):
    return Witnesses(policy_, clock=lambda: NOW, **options)


def outcomes(asked):
    return [answer.outcome for answer in asked.answers]


def test_all_witnesses_cosign(tmp_path):
    log = Tree.of(5)
    with running(tmp_path, W1, W2) as ((_, u1), (_, u2)):
        trusted = policy((W1, u1), (W2, u2 + "/"))
        asked = client(trusted).ask(log.checkpoint(), log)
    assert asked.quorum_met
    assert asked.cosigned == ("W1", "W2")
    assert [a.timestamp for a in asked.answers] == [NOW, NOW]
    assert trusted.check(asked.publishable()).witnesses_seen == 2
    assert asked.summary() == "2 of 2 witnesses cosigned"


def test_the_log_grows_and_the_sizes_are_remembered(tmp_path):
    log, sizes = Tree.of(5), MemorySizes()
    with running(tmp_path, W1) as ((witness, url),):
        trusted = policy((W1, url))
        for size in (5, 6, 64, 70):
            log.grow(size - log.size)
            assert client(trusted, sizes=sizes).ask(log.checkpoint(), log).quorum_met
            assert witness.state.latest(ORIGIN).size == size
            assert list(sizes.load().values()) == [size]


def test_a_client_that_knows_nothing_learns_the_size(tmp_path):
    log = Tree.of(5)
    with running(tmp_path, W1) as ((_, url),):
        trusted = policy((W1, url))
        assert client(trusted).ask(log.checkpoint(), log).quorum_met
        assert client(trusted).ask(log.checkpoint(), log).quorum_met
        assert client(trusted).ask(log.grow(10).checkpoint(), log).quorum_met


def test_a_wrong_hint_costs_one_request(tmp_path):
    log, sizes = Tree.of(5), MemorySizes()
    with running(tmp_path, W1) as ((_, url),):
        asked = client(policy((W1, url)), sizes=sizes).ask(log.checkpoint(), log)
        for wrong in (0, 3, 99):
            sizes.save(dict.fromkeys(sizes.load(), wrong))
            asked = client(policy((W1, url)), sizes=sizes).ask(log.grow(1).checkpoint(), log)
            assert asked.quorum_met


def test_a_witness_that_forgot_is_named(tmp_path):
    log, sizes = Tree.of(5), MemorySizes()
    with running(tmp_path, W1) as ((_, url),):
        trusted = policy((W1, url))
        client(trusted, sizes=sizes).ask(log.checkpoint(), log)
    (tmp_path / "again").mkdir()
    with running(tmp_path / "again", W1) as ((_, url),):
        asked = client(policy((W1, url)), sizes=sizes).ask(log.grow(1).checkpoint(), log)
    assert asked.quorum_met
    assert "forgot" in asked.answers[0].detail


def test_an_unknown_log_is_reported_and_not_asked_again(tmp_path):
    log = Tree.of(5)
    with running(tmp_path, W1, W2) as ((w1, u1), (w2, u2)):
        w1.state.remove_key(ORIGIN, log.signer.vkey)
        w2.state.remove_key(ORIGIN, log.signer.vkey)
        w2.state.add_key(ORIGIN, notes.Ed25519Signer(ORIGIN, W1.private_key).vkey)
        asked = client(policy((W1, u1), (W2, u2))).ask(log.checkpoint(), log)
    assert outcomes(asked) == [Outcome.UNKNOWN_LOG, Outcome.UNKNOWN_LOG]
    assert [a.detail[:3] for a in asked.answers] == ["404", "403"]
    with pytest.raises(Unavailable, match="unknown log"):
        asked.publishable()


def test_only_the_ed25519_line_is_sent(tmp_path):
    log = Tree.of(5)
    pq = MLDSA44Cosigner(ORIGIN, pq_cosigner("x").private_key)
    note = log.checkpoint(5, pq.at(0), log.signer)
    with lying(lambda *_: size_answer(5)) as liar:
        client(policy((W1, liar.url), logs=[pq.vkey, log.signer.vkey])).ask(note, log)
        body = liar.requests[0][1]
    (line,) = notes.parse(parse_add_checkpoint(body).checkpoint).signatures
    assert line.key_id == log.signer.key_id
    assert len(body) < 1024


def test_a_log_with_ml_dsa_alone(tmp_path):
    log = Tree.of(5)
    pq = MLDSA44Cosigner(ORIGIN, pq_cosigner("x").private_key)
    with opened(tmp_path / "w.sqlite", W1, logs=[pq.vkey]) as witness, served(witness) as url:
        asked = client(policy((W1, url), logs=[pq.vkey])).ask(log.checkpoint(5, pq.at(0)), log)
    assert asked.quorum_met


def test_two_keys_behind_one_url_are_asked_once(tmp_path):
    log, pq = Tree.of(5), pq_cosigner("w1")
    with running(tmp_path, (W1, pq)) as ((_, url),):
        asked = client(policy((W1, url), (pq, url))).ask(log.checkpoint(), log)
        assert asked.cosigned == ("W1", "W2")
        alone = client(policy((pq, url))).ask(log.checkpoint(), log)
        assert alone.cosigned == ("W1",)
        assert len(notes.parse(alone.note).signatures) == 2  # the line by the unknown key is left out


def test_existing_cosignatures_are_kept_and_their_witnesses_left_alone(tmp_path):
    log, now = Tree.of(5), [NOW]
    with running(tmp_path, W1, W2, clock=lambda: now[0]) as ((_, u1), (_, u2)):
        first = client(policy((W1, u1), (W2, NOWHERE))).ask(log.checkpoint(), log)
        assert outcomes(first) == [Outcome.COSIGNED, Outcome.UNAVAILABLE]
        now[0] += 60
        second = client(policy((W1, u1), (W2, u2))).ask(first.note, log)
    assert second.quorum_met
    assert [a.timestamp for a in second.answers] == [NOW, NOW + 60]
    assert second.note.startswith(first.note)
    third = client(policy((W1, NOWHERE), (W2, NOWHERE))).ask(second.note, log)
    assert third.note == second.note
    assert third.quorum_met


def test_an_existing_cosignature_that_fails_rejects_the_checkpoint():
    log = Tree.of(5)
    good = notes.parse(log.checkpoint())
    bad = notes.Signature(W1.name, W1.verifier.key_id, bytes(72))
    with pytest.raises(SignatureInvalid):
        client(policy((W1, NOWHERE))).ask(notes.encode(good.text, [*good.signatures, bad]), log)


def test_a_line_without_a_time_is_replaced(tmp_path):
    log, pq = Tree.of(5), pq_cosigner("w1")
    good = notes.parse(log.checkpoint())
    undated = notes.sign(good.text, [pq.at(0)], good.signatures)
    with running(tmp_path, pq) as ((_, url),):
        asked = client(policy((pq, url))).ask(undated, log)
    assert asked.quorum_met
    assert len(notes.parse(asked.note).signatures) == 2


def test_a_checkpoint_by_another_key_is_not_sent():
    log = Tree.of(5)
    log.signer = notes.Ed25519Signer(ORIGIN, W2.private_key)
    with lying(lambda *_: b"") as liar, pytest.raises(SignatureInvalid):
        client(policy((W1, liar.url))).ask(log.checkpoint(), log)
    assert liar.requests == []


def test_a_reader_without_the_tree_is_our_fault_and_no_answer(tmp_path):
    class Damaged:
        def read(self, nodes):
            raise IntegrityError("the tiles are damaged")

    log = Tree.of(5)
    with running(tmp_path, W1) as ((_, url),):
        client(policy((W1, url))).ask(log.checkpoint(), log)
        with pytest.raises(IntegrityError):
            client(policy((W1, url))).ask(log.grow(1).checkpoint(), Damaged())


def test_witnesses_without_urls_are_not_asked():
    asked = client(policy((W1, None), quorum="none")).ask(Tree.of(1).checkpoint(), Tree.of(1))
    assert outcomes(asked) == [Outcome.NOT_ASKED]
    assert asked.publishable() == Tree.of(1).checkpoint()


@pytest.mark.parametrize(
    "url", ["ftp://x", "https://", "http://u:p@x", "http://x?y", "http://x#y", "x", "http://[::1", "http://x:99999"]
)
def test_urls_that_are_no_prefixes_are_refused(url):
    with pytest.raises(UsageError):
        Witnesses(policy((W1, url)))


# --- quorum ---

GROUPS = "group ours any W1 W2\ngroup both all ours W3\n"


@pytest.mark.parametrize(
    ("up", "met"), [("13", True), ("23", True), ("123", True), ("12", False), ("3", False), ("", False)]
)
def test_a_quorum_of_groups(tmp_path, up, met):
    log = Tree.of(5)
    with running(tmp_path, *(k for n, k in (("1", W1), ("2", W2), ("3", W3)) if n in up)) as found:
        urls = dict(zip(up, (url for _, url in found), strict=True))
        trusted = policy(
            *((k, urls.get(n, NOWHERE)) for n, k in (("1", W1), ("2", W2), ("3", W3))), groups=GROUPS, quorum="both"
        )
        asked = client(trusted).ask(log.checkpoint(), log)
    assert asked.quorum_met is met
    assert asked.cosigned == tuple(f"W{n}" for n in up)
    if met:
        assert trusted.check(asked.publishable()).quorum_met
    else:
        with pytest.raises(Unavailable, match="both"):
            asked.publishable()


def test_without_its_quorum_it_is_published_only_if_configured_and_that_is_logged(caplog):
    log = Tree.of(5)
    asked = client(policy((W1, NOWHERE))).ask(log.checkpoint(), log)
    with pytest.raises(Unavailable) as caught:
        asked.publishable()
    assert "W1: unavailable" in caught.value.what
    assert caplog.records == []
    assert asked.publishable(fail_open=True) == log.checkpoint()
    assert "fail open" in caplog.text


@pytest.mark.parametrize(("grace", "detail"), [(0.05, "cut off"), (20, "")])
def test_a_slow_witness_gets_a_grace_once_the_quorum_is_met(tmp_path, grace, detail):
    def slow(_path, body, _send):
        time.sleep(0.5)
        text = notes.parse(parse_add_checkpoint(body).checkpoint).text
        (line,) = notes.parse(notes.sign(text, [W2.at(NOW)])).signatures
        return http(200, line.encode())

    log = Tree.of(5)
    with running(tmp_path, W1) as ((_, url),), lying(slow) as late:
        trusted = policy((W1, url), (W2, late.url), groups="group any-one any W1 W2\n", quorum="any-one")
        asked = client(trusted, patience=Patience(timeout=30, grace=grace)).ask(log.checkpoint(), log)
    assert asked.quorum_met
    assert outcomes(asked) == [Outcome.COSIGNED, Outcome.UNAVAILABLE if detail else Outcome.COSIGNED]
    assert asked.answers[1].detail.startswith(detail)


def test_many_witnesses_are_asked_a_few_at_a_time(tmp_path):
    log, keys = Tree.of(5), [cosigner(f"many{i}") for i in range(12)]
    with lying(lambda *_: size_answer(0)) as liar:
        # One socket, many prefixes.
        asked = client(
            policy(*((k, f"{liar.url}/{i}") for i, k in enumerate(keys))), patience=Patience(parallel=3)
        ).ask(log.checkpoint(), log)
    assert len(asked.answers) == 12
    assert len(liar.requests) == 24  # each was asked, and its monitor too


# --- rollback and fork of our own log, as its witnesses see it ---


def test_a_ledger_that_was_rolled_back_is_told_so(tmp_path):
    log = Tree.of(9)
    with running(tmp_path, W1) as ((_, url),):
        client(policy((W1, url))).ask(log.checkpoint(), log)
        old = log.fork(6, 1)
        asked = client(policy((W1, url))).ask(old.checkpoint(), old)
    assert outcomes(asked) == [Outcome.AHEAD]
    assert asked.answers[0].size == 9
    with pytest.raises(Rollback, match="size 9") as caught:
        asked.demand_no_rollback(old, old.size)
    assert log.signer.name in caught.value.detail


def test_a_writer_that_was_merely_faster_is_no_rollback(tmp_path):
    log = Tree.of(9)
    with running(tmp_path, W1) as ((_, url),):
        client(policy((W1, url))).ask(log.checkpoint(), log)
        asked = client(policy((W1, url))).ask(log.checkpoint(7), log)
    assert outcomes(asked) == [Outcome.AHEAD]
    asked.demand_no_rollback(log, log.size)


@pytest.mark.parametrize("grow", [0, 4])
def test_a_fork_is_proven_by_what_the_witness_shows(tmp_path, grow):
    log = Tree.of(6)
    with running(tmp_path, W1) as ((_, url),):
        client(policy((W1, url))).ask(log.checkpoint(), log)
        other = log.fork(5, 1 + grow)
        asked = client(policy((W1, url))).ask(other.checkpoint(), other)
    assert outcomes(asked) == [Outcome.FORKED]
    with pytest.raises(Rollback):
        asked.publishable(fail_open=True)
    with pytest.raises(Rollback):
        asked.demand_no_rollback(other, other.size)
