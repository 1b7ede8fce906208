"""Writes these vectors: bundles that released versions of the reference implementation, ``model-signing``, really made.

Run once for each version, in an environment that has it; each adds the cases that it can make::

    python generate_oms.py KEYS

The first run makes private keys in KEYS, a folder that is thrown away afterwards, and their public halves and the
certificates in ``keys/``; so vectors are made anew all together. It signs the tree of ``tree.json`` and writes
``<version>-<case>.json``, byte for byte what the implementation wrote. Made with 0.2.0, 0.3.1, 1.0.0, 1.0.1 and 1.1.1
under Python 3.12; those before 1.1 beside ``sigstore<4``, whose models they import.

Versions from 0.3 to 1.0 look for Sigstore's public instance even to sign with a key; that one call is taken out. 0.2
signs with a key through its lower floors, as its command did.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VERSION = importlib.metadata.version("model-signing")
HERE = Path(__file__).resolve().parent
PUBLIC = HERE / "keys"
DAY = datetime.timedelta(days=1)


def write_key(path: Path, curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(curve)
    private = serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (PUBLIC / f"{path.stem}.pub").write_bytes(public)
    return key


def certificate(stem: str, name: str, key, issuer, issuer_key, *, ca: bool, start, end) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not ca:
        names = [x509.RFC822Name("models@example.com")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    made = builder.sign(issuer_key, hashes.SHA256())
    (PUBLIC / f"{stem}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return made


def make_keys(folder: Path) -> None:
    folder.mkdir(parents=True)
    PUBLIC.mkdir()
    write_key(folder / "p256.key", ec.SECP256R1())
    write_key(folder / "p384.key", ec.SECP384R1())
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    root_key, between_key = write_key(folder / "root.key", ec.SECP384R1()), write_key(folder / "ca.key", ec.SECP256R1())
    leaf_key, old_key = write_key(folder / "leaf.key", ec.SECP256R1()), write_key(folder / "old.key", ec.SECP256R1())
    far = start + 36500 * DAY
    root = certificate("root", "Test root", root_key, None, root_key, ca=True, start=start, end=far)
    ca = certificate("ca", "Test CA", between_key, root, root_key, ca=True, start=start, end=far)
    certificate("leaf", "Models", leaf_key, ca, between_key, ca=False, start=start, end=far)
    end = start + DAY
    certificate("old", "Models", old_key, ca, between_key, ca=False, start=start, end=end)


def write_tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def cases(keys: Path, tree: Path):
    """Name, how it is asked, and the function that signs into a path."""
    from model_signing import hashing, signing

    def config():
        made = object.__new__(signing.Config)  # not its default: Sigstore's public instance
        made._hashing_config = hashing.Config()
        return made

    def keyed(name: str = "p256"):
        return config().use_elliptic_key_signer(private_key=keys / f"{name}.key")

    def certified(name: str):
        return config().use_certificate_signer(
            private_key=keys / f"{name}.key",
            signing_certificate=PUBLIC / f"{name}.crt",
            certificate_chain=[PUBLIC / "ca.crt"],
        )

    def hashed(what):
        return lambda made: made.set_hashing_config(what(hashing.Config()))

    shards = hashed(lambda c: c.use_shard_serialization(shard_size=8))
    yield "key", keyed(), tree
    yield "key-p384", keyed("p384"), tree
    yield "shards", shards(keyed()), tree
    yield "single-file", keyed(), tree / "weights.bin"
    if VERSION != "0.3.1":  # which fails with a misspelt field
        yield "certificate", certified("leaf"), tree
        yield "certificate-expired", certified("old"), tree
    for name in ("blake2", "blake3"):
        try:
            made = hashed(lambda c, name=name: c.use_file_serialization(hashing_algorithm=name))(keyed())
        except ValueError:
            continue  # BLAKE3 came with 1.1
        yield name, made, tree
    ignoring = hashed(lambda c: c.set_ignored_paths(paths=[tree / "data"] if VERSION < "1.1" else ["data"]))
    yield "ignore", ignoring(keyed()), tree
    if VERSION >= "1.1":
        yield (
            "shards-blake2",
            hashed(lambda c: c.use_shard_serialization(hashing_algorithm="blake2", shard_size=8))(keyed()),
            tree,
        )


def sign_old(key: Path, tree: Path, target: Path) -> None:
    """0.2: every file is a subject, and the bundle is signed over what is almost a DSSE encoding."""
    from model_signing.hashing import file, memory
    from model_signing.serialization import serialize_by_file
    from model_signing.signature.key import ECKeySigner
    from model_signing.signing import in_toto, in_toto_signature

    serializer = serialize_by_file.ManifestSerializer(lambda path: file.SimpleFileHasher(path, memory.SHA256()))
    payload = in_toto.DigestsIntotoPayload.from_manifest(serializer.serialize(tree))
    in_toto_signature.IntotoSigner(ECKeySigner.from_path(str(key))).sign(payload).write(target)


def main() -> None:
    keys = Path(sys.argv[1]).resolve()
    if not keys.exists():
        make_keys(keys)
    files = json.loads((HERE / "tree.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as place:
        tree = write_tree(Path(place) / "model", files)
        if VERSION == "0.2.0":
            sign_old(keys / "p256.key", tree, HERE / f"{VERSION}-key.json")
            return
        for name, made, target in cases(keys, tree):
            made.sign(target, HERE / f"{VERSION}-{name}.json")


if __name__ == "__main__":
    main()
