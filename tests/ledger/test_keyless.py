"""Sigstore identities against an instance on loopback: what speaks for one, and one attack a test."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from sigstore.models import Bundle as Foreign
from sigstore.models import ClientTrustConfig
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity

from dataseal.ledger import bundle as bundles
from dataseal.ledger.credential import Signer
from dataseal.ledger.errors import FormatError, SignatureInvalid, UsageError, VerificationError
from dataseal.ledger.keyless import SigstoreIdentity
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.statement import PAYLOAD_TYPE
from dataseal.ledger.trustedroot import SHIPPED, SigstoreRoot, shipped_root
from dataseal.ledger.verify import verify_bundle
from support import statements as make
from support.certificates import Authority
from support.errors import refused
from support.sigstore import Lie, Sigstore, running
from support.sigstore.forge import ALICE, Forger
from support.sigstore.fulcio import ISSUER_BARE, ISSUER_DER
from support.tsa import Tsa

PAYLOAD = make.release_payload()
MESSAGE = bundles.pae(PAYLOAD_TYPE, PAYLOAD)


@pytest.fixture(scope="module")
def instance() -> Iterator[Sigstore]:
    with running() as sigstore:
        yield sigstore


def root_of(instance: Sigstore) -> SigstoreRoot:
    data = json.dumps(instance.trusted_root()).encode()
    return SigstoreRoot.pinned(data, hashlib.sha256(data).hexdigest())


def recognise(instance: Sigstore, raw: bytes, identity: str = ALICE, **options: Any) -> Signer:
    credential = SigstoreIdentity.of(
        identity, options.pop("issuer", instance.url), options.pop("root", root_of(instance)), **options
    )
    return credential.recognise(bundles.parse(raw), MESSAGE)


def test_a_bundle_speaks_for_its_identity(instance: Sigstore) -> None:
    forger = Forger(instance)
    signer = recognise(instance, forger.bundle(PAYLOAD))
    assert (signer.scheme, signer.label) == ("sigstore", f"{ALICE} ({instance.url})")
    assert signer.key == PublicKey.of(forger.key.public_key()).fingerprint
    (logged,) = signer.times
    assert logged.source == "rekor"
    assert abs(logged.at - datetime.now(UTC)) < timedelta(minutes=5)


def test_one_identity_with_two_keys_is_one_signer(instance: Sigstore) -> None:
    first, second = (recognise(instance, Forger(instance).bundle(PAYLOAD)) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    assert first.key != second.key


def test_the_whole_walk_verifies_a_statement(instance: Sigstore) -> None:
    raw = Forger(instance).bundle(PAYLOAD)
    verified = verify_bundle(raw, [SigstoreIdentity.of(ALICE, instance.url, root_of(instance))])
    assert verified.statement.payload == PAYLOAD
    assert verified.signer.label.startswith(ALICE)


def test_sigstores_own_verifier_accepts_the_bundle(instance: Sigstore) -> None:
    config = ClientTrustConfig.from_json(instance.trust_config().decode())
    policy = Identity(identity=ALICE, issuer=instance.url)
    bundle = Foreign.from_json(Forger(instance).bundle(PAYLOAD))
    assert Verifier(trusted_root=config.trusted_root).verify_dsse(bundle, policy) == (PAYLOAD_TYPE, PAYLOAD)


def test_a_workflow_matches_a_glob(instance: Sigstore) -> None:
    workflow = "https://github.com/acme/data/.github/workflows/release.yml@refs/tags/v1"
    raw = Forger(instance, workflow).bundle(PAYLOAD)
    wanted = "https://github.com/acme/data/.github/workflows/*.yml@refs/tags/*"
    assert recognise(instance, raw, wanted, match="glob").label.startswith(workflow)
    with refused(SignatureInvalid, "is wanted"):
        recognise(instance, raw, wanted)


def test_a_timestamp_of_the_instances_authority_is_a_trusted_time() -> None:
    with running(tsa=True) as instance:
        assert instance.tsa is not None
        forger = Forger(instance)
        signature = forger.sign(PAYLOAD)
        raw = forger.bundle(PAYLOAD, signature=signature, timestamps=[instance.tsa.stamp(signature)])
        signer = recognise(instance, raw)
    assert sorted(time.source for time in signer.times) == ["rekor", "rfc3161"]


# --- lies of the instance ---


@pytest.mark.parametrize(
    "lie", ["wrong proof", "old checkpoint", "wrong checkpoint key", "wrong promise", "no sct", "foreign sct"]
)
def test_what_the_instance_lies_about(instance: Sigstore, lie: Lie) -> None:
    with instance.lying(lie):
        raw = Forger(instance).bundle(PAYLOAD)
    with refused(SignatureInvalid, "Sigstore does not verify it"):
        recognise(instance, raw)


def test_a_certificate_of_another_issuer(instance: Sigstore) -> None:
    with instance.lying("wrong issuer"):
        raw = Forger(instance).bundle(PAYLOAD)
    with refused(SignatureInvalid, "https://evil.example vouches"):
        recognise(instance, raw)


def test_two_issuers_in_one_certificate(instance: Sigstore) -> None:
    forger = Forger(instance)
    forger.certificate = instance.fulcio.issue(
        forger.key.public_key(), ALICE, instance.url, bare_issuer="https://evil.example"
    )
    with refused(SignatureInvalid, "names two issuers"):
        recognise(instance, forger.bundle(PAYLOAD))


def test_another_instance(instance: Sigstore) -> None:
    with running() as other:
        raw = Forger(other).bundle(PAYLOAD)
        with refused(SignatureInvalid, "Sigstore does not verify it"):
            recognise(instance, raw, issuer=other.url)


def test_a_certificate_that_imitates_the_instances(instance: Sigstore) -> None:
    forger = Forger(instance)
    names = [x509.RFC822Name(ALICE)]
    extra = [(x509.UnrecognizedExtension(ISSUER_BARE, instance.url.encode()), False)]
    forger.certificate = (
        Authority.root("Fulcio intermediate").leaf(private=forger.key, names=names, extra=extra).certificate
    )
    with refused(SignatureInvalid, "Sigstore does not verify it"):
        recognise(instance, forger.bundle(PAYLOAD))


def test_an_entry_logged_after_the_certificate_expired(instance: Sigstore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance.rekor, "clock", lambda: time.time() + 3600)
    raw = Forger(instance).bundle(PAYLOAD)
    with refused(SignatureInvalid, "not valid at validation time"):
        recognise(instance, raw)


def test_a_backdated_entry_without_the_logs_promise(instance: Sigstore) -> None:
    forger = Forger(instance)
    signature = forger.sign(PAYLOAD)
    entry = forger.log(PAYLOAD, signature)
    raw = forger.bundle(PAYLOAD, entry | {"integratedTime": "1700000000"}, signature=signature)
    with refused(SignatureInvalid, "Sigstore does not verify it"):
        recognise(instance, raw)


def test_an_entry_without_a_time(instance: Sigstore) -> None:
    forger = Forger(instance)
    signature = forger.sign(PAYLOAD)
    entry = forger.log(PAYLOAD, signature)
    del entry["inclusionPromise"]
    with refused(SignatureInvalid, "Sigstore does not verify it"):
        recognise(instance, forger.bundle(PAYLOAD, entry, signature=signature))


# --- other people's bundles ---


def test_another_identity(instance: Sigstore) -> None:
    with refused(SignatureInvalid, "mallory@example.org signed"):
        recognise(instance, Forger(instance, "mallory@example.org").bundle(PAYLOAD))


def test_the_log_entry_of_another_signature_cve_2022_36056(instance: Sigstore) -> None:
    forger = Forger(instance)
    other = make.release_payload(sequence=2)
    entry = forger.log(other, forger.sign(other))
    with refused(SignatureInvalid, "match"):
        recognise(instance, forger.bundle(PAYLOAD, entry))


def test_the_log_entry_of_another_signature_over_the_same_payload(instance: Sigstore) -> None:
    forger = Forger(instance)
    entry = forger.log(PAYLOAD, forger.sign(PAYLOAD))
    with refused(SignatureInvalid, "match"):
        recognise(instance, forger.bundle(PAYLOAD, entry, signature=forger.sign(PAYLOAD)))


def test_the_log_entry_of_somebody_elses_certificate(instance: Sigstore) -> None:
    mine, theirs = Forger(instance), Forger(instance)
    signature = mine.sign(PAYLOAD)
    entry = theirs.log(PAYLOAD, signature)
    with refused(SignatureInvalid, "match"):
        recognise(instance, mine.bundle(PAYLOAD, entry, signature=signature))


def test_somebody_elses_certificate(instance: Sigstore) -> None:
    mine, theirs = Forger(instance), Forger(instance)
    with refused(SignatureInvalid, "did not make this signature"):
        recognise(instance, mine.bundle(PAYLOAD, material=bundles.Certificate(theirs.der)))


def test_another_payload_under_the_same_evidence(instance: Sigstore) -> None:
    forger = Forger(instance)
    value = json.loads(forger.bundle(PAYLOAD))
    value["dsseEnvelope"]["payload"] = make.b64(make.release_payload(sequence=2))
    credential = SigstoreIdentity.of(ALICE, instance.url, root_of(instance))
    with refused(SignatureInvalid, "did not make this signature"):
        verify_bundle(json.dumps(value).encode(), [credential])


def test_another_payload_type_under_the_same_evidence(instance: Sigstore) -> None:
    value = json.loads(Forger(instance).bundle(PAYLOAD))
    value["dsseEnvelope"]["payloadType"] = "application/vnd.ein-töto+json"
    credential = SigstoreIdentity.of(ALICE, instance.url, root_of(instance))
    with refused(FormatError, "payload type"):
        verify_bundle(json.dumps(value).encode(), [credential])


def test_a_log_entry_is_wanted(instance: Sigstore) -> None:
    with refused(SignatureInvalid, "one certificate and one log entry"):
        recognise(instance, Forger(instance).bundle(PAYLOAD, entries=[]))


def test_two_log_entries(instance: Sigstore) -> None:
    forger = Forger(instance)
    signature = forger.sign(PAYLOAD)
    entries = [forger.log(PAYLOAD, signature), forger.log(PAYLOAD, signature)]
    with refused(SignatureInvalid, "one certificate and one log entry"):
        recognise(instance, forger.bundle(PAYLOAD, signature=signature, entries=entries))


def test_a_key_signers_bundle(instance: Sigstore) -> None:
    with refused(SignatureInvalid, "not a Sigstore bundle"):
        recognise(instance, make.sign_bundle(PAYLOAD))


def test_a_field_of_two_readings(instance: Sigstore) -> None:
    forger = Forger(instance)
    signature = forger.sign(PAYLOAD)
    entry = forger.log(PAYLOAD, signature)
    entry["integrated_time"] = entry.pop("integratedTime")
    with refused(FormatError, "integrated_time"):
        recognise(instance, forger.bundle(PAYLOAD, entry, signature=signature))


@pytest.mark.parametrize("written", ["-5", "1e9", " 1700000000", "٣", "0", "9" * 30, 1700000000])
def test_a_time_that_is_none(instance: Sigstore, written: Any) -> None:
    forger = Forger(instance)
    signature = forger.sign(PAYLOAD)
    entry = forger.log(PAYLOAD, signature) | {"integratedTime": written}
    with refused(FormatError, "integratedTime"):
        recognise(instance, forger.bundle(PAYLOAD, entry, signature=signature))


@pytest.mark.parametrize("written", ["253402300800", "999999999999"])
def test_a_time_after_the_last_date(written: str) -> None:
    """Anybody can write it, with any certificate: it is read before anything is verified."""
    data = shipped_root("public-good")
    root = SigstoreRoot.pinned(data, hashlib.sha256(data).hexdigest())
    entry = {"integratedTime": written, "inclusionPromise": {}}
    raw = bundles.encode(PAYLOAD, b"x" * 70, bundles.Certificate(Authority.root().leaf().der), tlog_entries=[entry])
    with refused(SignatureInvalid, "after the year 9999"):
        verify_bundle(raw, [SigstoreIdentity.of(ALICE, "https://issuer.example", root)])


def test_a_timestamp_of_a_foreign_authority(instance: Sigstore) -> None:
    forger = Forger(instance)
    signature = forger.sign(PAYLOAD)
    raw = forger.bundle(PAYLOAD, signature=signature, timestamps=[Tsa.new().stamp(signature)])
    with refused(SignatureInvalid, "Sigstore does not verify it"):
        recognise(instance, raw)


@pytest.fixture(scope="module")
def good(instance: Sigstore) -> bytes:
    return Forger(instance).bundle(PAYLOAD)


@given(st.data())
def test_a_spoilt_byte_never_passes_for_more(instance: Sigstore, good: bytes, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(good) - 1))
    spoilt = bytearray(good)
    spoilt[position] ^= data.draw(st.integers(1, 255))
    credential = SigstoreIdentity.of(ALICE, instance.url, root_of(instance))
    try:
        verified = verify_bundle(bytes(spoilt), [credential])
    except VerificationError:
        return
    assert verified.statement.payload == PAYLOAD  # a byte that nobody signed, such as the envelope's keyid


# --- the trusted root ---


def test_an_edited_trusted_root(instance: Sigstore) -> None:
    data = json.dumps(instance.trusted_root()).encode()
    pinned = hashlib.sha256(data).hexdigest()
    with refused(UsageError, "the trust document pins", "root.json"):
        SigstoreRoot.pinned(data.replace(b"a test", b"a TEST"), pinned, where="root.json")


def test_a_client_trust_config_holds_the_root(instance: Sigstore) -> None:
    data = instance.trust_config()
    root = SigstoreRoot.pinned(data, hashlib.sha256(data).hexdigest())
    assert recognise(instance, Forger(instance).bundle(PAYLOAD), root=root).scheme == "sigstore"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"mediaType":"x"}', b'{"mediaType":1,"mediaType":2}'])
def test_bytes_that_are_no_trusted_root(data: bytes) -> None:
    with refused(UsageError):
        SigstoreRoot.pinned(data, hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("field", ["tlogs", "ctlogs", "certificateAuthorities"])
def test_a_trusted_root_that_lacks_something(instance: Sigstore, field: str) -> None:
    data = json.dumps(instance.trusted_root() | {field: []}).encode()
    root = SigstoreRoot.pinned(data, hashlib.sha256(data).hexdigest())
    with pytest.raises((UsageError, SignatureInvalid)):
        recognise(instance, Forger(instance).bundle(PAYLOAD), root=root)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_roots_can_be_used(name: str) -> None:
    data = shipped_root(name)
    root = SigstoreRoot.pinned(data, hashlib.sha256(data).hexdigest())
    assert root.verifier()
    assert all(authority.roots for authority in root.authorities())


def test_no_other_root_is_shipped() -> None:
    with refused(UsageError, "public-good"):
        shipped_root("../x")


# --- the credential ---


def test_an_identity_without_an_issuer_is_refused(instance: Sigstore) -> None:
    with refused(UsageError, "has no issuer"):
        SigstoreIdentity.of(ALICE, "", root_of(instance))


def test_what_decides_is_in_the_fingerprint(instance: Sigstore) -> None:
    root = root_of(instance)
    other = SigstoreRoot.pinned(shipped_root("staging"), hashlib.sha256(shipped_root("staging")).hexdigest())
    made = [
        SigstoreIdentity.of(ALICE, instance.url, root),
        SigstoreIdentity.of("bob@example.org", instance.url, root),
        SigstoreIdentity.of(ALICE, "https://other.example", root),
        SigstoreIdentity.of(ALICE, instance.url, other),
        SigstoreIdentity.of(ALICE, instance.url, root, "glob"),
    ]
    assert len({credential.fingerprint for credential in made}) == len(made)


def test_the_doubles_issuer_extensions_are_fulcios() -> None:
    assert {ISSUER_BARE.dotted_string, ISSUER_DER.dotted_string} == {"1.3.6.1.4.1.57264.1.1", "1.3.6.1.4.1.57264.1.8"}
