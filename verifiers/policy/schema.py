"""From plain data to models, with pydantic's errors told as places in the file.

A mistake in one rule does not hide those of the others: what validates is handed on beside the problems,
so that names are still checked in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from dataseal.verifiers.policy.model import (
    KINDS,
    LATER_FIELDS,
    LATER_KINDS,
    AnyRule,
    ParentModel,
    PolicyFile,
    Rule,
)
from dataseal.verifiers.policy.problems import Problems, did_you_mean, listed, quoted
from dataseal.verifiers.policy.trust_model import TrustFile, TrustModel
from dataseal.verifiers.policy.yamlfile import Document, Path

RULE: Final[TypeAdapter[AnyRule]] = TypeAdapter(Rule)

_LATER = "is not supported by this version of dataseal"
_WANTED: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """What of a file is usable.

    Attributes:
        document: the file. file: the whole, when it is valid. trust: its trust block, unless that is broken.
        parents: what it extends. rules: the valid rules by their place in the list.
    """

    document: Document
    file: PolicyFile | None
    trust: TrustModel | None
    parents: tuple[ParentModel, ...] = ()
    rules: dict[int, AnyRule] = field(default_factory=dict)


def validate(document: Document, problems: Problems) -> Draft:
    """Checks a document against the vocabulary; every mistake goes to ``problems``."""
    data = document.data
    try:
        file = PolicyFile.model_validate(data)
    except ValidationError as error:
        wrong = _tell_all(document, error, problems, PolicyFile)
    else:
        return Draft(document, file, file.trust, file.extends or (), dict(enumerate(file.rules)))
    if not isinstance(data, dict):
        return Draft(document, None, None)
    fields = {path[0] for path in wrong if path and path[0] != "rules"}
    broken = {path[1] for path in wrong if len(path) > 1 and path[0] == "rules"}
    rules = data.get("rules")
    trust, parents = data.get("trust", {}), data.get("extends", [])
    return Draft(
        document,
        None,
        None if "trust" in fields else TrustModel.model_validate(trust),
        () if "extends" in fields else tuple(ParentModel.model_validate(p) for p in parents),
        {
            i: RULE.validate_python(rule)
            for i, rule in enumerate(rules if isinstance(rules, list) else [])
            if i not in broken
        },
    )


def validate_trust(document: Document, problems: Problems) -> TrustFile | None:
    """Checks a trust document against the vocabulary; every mistake goes to ``problems``."""
    try:
        return TrustFile.model_validate(document.data)
    except ValidationError as error:
        _tell_all(document, error, problems, TrustFile)
        return None


def _tell_all(document: Document, error: ValidationError, problems: Problems, top: type[BaseModel]) -> list[Path]:
    errors = error.errors(include_url=False)
    wrong = [_path(e["loc"]) for e in errors]
    for one, path in zip(errors, wrong, strict=True):
        # pydantic counts only a list's valid items: one wrong item would also be told as an empty list
        if one["type"] != "too_short" or not any(len(p) > len(path) and p[: len(path)] == path for p in wrong):
            _tell(document, one, problems, top)
    return wrong


def _path(loc: tuple[int | str, ...]) -> Path:
    """pydantic's location without the tag that it puts behind the place of a rule."""
    if len(loc) > 2 and loc[0] == "rules" and loc[2] in KINDS:
        return (*loc[:2], *loc[3:])
    return loc


def _tell(document: Document, error: Any, problems: Problems, top: type[BaseModel]) -> None:
    path = _path(error["loc"])
    value = error["input"]
    on_key = error["type"] == "extra_forbidden" or path[-1:] == ("[key]",)
    tag = error["loc"][2] if len(error["loc"]) > len(path) else None
    message, hint = _message(error["type"], path, tag, value, error.get("ctx", {}), error["msg"], top)
    if path[-1:] == ("[key]",):
        path = path[:-1]
    if error["type"].startswith("union_tag_invalid"):
        path = (*path, "rule")
    problems.add(document.source, document.mark(path, key=on_key), message, hint)


def _message(
    kind: str,
    path: Path,
    tag: str | int | None,
    value: Any,
    ctx: dict[str, Any],
    text: str,
    top: type[BaseModel],
) -> tuple[str, str | None]:
    whole = "trust document" if top is TrustFile else "policy"
    name = path[-1] if path else whole
    if kind == "extra_forbidden":
        if name in LATER_FIELDS:
            return (
                f"field {quoted(name)} {_LATER}",
                "delete it: a field that is not evaluated promises nothing",
            )
        fields = _fields(path[:-1], tag, top)
        return f"unknown field {quoted(name)}{did_you_mean(name, fields)}", listed("fields here", fields)
    if kind == "missing":
        if name in ("dataseal_policy", "dataseal_trust"):
            return f"the field {quoted(name)} is missing: this is no {whole}", f"start with: {name}: 1"
        return f"the field {quoted(name)} is missing", None
    if kind == "union_tag_not_found":
        return "the field 'rule' is missing", listed("rule kinds", KINDS)
    if kind == "union_tag_invalid":
        tag = str(ctx.get("tag", ""))
        if tag in LATER_KINDS:
            return f"rule kind {quoted(tag)} {_LATER}", listed("rule kinds", KINDS)
        return f"unknown rule kind {quoted(tag)}{did_you_mean(tag, KINDS)}", listed("rule kinds", KINDS)
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", str(ctx.get("expected", "")))
        if len(known) == 1:
            return f"{name}: {quoted(value)} {_LATER}", listed("known", known)
        return f"unknown value {quoted(value)} for {_owner(path)}{did_you_mean(value, known)}", listed("known", known)
    return f"{_owner(path)}: {_wanted(kind, value, ctx, text)}", None


def _wanted(kind: str, value: Any, ctx: dict[str, Any], text: str) -> str:
    if kind in _WANTED:
        return f"expected {_WANTED[kind]}, found {_described(value)}"
    if kind in ("too_short", "string_too_short"):
        return "it is empty; name at least one"
    if kind in ("too_long", "string_too_long"):
        return f"it is longer than {ctx.get('max_length')}"
    if kind == "string_pattern_mismatch":
        return f"{quoted(value)} does not have the form {ctx.get('pattern')}"
    if kind == "value_error":
        return f"{quoted(value)} is not valid; wanted: {ctx.get('error')}"
    return f"{text.replace('Input should be', 'it must be')}, found {quoted(value)}"


def _described(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return f"text {quoted(value)}" if isinstance(value, str) else str(value).lower()


def _owner(path: Path) -> str:
    """The nearest field's name: the index of an item says little."""
    names = [part for part in path if isinstance(part, str) and part != "[key]"]
    return quoted(names[-1]) if names else "the policy"


def _fields(path: Path, tag: str | int | None, top: type[BaseModel]) -> set[str]:
    """The fields of the model at ``path``; ``tag`` is the rule's kind when the path leads into a rule."""
    models: list[type[BaseModel]] = [top]
    if isinstance(tag, str):
        models, path = [KINDS[tag]], path[2:]
    for part in path:
        inner = [f.annotation for m in models for n, f in m.model_fields.items() if n == part]
        models = [m for annotation in inner for m in _models(annotation)] or models
    return {name for model in models for name in model.model_fields}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
