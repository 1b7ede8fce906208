"""Whom ``[[admission]]`` of ``dataseal.toml`` lists: keys, certified names and Sigstore identities.

::

    [[admission]]
    datasets = ["acme/*"]
    kinds = ["release"]
    keys = ["keys/publisher.pub"]
    x509 = [{roots = "keys/corp-ca.pem", identity = "email:release@corp.example"}]

    [[admission.sigstore]]
    identity = "https://github.com/acme/data/.github/workflows/release.yml@refs/tags/*"
    match = "glob"
    issuer = "https://token.actions.githubusercontent.com"
    trust_root = "keys/sigstore.json"
    sha256 = "<64 hexadecimal digits>"

    [timestamp_authorities]
    corp = "keys/corp-tsa.pem"

A certificate is judged when its entry comes: at the time that one of the timestamp authorities vouches for, else by the
clock. Files are named relative to the configuration. ``match`` is ``exact`` unless it says ``glob`` or ``regex``
(`dataseal.ledger.identity`). ``trust_root`` may be ``sigstore:public-good`` or ``sigstore:staging``, whose roots the
sigstore package ships; its digest is wanted all the same. What is listed here may write to the log; whom a consumer
trusts is the consumer's to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from dataseal.ledger.credential import Credential
from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.identity import Match
from dataseal.ledger.keyless import SigstoreIdentity
from dataseal.ledger.predicates import Model
from dataseal.ledger.signers import keyfile
from dataseal.ledger.timestamp import TimestampAuthority
from dataseal.ledger.trustedroot import MAX_ROOT, SigstoreRoot, shipped_root
from dataseal.ledger.x509 import CertifiedName

SHIPPED: Final = "sigstore:"
MAX_ROOTS: Final = 256 * 1024
"""Bytes of a file of CA certificates."""


class CertifiedConfig(Model):
    """A name under the CA certificates of a PEM file."""

    roots: str
    identity: str
    match: Match = "exact"


class SigstoreConfig(Model):
    """An identity, the issuer that vouches for it, and the instance by its trusted root."""

    identity: str
    issuer: str
    match: Match = "exact"
    trust_root: str
    sha256: str


def credentials(
    folder: Path, keys: Sequence[str], certified: Sequence[CertifiedConfig], identities: Sequence[SigstoreConfig]
) -> tuple[Credential, ...]:
    """Reads what one rule lists.

    Raises:
        UsageError: a file that is missing or can't be used, an identity that can't be read, or nobody at all.
    """
    found: list[Credential] = [keyfile.load_public(folder / key) for key in keys]
    for item in certified:
        path = folder / item.roots
        try:
            found.append(CertifiedName.of(_read(path, MAX_ROOTS), item.identity, item.match, where=str(path)))
        except FormatError as error:
            raise UsageError(error.what, where=error.where, hint=error.hint) from None
    for one in identities:
        root = SigstoreRoot.pinned(_root(folder, one.trust_root), one.sha256, where=one.trust_root)
        found.append(SigstoreIdentity.of(one.identity, one.issuer, root, one.match))
    if not found:
        raise UsageError(
            "an admission rule lists nobody",
            hint="give keys, x509 or sigstore, or remove the rule: nobody is the default",
        )
    return tuple(found)


def authorities(folder: Path, files: Mapping[str, str]) -> tuple[TimestampAuthority, ...]:
    """Reads the timestamp authorities: PEM files of their CA certificates, by name.

    Raises:
        UsageError: a file that is missing, or holds no root.
    """
    found = []
    for name, file in files.items():
        path = folder / file
        try:
            found.append(TimestampAuthority.of(name, _read(path, MAX_ROOTS), where=str(path)))
        except FormatError as error:
            raise UsageError(error.what, where=error.where, hint=error.hint) from None
    return tuple(found)


def _root(folder: Path, name: str) -> bytes:
    if name.startswith(SHIPPED):
        return shipped_root(name.removeprefix(SHIPPED))
    return _read(folder / name, MAX_ROOT)


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror}", hint="check the path in dataseal.toml") from None
    if len(data) > limit:
        raise UsageError(f"{path} has more than {limit:,} bytes", hint="check the path in dataseal.toml")
    return data
