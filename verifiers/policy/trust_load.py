"""From a trust block's models to `ledger.trust`: the edge that reads keys, certificates and tlog-policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TypeVar

from dataseal.ledger.credential import Credential
from dataseal.ledger.errors import DatasealError
from dataseal.ledger.keyless import SigstoreIdentity
from dataseal.ledger.timestamp import TimestampAuthority
from dataseal.ledger.trust import Compromise, Listed, Signer, TrustedLog
from dataseal.ledger.x509 import CertifiedName
from dataseal.verifiers.policy import files
from dataseal.verifiers.policy.trust_model import (
    CertifiedModel,
    CredentialModel,
    LogModel,
    SignerModel,
    SigstoreModel,
    TrustModel,
)
from dataseal.verifiers.policy.yamlfile import Path

_T = TypeVar("_T")
Tell = Callable[[Path, str, str | None], None]
"""Told each mistake: its path below the trust block, what is wrong, and a hint."""


@dataclass(slots=True)
class Loaded:
    """What of a trust block could be loaded; ``broken`` holds kinds and names of the rest, which were told."""

    signers: dict[str, Signer] = field(default_factory=dict)
    logs: dict[str, TrustedLog] = field(default_factory=dict)
    authorities: dict[str, TimestampAuthority] = field(default_factory=dict)
    broken: set[tuple[str, str]] = field(default_factory=set)


def load(model: TrustModel, base: FilePath | None, tell: Tell) -> Loaded:
    """Loads everything that a block names.

    Args:
        base: the folder that its files are named from; None when it may name none. tell: told each mistake.
    """
    loader = _Loader(base, tell, Loaded())
    found = loader.found
    for name, signer in model.signers.items():
        listed = [loader.listed(name, path, item) for path, item in signer.items()]
        if all(one is not None for one in listed):
            found.signers[name] = Signer(name, tuple(one for one in listed if one is not None))
    for name, log in model.logs.items():
        loader.log(name, log)
    for name, roots in model.timestamp_authorities.items():
        loader.authority(name, roots)
    return found


@dataclass(slots=True)
class _Loader:
    base: FilePath | None
    tell: Tell
    found: Loaded

    def attempt(self, kind: str, name: str, path: Path, load: Callable[[], _T]) -> _T | None:
        try:
            return load()
        except DatasealError as error:
            self.tell(path, f"{name!r}: {error}", error.hint)
            self.found.broken.add((kind, name))
            return None

    def listed(self, name: str, path: Path, item: CredentialModel | SignerModel) -> Listed | None:
        where: Path = ("signers", name, *path)
        credential: Credential | None
        if item.key is not None:
            text = item.key
            credential = self.attempt("signer", name, (*where, "key"), lambda: files.public_key(text, self.base))
        elif item.x509 is not None:
            certified = item.x509
            credential = self.attempt("signer", name, (*where, "x509"), lambda: self._certified(certified))
        else:
            identity = item.sigstore
            assert identity is not None
            credential = self.attempt("signer", name, (*where, "sigstore"), lambda: self._sigstore(identity))
        if credential is None:
            return None
        compromised = Compromise(item.compromised.logs, item.compromised.since) if item.compromised else None
        return Listed(credential, item.valid_from, item.valid_until, compromised)

    def log(self, name: str, model: LogModel) -> None:
        path: Path = ("logs", name, "policy")
        policy = self.attempt("log", name, path, lambda: files.log_policy(model.policy, self.base))
        if policy is not None:
            self.found.logs[name] = TrustedLog(name, policy, model.operator)

    def authority(self, name: str, roots: str) -> None:
        def made() -> TimestampAuthority:
            return TimestampAuthority.of(name, files.certificates(roots, self.base))

        tsa = self.attempt("timestamp authority", name, ("timestamp_authorities", name), made)
        if tsa is not None:
            self.found.authorities[name] = tsa

    def _certified(self, model: CertifiedModel) -> CertifiedName:
        return CertifiedName.of(files.certificates(model.roots, self.base), model.identity, model.match)

    def _sigstore(self, model: SigstoreModel) -> Credential:
        root = files.sigstore_root(model.trust_root, model.sha256, self.base)
        return SigstoreIdentity.of(model.identity, model.issuer, root, model.match)
