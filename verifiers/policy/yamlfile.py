"""A strict reading of YAML 1.2: plain data, and for every value and key the place where it stands.

A policy decides what training may read, so it must mean one thing to every reader. Refused, each with
its line and column: anchors and aliases (and so "billion laughs"), tags, directives, several documents,
duplicate and non-text keys, keys without a value, control and bidirectional characters, files above
`MAX_BYTES`, nesting above `MAX_DEPTH`, and what is no YAML at all.

The events of ``ruamel.yaml``'s pure parser are read one by one, so that a hostile file is left at its first
excess. Plain scalars are read by the YAML 1.2 core schema cut down to what policies need: ``true`` and
``false``, decimal integers without leading zeros, decimal fractions; everything else, ``no``, ``0x10``,
``1_000`` and ``2027-06-30`` included, is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from dataseal.verifiers.policy.problems import Mark, Problems, Source, quoted

MAX_BYTES: Final = 128 * 1024
"""About 600 inline keys; ruamel's pure parser reads some 100 KiB a second."""

MAX_DEPTH: Final = 16
"""The vocabulary nests six levels."""

Path = tuple[str | int, ...]

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_BREAK = re.compile(r"\r\n|[\r\n]")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})(?:[eE][-+]?[0-9]{1,2})?")
_WORDS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))


@dataclass(frozen=True, slots=True)
class Document:
    """A read document.

    Attributes:
        source: its text. data: plain dicts, lists, text, numbers and booleans.
        values, keys: where the value, or the key, at a path stands.
    """

    source: Source
    data: Any
    values: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)

    def mark(self, path: Path, *, key: bool = False) -> Mark:
        """The place of ``path``, or of the nearest thing around it that has one."""
        while path:
            if key and path in self.keys:
                return self.keys[path]
            if path in self.values:
                return self.values[path]
            path = path[:-1]
        return self.values.get((), Mark(1, 1))


def read(text: bytes, name: str, problems: Problems) -> Document:
    """Reads one YAML document; mistakes go to ``problems``.

    What is returned is complete only as far as no problem was added; a caller checks before it trusts it.

    Raises:
        PolicyError: the text can't be read to its end.
    """
    source = Source(name, ())
    if len(text) > MAX_BYTES:
        problems.add(source, Mark(1, 1), f"{len(text):,} bytes; a policy has at most {MAX_BYTES:,}")
        problems.check()
    try:
        decoded = text.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        problems.add(
            source,
            Mark(line, 1),
            f"not UTF-8: byte {error.start} of the file is {error.object[error.start]:#04x}",
        )
        problems.check()
        raise AssertionError from None  # check() has raised
    source = Source(name, tuple(_BREAK.split(decoded)))
    for number, row in enumerate(source.lines, 1):
        if bad := _FORBIDDEN.search(row):
            problems.add(
                source,
                Mark(number, bad.start() + 1),
                f"the invisible character U+{ord(bad.group()):04X}",
                "delete it: what people read must be what is evaluated",
            )
            problems.check()
    return _Reader(source, problems).document(decoded)


class _Reader:
    """Builds a `Document` from parser events."""

    def __init__(self, source: Source, problems: Problems) -> None:
        self._source = source
        self._problems = problems
        self._out = Document(source, None)

    def document(self, text: str) -> Document:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError
        from ruamel.yaml.events import DocumentStartEvent, StreamEndEvent, StreamStartEvent

        yaml = YAML(typ="safe", pure=True)
        events: Iterator[Any] = iter(yaml.parse(text))
        data: Any = None
        documents = 0
        try:
            for event in events:
                if isinstance(event, StreamStartEvent | StreamEndEvent):
                    continue
                if not isinstance(event, DocumentStartEvent):
                    continue
                documents += 1
                if event.version or event.tags:
                    self._add(event, "a YAML directive; a policy has none", "delete the line that starts with %")
                if documents > 1:
                    self._add(event, "a second YAML document; a policy is one", "delete everything from this ---")
                    break
                data = self._node(next(events), events, ())
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
            self._problems.add(self._source, place, f"not YAML: {error.problem or error.context}")
            self._problems.check()
        except (YAMLError, RecursionError, ValueError) as error:
            self._problems.add(self._source, Mark(1, 1), f"not YAML: {str(error)[:120]}")
            self._problems.check()
        if not documents:
            self._problems.add(self._source, Mark(1, 1), "an empty file is no policy", "start with: dataseal_policy: 1")
        return Document(self._source, data, self._out.values, self._out.keys)

    def _node(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        from ruamel.yaml.events import AliasEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

        mark = _mark(event)
        if isinstance(event, ScalarEvent) and event.start_mark.index == event.end_mark.index:
            mark = self._out.keys.get(path, mark)  # a value that is not there stands somewhere on the next lines
        self._out.values[path] = mark
        if len(path) > MAX_DEPTH:
            self._add(event, f"nested deeper than {MAX_DEPTH} levels")
            self._problems.check()
        if isinstance(event, AliasEvent):
            self._add(event, f"an alias, {quoted('*' + str(event.anchor))}", "write the value out")
            return None
        self._plain(event)
        if isinstance(event, ScalarEvent):
            return self._scalar(event, mark)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(events, path)
        assert isinstance(event, MappingStartEvent)
        return self._mapping(events, path)

    def _plain(self, event: Any) -> None:
        """Refuses anchors and tags."""
        if event.anchor is not None:
            self._add(event, f"an anchor, {quoted('&' + str(event.anchor))}", "write the value out where it is used")
        elif event.tag is not None:
            self._add(event, f"a tag, {quoted(str(event.tag))}", "policies hold plain values only")

    def _scalar(self, event: Any, mark: Mark) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in _NULLS:
            self._problems.add(
                self._source, mark, "a key or an item without a value", "give it a value, or delete the line"
            )
            return None
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text

    def _sequence(self, events: Iterator[Any], path: Path) -> list[Any]:
        from ruamel.yaml.events import SequenceEndEvent

        items: list[Any] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            items.append(self._node(event, events, (*path, len(items))))
        return items

    def _mapping(self, events: Iterator[Any], path: Path) -> dict[str, Any]:
        from ruamel.yaml.events import AliasEvent, MappingEndEvent, ScalarEvent

        found: dict[str, Any] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                what = "an alias as a key" if isinstance(event, AliasEvent) else "a list or a mapping as a key"
                self._add(event, f"{what}; a key is a plain word")
                self._problems.check()
            self._plain(event)
            key: str = event.value
            here = (*path, key)
            if key in found:
                first = self._out.keys[here].line
                self._add(event, f"duplicate key {quoted(key)}", f"it stands in line {first} already; keep one")
                self._node(next(events), events, (*path, key, "duplicate"))
                continue
            self._out.keys[here] = _mark(event)
            found[key] = self._node(next(events), events, here)
        return found

    def _add(self, event: Any, message: str, hint: str | None = None) -> None:
        self._problems.add(self._source, _mark(event), message, hint)


def _mark(event: Any) -> Mark:
    start, end = event.start_mark, event.end_mark
    width = end.column - start.column if end.line == start.line else 1
    return Mark(start.line + 1, start.column + 1, max(1, width))
