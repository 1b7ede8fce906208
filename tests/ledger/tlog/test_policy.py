"""tlog-policy: who is trusted and how many witnesses are enough, and that nothing passes by accident."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.errors import FormatError, ProofInvalid, SignatureInvalid, UsageError
from dataseal.ledger.tlog import merkle, note, policy
from dataseal.ledger.tlog.checkpoint import Checkpoint
from dataseal.ledger.tlog.cosignature import Ed25519Cosigner, MLDSA44Cosigner
from dataseal.ledger.tlog.limits import MAX_POLICY_BYTES, MAX_POLICY_ITEMS
from dataseal.ledger.tlog.policy import LogPolicy, parse_policy, policy_for_log

ORIGIN = "dataseal.invalid/0123456789abcdef"
NOW = 1767225600
LEAVES = [merkle.leaf_hash(entry) for entry in (b"one", b"two", b"three")]
TREE = Checkpoint(ORIGIN, 3, merkle.root_from_leaves(LEAVES))


@pytest.fixture
def w(new_witness):
    return {name: new_witness(name) for name in ("X1", "X2", "X3", "Y1", "Y2", "Y3")}


@pytest.fixture
def two_groups(log_signer, w):
    """The specification's example: two of the X, and one of the Y."""
    lines = [f"log {log_signer.vkey}", ""]
    lines += [f"witness {name} {key.vkey}" for name, key in w.items() if name[0] == "X"]
    lines += ["group X-witnesses 2 X1 X2 X3"]
    lines += [f"witness {name} {key.vkey}" for name, key in w.items() if name[0] == "Y"]
    lines += ["group Y-witnesses any Y1 Y2 Y3", "group X-and-Y all X-witnesses Y-witnesses", "quorum X-and-Y"]
    return parse_policy("".join(f"{line}\n" for line in lines))


def signed(*signers):
    return note.sign(TREE.encode(), signers)


def test_docstring_example(example, log_signer, witness):
    parsed = parse_policy(example(policy))
    checked = parsed.check(signed(log_signer, witness.at(NOW)))
    assert checked.checkpoint == TREE
    assert checked.log == ORIGIN
    assert checked.log_vkeys == (log_signer.vkey,)
    assert checked.cosignatures == (("W1", NOW),)
    assert (checked.witnesses_seen, checked.witnesses_known, checked.quorum_met) == (1, 1, True)


@pytest.mark.parametrize(
    ("names", "met"),
    [
        ("X1 X2 Y1", True),
        ("X1 X3 Y2 Y3", True),
        ("X1 X2 X3 Y1 Y2 Y3", True),
        ("X1 X2 X3", False),
        ("X1 Y1 Y2 Y3", False),
        ("", False),
    ],
)
def test_groups(two_groups, log_signer, w, names, met):
    data = signed(log_signer, *(w[name].at(NOW) for name in names.split()))
    checked = two_groups.check(data, require_quorum=False)
    assert checked.quorum_met == met
    assert [seen.name for seen in checked.cosignatures] == names.split()
    assert checked.witnesses_known == 6
    if not met:
        with pytest.raises(ProofInvalid, match="does not meet quorum 'X-and-Y'"):
            two_groups.check(data)


@given(st.sets(st.sampled_from(["X1", "X2", "X3", "Y1", "Y2", "Y3"])))
def test_quorum_against_a_plain_reading(names):
    parsed = LogPolicy(
        logs=(),
        witnesses=tuple(
            policy.PolicyWitness(name, note.Ed25519Verifier("w.example", bytes(32)))
            for name in ("X1", "X2", "X3", "Y1", "Y2", "Y3")
        ),
        groups=(
            policy.PolicyGroup("X", 2, ("X1", "X2", "X3")),
            policy.PolicyGroup("Y", 1, ("Y1", "Y2", "Y3")),
            policy.PolicyGroup("both", 2, ("X", "Y")),
        ),
        quorum="both",
    )
    assert parsed.is_quorum(names) == (len(names & {"X1", "X2", "X3"}) >= 2 and bool(names & {"Y1", "Y2", "Y3"}))
    assert not parsed.is_quorum({"both", "X", "Y", "mallory"}), "a group's name is no witness"


def test_a_log_by_its_keys_alone(log_signer, pq_log, witness):
    alone = policy_for_log(log_signer.vkey)
    checked = alone.check(signed(log_signer, witness.at(NOW)))
    assert (checked.witnesses_seen, checked.witnesses_known, checked.quorum_met) == (0, 0, True)
    both = policy_for_log(log_signer.vkey, pq_log.vkey)
    assert both.check(signed(pq_log.at(0))).log_vkeys == (pq_log.vkey,)
    assert len(both.check(signed(log_signer, pq_log.at(0))).log_vkeys) == 2


def test_a_witness_may_have_an_ml_dsa_key(log_signer, pq_witness):
    parsed = parse_policy(f"log {log_signer.vkey}\nwitness W {pq_witness.vkey}\nquorum W\n")
    assert parsed.check(signed(log_signer, pq_witness.at(NOW))).cosignatures == (("W", NOW),)


# --- attacks, one a test ---


def test_without_the_logs_signature_a_full_quorum_is_worth_nothing(two_groups, w):
    with pytest.raises(SignatureInvalid, match="log's own key"):
        two_groups.check(signed(*(key.at(NOW) for key in w.values())))


def test_one_witness_with_several_dates_counts_once(two_groups, log_signer, w):
    lines = [note.parse(signed(w["X1"].at(NOW + i))).signatures[0] for i in range(3)]
    lines += [note.parse(signed(w["Y1"].at(NOW))).signatures[0]]
    data = note.sign(TREE.encode(), [log_signer], existing=lines)
    assert two_groups.check(data, require_quorum=False).witnesses_seen == 2
    with pytest.raises(ProofInvalid):
        two_groups.check(data)


def test_one_witness_key_under_two_names_is_refused(log_signer, w):
    """Otherwise one operator would count twice: by another witness name, key name or signature type."""
    twin = Ed25519Cosigner("other.example/name", w["X1"].private_key)
    head = f"log {log_signer.vkey}\nwitness A {w['X1'].vkey}\n"
    for vkey in (w["X1"].vkey, twin.vkey):
        with pytest.raises(UsageError, match="same public key"):
            parse_policy(f"{head}witness B {vkey}\nquorum none\n")


def test_one_log_key_twice_is_refused(log_signer):
    twin = dataclasses.replace(log_signer, name="other.example/log")
    for vkey in (log_signer.vkey, twin.vkey):
        with pytest.raises(UsageError, match="same public key"):
            parse_policy(f"log {log_signer.vkey}\nlog {vkey}\nquorum none\n")


def test_a_log_does_not_witness_itself(log_signer, pq_log):
    own = Ed25519Cosigner("witness.example/own", log_signer.private_key)
    for log_key, witness_key in ((log_signer, own), (pq_log, pq_log)):
        with pytest.raises(UsageError, match="witness itself"):
            parse_policy(f"log {log_key.vkey}\nwitness W {witness_key.vkey}\nquorum W\n")


def test_an_undated_cosignature_is_no_witness(log_signer, pq_witness):
    """tlog-witness: the timestamp MUST NOT be zero; zero says nothing about the newest tree."""
    parsed = parse_policy(f"log {log_signer.vkey}\nwitness W {pq_witness.vkey}\nquorum W\n")
    with pytest.raises(ProofInvalid, match="no known witness"):
        parsed.check(signed(log_signer, pq_witness.at(0)))


@pytest.mark.parametrize("at", [253_402_300_800, 2**63 - 1])
def test_a_cosignature_after_the_last_date_is_no_witness(log_signer, pq_witness, at):
    parsed = parse_policy(f"log {log_signer.vkey}\nwitness W {pq_witness.vkey}\nquorum W\n")
    with pytest.raises(ProofInvalid, match="no known witness"):
        parsed.check(signed(log_signer, pq_witness.at(at)))
    assert parsed.check(signed(log_signer, pq_witness.at(253_402_300_799))).quorum_met


def test_a_trusted_log_can_not_sign_for_another_origin(log_signer, new_witness):
    other = note.Ed25519Signer("other.example/log", new_witness("other").private_key)
    both = policy_for_log(log_signer.vkey, other.vkey)
    with pytest.raises(SignatureInvalid, match="log's own key"):
        both.check(signed(other))
    assert both.check(signed(other, log_signer)).log_vkeys == (log_signer.vkey,)


def test_an_unknown_log_is_refused_by_name(two_groups, log_signer):
    other = dataclasses.replace(TREE, origin="other.example/log")
    with pytest.raises(SignatureInvalid, match="the policy trusts dataseal"):
        two_groups.check(note.sign(other.encode(), [log_signer]))


def test_a_known_witness_whose_signature_fails_rejects_the_checkpoint(two_groups, log_signer, w):
    other = note.parse(note.sign(dataclasses.replace(TREE, size=2).encode(), [w["X1"].at(NOW)])).signatures[0]
    data = note.sign(TREE.encode(), [log_signer], existing=[other])
    with pytest.raises(SignatureInvalid, match=r"witness\.example/X1"):
        two_groups.check(data, require_quorum=False)


def test_a_policy_without_logs_passes_nothing(log_signer):
    with pytest.raises(UsageError, match="lists no log"):
        parse_policy("quorum none\n").check(signed(log_signer))
    with pytest.raises(UsageError, match="no log key"):
        policy_for_log()


def test_a_proof_of_no_checkpoint(two_groups):
    with pytest.raises(FormatError):
        two_groups.check(b"not a note")


# --- the file ---


def test_white_space_comments_urls_and_order(log_signer, w):
    text = (
        "# head\n\n \t \n"
        f"\twitness  X1\t{w['X1'].vkey}  https://w.example/ \n"
        "  # indented comment: \u00e9\n"
        "quorum\tX1\t\n"
        f"log {log_signer.vkey} https://log.example/\n"
    )
    parsed = parse_policy(text)
    assert parsed == parse_policy(text.encode())
    assert parsed.logs[0].url == "https://log.example/"
    assert parsed.witnesses[0].url == "https://w.example/"
    assert parsed.quorum == "X1"


def test_names_are_opaque_octets(log_signer, w):
    kelvin = "\u212a"
    text = f"log {log_signer.vkey}\nwitness K {w['X1'].vkey}\nwitness {kelvin} {w['X2'].vkey}\nquorum K\n"
    assert [witness.name for witness in parse_policy(text).witnesses] == ["K", kelvin]
    raw = b"witness \xff " + w["X1"].vkey.encode() + b"\nwitness \xfe " + w["X2"].vkey.encode() + b"\nquorum \xff\n"
    parsed = parse_policy(raw)
    assert [witness.name.encode("utf-8", "surrogateescape") for witness in parsed.witnesses] == [b"\xff", b"\xfe"]


@pytest.fixture
def good(log_signer, w):
    return (
        f"log {log_signer.vkey}\nwitness X1 {w['X1'].vkey}\nwitness X2 {w['X2'].vkey}\n"
        "group G 1 X1 X2\ngroup H all G\nquorum H\n"
    )


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("quorum H\n", "", "no quorum line"),
        ("quorum H\n", "quorum H", "newline"),
        ("quorum H\n", "quorum H\nquorum H\n", "second quorum"),
        ("quorum H\n", "quorum none\nquorum none\n", "second quorum"),
        ("quorum H\n", "quorum I\n", "not defined"),
        ("quorum H\n", "quorum G H\n", "not a policy line"),
        ("quorum H\n", "quorum\n", "not a policy line"),
        ("quorum H\n", "Quorum H\n", "not a policy line"),
        ("quorum H\n", "quorum H # why\n", "not a policy line"),
        ("quorum H\n", "quorum H\r\n", "0x0d"),
        ("quorum H\n", "quorum H\x00\n", "0x00"),
        ("quorum H\n", "quorum H\x7f\n", "0x7f"),
        ("quorum H\n", "allow all\nquorum H\n", "not a policy line"),
        ("quorum H\n", "quorum\u00a0none\nquorum H\n", "not a policy line"),
        ("group G 1 X1 X2\n", "", "'G' is not defined"),
        ("group G 1 X1 X2", "group G 0 X1 X2", "from 1 to 2"),
        ("group G 1 X1 X2", "group G 3 X1 X2", "from 1 to 2"),
        ("group G 1 X1 X2", "group G 01 X1 X2", "from 1 to 2"),
        ("group G 1 X1 X2", "group G +1 X1 X2", "from 1 to 2"),
        ("group G 1 X1 X2", "group G １ X1 X2", "from 1 to 2"),
        ("group G 1 X1 X2", "group G most X1 X2", "from 1 to 2"),
        ("group G 1 X1 X2", "group G any", "at least one member"),
        ("group G 1 X1 X2", "group G 1 X1 X1", "only once"),
        ("group G 1 X1 X2", "group G 1 X1 none", "'none' is not defined"),
        ("group G 1 X1 X2", "group G 1 X1 G", "'G' is not defined"),
        ("group G 1 X1 X2", "group none 1 X1 X2", "reserved"),
        ("group G 1 X1 X2", "group X1 1 X2", "defined already"),
        ("group H all G", "group H all G X1", "only once"),
        ("group H all G", "group G all G", "defined already"),
        ("witness X2", "witness X1", "defined already"),
        ("witness X2", "witness none", "reserved"),
        ("witness X2 ", "witness ", "not a policy line"),
        ("witness X2 ", "witness X2 x", "name and key give"),
        ("witness X1 ", "witness X1 url ", "not of the form"),
    ],
)
def test_what_is_not_a_policy_is_refused(good, before, after, why):
    assert parse_policy(good).quorum == "H"
    assert before in good
    with pytest.raises(UsageError, match=why):
        parse_policy(good.replace(before, after))


def test_an_error_names_its_line(good):
    with pytest.raises(UsageError) as caught:
        parse_policy(good.replace("group G 1", "group G 9"))
    assert caught.value.where == "policy line 4"


def test_keys_have_the_type_of_their_role(log_signer, witness, pq_log):
    with pytest.raises(UsageError, match="a log needs type 1 or 6"):
        policy_for_log(witness.vkey)
    with pytest.raises(UsageError, match="a witness needs type 4 or 6"):
        parse_policy(f"witness W {log_signer.vkey}\nquorum W\n")
    assert policy_for_log(pq_log.vkey).logs[0].key == pq_log.verifier


def test_at_least_32_of_each_and_bounded(log_signer, new_witness):
    def text(count):
        keys = [new_witness(f"w{i}") for i in range(count)]
        logs = [note.Ed25519Signer(f"log{i}.example", new_witness(f"log{i}").private_key) for i in range(count)]
        lines = [f"log {key.vkey}" for key in logs]
        lines += [f"witness w{i} {key.vkey}" for i, key in enumerate(keys)]
        lines += ["group g0 any w0"] + [f"group g{i} all g{i - 1} w{i}" for i in range(1, count)]
        return "".join(f"{line}\n" for line in [*lines, f"quorum g{count - 1}"])

    parsed = parse_policy(text(32))
    assert len(parsed.logs) == len(parsed.witnesses) == len(parsed.groups) == 32
    assert parsed.is_quorum(f"w{i}" for i in range(32))
    assert not parsed.is_quorum(f"w{i}" for i in range(31))
    with pytest.raises(UsageError, match=f"more than {MAX_POLICY_ITEMS}"):
        parse_policy(text(MAX_POLICY_ITEMS + 1))
    with pytest.raises(UsageError, match="at most"):
        parse_policy(b"#" * MAX_POLICY_BYTES + b"\n")


def test_the_same_ml_dsa_key_can_not_be_two_witnesses(log_signer, pq_witness):
    twin = MLDSA44Cosigner("other.example", pq_witness.private_key)
    with pytest.raises(UsageError, match="same public key"):
        parse_policy(f"witness A {pq_witness.vkey}\nwitness B {twin.vkey}\nquorum none\n")
