"""What signs: a public key to be known by, and a signature over bytes."""

from __future__ import annotations

from typing import Protocol

from dataseal.ledger.publickey import PublicKey


class Signer(Protocol):
    """Signs messages with one key, wherever that key lives."""

    @property
    def public(self) -> PublicKey:
        """The public half."""

    def sign(self, message: bytes) -> bytes:
        """The raw signature over ``message``, as `PublicKey.verify` takes it."""
