"""The trust document: the only thing that is trusted beforehand.

It names signers (public keys), groups of them, and logs (tlog-policy files: log key, witnesses, quorum). What
it does not name does not exist: an unknown name is an error, never an empty set. It comes from a policy's
``trust:`` block or from ``--publisher`` and ``--log``; nothing that travels with a dataset can add to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from dataseal.ledger.errors import UsageError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.tlog.policy import LogPolicy, parse_policy, policy_for_log

Operator = Literal["self-operated", "independent"]

GROUP: Final = "group:"


@dataclass(frozen=True, slots=True)
class Signer:
    """One trusted signer: a name for people, a key for decisions."""

    name: str
    key: PublicKey


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
class Trust:
    """Named signers, groups and logs."""

    signers: Mapping[str, Signer] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    logs: Mapping[str, TrustedLog] = field(default_factory=dict)

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

    def names(self, fingerprint: str) -> tuple[str, ...]:
        """Every name that this document gives to the key with ``fingerprint``."""
        return tuple(s.name for s in self.signers.values() if s.key.fingerprint == fingerprint)


def read_log(data: bytes) -> LogPolicy:
    """What a file that names a log says: a tlog-policy, or a verifier key alone on its line.

    Raises:
        UsageError: neither.
    """
    lines = [x.strip() for x in data.split(b"\n") if x.strip() and not x.lstrip().startswith(b"#")]
    if len(lines) == 1 and b" " not in lines[0] and b"+" in lines[0]:
        return policy_for_log(lines[0].decode("utf-8", "replace"))
    return parse_policy(data)


def distinct(signers: Iterable[Signer]) -> int:
    """How many *keys* stand behind ``signers``: one key under two names is one signer."""
    return len({s.key.fingerprint for s in signers})
