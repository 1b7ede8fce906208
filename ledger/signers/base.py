"""What signs: a payload becomes a signature with what a bundle carries beside it, and a credential to check it with."""

from __future__ import annotations

from typing import Protocol

from dataseal.ledger.bundle import KeyHint, Signed, pae
from dataseal.ledger.credential import Credential
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.statement import PAYLOAD_TYPE


class Signer(Protocol):
    """Signs statements, wherever its key lives."""

    @property
    def public(self) -> PublicKey | None:
        """The public half; None when each signature has a key of its own (keyless)."""

    @property
    def credential(self) -> Credential:
        """What recognises the signer's bundles: whatever is signed is verified with it before it is logged."""

    def sign_payload(self, payload: bytes) -> Signed:
        """The signature over the PAE of ``payload`` under in-toto's payload type, and its evidence."""


class RawSigner(Protocol):
    """Signs bytes with one key."""

    @property
    def public(self) -> PublicKey:
        """The public half."""

    def sign(self, message: bytes) -> bytes:
        """The raw signature over ``message``, as `PublicKey.verify` takes it."""


class KeyedSigner(RawSigner, Protocol):
    """A `Signer` that signs with one key, wherever that lives."""

    @property
    def credential(self) -> Credential:
        """The public half, or the name that is certified for it."""

    def sign_payload(self, payload: bytes) -> Signed:
        """As `Signer.sign_payload`."""


class KeySigner:
    """What a signer with one key needs to be a `Signer`: a subclass has ``public`` and ``sign``."""

    @property
    def credential(self: RawSigner) -> Credential:
        """The public half."""
        return self.public

    def sign_payload(self: RawSigner, payload: bytes) -> Signed:
        """The signature, with the key's fingerprint as the hint."""
        return Signed(self.sign(pae(PAYLOAD_TYPE, payload)), KeyHint(self.public.fingerprint))
