"""What our witness answers: every status of tlog-witness, hostile logs, time, evidence."""

from __future__ import annotations

import pytest

from dataseal.ledger.errors import UsageError
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import Checkpoint, open_checkpoint
from dataseal.ledger.tlog.cosignature import verify_cosignatures
from dataseal.ledger.tlog.limits import MAX_TREE_SIZE
from dataseal.ledger.witness.limits import MAX_EVIDENCE, MAX_FORKS, MAX_REQUEST_BYTES
from dataseal.ledger.witness.wire import AddCheckpoint, origin_hash
from dataseal.ledger.witness.witness import Witness
from support.witnessing import NOW, ORIGIN, Tree, cosigner, ed25519, make_state, opened, pq_cosigner

W1 = cosigner("w1")


class Clock:
    now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def witness(tmp_path, clock):
    with opened(tmp_path / "w.sqlite", W1, clock=clock) as witness:
        yield witness


@pytest.fixture
def log():
    return Tree.of(5)


def accept(witness, tree, old):
    reply = witness.add_checkpoint(tree.request(old))
    assert reply.status == 200, reply.body
    return reply


def request(old, proof, checkpoint):
    return AddCheckpoint(old, tuple(proof), checkpoint).encode()


# --- 200 ---


def test_the_answer_is_a_dated_cosignature(witness, log):
    reply = accept(witness, log, 0)
    (seen,) = verify_cosignatures(notes.parse(log.checkpoint()).text, notes.parse_signatures(reply.body), [W1.verifier])
    assert (seen.name, seen.timestamp) == (W1.name, NOW)


def test_the_log_grows(witness, log):
    for size in (5, 6, 64, 65, 200):
        accept(witness, log.grow(size - log.size), witness.state.latest(ORIGIN).size if size > 5 else 0)
    latest = witness.state.latest(ORIGIN)
    assert (latest.size, latest.root) == (200, log.root())


def test_the_same_checkpoint_is_cosigned_again_at_the_new_time(witness, log, clock):
    first = accept(witness, log, 0)
    clock.now += 60
    second = accept(witness, log, 5)
    assert first.body != second.body
    assert witness.state.latest(ORIGIN).timestamp == NOW + 60


def test_both_keys_cosign(tmp_path, log):
    pq = pq_cosigner("w1")
    with opened(tmp_path / "w.sqlite", W1, pq) as witness:
        reply = accept(witness, log, 0)
        text = notes.parse(log.checkpoint()).text
        assert len(verify_cosignatures(text, notes.parse_signatures(reply.body), [W1.verifier, pq.verifier])) == 2


def test_extension_lines_of_foreign_logs_are_cosigned(witness, log):
    text = Checkpoint(ORIGIN, 5, log.root(), ("extension",)).encode()
    assert witness.add_checkpoint(request(0, (), notes.sign(text, [log.signer]))).status == 200


def test_an_empty_tree(witness):
    empty = Tree()
    accept(witness, empty, 0)
    assert witness.state.latest(ORIGIN).size == 0
    accept(witness, empty, 0)
    accept(witness, empty.grow(3), 0)


def test_signatures_by_strangers_are_ignored(witness, log):
    stranger = notes.Ed25519Signer("stranger.example", ed25519("stranger"))
    checkpoint = notes.sign(notes.parse(log.checkpoint()).text, [stranger, log.signer])
    assert witness.add_checkpoint(request(0, (), checkpoint)).status == 200
    assert b"stranger" not in witness.state.latest(ORIGIN).note


@pytest.mark.parametrize("pq", [False, True])
def test_any_of_the_logs_keys_suffices(tmp_path, log, pq):
    other = pq_cosigner("x") if pq else None
    second = notes.Ed25519Signer(ORIGIN, ed25519("second")) if other is None else type(other)(ORIGIN, other.private_key)
    with opened(tmp_path / "w.sqlite", W1, logs=[log.signer.vkey, second.vkey]) as witness:
        signer = second.at(0) if pq else second
        assert witness.add_checkpoint(request(0, (), log.checkpoint(5, signer))).status == 200
        assert witness.add_checkpoint(log.grow(1).request(5)).status == 200


# --- 400, 403, 404 ---


@pytest.mark.parametrize(
    "body",
    [b"", b"old 0\n\nno note", b"old 0\n\na\n1\n\n\xe2\x80\x94 a AAAAAAA=\n", b"old x\n\n" + Tree.of(1).checkpoint()],
)
def test_malformed_is_400(witness, body):
    assert witness.add_checkpoint(body).status == 400


def test_old_above_the_checkpoints_size_is_400(witness, log):
    accept(witness, log, 0)
    assert witness.add_checkpoint(log.request(6)).status == 400
    assert witness.add_checkpoint(log.request(5, 4)).status == 400


def test_an_unknown_origin_is_404(witness):
    foreign = Tree.of(3)
    foreign.signer = notes.Ed25519Signer("foreign.example/log", ed25519("the log"))
    assert witness.add_checkpoint(foreign.request(0)).status == 404


def test_an_unknown_key_is_403(witness, log):
    log.signer = notes.Ed25519Signer(ORIGIN, ed25519("another"))
    assert witness.add_checkpoint(log.request(0)).status == 403


def test_a_bad_signature_by_a_known_key_is_403_even_beside_a_good_one(tmp_path, log):
    second = notes.Ed25519Signer(ORIGIN, ed25519("second"))
    with opened(tmp_path / "w.sqlite", W1, logs=[log.signer.vkey, second.vkey]) as witness:
        good = notes.parse(log.checkpoint())
        bad = notes.Signature(ORIGIN, second.key_id, bytes(64))
        assert witness.add_checkpoint(request(0, (), notes.encode(good.text, [*good.signatures, bad]))).status == 403


def test_a_removed_log_is_404_and_not_forgotten(witness, log):
    accept(witness, log, 0)
    assert witness.state.remove_key(ORIGIN, log.signer.vkey)
    assert witness.add_checkpoint(log.request(5)).status == 404
    assert not witness.state.remove_key(ORIGIN, log.signer.vkey)
    witness.state.add_key(ORIGIN, log.signer.vkey)
    assert witness.add_checkpoint(log.fork(3, 9).request(0)).body == b"5\n"


def test_ml_dsa_lines_beyond_the_limit_are_400(witness, log):
    lines = [pq_cosigner(f"pq{i}").at(1) for i in range(5)]
    body = request(0, (), log.checkpoint(5, log.signer)[:-1] + b"\n")
    text = notes.parse(log.checkpoint()).text
    body = request(0, (), notes.sign(text, [log.signer, *lines]))
    assert len(body) > MAX_REQUEST_BYTES
    assert witness.add_checkpoint(body).status == 400


# --- 409, 422 ---


def test_another_old_size_is_409_with_the_size(witness, log):
    assert witness.add_checkpoint(log.request(3)).body == b"0\n"
    accept(witness, log, 0)
    for old in (0, 1, 4):
        reply = witness.add_checkpoint(log.request(old))
        assert (reply.status, reply.body, reply.content_type) == (409, b"5\n", "text/x.tlog.size")


def test_size_zero_with_another_root_is_422(witness):
    text = Checkpoint(ORIGIN, 0, merkle.leaf_hash(b"x")).encode()
    assert witness.add_checkpoint(request(0, (), notes.sign(text, [Tree().signer]))).status == 422


def test_a_proof_from_size_zero_is_422(witness, log):
    assert witness.add_checkpoint(request(0, [bytes(32)], log.checkpoint())).status == 422


def test_a_proof_that_does_not_hold_is_422_and_leaves_the_record(witness, log):
    accept(witness, log, 0)
    good = log.grow(4).proof(5)
    for proof in ([], good[:-1], [*good, bytes(32)], [bytes(32), *good[1:]], good[::-1]):
        assert witness.add_checkpoint(request(5, proof, log.checkpoint())).status == 422
    assert witness.state.latest(ORIGIN).size == 5


def test_equal_sizes_with_a_proof_are_422(witness, log):
    accept(witness, log, 0)
    assert witness.add_checkpoint(request(5, [bytes(32)], log.checkpoint())).status == 422


def test_another_root_for_the_same_size_is_422_and_kept_as_a_fork(witness, log):
    accept(witness, log, 0)
    assert witness.add_checkpoint(log.fork(4, 1).request(5)).status == 422
    (kept,) = witness.state.evidence(ORIGIN)
    assert (kept.kind, kept.size, kept.at) == ("fork", 5, NOW)
    roots = set()
    for note in (kept.note, kept.latest):  # both stand alone, signed by the log
        roots.add(open_checkpoint(note, [log.signer.verifier], origin=ORIGIN).checkpoint.root)
    assert roots == {log.root(), log.fork(4, 1).root()}


def test_a_fork_is_kept_from_whatever_old_size_it_is_asked(witness, log):
    accept(witness, log, 0)
    for _ in range(3):
        assert witness.add_checkpoint(log.fork(4, 1).request(0)).status == 409
    assert [e.kind for e in witness.state.evidence(ORIGIN)] == ["fork"]


def test_a_rolled_back_log_is_refused_and_both_checkpoints_are_kept(witness, log):
    accept(witness, log, 0)
    back = log.fork(2, 1)
    assert witness.add_checkpoint(back.request(2)).status == 409
    assert witness.add_checkpoint(back.request(0)).status == 409
    (kept,) = witness.state.evidence(ORIGIN)
    assert (kept.kind, kept.size, kept.root) == ("older", 3, back.root())
    assert kept.latest == witness.state.latest(ORIGIN).note


def test_a_rewritten_log_is_refused_and_kept(witness, log):
    accept(witness, log, 0)
    rewritten = log.fork(2, 8)
    assert witness.add_checkpoint(rewritten.request(5)).status == 422
    assert [e.kind for e in witness.state.evidence(ORIGIN)] == ["unproven"]


def test_honest_retries_leave_no_evidence(witness, log):
    accept(witness, log, 0)
    witness.add_checkpoint(log.request(0))  # it forgot where we stand
    witness.add_checkpoint(log.grow(3).request(0))
    witness.add_checkpoint(log.fork(3, 1).request(9))
    assert witness.state.evidence(ORIGIN) == []


def test_suspicions_are_bounded_and_forks_outlive_them(witness, log):
    accept(witness, log.grow(600), 0)
    fork = log.fork(604, 1)
    witness.add_checkpoint(fork.request(605))
    with witness.state.deciding(ORIGIN) as decision:
        for size in range(MAX_EVIDENCE + 20):
            decision.keep("older", at=NOW, size=size, root=bytes(32), note=b"")
    kept = witness.state.evidence(ORIGIN)
    assert len(kept) == MAX_EVIDENCE + 1
    assert kept[0].kind == "fork"
    assert (kept[1].size, kept[-1].size) == (20, MAX_EVIDENCE + 19)


def test_forks_are_bounded_and_the_first_ones_stay(witness, log):
    accept(witness, log, 0)
    with witness.state.deciding(ORIGIN) as decision:
        for number in range(MAX_FORKS + 5):
            decision.keep("fork", at=NOW, size=5, root=number.to_bytes(32, "big"), note=b"")
    kept = witness.state.evidence(ORIGIN)
    assert (len(kept), kept[0].root) == (MAX_FORKS, bytes(32))


# --- time ---


def test_times_never_go_back(witness, log, clock):
    accept(witness, log, 0)
    clock.now = NOW - 86400
    accept(witness, log.grow(1), 5)
    accept(witness, log, 6)
    assert witness.state.latest(ORIGIN).timestamp == NOW
    clock.now = NOW + 1
    accept(witness, log, 6)
    assert witness.state.latest(ORIGIN).timestamp == NOW + 1


@pytest.mark.parametrize("now", [0, -5, 0.9])
def test_a_time_is_above_zero(witness, log, clock, now):
    clock.now = now
    accept(witness, log, 0)
    assert witness.state.latest(ORIGIN).timestamp == 1


# --- the rest ---


def test_the_monitor_gets_the_log_signature_and_the_cosignatures(witness, log):
    assert witness.checkpoint(origin_hash(ORIGIN)).status == 404
    answer = accept(witness, log, 0).body
    reply = witness.checkpoint(origin_hash(ORIGIN))
    signed = open_checkpoint(reply.body, [log.signer.verifier], origin=ORIGIN, cosigners=[W1.verifier])
    assert (len(signed.log_signatures), len(signed.cosignatures)) == (1, 1)
    assert reply.body.endswith(answer)


def test_logs_do_not_mix(tmp_path):
    other = Tree.of(9, "other")
    other.signer = notes.Ed25519Signer("other.example/log", ed25519("other"))
    with opened(tmp_path / "w.sqlite", W1, logs=[Tree().signer.vkey, other.signer.vkey]) as witness:
        accept(witness, Tree.of(5), 0)
        accept(witness, other, 0)
        assert [witness.state.latest(o).size for o in (ORIGIN, "other.example/log")] == [5, 9]


def test_the_largest_size(tmp_path, witness):
    huge = Checkpoint(ORIGIN, MAX_TREE_SIZE, bytes(32)).encode()
    assert witness.add_checkpoint(request(0, (), notes.sign(huge, [Tree().signer]))).status == 200
    assert witness.state.latest(ORIGIN).size == MAX_TREE_SIZE
    assert witness.add_checkpoint(Tree.of(3).request(0)).body == b"%d\n" % MAX_TREE_SIZE


def test_other_keys_than_the_states_are_refused(tmp_path):
    state = make_state(tmp_path / "w.sqlite", W1)
    for keys in ([cosigner("w2")], [W1, pq_cosigner("w1")], []):
        with pytest.raises(UsageError):
            Witness(state, keys)
    state.close()
