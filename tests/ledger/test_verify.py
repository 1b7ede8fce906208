"""Each numbered step of `dataseal.ledger.verify`, failing alone."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataseal.ledger import entry as entries
from dataseal.ledger import statement as statements
from dataseal.ledger.errors import FormatError, ProofInvalid, SignatureInvalid, UsageError
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from dataseal.ledger.tlog.note import Ed25519Signer
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.tlog.proof import LogProof, parse_proof
from dataseal.ledger.trust import TrustedLog
from dataseal.ledger.verify import VerifiedStatement, verify_bundle, verify_logged
from support import statements as make
from support.errors import refused
from support.statements import sign_bundle, signer, spoil

ORIGIN = "dataseal.invalid/0123456789abcdef"
KEYS = [signer().public]
PAYLOAD = make.release_payload()
GOOD = sign_bundle(PAYLOAD)


@cache
def _note_signer(_name: str, origin: str) -> Ed25519Signer:
    return Ed25519Signer(origin, Ed25519PrivateKey.generate())


def note_signer(name: str = "log", origin: str = ORIGIN) -> Ed25519Signer:
    return _note_signer(name, origin)


def trusted(name: str = "log", origin: str = ORIGIN) -> TrustedLog:
    return TrustedLog(name, policy_for_log(note_signer(name, origin).vkey))


class MemoryLog:
    """A log of a few entries in memory, which can lie: the simulator that the real one is compared with elsewhere."""

    def __init__(self, *entries: bytes, signer: Ed25519Signer | None = None) -> None:
        self.leaves = [merkle.leaf_hash(e) for e in entries]
        self.signer = signer or note_signer()

    def proof(self, of: int, extra: bytes | None, **lies: Any) -> bytes:
        """A proof file of entry ``of``; ``lies`` replace its size, root, index, hashes or checkpoint."""
        size, root = lies.get("size", len(self.leaves)), lies.get("root", merkle.root_from_leaves(self.leaves))
        note = sign_checkpoint(Checkpoint(self.signer.name, size, root), [self.signer])
        hashes = tuple(lies.get("hashes", merkle.inclusion_proof(self.leaves, of)))
        return LogProof(lies.get("index", of), hashes, lies.get("checkpoint", note), extra).encode()


def header(**changes: Any) -> entries.Header:
    base = entries.Header("release", "acme/reviews", "2026-01-02T03:04:05Z", None, None)
    return replace(base, **changes)


def logged(bundle: bytes = GOOD, head: entries.Header | None = None) -> MemoryLog:
    return MemoryLog(b"before", entries.Entry(head or header(), bundle).encode(), b"after")


def verified() -> VerifiedStatement:
    return verify_bundle(GOOD, KEYS)


# --- steps 1 to 5 ---


def test_a_good_bundle_verifies_and_says_who_signed() -> None:
    result = verify_bundle(GOOD, [signer("other").public, signer().public])
    assert result.signer.fingerprint == signer().public.fingerprint
    assert result.statement.payload == PAYLOAD
    assert result.bundle == GOOD


def test_no_key_verifies_nothing() -> None:
    with refused(UsageError, "no trusted key"):
        verify_bundle(GOOD, [])


def test_step_1_a_bundle_that_does_not_parse() -> None:
    with refused(FormatError, "bundle"):
        verify_bundle(GOOD[:-1], KEYS)


def test_step_1_comes_before_everything_for_a_huge_bundle() -> None:
    with refused(FormatError, "at most"):
        verify_bundle(GOOD + b" " * 100_000_000, KEYS)


@pytest.mark.parametrize(
    "kind", ["application/json", "", statements.PAYLOAD_TYPE + " ", "application/vnd.in-toto+JSON"]
)
def test_step_2_another_payload_type_even_when_it_was_signed(kind: str) -> None:
    with refused(FormatError, "payload type"):
        verify_bundle(sign_bundle(PAYLOAD, payload_type=kind), KEYS)


def test_step_2_a_payload_type_swapped_after_signing() -> None:
    swapped = spoil(
        sign_bundle(PAYLOAD, payload_type="application/json"), "dsseEnvelope", "payloadType", to=statements.PAYLOAD_TYPE
    )
    with refused(SignatureInvalid, "no trusted key"):
        verify_bundle(swapped, KEYS)


def test_step_3_another_publishers_signature_names_both_keys() -> None:
    stranger = signer("stranger")
    with refused(
        SignatureInvalid, signer().public.fingerprint[:16], stranger.public.fingerprint[:16], "ask the publisher"
    ):
        verify_bundle(sign_bundle(PAYLOAD, stranger), KEYS)


def test_step_3_a_hint_of_a_trusted_key_makes_nothing_trusted() -> None:
    forged = sign_bundle(PAYLOAD, signer("stranger"))
    forged = spoil(forged, "verificationMaterial", "publicKey", "hint", to=signer().public.fingerprint)
    with refused(SignatureInvalid, "no trusted key"):
        verify_bundle(forged, KEYS)


@pytest.mark.parametrize("hint", ["", "0" * 64, "é", "x" * 10_000])
def test_step_3_a_wrong_hint_takes_no_trust_away(hint: str) -> None:
    verify_bundle(spoil(GOOD, "verificationMaterial", "publicKey", "hint", to=hint), KEYS)


def test_step_3_a_payload_swapped_after_signing() -> None:
    other = make.b64(make.release_payload("2.0.0"))
    with refused(SignatureInvalid, "altered"):
        verify_bundle(spoil(GOOD, "dsseEnvelope", "payload", to=other), KEYS)


def test_step_3_a_signature_of_another_statement() -> None:
    other = sign_bundle(make.release_payload("2.0.0"))
    signature = json.loads(other)["dsseEnvelope"]["signatures"]
    with refused(SignatureInvalid):
        verify_bundle(spoil(GOOD, "dsseEnvelope", "signatures", to=signature), KEYS)


def test_step_3_a_signature_over_the_bare_payload() -> None:
    bare = make.b64(signer().sign(PAYLOAD))
    with refused(SignatureInvalid):
        verify_bundle(spoil(GOOD, "dsseEnvelope", "signatures", 0, "sig", to=bare), KEYS)


@pytest.mark.parametrize(
    "change",
    [
        ("predicateType", "https://dataseal.invalid/provenance/v1"),
        ("_type", "https://in-toto.io/Statement/v0.1"),
        ("subject", []),
    ],
    ids=["predicate type", "statement type", "subject"],
)
def test_step_4_a_signed_statement_that_is_none_of_ours(change: tuple[str, Any]) -> None:
    with refused(FormatError, "statement"):
        verify_bundle(sign_bundle(spoil(PAYLOAD, change[0], to=change[1])), KEYS)


def test_step_5_a_signed_predicate_that_does_not_fit_its_model() -> None:
    with refused(FormatError, "sequence"):
        verify_bundle(sign_bundle(make.release_payload(sequence=0)), KEYS)


def test_step_5_a_predicate_under_another_type() -> None:
    swapped = spoil(PAYLOAD, "predicateType", to=statements.MODIFICATION)
    with refused(FormatError, "modification predicate"):
        verify_bundle(sign_bundle(swapped), KEYS)


def test_step_5_a_subject_that_is_not_the_predicates_tree() -> None:
    swapped = spoil(PAYLOAD, "subject", 0, "digest", "datasealRoot", to=make.OTHER)
    with refused(FormatError, "subject"):
        verify_bundle(sign_bundle(swapped), KEYS)


# --- steps 6 to 9 ---


def test_a_logged_statement_verifies_and_says_where_it_stands() -> None:
    log = logged()
    result = verify_logged(verified(), log.proof(1, header().encode()), [trusted("elsewhere"), trusted()])
    assert (result.index, result.leaf, result.log.name) == (1, log.leaves[1], "log")
    assert result.checked.checkpoint.size == 3
    assert result.header == header()


def test_no_log_verifies_nothing() -> None:
    with refused(UsageError, "no trusted log"):
        verify_logged(verified(), logged().proof(1, header().encode()), [])


DAMAGES = {
    "empty": lambda proof: b"",
    "cut": lambda proof: proof[:-1],
    "shifted": lambda proof: b"x" + proof,
    "leading zero": lambda proof: proof.replace(b"index 1", b"index 01"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_step_6_a_proof_that_does_not_parse(damage: Any) -> None:
    with refused(FormatError):
        verify_logged(verified(), damage(logged().proof(1, header().encode())), [trusted()])


def test_step_6_a_proof_without_the_entrys_header() -> None:
    with refused(FormatError, "no entry header"):
        verify_logged(verified(), logged().proof(1, None), [trusted()])


@pytest.mark.parametrize("extra", [b"{}", b"x", header().encode() + b"\n", b'{"v":1}' * 20])
def test_step_6_extra_data_that_is_no_header(extra: bytes) -> None:
    with refused(FormatError, "header"):
        verify_logged(verified(), logged().proof(1, extra), [trusted()])


@pytest.mark.parametrize(
    "lie", [{"dataset": "acme/other"}, {"kind": "modification"}, {"kind": "receipt"}], ids=lambda lie: str(lie)
)
def test_step_7_a_header_of_another_dataset_or_kind_even_when_it_was_logged(lie: dict[str, str]) -> None:
    """The log included exactly this header, with exactly this bundle: a lying log, or one without admission."""
    head = header(**lie)
    with refused(FormatError, "header says"):
        verify_logged(verified(), logged(head=head).proof(1, head.encode()), [trusted()])


def test_step_7_a_header_with_another_time_has_no_proof() -> None:
    other = header(logged_at="2020-01-01T00:00:00Z").encode()
    with refused(ProofInvalid, "root"):
        verify_logged(verified(), logged().proof(1, other), [trusted()])


def test_step_8_a_checkpoint_by_an_unknown_log_says_which_are_known() -> None:
    proof = MemoryLog(*[b"x"], signer=note_signer("rogue", "rogue.example/log")).proof(0, header().encode())
    with refused(SignatureInvalid, "rogue.example/log", ORIGIN, "verifier key"):
        verify_logged(verified(), proof, [trusted()])


def test_step_8_a_checkpoint_that_only_claims_the_logs_origin() -> None:
    rogue = MemoryLog(entries.Entry(header(), GOOD).encode(), signer=note_signer("impostor"))
    with refused(SignatureInvalid, "no trusted log signed"):
        verify_logged(verified(), rogue.proof(0, header().encode()), [trusted()])


def test_step_8_a_checkpoint_of_another_log_that_is_trusted_proves_its_own_entries_only() -> None:
    """Both logs are trusted; the entry is in the first, the checkpoint is the second's."""
    elsewhere = MemoryLog(b"1", b"2", b"3", signer=note_signer("elsewhere", "elsewhere.example/log"))
    foreign = parse_proof(elsewhere.proof(1, None)).checkpoint
    proof = logged().proof(1, header().encode(), checkpoint=foreign)
    with refused(ProofInvalid, "root"):
        verify_logged(verified(), proof, [trusted(), trusted("elsewhere", "elsewhere.example/log")])


def test_step_8_a_flipped_bit_in_the_signed_tree_head() -> None:
    proof = logged().proof(1, header().encode())
    with refused(SignatureInvalid):
        verify_logged(verified(), proof.replace(b"\n3\n", b"\n2\n", 1), [trusted()])


def test_step_9_a_proof_of_another_entry() -> None:
    log = logged()
    with refused(ProofInvalid):
        verify_logged(verified(), log.proof(0, header().encode()), [trusted()])


def test_step_9_an_index_that_is_not_the_entrys() -> None:
    with refused(ProofInvalid):
        verify_logged(verified(), logged().proof(1, header().encode(), index=0), [trusted()])


def test_step_9_an_index_beyond_the_tree() -> None:
    with refused(ProofInvalid, "index 3"):
        verify_logged(verified(), logged().proof(1, header().encode(), index=3), [trusted()])


@pytest.mark.parametrize("change", [lambda h: h[:-1], lambda h: [*h, h[0]], lambda h: h[::-1], lambda h: []])
def test_step_9_a_path_of_another_length_or_order(change: Any) -> None:
    log = logged()
    hashes = change(merkle.inclusion_proof(log.leaves, 1))
    with refused(ProofInvalid):
        verify_logged(verified(), log.proof(1, header().encode(), hashes=hashes), [trusted()])


def test_step_9_a_bundle_of_the_same_statement_that_is_not_the_logged_one() -> None:
    """ECDSA signatures are randomised: the bundle in hand must be the logged one, byte for byte."""
    again = verify_bundle(sign_bundle(PAYLOAD), KEYS)
    assert again.bundle != GOOD
    with refused(ProofInvalid, "root"):
        verify_logged(again, logged().proof(1, header().encode()), [trusted()])


def test_step_9_a_bundle_with_other_white_space() -> None:
    spaced = verify_bundle(GOOD + b"\n", KEYS)
    with refused(ProofInvalid):
        verify_logged(spaced, logged().proof(1, header().encode()), [trusted()])


def test_step_9_an_empty_tree_includes_nothing() -> None:
    log = logged()
    proof = log.proof(1, header().encode(), size=0, root=merkle.EMPTY_ROOT, hashes=[])
    with refused(ProofInvalid):
        verify_logged(verified(), proof, [trusted()])


def test_a_statement_of_another_dataset_is_not_proven_by_this_ones_entry() -> None:
    other = verify_bundle(sign_bundle(make.release_payload(dataset="acme/other")), KEYS)
    with refused(FormatError, "acme/other"):
        verify_logged(other, logged().proof(1, header().encode()), [trusted()])
