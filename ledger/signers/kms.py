"""Keys that stay where they are: cloud key services, Vault, PKCS#11 tokens, and GnuPG's agent.

==============================  ======================================  =============================================
URI                             signs with                              settings of its own
==============================  ======================================  =============================================
``awskms:KEY``                  AWS KMS: key id, ARN or alias/NAME      the SDK's (``AWS_…``)
``gcpkms:projects/…/N``         Google Cloud KMS: a key version         the SDK's (``GOOGLE_APPLICATION_CREDENTIALS``)
``azurekms:VAULT/KEY``          Azure Key Vault                         the SDK's (``AZURE_…``)
``hashivault:KEY``              HashiCorp Vault transit, Ed25519 keys   ``VAULT_ADDR``, ``VAULT_TOKEN``
``hsm:ID?label=TOKEN``          a PKCS#11 token; ``pkcs11:`` is it too  ``PYKCS11LIB`` (a module), ``DATASEAL_HSM_PIN``
``gnupg:FINGERPRINT``           `dataseal.ledger.signers.gpgagent`      ``GNUPGHOME``
==============================  ======================================  =============================================

All but the last go through securesystemslib (extra ``kms``). The public half is fetched each time, and is what
verifiers must know; as with any signer, what was signed is verified with it before it is logged. The service sees
a digest (AWS, Google, Azure, PKCS#11) or the statement itself (Vault).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dataseal.ledger.errors import DatasealError, FormatError, Unavailable, UsageError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.signers.base import KeyedSigner, KeySigner
from dataseal.ledger.signers.keyfile import Passphrase
from dataseal.ledger.signers.uri import PIN

PIN_ERRORS: Final = frozenset({"PinIncorrect", "PinLenRange", "PinInvalid", "PinLocked", "PinExpired"})
"""Of python-pkcs11, by name: the library need not be here."""

MAX_TOLD: Final = 200
"""Characters of a service's own words that are shown."""

_EXTRA: Final = "pip install 'dataseal[kms]'"


class ForeignSigner(Protocol):
    """What is used of ``securesystemslib.signer.Signer``."""

    def sign(self, payload: bytes) -> Any:
        """A signature object, whose ``signature`` is hexadecimal."""


class RemoteSigner(KeySigner):
    """A key behind a securesystemslib signer."""

    def __init__(self, signer: ForeignSigner, public: PublicKey, where: str) -> None:
        self._signer = signer
        self._public = public
        self._where = where

    @property
    def public(self) -> PublicKey:
        """The public half, as the service told it."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """The raw signature.

        Raises:
            UsageError: a PIN that does not fit. Unavailable: the service does not answer, or refuses.
        """
        with _translated(self._where):
            return bytes.fromhex(self._signer.sign(message).signature)


def open_key(scheme: str, rest: str, passphrase: Passphrase) -> KeyedSigner:
    """The signer behind a URI's scheme and rest.

    Raises:
        UsageError: a library is missing, the URI names no key, or a kind of key that is not supported.
        Unavailable: the service does not answer, or refuses.
    """
    where = f"{scheme}:{rest}"
    if scheme == "gnupg":
        from dataseal.ledger.signers import gpgagent

        return gpgagent.open_key(rest)
    signers = _library()
    with _translated(where):
        uri, key = _IMPORTS[scheme](signers, rest, _pin(where, passphrase))
        public = _public(key, where)
        made = signers.SIGNER_FOR_URI_SCHEME[uri.partition(":")[0]].from_priv_key_uri(uri, key, _pin(where, passphrase))
    return RemoteSigner(made, public, where)


def _library() -> Any:
    try:
        found = import_module("securesystemslib.signer")
    except ImportError:
        raise UsageError("securesystemslib is not installed", hint=_EXTRA) from None
    # It logs what failed, with its own words, before it raises; we tell that once.
    logging.getLogger("securesystemslib").setLevel(logging.CRITICAL)
    return found


def _aws(signers: Any, rest: str, _pin: Callable[[str], str]) -> Any:
    return signers.AWSSigner.import_(rest)


def _gcp(signers: Any, rest: str, _pin: Callable[[str], str]) -> Any:
    return signers.GCPSigner.import_(rest)


def _azure(signers: Any, rest: str, _pin: Callable[[str], str]) -> Any:
    vault, slash, key = rest.partition("/")
    if not slash or not vault or not key or "/" in key:
        raise UsageError("azurekms: is followed by VAULT/KEY", hint="such as azurekms:our-vault/release-key")
    return signers.AzureSigner.import_(vault, key)


def _vault(signers: Any, rest: str, _pin: Callable[[str], str]) -> Any:
    if "/" in rest:
        raise UsageError("hashivault: is followed by the name of a transit key", hint="its newest version signs")
    return signers.VaultSigner.import_(rest)


def _hsm(signers: Any, rest: str, pin: Callable[[str], str]) -> Any:
    number, _, query = rest.partition("?")
    fields = dict(parse_qsl(query, keep_blank_values=True))
    if (number and not (number.isascii() and number.isdigit())) or set(fields) - {"label"}:
        raise UsageError(
            "hsm: is followed by the key's number and the token's label", hint="such as hsm:2?label=YubiKey"
        )
    if not os.environ.get("PYKCS11LIB"):
        raise UsageError(
            "PYKCS11LIB is not set: no PKCS#11 module to reach the token with",
            hint="set it to the module's file, such as /usr/lib/softhsm/libsofthsm2.so",
        )
    return signers.HSMSigner.import_(int(number) if number else None, fields.get("label"), pin)


_IMPORTS: Final[dict[str, Callable[[Any, str, Callable[[str], str]], Any]]] = {
    "awskms": _aws,
    "gcpkms": _gcp,
    "azurekms": _azure,
    "hashivault": _vault,
    "hsm": _hsm,
    "pkcs11": _hsm,
}


def _pin(where: str, passphrase: Passphrase) -> Callable[[str], str]:
    def ask(_what: str) -> str:
        found = os.environ.get(PIN) or (passphrase(where) or b"").decode("utf-8", "replace")
        if not found:
            raise UsageError("the token wants a PIN, and none was given", where=where, hint=f"set {PIN}")
        return found

    return ask


def _public(key: Any, where: str) -> PublicKey:
    """Our public key of a securesystemslib one: PEM, or for Ed25519 its 32 bytes in hexadecimal."""
    try:
        text = str(key.keyval["public"])
        if key.scheme == "ed25519":
            return PublicKey.of(Ed25519PublicKey.from_public_bytes(bytes.fromhex(text)))
        return PublicKey.from_pem(text.encode())
    except (FormatError, ValueError, KeyError):
        raise UsageError(
            f"a key of kind {str(key.scheme)[:60]!r} does not sign here",
            where=where,
            hint="use ECDSA P-256 or P-384, or Ed25519",
        ) from None


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Each SDK has errors of its own; what is told of them is a line, and no stack."""
    try:
        yield
    except DatasealError:
        raise
    except Exception as error:  # noqa: BLE001  each SDK has a tree of its own, and need not be installed
        name, told = type(error).__name__, " ".join(str(error).split())[:MAX_TOLD]
        if name == "UnsupportedLibraryError" or isinstance(error, ImportError):
            raise UsageError(f"a library is not installed: {told}", where=where, hint=_EXTRA) from None
        if name in PIN_ERRORS:
            raise UsageError(f"the PIN does not open the token ({name})", where=where, hint=f"check {PIN}") from None
        if isinstance(error, ValueError) or name.startswith("Unsupported"):
            raise UsageError(f"the key can't be used: {told}", where=where, hint="see docs/keys.md") from None
        raise Unavailable(
            f"the key service did not sign: {name}{f': {told}' if told else ''}",
            where=where,
            hint="check its address, its credentials and the key's name, and run the command again",
        ) from None
