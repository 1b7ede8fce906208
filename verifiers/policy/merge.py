"""Parents and children become one: signers, groups, logs and rules of all layers, nothing replaced.

Inheritance is monotone (POLICY semantics 8): a child adds. What a parent defined, a signer, a group, a log
or a rule, can't be defined again with another meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from dataseal.ledger.errors import UsageError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.timestamp import TimestampAuthority
from dataseal.ledger.trust import GROUP, Signer, Trust, TrustedLog, distinct, signer_of
from dataseal.verifiers.policy import trust_digest, trust_file, trust_load
from dataseal.verifiers.policy.files import PolicyText
from dataseal.verifiers.policy.model import AnyRule, PublisherRule, TransparencyRule
from dataseal.verifiers.policy.problems import Problems, did_you_mean, listed, quoted
from dataseal.verifiers.policy.resolved import PUBLISHERS, PlacedRule, too_high
from dataseal.verifiers.policy.schema import Draft
from dataseal.verifiers.policy.yamlfile import Path

_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Layer:
    """One file: its text and what of it is usable."""

    text: PolicyText
    draft: Draft

    def at(self, *path: str | int) -> str:
        """``file:line:column`` of a path."""
        return self.draft.document.source.at(self.draft.document.mark(path))


@dataclass(slots=True)
class Merged:
    """What the layers say together.

    ``broken`` holds kinds and names that could not be loaded, so that they raise no second error; ``whole``
    is False when a trust block is not usable, and then names are not checked at all.
    """

    problems: Problems
    signers: dict[str, Signer] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    logs: dict[str, TrustedLog] = field(default_factory=dict)
    authorities: dict[str, TimestampAuthority] = field(default_factory=dict)
    moderators: tuple[str, ...] = ()
    compromised: tuple[Signer, ...] = ()
    rules: list[PlacedRule] = field(default_factory=list)
    broken: set[tuple[str, str]] = field(default_factory=set)
    whole: bool = True

    def add_trust(self, layer: Layer) -> None:
        """Adds a layer's signers, groups and logs."""
        trust = layer.draft.trust
        if trust is None:
            self.whole = False
        elif trust.file is not None:
            self._add_file(layer, trust.file, trust.sha256 or "")
        else:

            def tell(path: Path, message: str, hint: str | None) -> None:
                self._tell(layer, ("trust", *path), message, hint)

            found = trust_load.load(trust, layer.text.base, tell)
            self.broken |= found.broken
            self._add(layer, found.signers, trust.groups, found.logs, found.authorities, trust.moderators or ())
            self._check_moderators(layer, trust.moderators or ())

    def _add_file(self, layer: Layer, name: str, pinned: str) -> None:
        """Adds a referenced trust document, whose digest the policy pins with all that it names."""
        whole, self.whole = self.whole, False
        if layer.text.base is None:
            self._tell(
                layer, ("trust", "file"), "this policy may name no files", "name it in the policy that extends it"
            )
            return
        try:
            trust = trust_file.read(layer.text.base / name)
        except UsageError as error:
            detail = f"\n{error.detail}" if error.detail else ""
            self._tell(layer, ("trust", "file"), f"{quoted(name)}: {error.what}{detail}", error.hint)
            return
        if (found := trust_digest.digest(trust)) != pinned:
            message = f"the trust document has the digest {found}, expected {pinned}"
            hint = "look at what changed in it; `dataseal trust digest FILE` prints it"
            self._tell(layer, ("trust", "sha256"), message, hint)
            return
        self.whole = whole
        self._add(layer, trust.signers, trust.groups, trust.logs, trust.authorities, trust.moderators)

    def _add(
        self,
        layer: Layer,
        signers: Mapping[str, Signer],
        groups: Mapping[str, tuple[str, ...]],
        logs: Mapping[str, TrustedLog],
        authorities: Mapping[str, TimestampAuthority],
        moderators: tuple[str, ...],
    ) -> None:
        for name, signer in signers.items():
            self._define(layer, ("trust", "signers", name), self.signers, name, signer, "signer")
        for name, members in groups.items():
            self._define(layer, ("trust", "groups", name), self.groups, name, members, "group")
        for name, log in logs.items():
            self._define(layer, ("trust", "logs", name), self.logs, name, log, "log")
        for name, tsa in authorities.items():
            path = ("trust", "timestamp_authorities", name)
            self._define(layer, path, self.authorities, name, tsa, "timestamp authority")
        self.moderators = tuple(dict.fromkeys((*self.moderators, *moderators)))

    def _check_moderators(self, layer: Layer, moderators: tuple[str, ...]) -> None:
        for place, name in enumerate(moderators):
            self._reference(layer, ("trust", "moderators", place), name)

    def add_command_line(
        self,
        publishers: Sequence[PublicKey | Signer],
        logs: Sequence[TrustedLog],
        where: str,
        authorities: Mapping[str, TimestampAuthority],
        compromised: Sequence[Signer] = (),
    ) -> None:
        """Adds the keys and logs of a command line; the keys are group ``publishers``.

        A command line fills what the policy leaves open, and never widens what it says (DESIGN invariant 14).

        Raises:
            UsageError: the policy says itself who publishes, or which logs or authorities are trusted; or a name means
                another key, or a key has another validity.
        """
        if publishers and PUBLISHERS in self.groups:
            raise UsageError(
                f"--publisher can't add to the policy: it says itself who is in group {PUBLISHERS!r}",
                where=where,
                hint="leave --publisher out, or add the key to the policy's trust block",
            )
        if logs and self.logs:
            raise UsageError(
                f"--log can't add to the policy: it says itself which logs are trusted ({', '.join(self.logs)})",
                where=where,
                hint="leave --log out, or add the log to the policy's trust block",
            )
        if self.authorities and any(self.authorities.get(name) != tsa for name, tsa in authorities.items()):
            raise UsageError(
                "--trust can't add timestamp authorities to the policy: it says itself which are trusted "
                f"({', '.join(self.authorities)})",
                where=where,
                hint="take them out of the trust document, or add them to the policy's trust block",
            )
        members: list[str] = []
        policy = tuple(self.signers.values())
        for one in publishers:
            signer = one if isinstance(one, Signer) else self._named(one)
            self._demand_agreed(policy, signer, where)
            known = self.signers.setdefault(signer.name, signer)
            if known.fingerprints != signer.fingerprints or signer.name.startswith(GROUP):
                raise UsageError(
                    f"--publisher {signer.name!r} is another key than the signer of that name in the policy",
                    where=where,
                    hint="give it another name, or check which of the two keys is the right one",
                )
            members.append(signer.name)
        if members:
            self.groups[PUBLISHERS] = tuple(dict.fromkeys(members))
        for log in logs:
            if self.logs.setdefault(log.name, log) != log:
                raise UsageError(f"--log names {log.name!r} twice, with two meanings", where=where)
        self.authorities.update(authorities)
        self.compromised = tuple(compromised)

    @staticmethod
    def _demand_agreed(policy: Sequence[Signer], signer: Signer, where: str) -> None:
        """What the policy says of a credential's validity, the command line repeats or leaves to it."""
        for here in signer.listed:
            said = [one for other in policy for one in other.listed]
            same = [one for one in said if one.credential.fingerprint == here.credential.fingerprint]
            if same and here not in same:
                raise UsageError(
                    f"--publisher {signer.name!r}: the policy says otherwise of this key's validity or compromise",
                    where=where,
                    hint="say the same in both documents, or leave the signer to the policy",
                )

    def add_rules(self, layer: Layer) -> None:
        """Adds a layer's rules, and checks that every name in them, and in its groups, is defined."""
        known = {placed.rule.id: placed.where for placed in self.rules}
        for index, rule in layer.draft.rules.items():
            where = layer.at("rules", index)
            if rule.id in known:
                self._tell(
                    layer,
                    ("rules", index, "id"),
                    f"a second rule with the id {quoted(rule.id)}",
                    f"the first is at {known[rule.id]}, and no rule is replaced: give this one its own id",
                )
                continue
            known[rule.id] = where
            self.rules.append(PlacedRule(rule, where))
            if self.whole:
                self._check_names(layer, index, rule)
        trust = layer.draft.trust
        for group, members in trust.groups.items() if trust and self.whole else ():
            for place, member in enumerate(members):
                self._known(layer, ("trust", "groups", group, place), member, self.signers, "signer")
        for name, signer in trust.signers.items() if trust and self.whole else ():
            for below, item in signer.items():
                for log in item.compromised.logs if item.compromised else ():
                    path = ("trust", "signers", name, *below, "compromised", "logs", log)
                    self._known(layer, path, log, self.logs, "log")

    def trust(self) -> Trust:
        """The trust document of all layers."""
        return Trust(self.signers, self.groups, self.logs, self.moderators, self.authorities, self.compromised)

    def _check_names(self, layer: Layer, index: int, rule: AnyRule) -> None:
        if isinstance(rule, TransparencyRule):
            for place, name in enumerate(rule.logs or ()):
                self._known(layer, ("rules", index, "logs", place), name, self.logs, "log")
        if isinstance(rule, PublisherRule):
            for number, requirement in enumerate(rule.all_of):
                path: Path = ("rules", index, "all_of", number)
                names = [
                    self._reference(layer, (*path, "signers", place), name)
                    for place, name in enumerate(requirement.signers)
                ]
                if not all(names):
                    continue
                persons = distinct(self.signers, [n for found in names for n in found])
                if requirement.threshold > persons:
                    self._tell(layer, (*path, "threshold"), too_high(requirement.threshold, persons))

    def _reference(self, layer: Layer, path: Path, name: str) -> tuple[str, ...]:
        """The loaded signers behind a name; none when any is missing, or told already."""
        if not name.startswith(GROUP):
            return (name,) if self._known(layer, path, name, self.signers, "signer") else ()
        group = name.removeprefix(GROUP)
        if group == PUBLISHERS and group not in self.groups:
            return ()  # `Policy` says how to supply it
        if not self._known(layer, path, group, self.groups, "group"):
            return ()
        members = self.groups[group]
        return members if all(m in self.signers for m in members) else ()

    def _known(self, layer: Layer, path: Path, name: str, among: Mapping[str, object], kind: str) -> bool:
        if name in among:
            return True
        if (kind, name) not in self.broken:
            hint = listed(f"{kind}s", {*among, *(n for k, n in self.broken if k == kind)})
            if kind == "signer" and name in self.groups:
                hint = f"{name!r} is a group: write 'group:{name}'"
            self._tell(layer, path, f"unknown {kind} {quoted(name)}{did_you_mean(name, among)}", hint)
        return False

    def _define(self, layer: Layer, path: Path, among: dict[str, _V], name: str, value: _V, kind: str) -> None:
        if among.setdefault(name, value) != value:
            self._tell(
                layer,
                path,
                f"{kind} {quoted(name)} is defined by a parent policy, with another meaning",
                "a child adds and never replaces: give it another name",
            )

    def _named(self, key: PublicKey) -> Signer:
        return signer_of(self.signers.values(), key) or Signer.of(f"publisher:{key.fingerprint[:16]}", key)

    def _tell(self, layer: Layer, path: Path, message: str, hint: str | None = None) -> None:
        document = layer.draft.document
        self.problems.add(
            document.source, document.mark(path, key=path[0] == "trust" and len(path) == 3), message, hint
        )
