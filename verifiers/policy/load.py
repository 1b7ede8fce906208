"""From a reference or a command line to a resolved `Policy`; all mistakes of all files are told together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from dataseal.ledger.errors import UsageError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.timestamp import TimestampAuthority
from dataseal.ledger.trust import Signer, TrustedLog
from dataseal.verifiers.policy import files, yamlfile
from dataseal.verifiers.policy.files import PolicyText
from dataseal.verifiers.policy.merge import Layer, Merged
from dataseal.verifiers.policy.model import ParentModel
from dataseal.verifiers.policy.names import bound
from dataseal.verifiers.policy.problems import Problems, listed
from dataseal.verifiers.policy.resolved import PUBLISHERS, PlacedRule, Policy
from dataseal.verifiers.policy.schema import RULE, validate
from dataseal.verifiers.verdict import Mode

COMMAND_LINE: Final = "command line"

MAX_LAYERS: Final = 16
"""Files that one policy may be built from."""

_STRICTNESS: Final = (Mode.AUDIT, Mode.WARN, Mode.ENFORCE)


def load(
    ref: str,
    *,
    publishers: Sequence[PublicKey | Signer] = (),
    logs: Sequence[TrustedLog] = (),
    datasets: Sequence[str] = (),
    authorities: Mapping[str, TimestampAuthority] | None = None,
    compromised: Sequence[Signer] = (),
) -> Policy:
    """Loads a policy.

    Args:
        ref: ``dataseal:NAME`` or a path.
        publishers: signers that join group ``publishers``. logs: logs that are trusted too.
        authorities: timestamp authorities that are trusted too, by name.
        compromised: signers of the same document; their compromises hold, and nothing else of them (`ledger.trust`).
        datasets: names that are bound beside the policy's own: both must hold.

    Raises:
        PolicyError: mistakes in a file, all of them, each with its place.
        UsageError: no such policy, nobody to trust, or nothing to judge by.
    """
    named = bound(datasets)
    problems = Problems()
    layers: list[Layer] = []
    _collect(files.find(ref), problems, layers, set())
    merged = Merged(problems)
    for layer in layers:
        merged.add_trust(layer)
    merged.add_command_line(publishers, logs, ref, authorities or {}, compromised)
    for layer in layers:
        merged.add_rules(layer)
    problems.check()
    read = [layer.draft.file for layer in layers if layer.draft.file is not None]
    modes = [Mode(file.mode) for file in read if file.mode is not None]
    return Policy(
        name=read[-1].name,
        uri=ref,
        mode=max(modes, key=_STRICTNESS.index, default=Mode.ENFORCE),
        expires=min((file.expires for file in read if file.expires is not None), default=None),
        trust=merged.trust(),
        rules=tuple(merged.rules),
        named=named,
    )


def command_line(
    *,
    publishers: Sequence[PublicKey | Signer],
    logs: Sequence[TrustedLog] = (),
    datasets: Sequence[str] = (),
    threshold: int = 1,
    digests: Literal["tree", "all"] = "tree",
    no_log: bool = False,
    partial: bool = False,
    fast: bool = False,
    authorities: Mapping[str, TimestampAuthority] | None = None,
    compromised: Sequence[Signer] = (),
) -> Policy:
    """What ``dataseal verify`` judges by without ``--policy``: the same rules, through the same models.

    Raises:
        UsageError: no publisher, a threshold above their number, no log without ``no_log``, or a log with it.
    """
    if not publishers:
        raise UsageError("nobody to trust: no publisher", hint="give --publisher KEY.pub, or --policy P")
    if threshold < 1:
        raise UsageError(f"--threshold {threshold}: expected at least 1", hint="leave it out for any one publisher")
    if no_log and logs:
        raise UsageError("--log and --no-log contradict each other", hint="give one of them")
    if not no_log and not logs:
        raise UsageError("no log to trust", hint="give --log VKEY, or --no-log to leave the log unchecked")
    rules: list[dict[str, Any]] = [
        {
            "id": "publisher",
            "rule": "publisher",
            "all_of": [{"signers": f"group:{PUBLISHERS}", "threshold": threshold}],
        },
        {
            "id": "files",
            "rule": "integrity",
            "digests": digests,
            "partial": "allow" if partial else "deny",
            "fast": "allow" if fast else "deny",
        },
    ]
    if not no_log:
        rules.append({"id": "log", "rule": "transparency", "min": "self"})
    merged = Merged(Problems())
    merged.add_command_line(publishers, logs, COMMAND_LINE, authorities or {}, compromised)
    return Policy(
        name="command-line",
        uri=f"{files.BUILT_IN}command-line",
        mode=Mode.ENFORCE,
        expires=None,
        trust=merged.trust(),
        rules=tuple(PlacedRule(RULE.validate_python(rule), COMMAND_LINE) for rule in rules),
        named=bound(datasets),
    )


def _collect(text: PolicyText, problems: Problems, layers: list[Layer], seen: set[str]) -> None:
    """Adds a file's parents, then the file itself; a file that two children share is added once."""
    digest = hashlib.sha256(text.text).hexdigest()
    if digest in seen:
        return
    seen.add(digest)
    if len(seen) > MAX_LAYERS:
        raise UsageError(f"a policy built from more than {MAX_LAYERS} files", where=text.name)
    draft = validate(yamlfile.read(text.text, text.name, problems), problems)
    layer = Layer(text, draft)
    for number, parent in enumerate(draft.parents):
        found = _parent(layer, number, parent, problems)
        if found is not None:
            _collect(found, problems, layers, seen)
    layers.append(layer)


def _parent(layer: Layer, number: int, parent: ParentModel, problems: Problems) -> PolicyText | None:
    document = layer.draft.document

    def tell(field: str, message: str, hint: str | None = None) -> None:
        problems.add(document.source, document.mark(("extends", number, field)), message, hint)

    if parent.policy.startswith(files.BUILT_IN):
        if parent.sha256 is not None:
            tell(
                "sha256",
                "a shipped policy is not pinned by digest",
                "delete the digest: it comes with dataseal",
            )
        ref = parent.policy
    elif layer.text.base is None:
        tell("policy", "this policy may extend shipped ones only", listed("shipped", files.builtin_names()))
        return None
    elif parent.sha256 is None:
        tell(
            "policy",
            "a policy to extend from a file needs its digest",
            "add sha256: (what sha256sum prints for it)",
        )
        return None
    else:
        ref = str(layer.text.base / parent.policy) if "://" not in parent.policy else parent.policy
    try:
        found = files.find(ref)
    except UsageError as error:
        tell("policy", str(error), error.hint)
        return None
    digest = hashlib.sha256(found.text).hexdigest()
    if parent.sha256 is not None and not ref.startswith(files.BUILT_IN) and digest != parent.sha256:
        tell(
            "sha256",
            f"the file has the SHA-256 {digest}, expected {parent.sha256}",
            "look at what changed in it",
        )
        return None
    return PolicyText(found.name, found.text, None)
