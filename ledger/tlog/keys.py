"""Log and witness keys as text: public *vkeys* (signed-note, "Verifier keys") and their private twins.

::

    <name>+<hex key ID>+<base64(type || public key)>                  vkey
    PRIVATE+KEY+<name>+<hex key ID>+<base64(type || 32-byte seed)>    skey, as Go's sumdb/note writes them

The key ID is recomputed and must match, so that a mistyped key is refused when it is read, not when it
fails to verify. Types: 1 Ed25519 note signatures (logs), 4 Ed25519 cosignatures (witnesses), 6 ML-DSA-44
(both). Keys come from configuration, hence every error here is a `UsageError`.

Example (``tests/ledger/tlog/test_keys.py`` holds it; the seed is SHA-256 of ``dataseal example log``)::

    dataseal.invalid/0123456789abcdef+d557fb4b+AQCLkwzlYT5nR/vu1kosJUdqR01++VotXheFPlsDDqs+
    PRIVATE+KEY+dataseal.invalid/0123456789abcdef+d557fb4b+Ab9f12r3uBc55j7rMppjWoRra03RQYoJQjWkgfAwjfKV
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.tlog.cosignature import (
    Ed25519CosignatureVerifier,
    Ed25519Cosigner,
    MLDSA44Cosigner,
    MLDSA44Verifier,
)
from dataseal.ledger.tlog.note import Ed25519Signer, Ed25519Verifier, PublicKey
from dataseal.ledger.tlog.text import decode_base64, encode_base64

AnySigner = Ed25519Signer | Ed25519Cosigner | MLDSA44Cosigner

_PRIVATE: Final = "PRIVATE+KEY+"
_SEED_BYTES: Final = 32
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}\Z")
_PUBLIC_TYPES: Final[dict[int, type[PublicKey]]] = {
    kind.TYPE: kind for kind in (Ed25519Verifier, Ed25519CosignatureVerifier, MLDSA44Verifier)
}


class _Fields(NamedTuple):
    name: str
    key_id: str
    type: int
    material: bytes


def parse_vkey(text: str) -> PublicKey:
    """Reads a verifier key.

    Type 1 gives an `Ed25519Verifier`, 4 an `Ed25519CosignatureVerifier`, 6 an `MLDSA44Verifier`.

    Raises:
        UsageError: not a vkey, of an unknown type, or its key ID is not that of name and key.
    """
    if text.startswith(_PRIVATE):
        raise UsageError("this is a private key, not a verifier key", hint="never hand it out; use its vkey")
    fields = _split(text, what="vkey")
    key = _PUBLIC_TYPES[fields.type](fields.name, fields.material)
    _demand_key_id(key, fields.key_id, what="vkey")
    return key


def encode_skey(signer: AnySigner) -> str:
    """The private key as text: keep it secret."""
    verifier, seed = signer.verifier, signer.private_key.private_bytes_raw()
    return f"{_PRIVATE}{verifier.name}+{verifier.key_id.hex()}+{encode_base64(bytes([verifier.TYPE]) + seed)}"


def parse_skey(text: str) -> AnySigner:
    """Reads a private key of type 1, 4 or 6. No error repeats any of its text.

    Raises:
        UsageError: not a private key text, of an unknown type, or its key ID is not that of name and key.
    """
    if not text.startswith(_PRIVATE):
        raise UsageError(f"private key text does not begin with {_PRIVATE}")
    fields = _split(text.removeprefix(_PRIVATE), what="private key text")
    if len(fields.material) != _SEED_BYTES:
        raise UsageError(f"private key has {len(fields.material)} bytes; a seed has {_SEED_BYTES}")
    signer = _signer(fields)
    _demand_key_id(signer.verifier, fields.key_id, what="private key text")
    return signer


def _signer(fields: _Fields) -> AnySigner:
    if fields.type == MLDSA44Verifier.TYPE:
        try:
            from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

            return MLDSA44Cosigner(fields.name, MLDSA44PrivateKey.from_seed_bytes(fields.material))
        except (ImportError, UnsupportedAlgorithm) as error:
            raise UsageError("ML-DSA-44 is not available", hint="install cryptography 50 or newer") from error
    private = Ed25519PrivateKey.from_private_bytes(fields.material)
    if fields.type == Ed25519CosignatureVerifier.TYPE:
        return Ed25519Cosigner(fields.name, private)
    return Ed25519Signer(fields.name, private)


def _split(text: str, *, what: str) -> _Fields:
    name, first, rest = text.partition("+")
    key_id, second, encoded = rest.partition("+")  # base64 may hold further pluses
    if not first or not second or not _KEY_ID.match(key_id):
        raise UsageError(f"{what} is not of the form <name>+<key ID>+<base64 key>")
    try:
        data = decode_base64(encoded, what=what)
    except FormatError:
        raise UsageError(f"{what} of {name[:80]!r} does not end in canonical base64") from None
    if not data or data[0] not in _PUBLIC_TYPES:
        known = ", ".join(map(str, _PUBLIC_TYPES))
        raise UsageError(f"{what} of {name[:80]!r} has signature type {data[:1].hex() or 'none'}; known: {known}")
    return _Fields(name, key_id, data[0], data[1:])


def _demand_key_id(key: PublicKey, key_id: str, *, what: str) -> None:
    if key_id != key.key_id.hex():
        raise UsageError(f"{what} of {key.name!r} says key ID {key_id}; name and key give {key.key_id.hex()}")
