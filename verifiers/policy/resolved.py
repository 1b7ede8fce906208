"""A resolved policy: flat, with its keys loaded, its parents merged and the origin of every rule.

Its *digest* is the SHA-256 of the canonical JSON of what decides: mode, expiry, bound names, rules with their
defaults written out, and the trust document (``trust_digest.py``). File paths, comments, the order of keys and
descriptions are not in it; a receipt binds it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from dataseal.ledger import canonical
from dataseal.ledger.errors import UsageError
from dataseal.ledger.trust import GROUP, Trust
from dataseal.verifiers.policy import trust_digest
from dataseal.verifiers.policy.model import AnyRule, PublisherRule, ScreenRule, TransparencyRule, flat
from dataseal.verifiers.verdict import Mode

PUBLISHERS: Final = "publishers"
"""The group that command-line keys join, and that shipped policies refer to."""


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule and where it was written: ``file:line:column`` or ``command line``."""

    rule: AnyRule
    where: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What `evaluate` judges by. It can't be built without rules, or without a publisher rule that blocks.

    Attributes:
        name: its name. uri: the reference that it was loaded by. mode: the strictest of it and its parents.
        expires: the last day, in UTC, on which it holds; the earliest of it and its parents.
        trust: signers, groups and logs, those of the command line included.
        rules: all rules, parents first.
        named: dataset names given on the command line; a publisher rule needs one of them *and* of its own.
    """

    name: str
    uri: str
    mode: Mode
    expires: date | None
    trust: Trust
    rules: tuple[PlacedRule, ...]
    named: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.rules:
            raise UsageError(
                f"policy {self.name!r} has no rules, and so says nothing",
                where=self.uri,
                hint='add rules, or extend a shipped policy: extends: [{policy: "dataseal:baseline"}]',
            )
        self._check_publishers()
        if not self.trust.signers:
            raise UsageError(
                f"policy {self.name!r} trusts no signer",
                where=self.uri,
                hint="give --publisher KEY.pub, or name keys in the policy's trust.signers",
            )
        if not any(isinstance(p.rule, PublisherRule) and p.rule.severity == "error" for p in self.rules):
            raise UsageError(
                f"policy {self.name!r} has no publisher rule of severity error: whose data it is stays open",
                where=self.uri,
                hint='add a publisher rule, or extend "dataseal:baseline"',
            )
        for placed in self.rules:
            if isinstance(placed.rule, TransparencyRule):
                self._check_logs(placed.rule, placed.where)
            elif isinstance(placed.rule, PublisherRule):
                self._check_signers(placed.rule, placed.where)

    def _check_logs(self, rule: TransparencyRule, where: str) -> None:
        if not self.trust.logs:
            raise UsageError(
                f"rule {rule.id!r} wants the release in a trusted log, and no log is trusted",
                where=where,
                hint="give --log VKEY, or add trust.logs to a policy that extends this one",
            )
        for name in rule.logs or ():
            if name not in self.trust.logs:
                raise UsageError(f"rule {rule.id!r} names an unknown log, {name!r}", where=where)

    def _check_signers(self, rule: PublisherRule, where: str) -> None:
        for requirement in rule.all_of:
            persons = self.trust.distinct(s.name for s in self.trust.resolve(requirement.signers))
            if requirement.threshold > persons:
                hint = "lower the threshold, or name more signers; one person's keys count once"
                raise UsageError(too_high(requirement.threshold, persons), where=where, hint=hint)

    def _check_publishers(self) -> None:
        """Shipped policies name a group that only their user can fill."""
        for placed in self.rules:
            if isinstance(placed.rule, PublisherRule) and PUBLISHERS not in self.trust.groups:
                for requirement in placed.rule.all_of:
                    if GROUP + PUBLISHERS in requirement.signers:
                        raise UsageError(
                            f"nobody said who the publishers are: group {PUBLISHERS!r} is not defined",
                            where=placed.where,
                            hint="give --publisher KEY.pub, or define trust.groups.publishers in a policy that "
                            "extends this one",
                        )

    @property
    def datasets(self) -> tuple[str, ...]:
        """The bound names: those of the command line, else those of the publisher rules that block."""
        if self.named:
            return self.named
        rules = [p.rule for p in self.rules if isinstance(p.rule, PublisherRule) and p.rule.severity == "error"]
        return tuple(sorted({name for rule in rules for name in rule.datasets or ()}))

    @property
    def needs_screen(self) -> bool:
        """Whether any rule reads the screen's report."""
        return any(isinstance(p.rule, ScreenRule) for p in self.rules)

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of the canonical JSON of everything that decides."""
        return hashlib.sha256(canonical.encode(self._deciding())).hexdigest()

    def _deciding(self) -> dict[str, Any]:
        return {
            "dataseal_policy": 1,
            "name": self.name,
            "mode": str(self.mode),
            "expires": self.expires.isoformat() if self.expires else None,
            "datasets": sorted(self.named),
            "trust": trust_digest.deciding(self.trust),
            "rules": sorted((flat(p.rule) for p in self.rules), key=lambda r: str(r["id"])),
        }

    def resolved(self) -> dict[str, Any]:
        """The flat policy as JSON values: what decides, its digest, and where each rule was written."""
        return {
            **self._deciding(),
            "uri": self.uri,
            "digest": self.digest,
            "rules": [{**flat(p.rule), "origin": p.where} for p in self.rules],
        }


def require_bound(policy: Policy) -> None:
    """A gate opens for a named dataset only (DESIGN section 9).

    Raises:
        UsageError: neither the policy nor the command line binds a dataset name.
    """
    if not policy.datasets:
        raise UsageError(
            f"policy {policy.name!r} binds no dataset: whatever the publisher ever signed would pass",
            where=policy.uri,
            hint="give --dataset NAME, or extend the policy with a publisher rule with `datasets: [NAME]`",
        )


def too_high(threshold: int, keys: int) -> str:
    """The message for a threshold that can't be met."""
    have = "1 distinct key" if keys == 1 else f"{keys} distinct keys"
    return f"threshold {threshold} can't be met by {have} or identities (one under two names is one signer)"
