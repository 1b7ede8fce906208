"""Keys in files: PKCS#8 PEM, mode 0600, with or without a passphrase. OpenSSH's own files are read, too.

A private key file is written once, never over another file, and its public half (PEM SubjectPublicKeyInfo) beside
it. ML-DSA-44, P-384 and Ed25519 keys are read and made like the default, ECDSA P-256.

OpenSSH keys (``ssh-keygen -t ed25519`` or ``ecdsa``) are read from ``-----BEGIN OPENSSH PRIVATE KEY-----`` and from the
one line of a ``.pub`` file. What such a key signs here is a DSSE signature like any other, and no SSH signature.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa

from dataseal.ledger.errors import FormatError, Unavailable, UsageError
from dataseal.ledger.publickey import ECDSA_HASHES, PublicKey, scheme_of
from dataseal.ledger.signers.base import KeySigner

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | mldsa.MLDSA44PrivateKey
Passphrase = Callable[[str], bytes | None]
"""Asked, with the key file's name, only when a key turns out to be encrypted."""

SCHEMES: Final[dict[str, Callable[[], PrivateKey]]] = {
    "ecdsa-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
}

MAX_KEY_FILE: Final = 64 * 1024
"""Bytes; the largest key kept in a file, ML-DSA-44 with an encryption header, takes under 8 KiB."""


_SSH_PRIVATE: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_SSH_LINE: Final = (b"ssh-", b"ecdsa-", b"sk-")


class KeyFileSigner(KeySigner):
    """A private key that was read from a file, or another place that holds the same bytes."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self._public = PublicKey.of(key.public_key())

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return self._public

    @property
    def private(self) -> PrivateKey:
        """The key object, for formats that sign in their own way (checkpoints)."""
        return self._key

    def sign(self, message: bytes) -> bytes:
        """ECDSA (DER), Ed25519 or ML-DSA-44 signature over ``message``."""
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(message, ec.ECDSA(ECDSA_HASHES[self._key.curve.name]()))
        return self._key.sign(message)


def generate(scheme: str = "ecdsa-p256") -> KeyFileSigner:
    """A new key.

    Raises:
        UsageError: an unknown scheme.
    """
    make = SCHEMES.get(scheme)
    if make is None:
        raise UsageError(f"unknown key scheme {scheme!r}", hint=f"one of {', '.join(SCHEMES)}")
    return KeyFileSigner(make())


def save(signer: KeyFileSigner, path: Path, passphrase: bytes | None) -> None:
    """Writes ``path`` (private, 0600) and ``path`` with the suffix ``.pub``.

    Raises:
        UsageError: either file exists already, the folder does not, or the passphrase is empty.
        Unavailable: they can't be written; neither is left.
    """
    if passphrase == b"":
        raise UsageError("an empty passphrase protects nothing", hint="give one, or make the key without --encrypt")
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    pem = signer.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    public = path.with_suffix(".pub")
    if public == path:
        raise UsageError(f"{path} is the name of a public key file", hint="name the private one with another suffix")
    for file in (path, public):
        if os.path.lexists(file):
            raise _exists(file)
    _write_new(path, pem, 0o600)
    try:
        _write_new(public, signer.public.pem(), 0o644)
    except BaseException:
        path.unlink()
        raise


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(descriptor)
        except BaseException:
            path.unlink()
            raise
    except FileExistsError:
        raise _exists(path) from None
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"no such folder: {path.parent}", hint="make it first, or choose another place") from None
    except OSError as error:
        raise Unavailable(
            f"can't write the key file: {error.strerror}", where=str(path), hint="check permissions and disk space"
        ) from None


def _exists(path: Path) -> UsageError:
    return UsageError(
        f"{path} exists; a key is never overwritten", hint="choose another name, or move the old key away"
    )


def load(path: Path, passphrase: Passphrase) -> KeyFileSigner:
    """Reads a private key file.

    Raises:
        UsageError: missing or unreadable; and as `decode`.
    """
    return decode(read_key_file(path), passphrase, where=str(path))


def decode(data: bytes, passphrase: Passphrase, *, where: str) -> KeyFileSigner:
    """Reads a private key: PKCS#8 PEM, or OpenSSH's format.

    Args:
        where: what errors call the key, and what ``passphrase`` is asked with. No error tells anything of ``data``.

    Raises:
        UsageError: not a private key, a wrong or missing passphrase, or a kind of key that is not supported.
    """
    try:
        key = _decode(data, None)
    except TypeError:  # cryptography's way to say that the key is encrypted
        key = _decrypt(data, passphrase, where)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(
            "not a PEM private key (PKCS#8 or OpenSSH) of a kind that is known",
            where=where,
            hint="a private key file starts with -----BEGIN PRIVATE KEY-----, -----BEGIN ENCRYPTED PRIVATE KEY----- "
            "or -----BEGIN OPENSSH PRIVATE KEY-----",
        ) from None
    try:
        scheme_of(key)
    except FormatError as error:
        raise UsageError(error.what, where=where, hint=error.hint) from None
    return KeyFileSigner(key)  # type: ignore[arg-type]  # scheme_of let only the three kinds pass


def _decrypt(data: bytes, passphrase: Passphrase, where: str) -> object:
    secret = passphrase(where)
    if not secret:
        raise UsageError(
            "the key is encrypted and no passphrase was given",
            where=where,
            hint="set DATASEAL_KEY_PASSPHRASE, give --passphrase-fd, or run in a terminal to be asked",
        )
    try:
        return _decode(data, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError(
            "the passphrase does not open this key",
            where=where,
            hint="check DATASEAL_KEY_PASSPHRASE or --passphrase-fd, or leave both out to be asked",
        ) from None


def read_key_file(path: Path) -> bytes:
    """The bytes of a key file, bounded.

    Raises:
        UsageError: missing, unreadable or too large.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_KEY_FILE + 1)
    except OSError as error:
        raise UsageError(f"can't read the key file: {error.strerror}", where=str(path)) from None
    if len(data) > MAX_KEY_FILE:
        raise UsageError(f"a key file of more than {MAX_KEY_FILE:,} bytes", where=str(path))
    return data


def load_public(path: Path) -> PublicKey:
    """Reads a public key file: PEM, or the one line of an OpenSSH ``.pub`` file.

    Raises:
        UsageError: missing, unreadable, or not a public key.
    """
    data = read_key_file(path)
    read = PublicKey.from_ssh if data.lstrip().startswith(_SSH_LINE) else PublicKey.from_pem
    try:
        return read(data, where=str(path))
    except FormatError as error:
        raise UsageError(error.what, where=error.where, hint=error.hint) from None


def readable_by_others(path: Path) -> bool:
    """Whether group or others may read a private key file."""
    return bool(path.stat().st_mode & 0o077)


def _decode(data: bytes, passphrase: bytes | None) -> object:
    if data.lstrip().startswith(_SSH_PRIVATE):
        return serialization.load_ssh_private_key(data, passphrase)
    return serialization.load_pem_private_key(data, passphrase)
