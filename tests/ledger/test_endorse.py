"""What a signature counts for under a trust document: validity, compromise, trusted times, distinct persons."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger import bundle as bundles
from dataseal.ledger.endorse import Endorsement, NotCounted, endorse
from dataseal.ledger.errors import FormatError, SignatureInvalid, UsageError
from dataseal.ledger.signers.certificate import certified
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import Checkpoint
from dataseal.ledger.tlog.cosignature import Ed25519Cosigner
from dataseal.ledger.tlog.proof import LogProof, parse_proof
from dataseal.ledger.trust import Compromise, Listed, Signature, Signer, Trust, TrustedLog
from dataseal.ledger.verify import witnessed_time
from dataseal.ledger.x509 import CertifiedName
from support import statements as make
from support.certificates import Authority
from support.errors import refused
from support.hostile_log import HostileLog, log_key, seeded
from support.statements import sign_bundle, signer
from support.tsa import Tsa

PAYLOAD = make.release_payload()
AMY, BEN = signer("amy"), signer("ben")
RAW = sign_bundle(PAYLOAD, AMY)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
W1, W2 = (Ed25519Cosigner(f"witness.example/{name}", seeded(name)) for name in ("w1", "w2"))


def trust(*listed: Listed, **more: Any) -> Trust:
    """Amy, with these listings; a plain one of her key when there is none."""
    return Trust({"amy": Signer("amy", listed or (Listed(AMY.public),))}, **more)


def valid(**bounds: Any) -> Listed:
    return Listed(AMY.public, **bounds)


class InLog:
    """A bundle as entry ``index`` of a log, and its proof: cosigned by ``witnesses`` at one time or each at its own."""

    def __init__(
        self,
        raw: bytes = RAW,
        *,
        index: int = 1,
        witnesses: tuple[Ed25519Cosigner, ...] = (),
        at: datetime | tuple[datetime, ...] = NOW,
    ) -> None:
        log = HostileLog(witnesses=witnesses)
        for number in range(index):
            log.put(b"entry %d" % number)
        header = log.header(make.DATASET).encode()
        log.put(header + b"\n" + raw)
        log.put(b"after")
        leaves = [merkle.leaf_hash(body) for body in log.bodies]
        hashes = tuple(merkle.inclusion_proof(leaves, index))
        times = at if isinstance(at, tuple) else (at,) * len(witnesses)
        cosigners = [w.at(int(t.timestamp())) for w, t in zip(witnesses, times, strict=True)]
        head = Checkpoint(log.key.name, len(leaves), merkle.root_from_leaves(leaves))
        checkpoint = notes.sign(head.encode(), [log.key, *cosigners])
        self.raw = raw
        self.proof = LogProof(index, hashes, checkpoint, header).encode()
        self.log = TrustedLog("main", log.policy)

    def stripped(self) -> InLog:
        """As whoever has the log's key alone can show it: without the cosignatures."""
        proof = parse_proof(self.proof)
        note = notes.parse(proof.checkpoint)
        own = [line for line in note.signatures if line.name == self.log.policy.logs[0].key.name]
        self.proof = LogProof(proof.index, proof.hashes, notes.encode(note.text, own), proof.extra).encode()
        return self

    def endorse(self, *listed: Listed, now: datetime = NOW, **more: Any) -> Endorsement:
        document = trust(*listed, **{"logs": {"main": self.log}, **more})
        return endorse(self.raw, document, proof=self.proof, now=now)


@cache
def tsa() -> Tsa:
    return Tsa.new()


@cache
def stamped() -> bytes:
    """Amy's bundle with a timestamp of a real authority, which stamps with the real time."""
    made = AMY.sign_payload(PAYLOAD)
    return bundles.encode(PAYLOAD, made.signature, made.material, [tsa().stamp(made.signature)])


# --- who ---


def test_a_signature_counts_for_every_name_that_lists_its_key() -> None:
    both = Trust(
        {name: Signer.of(name, AMY.public) for name in ("amy", "amelia")} | {"ben": Signer.of("ben", BEN.public)}
    )
    found = endorse(RAW, both, now=NOW)
    assert found.names == ("amy", "amelia")
    assert found.verified.signer.fingerprint == AMY.public.fingerprint
    assert found.place is None


def test_an_unlisted_signer_counts_for_nobody() -> None:
    with refused(SignatureInvalid, "no trusted key"):
        endorse(sign_bundle(PAYLOAD, BEN), trust(), now=NOW)


def test_a_document_without_signers_recognises_nobody() -> None:
    with refused(UsageError, "no trusted key"):
        endorse(RAW, Trust(), now=NOW)


def test_a_signature_over_another_statement_is_no_endorsement_of_this_one() -> None:
    mixed = bundles.encode(make.release_payload("2.0.0"), bundles.parse(RAW).signature, AMY.public)
    with refused(SignatureInvalid, "no trusted key"):
        endorse(mixed, trust(), now=NOW)


def test_100_megabytes_are_refused_unread() -> None:
    with refused(FormatError, "at most 61,440"):
        endorse(b"{" * 100_000_000, trust(), now=NOW)


@pytest.mark.parametrize("kind", ["junk", "rsa"])
@pytest.mark.parametrize("first", ["amy", "corp"])
def test_a_certificate_that_can_not_be_read_is_nothing_to_a_key_beside_it(kind: str, first: str) -> None:
    """Somebody put it into the bundle; the document's certified name has nothing to do with this signature."""
    root = Authority.root()
    der = root.leaf(kind="rsa").der if kind == "rsa" else b"junk"
    raw = bundles.encode(PAYLOAD, AMY.sign_payload(PAYLOAD).signature, bundles.Certificate(der))
    corp = Signer.of("corp", CertifiedName.of(root.pem, "email:alice@example.org"))
    both = {"amy": Signer.of("amy", AMY.public), "corp": corp}
    document = Trust(both if first == "amy" else dict(reversed(both.items())))
    assert endorse(raw, document, now=NOW).names == ("amy",)
    with refused(FormatError):  # nobody else knows it either
        endorse(raw, Trust({"corp": corp, "ben": Signer.of("ben", BEN.public)}), now=NOW)


# --- validity windows ---


def test_inside_its_window_a_key_counts() -> None:
    assert endorse(RAW, trust(valid(valid_from=NOW - DAY, valid_until=NOW + DAY)), now=NOW).names == ("amy",)


@pytest.mark.parametrize(
    ("bounds", "word"),
    [
        ({"valid_from": NOW + DAY}, "is valid from 2026-06-02T00:00:00Z"),
        ({"valid_until": NOW}, "was valid until 2026-06-01T00:00:00Z"),
        ({"valid_until": NOW - DAY}, "no trusted time, now 2026-06-01T00:00:00Z"),
    ],
)
def test_outside_its_window_it_does_not_without_a_trusted_time(bounds: dict[str, Any], word: str) -> None:
    with refused(NotCounted, "does not count", "signer 'amy'", word, "cosign"):
        endorse(RAW, trust(valid(**bounds)), now=NOW)


def test_a_witnesses_cosignature_says_that_it_was_signed_in_time() -> None:
    old = InLog(witnesses=(W1, W2), at=NOW - 10 * DAY)
    found = old.endorse(valid(valid_until=NOW - DAY))
    assert [(t.at, t.source) for t in found.times] == [(NOW - 10 * DAY, "witness")]
    assert found.place
    assert found.place.index == 1


def test_witnesses_keep_what_an_expired_certificate_signed() -> None:
    root = Authority.root()
    leaf = root.leaf(end=NOW - 5 * DAY)
    made = certified(KeyFileSigner(leaf.key), leaf.pem + root.pem, now=NOW - 10 * DAY).sign_payload(PAYLOAD)
    raw = bundles.encode(PAYLOAD, made.signature, made.material)
    alice = Listed(CertifiedName.of(root.pem, "email:alice@example.org"))
    assert InLog(raw, witnesses=(W1, W2), at=NOW - 10 * DAY).endorse(alice).names == ("amy",)
    for late in (InLog(raw), InLog(raw, witnesses=(W1, W2), at=NOW)):  # nobody saw it while the certificate was valid
        with refused(SignatureInvalid, "no valid path"):
            late.endorse(alice)


def test_a_cosignature_after_the_window_does_not() -> None:
    with refused(NotCounted, "was valid until", "signed by 2026-06-01T00:00:00Z"):
        InLog(witnesses=(W1,), at=NOW).endorse(valid(valid_until=NOW - DAY), now=NOW - 2 * DAY)


def test_the_logs_own_clock_is_no_trusted_time() -> None:
    """The entry says 2026-01-02, and nobody else does."""
    with refused(NotCounted, "no trusted time"):
        InLog().endorse(valid(valid_until=NOW - DAY))


def test_witnesses_below_the_quorum_say_nothing() -> None:
    logged = InLog(witnesses=(W1,), at=NOW - 10 * DAY)
    both = HostileLog(witnesses=(W1, W2)).policy
    assert witnessed_time(RAW, logged.proof, [TrustedLog("main", both)]) is None
    with refused(NotCounted, "no trusted time"):
        logged.endorse(valid(valid_until=NOW - DAY), logs={"main": TrustedLog("main", both)})


@pytest.mark.parametrize("order", [(10, 3), (3, 10)])
def test_the_quorums_last_witness_dates_it(order: tuple[int, int]) -> None:
    """One early witness of two is nobody's quorum yet."""
    logged = InLog(witnesses=(W1, W2), at=(NOW - order[0] * DAY, NOW - order[1] * DAY))
    found = witnessed_time(RAW, logged.proof, [logged.log])
    assert found
    assert found.at == NOW - 3 * DAY


def test_a_proof_of_another_entry_gives_no_time() -> None:
    logged = InLog(sign_bundle(PAYLOAD, BEN), witnesses=(W1,), at=NOW - 10 * DAY)
    assert witnessed_time(RAW, logged.proof, [logged.log]) is None


def test_a_pinned_authoritys_timestamp_says_that_it_was_signed_in_time() -> None:
    later = datetime.now(UTC) + 100 * DAY
    document = trust(valid(valid_until=later - 50 * DAY), authorities={"tsa": tsa().authority})
    assert endorse(stamped(), document, now=later).times[0].source == "rfc3161"


def test_a_timestamp_of_an_authority_that_is_not_pinned_says_nothing() -> None:
    later = datetime.now(UTC) + 100 * DAY
    with refused(NotCounted, "no trusted time"):
        endorse(stamped(), trust(valid(valid_until=later - 50 * DAY)), now=later)


def test_the_new_key_of_a_signer_counts_where_the_old_one_does_not_any_more() -> None:
    rotated = trust(valid(valid_until=NOW - DAY), Listed(BEN.public, valid_from=NOW - 2 * DAY))
    assert endorse(sign_bundle(PAYLOAD, BEN), rotated, now=NOW).names == ("amy",)
    with refused(NotCounted, "was valid until"):
        endorse(RAW, rotated, now=NOW)


def test_a_name_that_a_signature_does_not_count_for_is_passed_over_and_told() -> None:
    document = Trust({"old": Signer("old", (valid(valid_until=NOW - DAY),)), "new": Signer.of("new", AMY.public)})
    found = endorse(RAW, document, now=NOW)
    assert found.names == ("new",)
    assert "signer 'old' was valid until" in found.passed_over[0]


# --- compromise ---


def stolen(since: datetime | None = None, **logs: int) -> Listed:
    return valid(compromised=Compromise(logs, since))


def test_an_entry_before_the_compromise_counts() -> None:
    assert InLog(index=4).endorse(stolen(main=5)).names == ("amy",)


def test_the_logs_key_alone_places_no_entry_before_it() -> None:
    """The log's witnesses are the trust document's word against a thief of both keys."""
    forged = InLog(index=4, witnesses=(W1, W2)).stripped()
    with refused(NotCounted, "log 'main' by a checkpoint below its quorum", "gives no time"):
        forged.endorse(stolen(main=5))
    with refused(NotCounted, "below its quorum", "no trusted time"):
        forged.endorse(stolen(NOW, main=5))


def test_an_entry_below_the_quorum_is_judged_by_its_time() -> None:
    made = datetime.now(UTC)
    logged = InLog(stamped(), index=4, witnesses=(W1, W2)).stripped()
    later = {"now": made + 2 * DAY, "authorities": {"tsa": tsa().authority}}
    assert logged.endorse(stolen(made + DAY, main=5), **later).names == ("amy",)
    with refused(NotCounted, "compromised since"):
        logged.endorse(stolen(made - DAY, main=5), **later)


def test_a_second_name_with_a_weaker_quorum_does_not_place_it() -> None:
    forged = InLog(index=4, witnesses=(W1, W2)).stripped()
    weak = TrustedLog("alias", HostileLog().policy)
    with refused(NotCounted, "below its quorum"):
        forged.endorse(stolen(main=5), logs={"alias": weak, "main": forged.log})


def test_a_witnessed_entry_before_it_counts() -> None:
    assert InLog(index=4, witnesses=(W1, W2)).endorse(stolen(main=5)).names == ("amy",)


@pytest.mark.parametrize("index", [5, 6])
def test_an_entry_at_or_after_it_does_not(index: int) -> None:
    with refused(NotCounted, "compromised from entry 5 of log 'main'", f"this is entry {index}"):
        InLog(index=index).endorse(stolen(main=5))


def test_an_early_time_does_not_save_an_entry_after_it() -> None:
    with refused(NotCounted, "compromised from entry 1"):
        InLog(index=1, witnesses=(W1,), at=NOW - 10 * DAY).endorse(stolen(NOW, main=1))


def test_what_stands_in_another_log_needs_a_time() -> None:
    with refused(NotCounted, "gives no index"):
        InLog(index=1).endorse(stolen(other=5))


def test_one_log_under_two_names_is_one_log() -> None:
    """Else its second name would hide the index, and an early time would save the entry."""
    logged = InLog(index=6, witnesses=(W1,), at=NOW - 10 * DAY)
    logs = {"alias": replace(logged.log, name="alias"), "main": logged.log}
    with refused(NotCounted, "compromised from entry 5", "this is entry 6"):
        logged.endorse(stolen(NOW, main=5), logs=logs)


def test_what_stands_in_no_log_needs_a_time() -> None:
    with refused(NotCounted, "stands in no trusted log", "no trusted time"):
        endorse(RAW, trust(stolen(NOW, main=5)), now=NOW - 10 * DAY)


def test_a_trusted_time_before_the_compromise_counts() -> None:
    assert InLog(witnesses=(W1,), at=NOW - DAY).endorse(stolen(NOW)).names == ("amy",)


def test_a_trusted_time_at_the_compromise_does_not() -> None:
    with refused(NotCounted, "compromised since 2026-06-01T00:00:00Z"):
        InLog(witnesses=(W1,), at=NOW).endorse(stolen(NOW))


def test_the_clock_before_the_compromise_is_no_evidence() -> None:
    """Whoever holds the key can sign today, and a consumer's clock can be wrong."""
    with refused(NotCounted, "no trusted time"):
        InLog().endorse(stolen(NOW + DAY), now=NOW)


@pytest.mark.parametrize("order", [1, -1])
def test_a_key_that_is_compromised_under_one_name_is_under_every_other(order: int) -> None:
    both = {"amy": Signer("amy", (stolen(main=1),)), "zoe": Signer.of("zoe", AMY.public)}
    document = Trust(dict(list(both.items())[::order]), logs={"main": InLog().log})
    with refused(NotCounted, "signer 'amy' is compromised from entry 1"):
        endorse(RAW, document, proof=InLog(index=1).proof, now=NOW)
    assert endorse(RAW, document, proof=InLog(index=0).proof, now=NOW).names == tuple(both)[::order]


@pytest.mark.parametrize("order", [1, -1])
def test_a_key_that_a_signer_lists_twice_is_compromised_once_and_for_all(order: int) -> None:
    with refused(NotCounted, "is compromised since"):
        InLog().endorse(*(stolen(NOW), valid())[::order])


@pytest.mark.parametrize("names", [("amy", "amy"), ("amy", "corp")])
@pytest.mark.parametrize("order", [1, -1])
def test_a_certificate_does_not_cleanse_its_key(names: tuple[str, str], order: int) -> None:
    """The thief of the key attaches the chain that its owner published."""
    root = Authority.root()
    chain = root.leaf(private=AMY.private).pem + root.pem
    made = certified(AMY, chain, now=NOW).sign_payload(PAYLOAD)
    raw = bundles.encode(PAYLOAD, made.signature, made.material)
    found = [(names[0], stolen(NOW - DAY)), (names[1], Listed(CertifiedName.of(root.pem, "email:alice@example.org")))]
    signers = {name: Signer(name, tuple(one for n, one in found[::order] if n == name)) for name in names}
    with refused(NotCounted, "signer 'amy' is compromised since"):
        endorse(raw, Trust(signers), now=NOW)


def test_a_signer_who_is_not_trusted_here_may_still_say_that_a_key_is_compromised() -> None:
    document = Trust({"zoe": Signer.of("zoe", AMY.public)}, compromised=(Signer("amy", (stolen(NOW),)),))
    with refused(NotCounted, "signer 'amy' is compromised since"):
        endorse(RAW, document, now=NOW)
    with refused(SignatureInvalid, "no trusted key"):  # and counts for nobody
        endorse(RAW, Trust({"ben": Signer.of("ben", BEN.public)}, compromised=document.compromised), now=NOW)


def test_the_rest_of_a_compromised_listings_validity_is_its_own() -> None:
    old = valid(valid_until=NOW - 30 * DAY, compromised=Compromise({"main": 5}))
    logged = InLog(index=1)
    document = Trust({"amy": Signer("amy", (old,)), "zoe": Signer.of("zoe", AMY.public)}, logs={"main": logged.log})
    assert endorse(RAW, document, proof=logged.proof, now=NOW).names == ("zoe",)


def test_a_compromise_must_begin_somewhere() -> None:
    with refused(UsageError, "begins nowhere"):
        Compromise()


# --- distinct persons ---


def count(document: Trust, *found: Endorsement) -> int:
    return document.count([one.signature for one in found], document.signers)


def test_one_key_under_two_names_signing_twice_is_one() -> None:
    document = Trust({name: Signer.of(name, AMY.public) for name in ("amy", "amelia")})
    twice = [endorse(sign_bundle(PAYLOAD, AMY), document, now=NOW) for _ in range(2)]
    assert count(document, *twice) == 1
    assert document.distinct(["amy", "amelia"]) == 1


def test_one_persons_two_keys_are_one() -> None:
    document = Trust({"amy": Signer.of("amy", AMY.public, BEN.public)})
    assert count(document, *(endorse(sign_bundle(PAYLOAD, k), document, now=NOW) for k in (AMY, BEN))) == 1


def test_two_names_that_share_a_third_key_are_one() -> None:
    third = signer("third").public
    document = Trust({"amy": Signer.of("amy", AMY.public, third), "ben": Signer.of("ben", BEN.public, third)})
    assert count(document, *(endorse(sign_bundle(PAYLOAD, k), document, now=NOW) for k in (AMY, BEN))) == 1


def test_the_same_key_as_pem_and_in_a_certificate_is_one() -> None:
    """Two bundles, two names, two kinds of credential: one key made both signatures."""
    root = Authority.root()
    leaf = root.leaf()
    key = KeyFileSigner(leaf.key)
    made = certified(key, leaf.pem + root.pem, now=NOW).sign_payload(PAYLOAD)
    with_certificate = bundles.encode(PAYLOAD, made.signature, made.material)
    name = CertifiedName.of(root.pem, "email:alice@example.org")
    document = Trust({"plain": Signer.of("plain", key.public), "named": Signer.of("named", name)})
    found = [endorse(raw, document, now=NOW) for raw in (sign_bundle(PAYLOAD, key), with_certificate)]
    assert {name for one in found for name in one.names} == {"plain", "named"}
    assert count(document, *found) == 1
    apart = Trust({"named": Signer.of("named", name), "ben": Signer.of("ben", BEN.public)})
    assert (
        count(apart, endorse(with_certificate, apart, now=NOW), endorse(sign_bundle(PAYLOAD, BEN), apart, now=NOW)) == 2
    )


def test_only_those_who_are_asked_for_count() -> None:
    document = Trust({"amy": Signer.of("amy", AMY.public), "ben": Signer.of("ben", BEN.public)})
    found = [endorse(sign_bundle(PAYLOAD, k), document, now=NOW).signature for k in (AMY, BEN)]
    assert document.count(found, ["amy"]) == 1
    assert document.count(found, ["amy", "ben"]) == 2
    assert document.count(found, []) == 0
    assert document.count([], ["amy"]) == 0


WORDS = st.sampled_from("abcd")


@given(st.lists(st.tuples(st.sets(WORDS, min_size=1, max_size=2), WORDS, WORDS), max_size=4))
def test_counting_knows_no_order_and_merges_whatever_is_shared(shapes: list[tuple[set[str], str, str]]) -> None:
    document = Trust({name: Signer.of(name, signer(name).public) for name in "abcd"})
    found = [Signature(tuple(sorted(names)), f"id-{identity}", f"key-{key}") for names, identity, key in shapes]
    counts = {document.count(order, "abcd") for order in permutations(found)}
    # The naive twin: merge groups that share any mark until nothing changes.
    groups = [set(s.names) | {s.fingerprint, s.key} for s in found]
    merged: list[set[str]] = []
    for group in groups:
        joined = [other for other in merged if other & group]
        merged = [other for other in merged if not other & group] + [group.union(*joined)]
    assert counts == {len(merged)}


def test_the_forged_log_of_these_tests_is_the_documents_log() -> None:
    assert InLog().endorse().place is not None
    other = TrustedLog("main", HostileLog(key=log_key(name="other")).policy)
    assert InLog().endorse(logs={"main": other}).place is None
