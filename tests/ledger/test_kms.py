"""Keys that stay where they are: SoftHSM and GnuPG for real, AWS KMS and Vault simulated, the rest by its errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from dataseal.ledger.errors import SignatureInvalid, Unavailable, UsageError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.record import sign
from dataseal.ledger.signers import gpgagent, kms, uri
from dataseal.ledger.signers.base import KeyedSigner
from support import keyservices, statements
from support.cli import dataseal
from support.cli import refused as told
from support.errors import refused
from support.keyservices import Aws, Vault, serving
from support.workspaces import DATASET, Clock, make_dataset, no_passphrase

MODULE = next(
    (path for path in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so") if Path(path).exists()),
    "",
)
SOFTHSM = pytest.mark.skipif(
    not MODULE or not shutil.which("softhsm2-util") or not find_spec("pkcs11"),
    reason="SoftHSM and python-pkcs11 are not installed (Debian: softhsm2)",
)
GNUPG = pytest.mark.skipif(
    not shutil.which("gpg") or not shutil.which("gpg-connect-agent"), reason="GnuPG is not installed"
)
PIN = "123456"


def works(signer: KeyedSigner, scheme: str) -> None:
    """It makes a bundle that verifies, and another message's signature does not."""
    assert signer.public.scheme == scheme
    assert sign(statements.release_payload(), signer, now=Clock()())
    with refused(SignatureInvalid, "did not make"):
        signer.public.verify(signer.sign(b"one message"), b"another message")


# --- PKCS#11 ---

GENERATE = """
import pkcs11, sys
from pkcs11.util.ec import encode_named_curve_parameters
token = pkcs11.lib(sys.argv[1]).get_token(token_label="dataseal")
with token.open(user_pin=sys.argv[2], rw=True) as session:
    for number, curve in ((1, "secp256r1"), (2, "secp384r1")):
        values = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
        parameters = session.create_domain_parameters(pkcs11.KeyType.EC, values, local=True)
        parameters.generate_keypair(store=True, id=bytes([number]), label=f"key {number}")
"""


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A SoftHSM token ``dataseal`` with a P-256 key 1 and a P-384 key 2."""
    import sys

    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "conf"))
        patch.setenv("PYKCS11LIB", MODULE)
        label = ["softhsm2-util", "--init-token", "--free", "--label", "dataseal"]
        subprocess.run([*label, "--pin", PIN, "--so-pin", "654321"], check=True, capture_output=True)
        # The module reads its configuration once, and keeps what it found of tokens: a process of its own makes them.
        subprocess.run([sys.executable, "-c", GENERATE, MODULE, PIN], check=True)
        yield


@SOFTHSM
@pytest.mark.parametrize(("name", "scheme"), [("hsm:1?label=dataseal", "ecdsa-p256"), ("pkcs11:2", "ecdsa-p384")])
def test_a_token_signs(token: None, monkeypatch: pytest.MonkeyPatch, name: str, scheme: str) -> None:
    monkeypatch.setenv(uri.PIN, PIN)
    works(uri.open_key(name, no_passphrase), scheme)


@SOFTHSM
def test_the_pin_is_asked_for(token: None) -> None:
    works(uri.open_key("hsm:1", lambda _: PIN.encode()), "ecdsa-p256")


@SOFTHSM
def test_no_pin(token: None) -> None:
    signer = uri.open_key("hsm:1", no_passphrase)
    with refused(UsageError, "wants a PIN", uri.PIN):
        signer.sign(b"m")


@SOFTHSM
def test_a_wrong_pin_is_not_told(token: None) -> None:
    with pytest.raises(UsageError) as error:
        uri.open_key("hsm:1", lambda _: b"987654").sign(b"m")
    assert "the PIN does not open the token" in error.value.what
    assert "987654" not in f"{error.value} {error.value.hint}"


@SOFTHSM
@pytest.mark.parametrize("name", ["hsm:7?label=dataseal", "hsm:1?label=another"])
def test_a_token_or_key_that_is_not_there(token: None, name: str) -> None:
    with refused(UsageError, "the key can't be used", name):
        uri.open_key(name, lambda _: PIN.encode())


@SOFTHSM
def test_a_release_signed_on_a_token_verifies(token: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(uri.PIN, PIN)
    release_signed_with("hsm:1?label=dataseal", tmp_path)


def test_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYKCS11LIB", raising=False)
    with refused(UsageError, "PYKCS11LIB is not set"):
        uri.open_key("hsm:1", no_passphrase)


@pytest.mark.parametrize("name", ["hsm:one", "hsm:1?slot=2", "hsm:²"])
def test_a_token_uri_that_is_none(name: str) -> None:
    with refused(UsageError, "hsm: is followed by"):
        uri.open_key(name, no_passphrase)


# --- GnuPG ---


@pytest.fixture(scope="module")
def keyring() -> Iterator[dict[str, str]]:
    """A GnuPG home with a key of each kind; gives their fingerprints. (An agent's socket wants a short path.)"""
    home = tempfile.mkdtemp(prefix="gpg-")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GNUPGHOME", home)
        found = {}
        for kind in ("nistp256", "nistp384", "ed25519"):
            quick = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", f"{kind}@example.org", kind, "sign"]
            subprocess.run(quick, check=True, capture_output=True)
            listed = ["gpg", "--with-colons", "--list-secret-keys", f"{kind}@example.org"]
            lines = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.splitlines()
            found[kind] = next(line for line in lines if line.startswith("fpr")).split(":")[9]
        yield found
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False)
    shutil.rmtree(home, ignore_errors=True)


@GNUPG
@pytest.mark.parametrize(("kind", "scheme"), [("nistp256", "ecdsa-p256"), ("nistp384", "ecdsa-p384")])
def test_gnupgs_agent_signs(keyring: dict[str, str], kind: str, scheme: str) -> None:
    works(uri.open_key(f"gnupg:{keyring[kind].lower()}", no_passphrase), scheme)


@GNUPG
def test_a_release_signed_with_gnupg_verifies(keyring: dict[str, str], tmp_path: Path) -> None:
    release_signed_with(f"gnupg:{keyring['nistp256']}", tmp_path)


@GNUPG
def test_a_gnupg_key_that_signs_in_openpgps_form_only(keyring: dict[str, str]) -> None:
    with refused(UsageError, "ed25519", "OpenPGP's own form", "nistp256"):
        uri.open_key(f"gnupg:{keyring['ed25519']}", no_passphrase)


@GNUPG
def test_what_openpgp_signs_is_not_the_message(keyring: dict[str, str]) -> None:
    """Why securesystemslib's own GnuPG signer is not used: its signature does not verify over what was signed."""
    from securesystemslib.signer import GPGSigner

    fingerprint = keyring["ed25519"].lower()
    name, key = GPGSigner.import_(fingerprint)
    made = GPGSigner.from_priv_key_uri(name, key).sign(b"message")
    assert "other_headers" in made.unrecognized_fields
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]["q"]))
    with refused(SignatureInvalid, "did not make"):
        PublicKey.of(public).verify(bytes.fromhex(made.signature), b"message")


@GNUPG
def test_a_key_that_gnupg_does_not_have(keyring: dict[str, str]) -> None:
    with refused(UsageError, "no secret key"):
        uri.open_key(f"gnupg:{'0' * 40}", no_passphrase)


@pytest.mark.parametrize("name", ["gnupg:alice@example.org", "gnupg:--help", "gnupg:ABCDEF01"])
def test_a_gnupg_key_is_named_by_its_whole_fingerprint(name: str) -> None:
    with refused(UsageError, "40 hexadecimal digits"):
        uri.open_key(name, no_passphrase)


def test_no_gnupg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with refused(UsageError, "gpg is not installed"):
        uri.open_key(f"gnupg:{'0' * 40}", no_passphrase)


@pytest.mark.parametrize(
    "answer", [b"", b"(", b")", b"(1:q", b"(1:q99:x)", b"(x)", b"(1:r1:a)", b"((1:q))", b"(1:q1:", b"(-1:q1:a)"]
)
def test_an_answer_of_the_agent_that_is_none(answer: bytes) -> None:
    with refused(Unavailable, "neither a key nor a signature"):
        gpgagent._named(answer)


# --- services ---


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    boto3 = pytest.importorskip("boto3")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials of the test before
    service = Aws()
    with serving(service) as url:
        for name, value in {
            "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": keyservices.ACCESS, "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_SECRET_ACCESS_KEY": keyservices.SECRET, "AWS_CONFIG_FILE": os.devnull, "AWS_MAX_ATTEMPTS": "1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield service


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    pytest.importorskip("hvac")
    service = Vault()
    with serving(service) as url:
        monkeypatch.setenv("VAULT_ADDR", url)
        monkeypatch.setenv("VAULT_TOKEN", keyservices.TOKEN)
        yield service


@pytest.mark.parametrize(("name", "scheme"), [("alias/p256", "ecdsa-p256"), ("alias/p384", "ecdsa-p384")])
def test_aws_signs(aws: Aws, name: str, scheme: str) -> None:
    works(uri.open_key(f"awskms:{name}", no_passphrase), scheme)
    assert aws.asked == ["GetPublicKey", "Sign", "Sign"]


def test_a_kind_of_key_that_does_not_sign_here(aws: Aws) -> None:
    with refused(UsageError, "rsassa-pss-sha256", "ECDSA P-256"):
        uri.open_key("awskms:alias/rsa", no_passphrase)


def test_a_key_that_aws_does_not_have(aws: Aws) -> None:
    with refused(Unavailable, "NotFoundException", "awskms:alias/none"):
        uri.open_key("awskms:alias/none", no_passphrase)


def test_aws_refuses_the_credentials_and_the_secret_is_not_told(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SOMEBODYELSE")
    with pytest.raises(Unavailable) as error:
        uri.open_key("awskms:alias/p256", no_passphrase)
    assert keyservices.SECRET not in f"{error.value} {error.value.hint}"


def test_a_service_that_signs_something_else_is_noticed(aws: Aws) -> None:
    aws.lying = True
    with refused(SignatureInvalid, "no trusted key"):
        sign(statements.release_payload(), uri.open_key("awskms:alias/p256", no_passphrase), now=Clock()())


def test_vault_signs_with_the_newest_version(vault: Vault) -> None:
    signer = uri.open_key("hashivault:release", no_passphrase)
    works(signer, "ed25519")
    assert signer.public == PublicKey.of(vault.versions["10"].public_key())


def test_vault_refuses_the_token_which_is_not_told(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "hvs.another-secret")
    with pytest.raises(Unavailable) as error:
        uri.open_key("hashivault:release", no_passphrase)
    assert "Forbidden" in error.value.what
    assert "another-secret" not in f"{error.value} {error.value.hint}"


def test_a_vault_that_lies_is_noticed(vault: Vault) -> None:
    vault.lying = True
    with refused(SignatureInvalid, "no trusted key"):
        sign(statements.release_payload(), uri.open_key("hashivault:release", no_passphrase), now=Clock()())


def test_a_vault_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hvac")
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    with refused(Unavailable, "the key service did not sign", "hashivault:release"):
        uri.open_key("hashivault:release", no_passphrase)


def test_a_release_signed_by_vault_verifies(vault: Vault, tmp_path: Path) -> None:
    release_signed_with("hashivault:release", tmp_path)


@pytest.mark.parametrize(
    ("name", "module"), [("gcpkms:projects/p/1", "google.cloud"), ("azurekms:vault/key", "azure.keyvault")]
)
def test_a_missing_sdk_is_named_with_what_installs_it(name: str, module: str) -> None:
    try:
        present = find_spec(module) is not None
    except ModuleNotFoundError:
        present = False
    if present:
        pytest.skip(f"{module} is installed")
    with refused(UsageError, "a library is not installed", "dataseal[kms]"):
        uri.open_key(name, no_passphrase)


def test_securesystemslib_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise ImportError

    monkeypatch.setattr(kms, "import_module", missing)
    with refused(UsageError, "securesystemslib is not installed", "dataseal[kms]"):
        uri.open_key("awskms:key", no_passphrase)


@pytest.mark.parametrize("name", ["azurekms:vault", "azurekms:/key", "azurekms:a/b/c"])
def test_an_azure_key_is_named_by_vault_and_key(name: str) -> None:
    with refused(UsageError, "VAULT/KEY"):
        uri.open_key(name, no_passphrase)


def test_offline_asks_no_key_service(tmp_path: Path) -> None:
    assert dataseal("init", tmp_path / "ws").code == 0
    make_dataset(tmp_path / "data", shards=1)
    said = dataseal("sign", tmp_path / "data", "--workspace", tmp_path / "ws", "--dataset", DATASET, "--release", "1",
                    "--key", "awskms:alias/p256", "--offline")  # fmt: skip
    told(said, 2, "--offline, and the key service of awskms:alias/p256")


def release_signed_with(name: str, folder: Path) -> None:
    """A release signed with a key by its URI passes for the public half that `key export` prints."""
    assert dataseal("init", folder / "ws").code == 0
    make_dataset(folder / "data", shards=1)
    said = dataseal("key", "export", name)
    assert said.code == 0, said.err
    (folder / "key.pub").write_text(said.out)
    with (folder / "ws/dataseal.toml").open("a", encoding="utf-8") as stream:
        stream.write('\n[[admission]]\ndatasets = ["*"]\nkinds = ["release"]\nkeys = ["../key.pub"]\n')
    base = ("--workspace", folder / "ws", "--dataset", DATASET, "--release", "1.0.0", "--key", name)
    said = dataseal("sign", folder / "data", *base)
    assert said.code == 0, said.err
    trust = ("--publisher", folder / "key.pub", "--log", folder / "ws/keys/log.vkey", "--dataset", DATASET)
    said = dataseal("verify", folder / "data", *trust)
    assert said.code == 0, said
