"""Certified names: what speaks for a signature, and one attack a test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger import bundle as bundles
from dataseal.ledger.credential import Signer, TrustedTime
from dataseal.ledger.errors import FormatError, SignatureInvalid, UsageError, VerificationError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.statement import PAYLOAD_TYPE
from dataseal.ledger.x509 import CertifiedName, load, load_pem, load_roots
from support import statements as make
from support.certificates import ALICE, CODE_SIGNING, START, TIME_STAMPING, YEAR, Authority, Issued, key
from support.errors import refused

PAYLOAD = make.release_payload()
MESSAGE = bundles.pae(PAYLOAD_TYPE, PAYLOAD)
NOW = START + timedelta(days=100)
ROOT = Authority.root()
INTERMEDIATE = ROOT.intermediate()
WANTED = "email:alice@example.org"


def signed(leaf: Issued, *issuers: Issued, message: bytes = MESSAGE) -> bundles.Bundle:
    """A bundle of a certificate and its issuers."""
    signature = KeyFileSigner(leaf.key).sign(message)
    chain = bundles.Chain((leaf.der, *(issuer.der for issuer in issuers)))
    return bundles.parse(bundles.encode(PAYLOAD, signature, chain))


def recognise(
    bundle: bundles.Bundle,
    identity: str = WANTED,
    *,
    roots: Sequence[Issued] = (ROOT,),
    times: Sequence[TrustedTime] = (),
    now: datetime | None = NOW,
    match: Any = "exact",
) -> Signer:
    """What a credential for ``identity`` makes of a bundle."""
    credential = CertifiedName.of(b"".join(root.pem for root in roots), identity, match)
    return credential.recognise(bundle, MESSAGE, times, now=now)


def stamped(at: datetime) -> TrustedTime:
    """A trusted time."""
    return TrustedTime(at, "rfc3161", "a test")


def test_a_chain_to_the_root_speaks_for_its_name() -> None:
    leaf = INTERMEDIATE.leaf()
    signer = recognise(signed(leaf, INTERMEDIATE))
    assert (signer.scheme, signer.label) == ("x509", WANTED)
    assert signer.key == PublicKey.of(leaf.key.public_key()).fingerprint


@pytest.mark.parametrize("kind", ["p256", "p384", "ed25519"])
@pytest.mark.parametrize("issuer", ["p256", "p384", "rsa"])
def test_leaves_and_issuers_of_each_kind_of_key(kind: str, issuer: str) -> None:
    root = Authority.root(kind=issuer)
    assert recognise(signed(root.leaf(kind=kind)), roots=[root]).label == WANTED


def test_a_leaf_alone_reaches_an_intermediate_of_the_root_file() -> None:
    leaf = INTERMEDIATE.leaf()
    signature = KeyFileSigner(leaf.key).sign(MESSAGE)
    raw = bundles.encode(PAYLOAD, signature, bundles.Certificate(leaf.der))
    assert recognise(bundles.parse(raw), roots=[ROOT, INTERMEDIATE]).label == WANTED


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        (x509.UniformResourceIdentifier("https://ci.example.org/job/7"), "URI:https://ci.example.org/job/7"),
        (x509.DNSName("build.example.org"), "DNS:build.example.org"),
        (ALICE, "CN:Alice"),
    ],
)
def test_names_of_each_kind(name: x509.GeneralName, identity: str) -> None:
    assert recognise(signed(ROOT.leaf(names=[name])), identity).label == identity


def test_two_signers_with_one_key_share_its_fingerprint() -> None:
    own = key()
    alice = recognise(signed(ROOT.leaf(private=own)))
    bob = recognise(signed(ROOT.leaf(private=own, names=[x509.RFC822Name("bob@example.org")])), "email:bob@example.org")
    assert alice.fingerprint != bob.fingerprint
    assert alice.key == bob.key == PublicKey.of(own.public_key()).fingerprint


def test_one_name_with_two_keys_is_one_signer() -> None:
    first, second = recognise(signed(ROOT.leaf())), recognise(signed(ROOT.leaf()))
    assert first.fingerprint == second.fingerprint
    assert first.key != second.key


def test_a_credential_under_other_roots_is_another() -> None:
    mine, other = CertifiedName.of(ROOT.pem, WANTED), CertifiedName.of(Authority.root().pem, WANTED)
    assert mine.fingerprint != other.fingerprint
    assert mine.fingerprint != CertifiedName.of(ROOT.pem, WANTED, "glob").fingerprint
    assert mine.fingerprint == CertifiedName.of(ROOT.pem, WANTED.replace("email", "EMAIL")).fingerprint


# --- time ---


def test_an_expired_certificate_without_a_trusted_time_fails() -> None:
    with refused(SignatureInvalid, "no valid path at 2028"):
        recognise(signed(ROOT.leaf()), now=START + 2 * YEAR)


def test_an_expired_certificate_passes_at_its_trusted_time() -> None:
    signer = recognise(signed(ROOT.leaf()), times=[stamped(NOW)], now=START + 2 * YEAR)
    assert signer.label == WANTED


def test_a_trusted_time_after_the_expiry_fails_though_the_clock_would_pass() -> None:
    with refused(SignatureInvalid):
        recognise(signed(ROOT.leaf()), times=[stamped(START + 2 * YEAR)], now=NOW)


def test_a_trusted_time_before_the_certificate_fails() -> None:
    with refused(SignatureInvalid):
        recognise(signed(ROOT.leaf()), times=[stamped(START - YEAR)])


def test_the_earliest_of_several_times_decides() -> None:
    late = stamped(START + 3 * YEAR)
    assert recognise(signed(ROOT.leaf()), times=[late, stamped(NOW)], now=None).label == WANTED


def test_without_any_time_there_is_no_verdict_in_favour() -> None:
    with refused(SignatureInvalid, "no time"):
        recognise(signed(ROOT.leaf()), now=None)


def test_an_expired_issuer_fails_though_the_leaf_is_valid() -> None:
    issuer = ROOT.intermediate(end=START + timedelta(days=9))
    with refused(SignatureInvalid):
        recognise(signed(issuer.leaf(), issuer))


def test_an_expired_root_fails() -> None:
    root = Authority.root(end=START + timedelta(days=9))
    with refused(SignatureInvalid):
        recognise(signed(root.leaf()), roots=[root])


# --- attacks ---


def test_another_ca_of_the_same_name() -> None:
    forged = Authority.root()
    with refused(SignatureInvalid):
        recognise(signed(forged.leaf()))


def test_the_forgers_own_root_in_the_bundle() -> None:
    forged = Authority.root()
    with refused(SignatureInvalid):
        recognise(signed(forged.leaf(), forged))


def test_a_leaf_that_issues() -> None:
    leaf = ROOT.leaf()
    forged = Authority(leaf.certificate, leaf.key).leaf("Bob")
    with refused(SignatureInvalid):
        recognise(signed(forged, leaf))


def test_a_path_longer_than_its_constraint() -> None:
    short = ROOT.intermediate(path_length=0)
    below = short.intermediate("Below")
    with refused(SignatureInvalid, "path length"):
        recognise(signed(below.leaf(), below, short))


def test_a_name_outside_its_issuers_constraints() -> None:
    bound = x509.NameConstraints(permitted_subtrees=[x509.RFC822Name("example.com")], excluded_subtrees=None)
    issuer = ROOT.intermediate(constraints=bound)
    with refused(SignatureInvalid):
        recognise(signed(issuer.leaf(), issuer))


def test_a_name_that_its_issuers_constraints_exclude() -> None:
    bound = x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=[x509.RFC822Name("example.org")])
    issuer = ROOT.intermediate(constraints=bound)
    with refused(SignatureInvalid):
        recognise(signed(issuer.leaf(), issuer))


def test_a_name_inside_its_issuers_constraints_passes() -> None:
    bound = x509.NameConstraints(permitted_subtrees=[x509.RFC822Name("example.org")], excluded_subtrees=None)
    issuer = ROOT.intermediate(constraints=bound)
    assert recognise(signed(issuer.leaf(), issuer)).label == WANTED


def test_a_common_name_around_its_issuers_constraints() -> None:
    bound = x509.NameConstraints(permitted_subtrees=[x509.RFC822Name("example.org")], excluded_subtrees=None)
    issuer = ROOT.intermediate(constraints=bound)
    with refused(SignatureInvalid, "bound to other kinds"):
        recognise(signed(issuer.leaf("root@example.com"), issuer), "CN:root@example.com")


def test_an_issuer_for_another_purpose() -> None:
    issuer = ROOT.intermediate(purposes=[TIME_STAMPING])
    with refused(SignatureInvalid, "purpose"):
        recognise(signed(issuer.leaf(), issuer))


def test_an_issuer_for_this_purpose_passes() -> None:
    issuer = ROOT.intermediate(purposes=[TIME_STAMPING, CODE_SIGNING])
    assert recognise(signed(issuer.leaf(), issuer)).label == WANTED


@pytest.mark.parametrize("purposes", [[], [TIME_STAMPING], [x509.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]])
def test_a_leaf_for_another_purpose(purposes: list[x509.ObjectIdentifier]) -> None:
    with refused(SignatureInvalid, "codeSigning"):
        recognise(signed(ROOT.leaf(purposes=purposes)))


def test_a_leaf_whose_key_may_not_sign() -> None:
    with refused(SignatureInvalid, "digitalSignature"):
        recognise(signed(ROOT.leaf(digital_signature=False)))


def test_a_ca_as_the_signer() -> None:
    issuer = ROOT.intermediate(names=[ALICE], purposes=[CODE_SIGNING])
    with refused(SignatureInvalid, "belongs to a CA"):
        recognise(signed(issuer))


def test_a_critical_extension_that_nobody_knows() -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    with refused(SignatureInvalid):
        recognise(signed(ROOT.leaf(extra=[(unknown, True)])))


def test_another_name() -> None:
    with refused(SignatureInvalid, "email:alice@example.org"):
        recognise(signed(ROOT.leaf()), "email:bob@example.org")


def test_the_wanted_name_as_another_kind_of_name() -> None:
    leaf = ROOT.leaf("alice@example.org", names=[x509.DNSName("alice@example.org")])
    with refused(SignatureInvalid):
        recognise(signed(leaf))


def test_a_signature_of_another_key() -> None:
    mine, other = ROOT.leaf(), ROOT.leaf("Bob")
    with refused(SignatureInvalid):
        recognise(signed(Issued(mine.certificate, other.key)))


def test_a_signature_over_another_message() -> None:
    with refused(SignatureInvalid):
        recognise(signed(ROOT.leaf(), message=MESSAGE + b" "))


def test_a_key_hint_instead_of_a_certificate() -> None:
    with refused(SignatureInvalid, "no certificate"):
        recognise(bundles.parse(make.sign_bundle(PAYLOAD)))


def test_an_rsa_signer_is_refused_with_its_kind() -> None:
    leaf = ROOT.leaf(kind="rsa")
    raw = bundles.encode(PAYLOAD, b"x" * 256, bundles.Chain((leaf.der,)))
    with refused(FormatError, "RSA"):
        recognise(bundles.parse(raw))


def test_an_ed25519_issuer_is_refused() -> None:
    root = Authority.root(kind="ed25519")
    with refused(SignatureInvalid):
        recognise(signed(root.leaf()), roots=[root])


# --- malformed certificates ---


def test_bytes_that_are_no_certificate() -> None:
    raw = bundles.encode(PAYLOAD, b"x", bundles.Chain((b"\x30\x03\x02\x01\x01",)))
    with refused(FormatError):
        recognise(bundles.parse(raw))


def test_a_certificate_that_is_too_large() -> None:
    with refused(FormatError, "at most"):
        load(b"\x30" * 20_000, what="it")


@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_flipped_byte_changes_nothing_that_passes_and_never_crashes(position: int, mask: int) -> None:
    leaf = FLIPPED
    der = bytearray(leaf.der)
    der[position % len(der)] ^= mask
    raw = bundles.encode(PAYLOAD, SIGNATURE, bundles.Chain((bytes(der),)))
    try:
        recognise(bundles.parse(raw))
    except VerificationError:
        return
    # The count of unused bits in the signature's BIT STRING is in no signature, and says nothing.
    assert load(bytes(der), what="it").tbs_certificate_bytes == leaf.certificate.tbs_certificate_bytes


def test_a_version_that_there_is_not() -> None:
    at = FLIPPED.der.index(b"\xa0\x03\x02\x01\x02") + 4
    with refused(FormatError, "can't be read"):
        load(FLIPPED.der[:at] + b"\x03" + FLIPPED.der[at + 1 :], what="it")


def test_a_serial_number_that_is_negative() -> None:
    at = FLIPPED.der.index(b"\xa0\x03\x02\x01\x02\x02") + 7
    with refused(FormatError):
        load(FLIPPED.der[:at] + b"\x80" + FLIPPED.der[at + 1 :], what="it")


FLIPPED = ROOT.leaf()
SIGNATURE = KeyFileSigner(FLIPPED.key).sign(MESSAGE)


def test_a_root_file_with_a_private_key() -> None:
    with refused(FormatError, "private key"):
        load_roots(ROOT.pem + ROOT.key_pem, where="roots.pem")


def test_a_root_file_with_a_leaf() -> None:
    with refused(FormatError, "no CA"):
        load_roots(ROOT.leaf().pem)


@pytest.mark.parametrize("pem", [b"", b"nothing", ROOT.pem[:200], ROOT.pem * 70])
def test_a_root_file_without_whole_certificates(pem: bytes) -> None:
    with refused(FormatError, "roots.pem"):
        load_pem(pem, where="roots.pem")


# --- identities ---


def test_a_glob_stays_within_a_path_segment() -> None:
    uri = x509.UniformResourceIdentifier("https://github.com/acme/data/.github/workflows/x.yml@refs/heads/main")
    bundle = signed(ROOT.leaf(names=[uri]))
    assert recognise(bundle, "URI:https://github.com/acme/**", match="glob").label == f"URI:{uri.value}"
    with refused(SignatureInvalid):
        recognise(bundle, "URI:https://github.com/acme/*", match="glob")


def test_a_regex_is_anchored() -> None:
    bundle = signed(ROOT.leaf())
    assert recognise(bundle, r"email:[a-z]+@example\.org", match="regex").label == WANTED
    with refused(SignatureInvalid):
        recognise(bundle, r"email:alice@example", match="regex")
    with refused(SignatureInvalid):
        recognise(bundle, r"email:lice@example\.org", match="regex")


def test_an_exact_identity_is_no_pattern() -> None:
    with refused(SignatureInvalid):
        recognise(signed(ROOT.leaf()), "email:*@example.org")
    with refused(SignatureInvalid):
        recognise(signed(ROOT.leaf()), "email:.*", match="exact")


@pytest.mark.parametrize("identity", ["alice@example.org", "", "email:", "mail:alice@example.org", "otherName:x"])
def test_an_identity_says_what_kind_of_name_it_is(identity: str) -> None:
    with refused(UsageError):
        CertifiedName.of(ROOT.pem, identity)


def test_a_broken_regex_is_an_error_of_the_trust_document() -> None:
    with refused(UsageError):
        CertifiedName.of(ROOT.pem, "email:(", "regex")
