"""Whom a log lists besides keys, and how it judges certificates when entries come and when it is checked later."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dataseal.ledger import listing
from dataseal.ledger.audit import check
from dataseal.ledger.errors import SignatureInvalid, UsageError
from dataseal.ledger.log import Log
from dataseal.ledger.signers.certificate import certified
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.signers.timestamping import Timestamped
from dataseal.ledger.trustedroot import shipped_root
from support.certificates import YEAR, Authority
from support.errors import refused
from support.tsa import LONG_AGO, Tsa
from support.workspaces import Bench, make_dataset, make_workspace, open_bench

ROOT = Authority.root(start=LONG_AGO, end=LONG_AGO + 60 * YEAR)
LEAF = ROOT.leaf(start=LONG_AGO, end=LONG_AGO + 50 * YEAR)


def bench(folder: Path, text: str, **files: bytes) -> Bench:
    """A workspace whose configuration says more."""
    make_workspace(folder)
    for name, data in files.items():
        (folder / name.replace("_", ".")).write_bytes(data)
    config = folder / "dataseal.toml"
    config.write_text(config.read_text() + text, encoding="utf-8")
    return open_bench(folder)


ALICE = """
[[admission]]
datasets = ["*"]
kinds = ["release"]
x509 = [{roots = "ca.pem", identity = "email:alice@example.org"}]
"""


def at(made: Bench, **after: Any) -> Log:
    """The bench's log with a clock that stands at a time after the certificate was issued."""
    now = LONG_AGO + timedelta(**after)
    return Log(
        made.log.store, origin=made.log.origin, signers=made.log._signers, admission=made.workspace.admission(),
        clock=lambda: now,
    )  # fmt: skip


def alice(**options: Any) -> Any:
    return certified(KeyFileSigner(LEAF.key), LEAF.pem + ROOT.pem, now=LONG_AGO + YEAR, **options)


def test_the_docstrings_configuration_is_read(tmp_path: Path) -> None:
    shown = re.search(r"::\n\n(.*?)\nA certificate is", listing.__doc__ or "", re.DOTALL)
    assert shown
    text = re.sub(r"^    ", "", shown[1], flags=re.MULTILINE)
    root = shipped_root("staging")
    text = text.replace("<64 hexadecimal digits>", hashlib.sha256(root).hexdigest()).replace("keys/", "")
    text = text.replace('"publisher.pub"', '"keys/publisher.pub"')
    files = {"corp-ca_pem": ROOT.pem, "corp-tsa_pem": Tsa.new().root.pem, "sigstore_json": root}
    admission = bench(tmp_path, text, **files).workspace.admission()
    assert [credential.scheme for credential in admission.rules[-1].credentials] == ["ecdsa-p256", "x509", "sigstore"]
    assert [authority.name for authority in admission.authorities] == ["corp"]


def test_a_certificate_is_judged_by_the_logs_clock_when_it_comes(tmp_path: Path) -> None:
    made = bench(tmp_path / "ws", ALICE, ca_pem=ROOT.pem)
    data = make_dataset(tmp_path / "data", shards=1)
    with refused(SignatureInvalid, "no valid path"):
        made.sign(data, log=at(made, days=60 * 365), signer=alice())
    made.sign(data, log=at(made, days=30), signer=alice())


def test_what_was_admitted_stays_admitted_when_the_certificate_has_expired(tmp_path: Path) -> None:
    made = bench(tmp_path / "ws", ALICE, ca_pem=ROOT.pem)
    made.sign(make_dataset(tmp_path / "data", shards=1), log=at(made, days=30), signer=alice())
    assert check(at(made, days=100 * 365)).problems == []


def test_a_renewed_certificate_finds_what_the_expired_one_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bench(tmp_path / "ws", ALICE, ca_pem=ROOT.pem)
    data = make_dataset(tmp_path / "data", shards=1)
    then = LONG_AGO + timedelta(days=30)
    old = ROOT.leaf(start=LONG_AGO, end=then + timedelta(days=1))
    with monkeypatch.context() as patch:
        patch.setattr("dataseal.ledger.record.datetime", SimpleNamespace(now=lambda _zone: then))
        signer = certified(KeyFileSigner(old.key), old.pem + ROOT.pem, now=then)
        first = made.sign(data, log=at(made, days=30), signer=signer, oms=False)
    again = made.sign(data, log=at(made, days=20 * 365), signer=alice(), oms=False)
    assert again.recorded.existed
    assert again.recorded.bundle == first.recorded.bundle


def test_a_pinned_authoritys_time_goes_before_the_clock(tmp_path: Path) -> None:
    tsa = Tsa.new()
    text = ALICE + '[timestamp_authorities]\ntsa = "tsa.pem"\n'
    made = bench(tmp_path / "ws", text, ca_pem=ROOT.pem, tsa_pem=tsa.root.pem)
    late = at(made, days=60 * 365)
    made.sign(make_dataset(tmp_path / "data", shards=1), log=late, signer=Timestamped(alice(), tsa.stamp))
    assert check(late).problems == []


def test_two_rules_that_both_know_the_signer(tmp_path: Path) -> None:
    glob = ALICE.replace("alice@", "*@").replace('org"}', 'org", match = "glob"}')
    made = bench(tmp_path / "ws", glob.replace('"release"', '"receipt"') + ALICE, ca_pem=ROOT.pem)
    made.sign(make_dataset(tmp_path / "data", shards=1), log=at(made, days=30), signer=alice())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (ALICE.replace("ca.pem", "missing.pem"), "can't read"),
        (ALICE.replace("email:", ""), "what kind of name"),
        (ALICE.replace("ca.pem", "leaf.pem"), "no CA"),
        (ALICE.replace("x509", "x50"), "x50"),
        (ALICE + '[timestamp_authorities]\ntsa = "leaf.pem"\n', "no CA"),
        (ALICE + '[timestamp_authorities]\ntsa = "missing.pem"\n', "can't read"),
        (ALICE.split("x509")[0], "lists nobody"),
    ],
)
def test_what_can_not_be_listed(tmp_path: Path, text: str, word: str) -> None:
    with refused(UsageError, word):
        bench(tmp_path, text, ca_pem=ROOT.pem, leaf_pem=LEAF.pem)
