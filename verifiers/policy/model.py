"""The vocabulary of policy files: a closed set of models, every unknown field refused.

One example (``tests/verifiers/policy/test_model.py`` parses it); ``trust_model.py`` has all that ``trust`` takes::

    dataseal_policy: 1
    name: team
    extends: [{policy: "dataseal:baseline"}]
    expires: 2027-06-30              # the last day on which it holds, in UTC
    mode: enforce                    # enforce | warn | audit
    trust:
      signers: {amy: {key: keys/amy.pub}, ben: {key: keys/ben.pub}}
      groups: {publishers: [amy, ben]}
      logs: {main: {policy: keys/main.tlog-policy, operator: independent}}
    rules:
      - id: ours
        rule: publisher
        datasets: ["corpus-lab/*"]
        min_sequence: 3
        all_of: [{signers: "group:publishers", threshold: 2}]
      - {id: screen, rule: screen, required_detectors: [private-phrase]}

What POLICY.md names and this version does not evaluate yet is refused by name: nothing is accepted and
ignored. A later rule kind is one more class in `Rule`, and one judge in ``rules.py``.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from dataseal.ledger.digest import ChunkHash
from dataseal.verifiers.policy.trust_model import MAX_ITEMS, Hex, Model, Name, Names, References, Text, TrustModel

DETECTORS: Final = (
    "private-phrase", "contradiction", "label-contrast", "label-noise", "outlier", "image-patch", "flood",
    "corrupt", "channel-shift", "drift", "embedding",
)  # fmt: skip
"""The fixed ids of SCREEN.md."""

LATER_KINDS: Final = frozenset(("revocation", "lineage", "schema", "metadata", "evidence", "freshness", "formats"))
LATER_FIELDS: Final = frozenset(("receipts", "waivers", "effective_on", "max_head_age", "first_view"))
"""In POLICY.md, and not evaluated by this version."""

_ID = r"^[a-z0-9][a-z0-9-]{0,63}$"


def check_glob(pattern: str) -> str:
    """A dataset name or glob that binds something.

    Raises:
        ValueError: with what is wanted instead.
    """
    if not re.search(r"[^\W_]", pattern):
        raise ValueError("a name with at least one letter or digit, so that it does not match everything")
    if "**" in pattern or re.search(r"[\[\]\\\s]", pattern) or not pattern.isprintable():
        raise ValueError("a dataset name or a glob of `*` and `?`, neither of which crosses a '/'")
    if pattern.startswith("/") or pattern.endswith("/") or "//" in pattern:
        raise ValueError("a dataset name has no empty part between its slashes")
    return pattern


def _date(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError("a date such as 2027-06-30")
    return date.fromisoformat(value)


Id = Annotated[str, StringConstraints(pattern=_ID)]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(check_glob)]
Count = Annotated[int, Field(ge=1, le=MAX_ITEMS)]
_Items = Field(strict=False, min_length=1, max_length=MAX_ITEMS)
Globs = Annotated[tuple[Glob, ...], _Items]
Day = Annotated[date, BeforeValidator(_date)]


class Requirement(Model):
    """``threshold`` distinct keys of ``signers``, names and ``group:NAME``, must have signed."""

    signers: References
    threshold: Count = 1


class _Rule(Model):
    id: Id
    severity: Literal["error", "warning"] = "error"


class PublisherRule(_Rule):
    """Who signed which dataset. Every requirement of ``all_of`` is counted by itself, by distinct keys."""

    rule: Literal["publisher"]
    datasets: Globs | None = None
    min_sequence: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None
    all_of: Annotated[tuple[Requirement, ...], _Items]


class IntegrityRule(_Rule):
    """Every byte is the signed one.

    ``fast: allow`` lets ``verify --fast`` pass, which does not read files that nothing touched since they were;
    ``partial: allow`` lets ``verify --only`` and ``--sample`` say ``PASSED partial``, which opens no gate.
    ``chunk_hash`` lists the chunk hashes that a release may have; any known one when it is left out.
    """

    rule: Literal["integrity"]
    extra_files: Literal["deny"] = "deny"
    partial: Literal["deny", "allow"] = "deny"
    digests: Literal["tree", "all"] = "tree"
    fast: Literal["deny", "allow"] = "deny"
    chunk_hash: Annotated[tuple[ChunkHash, ...], _Items] | None = None


class TransparencyRule(_Rule):
    """The release stands in one of ``logs`` (default: of all trusted logs)."""

    rule: Literal["transparency"]
    min: Literal["self", "witnessed"]
    logs: Names | None = None


class ScreenRule(_Rule):
    """The required detectors ran, calibrated, over enough of the rows, and what they found.

    ``on_advice`` ignores by default: advice is printed by the screen anyway, and a warning that is
    always there is not read.
    """

    rule: Literal["screen"]
    required_detectors: Annotated[
        tuple[Literal[DETECTORS], ...], _Items  # type: ignore[valid-type]
    ]
    on_gate_finding: Literal["fail", "warn"] = "fail"
    on_contrast_finding: Literal["fail", "warn"] = "fail"
    on_advice: Literal["warn", "ignore"] = "ignore"
    uncalibrated: Literal["deny", "allow"] = "deny"
    coverage: Annotated[float, Field(gt=0, le=1)] = 1.0


AnyRule = PublisherRule | IntegrityRule | TransparencyRule | ScreenRule
Rule = Annotated[AnyRule, Field(discriminator="rule")]
KINDS: Final[dict[str, type[_Rule]]] = {
    "publisher": PublisherRule,
    "integrity": IntegrityRule,
    "transparency": TransparencyRule,
    "screen": ScreenRule,
}


class ParentModel(Model):
    """A policy to build on: ``dataseal:NAME``, or a file with its SHA-256."""

    policy: Text
    sha256: Hex | None = None


class PolicyFile(Model):
    """One file, as written."""

    dataseal_policy: Annotated[int, Field(ge=1, le=1)]
    name: Name
    description: Text | None = None
    extends: Annotated[tuple[ParentModel, ...], _Items] | None = None
    expires: Day | None = None
    mode: Literal["enforce", "warn", "audit"] | None = None
    trust: TrustModel = TrustModel()
    rules: Annotated[tuple[Rule, ...], _Items] = ()


def flat(rule: AnyRule) -> dict[str, Any]:
    """The rule with its defaults written out, JSON values only."""
    return rule.model_dump(mode="json", exclude_none=True)
