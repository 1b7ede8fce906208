"""Parents and children become one: signers, groups, logs and rules of all layers, nothing replaced.

Inheritance is monotone (POLICY semantics 8): a child adds. What a parent defined, a signer, a group, a log
or a rule, can't be defined again with another meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TypeVar

from dataseal.ledger.errors import UsageError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.tlog.policy import LogPolicy
from dataseal.ledger.trust import GROUP, Signer, Trust, TrustedLog
from dataseal.verifiers.policy import files
from dataseal.verifiers.policy.files import PolicyText
from dataseal.verifiers.policy.model import AnyRule, PublisherRule, TransparencyRule
from dataseal.verifiers.policy.problems import Problems, did_you_mean, listed, quoted
from dataseal.verifiers.policy.resolved import PUBLISHERS, PlacedRule, too_high
from dataseal.verifiers.policy.schema import Draft
from dataseal.verifiers.policy.yamlfile import Path

_V = TypeVar("_V")
_T = TypeVar("_T", PublicKey, LogPolicy)


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
    rules: list[PlacedRule] = field(default_factory=list)
    broken: set[tuple[str, str]] = field(default_factory=set)
    whole: bool = True

    def add_trust(self, layer: Layer) -> None:
        """Adds a layer's signers, groups and logs."""
        trust = layer.draft.trust
        if trust is None:
            self.whole = False
            return
        base = layer.text.base
        for name, signer in trust.signers.items():
            path: Path = ("trust", "signers", name)
            key = self._loaded(layer, (*path, "key"), name, files.public_key, signer.key, base)
            if key is not None:
                self._define(layer, path, self.signers, name, Signer(name, key), "signer")
        for name, members in trust.groups.items():
            self._define(layer, ("trust", "groups", name), self.groups, name, members, "group")
        for name, model in trust.logs.items():
            path = ("trust", "logs", name)
            policy = self._loaded(layer, (*path, "policy"), name, files.log_policy, model.policy, base)
            if policy is not None:
                log = TrustedLog(name, policy, model.operator)
                self._define(layer, path, self.logs, name, log, "log")

    def add_command_line(
        self, publishers: Sequence[PublicKey | Signer], logs: Sequence[TrustedLog], where: str
    ) -> None:
        """Adds the keys and logs of a command line; the keys are group ``publishers``.

        A command line fills what the policy leaves open, and never widens what it says (DESIGN invariant 14).

        Raises:
            UsageError: the policy says itself who publishes, or which logs are trusted; or a name means another key.
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
        members: list[str] = []
        for one in publishers:
            signer = one if isinstance(one, Signer) else self._named(one)
            known = self.signers.setdefault(signer.name, signer)
            if known.key.fingerprint != signer.key.fingerprint or signer.name.startswith(GROUP):
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

    def trust(self) -> Trust:
        """The trust document of all layers."""
        return Trust(self.signers, self.groups, self.logs)

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
                keys = {self.signers[n].key.fingerprint for found in names for n in found}
                if requirement.threshold > len(keys):
                    self._tell(layer, (*path, "threshold"), too_high(requirement.threshold, len(keys)))

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

    def _loaded(
        self,
        layer: Layer,
        path: Path,
        name: str,
        load: Callable[[str, FilePath | None], _T],
        text: str,
        base: FilePath | None,
    ) -> _T | None:
        try:
            return load(text, base)
        except UsageError as error:
            self._tell(layer, path, f"{quoted(name)}: {error}", error.hint)
            self.broken.add((str(path[1]).removesuffix("s"), name))
            return None

    def _define(self, layer: Layer, path: Path, among: dict[str, _V], name: str, value: _V, kind: str) -> None:
        if among.setdefault(name, value) != value:
            self._tell(
                layer,
                path,
                f"{kind} {quoted(name)} is defined by a parent policy, with another meaning",
                "a child adds and never replaces: give it another name",
            )

    def _named(self, key: PublicKey) -> Signer:
        for signer in self.signers.values():
            if signer.key.fingerprint == key.fingerprint:
                return signer
        return Signer(f"publisher:{key.fingerprint[:16]}", key)

    def _tell(self, layer: Layer, path: Path, message: str, hint: str | None = None) -> None:
        document = layer.draft.document
        self.problems.add(
            document.source, document.mark(path, key=path[0] == "trust" and len(path) == 3), message, hint
        )
