"""The trusted root of a Sigstore instance: the keys of its CA, CT log, Rekor and TSA, pinned by its digest.

It is bytes whose SHA-256 the trust document gives: a ``TrustedRoot`` (``trustroot.proto``), or a ``ClientTrustConfig``,
whose trusted root is taken. Sigstore's own clients refresh theirs by TUF, and offline believe a cache file that nobody
signed; here there is no cache and no network. `shipped_root` is the public instance's as the installed ``sigstore``
distribution has it, which ``requirements/`` pins by hash; the digest is demanded all the same, so that an upgrade that
brings other keys is an error until somebody has looked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from dataseal.ledger import canonical
from dataseal.ledger import timestamp as timestamps
from dataseal.ledger import x509 as certificates
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import FormatError, UsageError

if TYPE_CHECKING:
    from sigstore.verify import Verifier

MAX_ROOT: Final = 1024 * 1024
"""Bytes: the public instance's trusted root has 7,000."""

ROOT_TYPES: Final = (
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
)
_SIGNING_CONFIG: Final = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
CONFIG_TYPE: Final = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"

SHIPPED: Final = {
    "public-good": "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev",
    "staging": "https%3A%2F%2Ftuf-repo-cdn.sigstage.dev",
}
"""Instances whose trusted root comes with the ``sigstore`` distribution, and the folder that it keeps each in."""


def shipped_root(instance: str) -> bytes:
    """The trusted root of a public instance, as the installed ``sigstore`` has it.

    Raises:
        UsageError: another instance, or this ``sigstore`` ships none.
    """
    from importlib import resources

    if instance not in SHIPPED:
        raise UsageError(f"no trusted root of {instance!r} is shipped", hint=f"one of {', '.join(SHIPPED)}, or a file")
    try:
        return resources.files("sigstore._store").joinpath(SHIPPED[instance], "trusted_root.json").read_bytes()
    except (OSError, ModuleNotFoundError):
        raise UsageError(
            f"this version of sigstore ships no trusted root of {instance}",
            hint="get it with `sigstore`'s TUF client, or from a colleague, and give the file",
        ) from None


@dataclass(frozen=True, slots=True)
class SigstoreRoot:
    """A pinned trusted root: the file's bytes, and their SHA-256. Made by `pinned` only."""

    data: bytes = field(repr=False)
    digest: str

    @classmethod
    def pinned(cls, data: bytes, digest: str, *, where: str | None = None) -> SigstoreRoot:
        """The trusted root in ``data``, a ``TrustedRoot`` or ``ClientTrustConfig``, whose SHA-256 must be ``digest``.

        Raises:
            UsageError: another digest, or not such a file.
        """
        actual = sha256(data).hex()
        if actual != digest:
            raise UsageError(
                f"the Sigstore trusted root has SHA-256 {actual}; the trust document pins {str(digest)[:64]}",
                where=where,
                hint="it was changed or is another instance's; look at it, and only then pin the new digest",
            )
        try:
            value = canonical.decode(data, what="the Sigstore trusted root", max_bytes=MAX_ROOT)
        except FormatError as error:
            raise UsageError(error.what, where=where) from None
        media = value.get("mediaType") if isinstance(value, dict) else None
        if media not in (*ROOT_TYPES, CONFIG_TYPE):
            raise UsageError(
                f"not a Sigstore trusted root: media type {str(media)[:80]!r}",
                where=where,
                hint="give trusted_root.json, or the instance's client trust config",
            )
        return cls(data, actual)

    def document(self) -> dict[str, Any]:
        """The ``TrustedRoot`` message, as JSON."""
        value: Any = canonical.decode(self.data, what="the Sigstore trusted root", max_bytes=MAX_ROOT)
        document = value.get("trustedRoot") if value["mediaType"] == CONFIG_TYPE else value
        if not isinstance(document, dict):
            raise UsageError("the client trust config has no trustedRoot")
        return document

    def verifier(self) -> Verifier:
        """Sigstore's verifier with this root.

        Raises:
            UsageError: the root can't be used.
        """
        return _verifier(self)

    def authorities(self) -> tuple[timestamps.TimestampAuthority, ...]:
        """The instance's timestamp authorities."""
        return _authorities(self)


@lru_cache(maxsize=8)
def _verifier(root: SigstoreRoot) -> Verifier:
    from sigstore.errors import Error
    from sigstore.models import ClientTrustConfig
    from sigstore.verify import Verifier

    # The client reads a trusted root alone from a file only, which may have changed since it was pinned.
    config = {"mediaType": CONFIG_TYPE, "trustedRoot": root.document(), "signingConfig": {"mediaType": _SIGNING_CONFIG}}
    try:
        return Verifier(trusted_root=ClientTrustConfig.from_json(canonical.encode(config).decode()).trusted_root)
    except (Error, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"the Sigstore trusted root can't be used: {_words(error)}") from None


@lru_cache(maxsize=8)
def _authorities(root: SigstoreRoot) -> tuple[timestamps.TimestampAuthority, ...]:
    from base64 import b64decode

    found = []
    try:
        for number, item in enumerate(root.document().get("timestampAuthorities", [])):
            ders = [b64decode(one["rawBytes"]) for one in item["certChain"]["certificates"]]
            chain = [certificates.load(der, what="a timestamp authority's certificate") for der in ders]
            name = str(item.get("uri") or f"timestamp authority {number + 1} of the instance")
            found.append(timestamps.TimestampAuthority(name, tuple(one for one in chain if certificates.is_ca(one))))
    except (FormatError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"the Sigstore trusted root's timestamp authorities can't be read: {_words(error)}") from None
    return tuple(found)


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
