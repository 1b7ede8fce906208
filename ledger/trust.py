"""The trust document: the only thing that is trusted beforehand.

It names signers, groups of them, moderators, logs (tlog-policy files: log key, witnesses, quorum) and timestamp
authorities. What it does not name does not exist: an unknown name is an error, never an empty set. It comes from a
policy's ``trust:`` block, a trust file, or ``--publisher`` and ``--log``; nothing that travels with a dataset can add
to it.

A signer has one or more credentials (a key, a certified name, a Sigstore identity), each with its validity:

- ``valid_from`` and ``valid_until`` hold for the signature's earliest trusted time, and for the clock when no trusted
  time is known.
- ``compromised`` says from when on others may have signed in the signer's name: from an index in each of some logs, and
  from a time. An entry of such a log counts below that index, where the log's quorum of witnesses cosigned the tree
  that shows it there. Whatever stands in no such log, or is shown below its quorum, counts only when a trusted time is
  earlier than the compromise; without one, or without such a time in the document, it does not. A compromise is
  the key's, not the listing's: what it says against a signature holds whatever else the document lists the key as.

*Distinct* signers are what thresholds count: two names that share a credential are one person, and so are two
signatures by one name, of one identity, or by one key (`Trust.distinct`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal

from dataseal.ledger.credential import Credential
from dataseal.ledger.errors import UsageError
from dataseal.ledger.timestamp import TimestampAuthority
from dataseal.ledger.tlog.policy import LogPolicy, parse_policy, policy_for_log

Operator = Literal["self-operated", "independent"]

GROUP: Final = "group:"


@dataclass(frozen=True, slots=True)
class Compromise:
    """From when on a credential may be in other hands.

    Attributes:
        logs: by the document's name of a log, the first index that does not count. since: UTC, aware.
    """

    logs: Mapping[str, int] = field(default_factory=dict)
    since: datetime | None = None

    def __post_init__(self) -> None:
        if not self.logs and self.since is None:
            raise UsageError(
                "a compromise that begins nowhere",
                hint="give an index in a log, or a time; a credential that never counts is removed instead",
            )


@dataclass(frozen=True, slots=True)
class Listed:
    """A credential as the document lists it: with the time that it is valid for (UTC, aware; the end is not in it)."""

    credential: Credential
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    compromised: Compromise | None = None


@dataclass(frozen=True, slots=True)
class Signer:
    """One trusted signer: a name for people, credentials for decisions."""

    name: str
    listed: tuple[Listed, ...]

    @classmethod
    def of(cls, name: str, *credentials: Credential) -> Signer:
        """A signer whose credentials are valid at any time."""
        return cls(name, tuple(Listed(credential) for credential in credentials))

    def __post_init__(self) -> None:
        if not self.listed:
            raise UsageError(
                f"signer {self.name!r} has no credential", hint="give a key, a certified name or an identity"
            )

    @property
    def fingerprints(self) -> frozenset[str]:
        """Of its credentials."""
        return frozenset(one.credential.fingerprint for one in self.listed)


@dataclass(frozen=True, slots=True)
class TrustedLog:
    """One trusted log.

    Attributes:
        name: the name for people. policy: its keys, witnesses and quorum.
        operator: who runs it, as the trust document says. ``self-operated`` unless declared otherwise: a
            publisher's own unwitnessed log proves nothing against that publisher.
    """

    name: str
    policy: LogPolicy
    operator: Operator = "self-operated"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as far as counting goes: `ledger.endorse` makes it.

    Attributes:
        names: the document's signers whom it counts for. fingerprint, key: as `credential.Signer` has them.
    """

    names: tuple[str, ...]
    fingerprint: str
    key: str


@dataclass(frozen=True, slots=True)
class Trust:
    """Named signers, groups, logs, moderators (names and ``group:NAME``) and timestamp authorities.

    Attributes:
        compromised: signers of a wider document who are not trusted here, and whose compromises hold all the same.
    """

    signers: Mapping[str, Signer] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    logs: Mapping[str, TrustedLog] = field(default_factory=dict)
    moderators: tuple[str, ...] = ()
    authorities: Mapping[str, TimestampAuthority] = field(default_factory=dict)
    compromised: tuple[Signer, ...] = ()

    def __post_init__(self) -> None:
        for group, members in self.groups.items():
            if not members:
                raise UsageError(f"group {group!r} has no members", hint="name at least one signer")
            for member in members:
                if member not in self.signers:
                    raise UsageError(
                        f"group {group!r} names {member!r}, which is no signer of this trust document",
                        hint=f"signers: {', '.join(sorted(self.signers)) or 'none'}",
                    )
        if self.moderators:
            self.resolve(self.moderators)

    def resolve(self, reference: str | Iterable[str]) -> tuple[Signer, ...]:
        """The signers behind a name, a ``group:NAME``, or a list of both.

        Raises:
            UsageError: a name that this document does not define, or no name at all.
        """
        names = [reference] if isinstance(reference, str) else list(reference)
        found: dict[str, Signer] = {}
        for name in names:
            if name.startswith(GROUP):
                members = self.groups.get(name.removeprefix(GROUP))
                if members is None:
                    raise UsageError(f"no group {name.removeprefix(GROUP)!r} in the trust document")
                found.update((member, self.signers[member]) for member in members)
            elif name in self.signers:
                found[name] = self.signers[name]
            else:
                raise UsageError(f"no signer {name!r} in the trust document")
        if not found:
            raise UsageError("an empty list of signers trusts nobody")
        return tuple(found.values())

    @property
    def credentials(self) -> tuple[Credential, ...]:
        """Every signer's credentials, each once."""
        found = [one.credential for signer in self.signers.values() for one in signer.listed]
        return tuple({credential.fingerprint: credential for credential in found}.values())

    @property
    def compromises(self) -> tuple[tuple[str, Listed], ...]:
        """Every listing with a compromise, without the rest of its validity, and its signer's name."""
        return _compromises((*self.signers.values(), *self.compromised))

    @property
    def beside(self) -> tuple[tuple[str, Listed], ...]:
        """Those of `compromises` that are of nobody who is trusted here."""
        return _compromises(signer for signer in self.compromised if self.signers.get(signer.name) != signer)

    def names(self, fingerprint: str) -> tuple[str, ...]:
        """Every name that this document gives to the credential with ``fingerprint``."""
        return tuple(s.name for s in self.signers.values() if fingerprint in s.fingerprints)

    def distinct(self, names: Iterable[str]) -> int:
        """How many persons stand behind names: those that share a credential, or share one with a third, are one."""
        return distinct(self.signers, names)

    def count(self, signatures: Iterable[Signature], among: Iterable[str]) -> int:
        """How many distinct persons of those ``among`` signed: by name, identity and key, never by key id."""
        wanted = set(among)
        merged = _persons(self.signers)
        counted = []
        for signature in signatures:
            marks = [f"name {name}" for name in signature.names]
            marks += [f"credential {signature.fingerprint}", f"key {signature.key}"]
            merged.join(marks)
            if wanted.intersection(signature.names):
                counted.append(marks[0])
        return len({merged.find(mark) for mark in counted})


def signer_of(signers: Iterable[Signer], key: Credential) -> Signer | None:
    """Whom a key that is named by itself means in a document: with the validity that the document gives it.

    Returns:
        The signer with this credential and no other, or one with these listings and no others; None when nobody has it.
    """
    having = [signer for signer in signers if key.fingerprint in signer.fingerprints]
    for signer in having:
        if signer.fingerprints == {key.fingerprint}:
            return signer
    listed = [one for signer in having for one in signer.listed if one.credential.fingerprint == key.fingerprint]
    return Signer(f"publisher:{key.fingerprint[:16]}", tuple(listed)) if listed else None


def _compromises(signers: Iterable[Signer]) -> tuple[tuple[str, Listed], ...]:
    return tuple(
        (signer.name, replace(one, valid_from=None, valid_until=None))
        for signer in signers
        for one in signer.listed
        if one.compromised
    )


class _Union:
    """Disjoint sets of words (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, word: str) -> str:
        """The word that stands for the set of ``word``."""
        while (above := self._parent.setdefault(word, word)) != word:
            self._parent[word] = word = self._parent[above]
        return word

    def join(self, words: Iterable[str]) -> None:
        """Makes one set of the words' sets."""
        first, *rest = words
        for word in rest:
            self._parent[self.find(word)] = self.find(first)


def distinct(signers: Mapping[str, Signer], names: Iterable[str]) -> int:
    """How many persons stand behind ``names`` of a document's signers; see `Trust.distinct`."""
    merged = _persons(signers)
    return len({merged.find(f"name {name}") for name in names})


def _persons(signers: Mapping[str, Signer]) -> _Union:
    merged = _Union()
    for signer in signers.values():
        # A key of the document is the same thing as the key behind a certificate that a signature shows.
        marks = [f"{kind} {one}" for one in signer.fingerprints for kind in ("credential", "key")]
        merged.join([f"name {signer.name}", *marks])
    return merged


def read_log(data: bytes) -> LogPolicy:
    """What a file that names a log says: a tlog-policy, or a verifier key alone on its line.

    Raises:
        UsageError: neither.
    """
    lines = [x.strip() for x in data.split(b"\n") if x.strip() and not x.lstrip().startswith(b"#")]
    if len(lines) == 1 and b" " not in lines[0] and b"+" in lines[0]:
        return policy_for_log(lines[0].decode("utf-8", "replace"))
    return parse_policy(data)
