"""Trust documents that name certified names, Sigstore identities and timestamp authorities, and what counts by them."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dataseal.ledger import bundle as bundles
from dataseal.ledger.endorse import endorse
from dataseal.ledger.errors import SignatureInvalid
from dataseal.ledger.signers.certificate import certified
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.trust import Trust
from dataseal.ledger.trustedroot import shipped_root
from dataseal.verifiers.policy import PolicyError
from dataseal.verifiers.policy.trust_file import read
from support import statements as make
from support.certificates import YEAR, Authority
from support.errors import refused
from support.sigstore import Sigstore, running
from support.sigstore.forge import ALICE, Forger
from support.tsa import LONG_AGO, Tsa

PAYLOAD = make.release_payload()
NOW = datetime.now(UTC)
ROOT = Authority.root(start=LONG_AGO)
LEAF = ROOT.leaf(start=LONG_AGO, end=NOW + timedelta(days=30))
LATER = NOW + YEAR


def write(folder: Path, text: str, **files: bytes) -> Path:
    for name, data in files.items():
        (folder / name.replace("_", ".")).write_bytes(data)
    path = folder / "trust.yaml"
    path.write_text("dataseal_trust: 1\n" + text, encoding="utf-8")
    return path


CERTIFIED = """\
signers:
  alice: {x509: {roots: ca.pem, identity: "email:alice@example.org"}}
"""


def chained(*authorities: Tsa) -> bytes:
    """A bundle of Alice's certificate, with a timestamp of each authority."""
    signer = certified(KeyFileSigner(LEAF.key), LEAF.pem + ROOT.pem, now=NOW)
    made = signer.sign_payload(PAYLOAD)
    stamps = [tsa.stamp(made.signature) for tsa in authorities]
    return bundles.encode(PAYLOAD, made.signature, made.material, stamps)


def identified(folder: Path, instance: Sigstore, **changes: str) -> Trust:
    """A document that trusts Alice's identity in an instance."""
    root = json.dumps(instance.trusted_root()).encode()
    lines = {
        "identity": ALICE, "issuer": instance.url, "trust_root": "root.json",
        "sha256": hashlib.sha256(root).hexdigest(),
    } | changes  # fmt: skip
    body = ", ".join(f'{name}: "{value}"' for name, value in lines.items() if value)
    return read(write(folder, f"signers:\n  alice: {{sigstore: {{{body}}}}}\n", root_json=root))


def test_a_certified_name_counts_while_its_certificate_is_valid(tmp_path: Path) -> None:
    trust = read(write(tmp_path, CERTIFIED, ca_pem=ROOT.pem))
    assert endorse(chained(), trust, now=NOW).names == ("alice",)
    with refused(SignatureInvalid, "no valid path"):
        endorse(chained(), trust, now=LATER)


def test_a_pinned_authoritys_timestamp_keeps_it_valid(tmp_path: Path) -> None:
    tsa = Tsa.new()
    text = CERTIFIED + "timestamp_authorities: {tsa: tsa.pem}\n"
    trust = read(write(tmp_path, text, ca_pem=ROOT.pem, tsa_pem=tsa.root.pem))
    endorsed = endorse(chained(tsa), trust, now=LATER)
    assert [(time.source, time.by) for time in endorsed.times] == [("rfc3161", "tsa")]


def test_an_unknown_authoritys_timestamp_does_not(tmp_path: Path) -> None:
    text = CERTIFIED + "timestamp_authorities: {tsa: tsa.pem}\n"
    trust = read(write(tmp_path, text, ca_pem=ROOT.pem, tsa_pem=Tsa.new().root.pem))
    with refused(SignatureInvalid, "no valid path"):
        endorse(chained(Tsa.new()), trust, now=LATER)


def test_one_key_as_pem_and_as_certificate_is_one_person(tmp_path: Path) -> None:
    key = KeyFileSigner(LEAF.key)
    text = CERTIFIED + "  bob: {key: bob.pub}\n"
    trust = read(write(tmp_path, text, ca_pem=ROOT.pem, bob_pub=key.public.pem()))
    both = [endorse(raw, trust, now=NOW) for raw in (chained(), make.sign_bundle(PAYLOAD, key))]
    assert sorted({name for one in both for name in one.names}) == ["alice", "bob"]
    assert trust.count([one.signature for one in both], ["alice", "bob"]) == 1


def test_a_sigstore_identity_counts_and_brings_its_time(tmp_path: Path) -> None:
    with running() as instance:
        endorsed = endorse(Forger(instance).bundle(PAYLOAD), identified(tmp_path, instance), now=LATER)
    assert endorsed.names == ("alice",)
    assert [time.source for time in endorsed.times] == ["rekor"]


def test_an_edited_trusted_root_is_a_mistake_of_the_document(tmp_path: Path) -> None:
    with running() as instance, pytest.raises(PolicyError, match="pins"):
        identified(tmp_path, instance, sha256="00" * 32)


@pytest.mark.parametrize("missing", ["issuer", "sha256"])
def test_an_identity_without_issuer_or_digest_is_refused(tmp_path: Path, missing: str) -> None:
    with running() as instance, pytest.raises(PolicyError, match=missing):
        identified(tmp_path, instance, **{missing: ""})


def test_the_documentations_trust_documents_are_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs/signing.md").read_text(encoding="utf-8")
    name, stamps, identity = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    root = shipped_root("public-good")
    (tmp_path / "keys").mkdir()
    for file, data in {"corp-ca.pem": ROOT.pem, "corp-tsa.pem": ROOT.pem, "sigstore-root.json": root}.items():
        (tmp_path / "keys" / file).write_bytes(data)
    digest = hashlib.sha256(root).hexdigest()
    identities = read(write(tmp_path, identity.replace("<its SHA-256>", digest)))
    names = read(write(tmp_path, name + stamps))
    assert [one.scheme for one in (*identities.credentials, *names.credentials)] == ["sigstore", "x509"]
    assert list(names.authorities) == ["corp"]


def test_the_shipped_root_is_named_and_pinned(tmp_path: Path) -> None:
    digest = hashlib.sha256(shipped_root("staging")).hexdigest()
    with running() as instance:
        assert identified(tmp_path, instance, trust_root="sigstore:staging", sha256=digest).signers
        with pytest.raises(PolicyError, match="pins"):
            identified(tmp_path, instance, trust_root="sigstore:public-good", sha256=digest)
